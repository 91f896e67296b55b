"""Users by their properties: against dense normal equations; what is not known is said."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from cllm4rec.errors import InputError
from cllm4rec.linear.properties import BINS, LEAST_USERS, MAX_VALUES, PropertyModel
from reference.properties import rates

USERS, ITEMS = 60, 9
TRADES = ["artist", "doctor", "clerk"]


@pytest.fixture(scope="module")
def world():
    draw = np.random.default_rng(0)
    trade = [TRADES[at % 3] for at in range(USERS)]
    age = [str(20 + at) for at in draw.permutation(USERS)]
    likes = draw.random((USERS, ITEMS)) < 0.3
    likes[:, 0] |= np.array(trade) == "artist"
    likes[:, 8] = False  # nobody has it
    likes[7] = False  # takes no part
    columns = {"trade": [*trade[:-1], None], "age": age, "rare": ["x", "x", *[None] * (USERS - 2)]}
    return columns, likes


@pytest.fixture(scope="module")
def model(world):
    columns, likes = world
    return PropertyModel.fit(columns, csr_matrix(likes.astype(np.float32)), 3.0)


def test_rates_are_those_of_the_normal_equations(world, model):
    columns, likes = world
    counted = likes.any(axis=1)
    ages = np.array(columns["age"], float)
    edges = np.quantile(ages[counted], np.arange(1, BINS) / BINS)
    bins = np.eye(BINS)[(ages[:, None] >= edges).sum(axis=1)]
    trades = np.array([[value == trade for trade in TRADES] for value in columns["trade"]], float)
    one_hot = np.concatenate([trades, bins], axis=1)[counted]
    for trade, age in (("doctor", 21.5), ("artist", 79.0), (None, 40.0), ("clerk", None)):
        profile = {"trade": trade, "age": None if age is None else str(age)}
        own = one_hot.mean(axis=0)  # of what is not named
        if trade is not None:
            own[:3] = np.eye(3)[TRADES.index(trade)]
        if age is not None:
            own[3:] = np.eye(BINS)[int((age >= edges).sum())]
        found = model.rates({name: value for name, value in profile.items() if value is not None})
        np.testing.assert_allclose(found, rates(one_hot, likes[counted], own, 3.0), atol=1e-9)


def test_artists_get_what_artists_have_and_nobody_is_ranked_by_what_nobody_has(model):
    artist, doctor = (model.scores({"trade": trade}) for trade in ("artist", "doctor"))
    assert artist.argmax() == 0
    assert artist[0] > doctor[0]
    known = np.arange(ITEMS) < 8
    assert artist[8] == pytest.approx(artist[known].mean())
    assert len(set(artist.tolist())) == ITEMS


def test_the_more_it_shrinks_the_nearer_is_the_popular_list(world):
    columns, likes = world
    matrix = csr_matrix(likes.astype(np.float32))
    popular = likes[likes.any(axis=1)].mean(axis=0)
    found = PropertyModel.fit(columns, matrix, 1e9).rates({"trade": "artist", "age": "33"})
    np.testing.assert_allclose(found, popular, atol=1e-6)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"colour": "red"}, r"users have no property 'colour'; there are: trade, age"),
        ({"rare": "x"}, "users have no property 'rare'"),  # too few users have one
        ({"trade": "secret"}, "that trade is not known; frequent ones: (artist|clerk|doctor), "),
        ({"trade": ""}, "that trade is not known"),
        ({"age": "secret"}, r"age takes a number, such as \d+"),
        ({"age": "nan"}, "age takes a number"),
    ],
)
def test_what_is_not_known_is_refused_in_a_line_that_names_what_is(model, profile, message):
    with pytest.raises(InputError, match=message) as error:
        model.rates(profile)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_several_values_count_each_and_far_numbers_as_the_nearest(world, model):
    given = [model.rates({"trade": of}) for of in ("artist|clerk", "artist", "clerk", "doctor")]
    both, _, clerk, doctor = given
    assert both[0] > max(clerk[0], doctor[0])
    np.testing.assert_allclose(model.rates({}), model.items / model.users)
    np.testing.assert_array_equal(model.rates({"age": "1000"}), model.rates({"age": "79"}))


@pytest.mark.parametrize(
    ("ages", "wanted"),
    [
        ([*range(60)], [12, 12, 12, 12, 12]),
        ([1, 2, 3, *[20] * 25, *[30] * 20, *range(40, 52)], [3 + 25, 20, 12]),
        ([*range(12)], [3 + 2, 2 + 2 + 3]),  # what is left at the end joins the bin before it
        ([30] * 48 + [5] + [*range(40, 51)], None),  # of 1 and of 59 users
        ([30] * 50 + [*range(40, 50)], None),  # nobody is below the first edge
    ],
)
def test_every_bin_of_numbers_has_the_least_users(ages, wanted):
    likes = csr_matrix(np.ones((len(ages), 2), np.float32))
    model = PropertyModel.fit({"age": [*map(str, ages)]}, likes)
    if wanted is None:
        assert model.properties == {}
        return
    of = model.properties["age"]
    assert list(of.columns) == [*map(str, range(len(wanted)))]
    assert np.diag(model.products)[list(of.columns.values())].tolist() == wanted


def test_a_value_of_few_users_is_not_known(world):
    _, likes = world
    for users, known in ((LEAST_USERS - 1, False), (LEAST_USERS, True)):
        towns = ["small"] * users + ["large"] * (USERS - users)
        likes_all = csr_matrix(np.ones((USERS, 2), np.float32))
        model = PropertyModel.fit({"town": towns}, likes_all)
        assert ("small" in model.properties["town"].columns) == known
    assert PropertyModel.fit({}, csr_matrix(likes.astype(np.float32))).properties == {}


@pytest.mark.parametrize(("room", "left"), [(BINS, 0), (BINS - 1, BINS - 1), (0, 0)])
def test_bins_of_numbers_are_kept_all_or_none(room, left):
    """Beside more frequent tags that leave ``room``; what is left goes to the rarer towns."""
    tags, aged = MAX_VALUES - room, USERS - 10
    columns = {
        "age": [*map(str, range(aged)), *[None] * 10],
        "tags": ["|".join(f"tag {at}" for at in range(tags))] * USERS,
        "town": [f"town {at // LEAST_USERS}" for at in range(USERS)],
    }
    model = PropertyModel.fit(columns, csr_matrix(np.ones((USERS, 2), np.float32)))
    counts = {name: len(of.columns) for name, of in model.properties.items()}
    wanted = {"age": BINS if room == BINS else 0, "tags": tags, "town": left}
    assert counts == {name: count for name, count in wanted.items() if count}
    places = [at for of in model.properties.values() for at in of.columns.values()]
    assert sorted(places) == [*range(sum(counts.values()))]


def test_the_example_is_a_profile_that_is_known(world, model):
    pairs = dict(pair.split("=") for pair in model.example().split(", "))
    assert list(pairs) == ["trade", "age"]
    assert len(model.rates(pairs)) == ITEMS
    assert pairs["age"].isdigit()
    columns, likes = world
    awkward = {"a=b": columns["trade"], "c": ["x, y"] * USERS, "d": ["p,q"] * USERS}
    fitted = PropertyModel.fit(awkward, csr_matrix(likes.astype(np.float32)))
    for pair in filter(None, fitted.example().split(", ")):
        name, value = pair.split("=")
        fitted.rates({name: value})
    assert "a=b" not in fitted.example()
