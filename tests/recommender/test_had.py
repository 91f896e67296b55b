"""What a user has had and no model sees: left out of the user's lists, and nothing else."""

import numpy as np
import pytest

from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.catalogue import Catalogue, Filters
from cllm4rec.recommender.requests import NO_FILTERS, ListRequest
from support.input_folder import small_log, write_rows
from support.prepared import prepare_folder

LOG = [row | {"rating": 1 + 4 * (n % 4 > 0)} for n, row in enumerate(small_log(12, 16, 10))]
FEW = [{"user_id": "few", "item_id": f"i{n}", "timestamp": 9 - n, "rating": 5} for n in range(3)]
FEW += [{"user_id": "few", "item_id": "i5", "timestamp": 7, "rating": 1}]
HAD = {
    f"u{user}": {row["item_id"] for row in LOG if row["user_id"] == f"u{user}"}
    for user in range(12)
}


@pytest.fixture
def catalogue(tmp_path):
    write_rows(tmp_path / "in", "interactions", LOG + FEW)
    return Catalogue(prepare_folder(tmp_path / "in", minimum_interactions=5)[0])


def request_for(catalogue, users, filters=NO_FILTERS, since=None) -> ListRequest:
    known = catalogue.dataset.known("recommend")
    return ListRequest.for_users(catalogue, known, users, 16, filters, since)


def listed(catalogue, request: ListRequest) -> list[set[str]]:
    """What the lists of a request hold, whatever the scores."""
    items, _ = request.best(np.ones((len(request), 16), np.float32), slice(0, len(request)))
    return [set(catalogue.items.ids(row[row >= 0])) for row in items]


def unheard_of(catalogue, user: str) -> set[str]:
    return set(catalogue.ids) - HAD[user]


@pytest.mark.parametrize("users", [["u3", "u0"], ["u3", "few", "u0", "nobody"]])
def test_lists_of_some_users_have_nothing_that_they_have_had(catalogue, users):
    request = request_for(catalogue, users)
    found = dict(zip([u for u in users if u != "nobody"], listed(catalogue, request), strict=True))
    assert found.pop("few", None) in (None, set(catalogue.ids) - {"i0", "i1", "i2", "i5"})
    assert found == {user: unheard_of(catalogue, user) for user in found}


def test_the_model_sees_what_it_saw(catalogue):
    known = catalogue.dataset.known("recommend")
    for users in (["u3", "u0"], ["u3", "u0", "few"]):
        histories = request_for(catalogue, users).histories
        for row, user in enumerate(users[:2]):
            expected = known.of(catalogue.dataset.users.number(user))
            np.testing.assert_array_equal(histories.of(row), expected)
    few = request_for(catalogue, ["few"]).histories.of(0)
    assert catalogue.items.ids(few) == ["i2", "i1", "i0"], "without what was rated low"


def test_everyone_s_lists_are_those_of_each(catalogue):
    names = catalogue.dataset.users.ids(range(12))
    each = [unheard_of(catalogue, user) for user in names]
    assert listed(catalogue, request_for(catalogue, None)) == each
    audience = Audience.of_run(catalogue.dataset)
    assert audience.excluded.items is catalogue.dataset.excluded.items, "mapped, and not read"
    assert listed(catalogue, audience.request(16)) == each
    assert listed(catalogue, audience.request(16).part(5, 9)) == each[5:9]
    rows = np.array([11, 0, 4])
    assert listed(catalogue, audience.rows(rows).request(16)) == [each[row] for row in rows]


def test_who_asks_for_what_was_had_gets_it(catalogue):
    every = set(catalogue.ids)
    seen = Filters(seen=True)
    for users in (["u3", "u0"], ["u3", "few"], None):
        request = request_for(catalogue, users, seen)
        assert listed(catalogue, request) == [every] * len(request)
    audience = Audience.of_run(catalogue.dataset).request(16, seen=True)
    assert listed(catalogue, audience) == [every] * 12


def test_filters_leave_out_what_they_did(catalogue):
    free = sorted(unheard_of(catalogue, "u3"))
    low = catalogue.items.ids(catalogue.dataset.excluded.of(catalogue.dataset.users.number("u3")))
    assert low
    some = request_for(catalogue, ["u3"], Filters(include=[*low, *free[1:]], exclude=free[-1:]))
    assert listed(catalogue, some) == [set(free[1:-1])]
    assert listed(catalogue, request_for(catalogue, ["u3"], Filters(include=low))) == [set()]


def test_feedback_on_what_was_had_is_history_as_before(catalogue):
    user = catalogue.dataset.users.number("u3")
    low = catalogue.items.ids(catalogue.dataset.excluded.of(user))[0]
    request = request_for(catalogue, ["u3"], since={"u3": [low]})
    assert catalogue.items.ids(request.histories.of(0))[-1] == low
    assert listed(catalogue, request) == [unheard_of(catalogue, "u3")]


def test_a_user_who_has_had_all_has_an_empty_list(tmp_path):
    whole = [row | {"user_id": "all"} for row in LOG[:10]]
    whole += [{"user_id": "all", "item_id": f"i{n}", "rating": 1} for n in range(16)]
    seen, rows = set(), []
    for row in whole:
        if row["item_id"] not in seen:
            seen.add(row["item_id"])
            rows.append(row | {"timestamp": len(rows)})
    write_rows(tmp_path / "in", "interactions", LOG + rows)
    catalogue = Catalogue(prepare_folder(tmp_path / "in", minimum_interactions=5)[0])
    assert listed(catalogue, request_for(catalogue, ["all"])) == [set()]


def test_a_cold_list_and_histories_have_nothing_excluded(catalogue):
    after = ListRequest.for_histories(catalogue, [["i0", "i5"]], 16)
    assert listed(catalogue, after) == [set(catalogue.ids) - {"i0", "i5"}]
    nobody = ListRequest.for_nobody(catalogue, 16, cold=np.ones(16, np.float32))
    found = nobody.cold_list(catalogue.popularity)
    assert isinstance(found, RankedItems)
    assert (found.items >= 0).all()
