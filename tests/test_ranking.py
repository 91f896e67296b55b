import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import ranking
from cllm4rec.data.ids import IdMap
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError, RunError, UnknownId
from cllm4rec.ranking import (
    RankedItems,
    list_length,
    rank_all,
    root_likelihood,
    standardised,
    top_k,
)
from reference import metrics as slow

INF = float("inf")
USERS = IdMap.from_ids(["007", "a user", "😀\n'\""], "user")
ITEMS = IdMap.from_ids(["7", "B00", "x" * 10_000, "ü"], "item")


def nothing(rows: int, num_items: int) -> Interactions:
    return Interactions.from_lists([[]] * rows, num_items)


# Few distinct values, so that ties are everywhere; zeros of both signs are equal.
tied_scores = st.sampled_from([-INF, -1.5, -0.0, 0.0, 0.25, 0.5, 3e38])


@st.composite
def scored_rows(draw):
    num_items = draw(st.integers(1, 12))
    row = st.lists(tied_scores, min_size=num_items, max_size=num_items)
    scores = draw(st.lists(row, min_size=1, max_size=4))
    one = st.lists(st.integers(0, num_items - 1), unique=True)
    known = [draw(one) for _ in scores]
    return scores, known, num_items


@given(scored_rows(), st.integers(1, 15))
def test_top_k_equals_a_full_sort(rows, k):
    scores, known, num_items = rows
    found, best = top_k(np.array(scores), Interactions.from_lists(known, num_items), k)
    assert found.dtype == np.int32
    assert best.dtype == np.float32
    for row, items in enumerate(found.tolist()):
        assert items == slow.top_k(scores[row], set(known[row]), k)
        wanted = [scores[row][item] if item >= 0 else -INF for item in items]
        assert best[row].tolist() == pytest.approx(wanted, rel=1e-6)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_scores_come_back_as_they_were(scores):
    found, best = top_k(np.array([scores], np.float32), nothing(1, len(scores)), len(scores))
    assert best[0].tolist() == [scores[item] for item in found[0]]
    assert best[0].tolist() == sorted(scores, reverse=True)


def test_top_k_leaves_its_input_alone():
    scores = np.array([[1.0, 2.0]], np.float32)
    top_k(scores, Interactions.from_lists([[1]], 2), 2, allowed=np.array([False, True]))
    assert scores.tolist() == [[1.0, 2.0]]


def test_only_allowed_items_are_listed():
    scores = np.array([[1.0, 2.0, 3.0, 4.0]])
    known = Interactions.from_lists([[3]], 4)
    allowed = np.array([True, False, True, True])
    items, best = top_k(scores, known, 3, allowed=allowed)
    assert items.tolist() == [[2, 0, -1]]
    assert best.tolist() == [[3.0, 1.0, -INF]]


@pytest.mark.parametrize("bad", [float("nan"), -float("nan"), INF])
def test_a_diverged_model_is_not_ranked(bad):
    with pytest.raises(RunError, match=r"row 1 of the scores .* lower learning_rate"):
        top_k(np.array([[0.0, 1.0], [0.0, bad]]), nothing(2, 2), 1)


@pytest.mark.parametrize(("k", "length"), [(1, 1), (3, 3), (10**12, 3)])
def test_a_list_is_no_longer_than_the_catalogue(k, length):
    assert list_length(k, 3) == length


@pytest.mark.parametrize("k", [0, -1])
def test_a_list_of_nothing_is_refused(k):
    with pytest.raises(InputError, match=f"k = {k} asks for no item; give a k of at least 1"):
        list_length(k, 3)


class Remembering:
    """Scores an item by its number, and what is known by how much it is; notes the batches."""

    def __init__(self):
        self.batches = []

    def score(self, users, history):
        self.batches.append((
            users.tolist(),
            [history.of(row).tolist() for row in range(len(users))],
        ))
        return np.tile(np.arange(history.num_items, dtype=np.float32), (len(users), 1))


def test_rank_all_gives_every_user_their_own_history_whatever_the_batch():
    known = Interactions.from_lists([[4], [], [3, 4], [0]], 5)
    users = np.array([2, 0, 3])
    scorer = Remembering()
    ranked = rank_all(scorer, users, known, 2, batch_users=2)
    assert scorer.batches == [([2, 0], [[3, 4], [4]]), ([3], [[0]])]
    assert ranked.users.tolist() == [2, 0, 3]
    assert ranked.items.tolist() == [[2, 1], [3, 2], [4, 3]]
    assert ranked.scores.tolist() == [[2, 1], [3, 2], [4, 3]]


def test_rank_all_of_nobody_is_empty():
    ranked = rank_all(Remembering(), np.array([], np.int32), nothing(2, 3), 2)
    assert ranked.items.shape == (0, 2)


@pytest.fixture
def lists() -> RankedItems:
    items = np.array([[3, 0], [2, -1], [-1, -1]], np.int32)
    scores = np.array([[0.5, 0.5], [-7.25, -INF], [-INF, -INF]], np.float32)
    return RankedItems(np.array([2, 0, 1], np.int32), items, scores)


def test_top_k_file_has_external_ids_and_no_fillers(lists, tmp_path):
    path = tmp_path / "top.parquet"
    lists.write(path, USERS, ITEMS)
    assert pq.read_table(path).to_pylist() == [
        {"user_id": "😀\n'\"", "item_id": "ü", "rank": 1, "score": 0.5},
        {"user_id": "😀\n'\"", "item_id": "7", "rank": 2, "score": 0.5},
        {"user_id": "007", "item_id": "x" * 10_000, "rank": 1, "score": -7.25},
    ]
    assert [found.name for found in tmp_path.iterdir()] == ["top.parquet"]


@pytest.mark.parametrize("row_group", [1, 3, 1 << 16])
def test_what_was_written_is_read_back_in_order_of_the_users(
    lists, tmp_path, monkeypatch, row_group
):
    monkeypatch.setattr(ranking, "ROW_GROUP", row_group)
    lists.write(tmp_path / "top.parquet", USERS, ITEMS)
    again = RankedItems.read(tmp_path / "top.parquet", USERS, ITEMS, 2)
    assert again.users.tolist() == [0, 2]
    assert again.items.tolist() == [[2, -1], [3, 0]]
    assert again.scores.tolist() == [[-7.25, -INF], [0.5, 0.5]]


def test_an_interrupted_write_leaves_the_older_file(lists, tmp_path):
    path = tmp_path / "top.parquet"
    path.write_text("older")
    with pytest.raises(IndexError):
        lists.write(path, IdMap.from_ids(["one user"]), ITEMS)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def table(**changed):
    columns = {
        "user_id": ["007", "007", "a user"],
        "item_id": ["7", "B00", "B00"],
        "rank": [1, 2, 1],
        "score": [0.5, 0.25, 0.1],
    }
    return pa.table({name: values for name, values in (columns | changed).items() if values})


def read(path, written, k=100):
    pq.write_table(written, path / "theirs.parquet")
    return RankedItems.read(path / "theirs.parquet", USERS, ITEMS, k)


def test_anyones_file_may_be_shuffled_longer_and_of_other_number_types(tmp_path):
    theirs = table(
        user_id=["a user", "007", "007"],
        item_id=pa.array(["B00", "ü", "7"]).dictionary_encode(),
        rank=pa.array([1.0, 2.0, 1.0], pa.float64()),
        score=pa.array([9, 2, 3], pa.int64()),
    )
    ranked = read(tmp_path, theirs, k=1)
    assert ranked.users.tolist() == [0, 1]
    assert ranked.items.tolist() == [[0], [1]]
    assert ranked.scores.tolist() == [[3], [9]]


def test_integer_ids_are_read_as_their_decimal_text(tmp_path):
    theirs = table(
        item_id=pa.array([7, 7, 7]), user_id=["007", "a user", "😀\n'\""], rank=[1, 1, 1]
    )
    assert read(tmp_path, theirs).items[:, 0].tolist() == [0, 0, 0]


def test_an_empty_file_has_no_lists(tmp_path):
    assert len(read(tmp_path, table().slice(0, 0))) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rank": None}, "no column rank; a top-k file has user_id, item_id, rank, score"),
        ({"rank": [1, 3, 1]}, "user '007': ranks are not 1..n without gaps"),
        ({"rank": [0, 1, 1]}, "user '007': ranks are not 1..n without gaps"),
        ({"rank": [1, 1, 1]}, "user '007': ranks are not 1..n without gaps"),
        ({"rank": [1, 2, 2]}, "user 'a user': ranks are not 1..n without gaps"),
        ({"rank": [1.0, 1.5, 1.0]}, "column rank is double and not all of it reads as int32"),
        ({"rank": [1, None, 1]}, "column rank holds a null"),
        ({"score": [0.5, 0.6, 0.1]}, "user '007': a score is higher than the one ranked before"),
        ({"score": [0.5, float("nan"), 0.1]}, "user '007': a score is not a finite number"),
        ({"score": ["a", "b", "c"]}, "column score is string and not all of it reads as float"),
        ({"item_id": ["7", "7", "B00"]}, "user '007': an item is listed twice"),
        ({"item_id": ["7", None, "B00"]}, "column item_id holds a null"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, changed, message):
    with pytest.raises(InputError) as refused:
        read(tmp_path, table(**changed))
    assert message in str(refused.value)
    assert "theirs.parquet" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_an_unknown_id_is_named_with_its_file(tmp_path, column):
    known = table().column(column).to_pylist()
    theirs = table(**{column: [known[0], "nobody", known[2]]})
    with pytest.raises(UnknownId, match=r"theirs\.parquet: unknown .* 'nobody'"):
        read(tmp_path, theirs)


def test_a_file_that_is_absent_or_no_parquet_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*gone\.parquet"):
        RankedItems.read(tmp_path / "gone.parquet", USERS, ITEMS, 1)
    with pytest.raises(InputError, match="holds no"):
        RankedItems.read(tmp_path, USERS, ITEMS, 1)
    (tmp_path / "text.parquet").write_text("user_id,item_id,rank,score\n")
    with pytest.raises(InputError, match=r"text\.parquet is not a Parquet file"):
        RankedItems.read(tmp_path / "text.parquet", USERS, ITEMS, 1)


def test_a_long_user_id_is_cut_in_the_message(tmp_path):
    users = IdMap.from_ids(["u" * 500], "user")
    pq.write_table(table(user_id=["u" * 500] * 3), tmp_path / "f.parquet")
    with pytest.raises(InputError) as refused:
        RankedItems.read(tmp_path / "f.parquet", users, ITEMS, 1)
    assert len(str(refused.value)) < 200 + len(str(tmp_path))


@given(st.lists(st.lists(st.integers(-50, 50), min_size=4, max_size=4), min_size=1, max_size=4))
def test_standardised_rows_have_spread_one_and_constant_rows_stay(rows):
    scores = np.array(rows, np.float32)
    found = standardised(scores)
    assert found.dtype == np.float32
    for before, after in zip(rows, found.tolist(), strict=True):
        if len(set(before)) == 1:
            assert after == before
        else:
            assert np.std(after) == pytest.approx(1, rel=1e-5)
            # The mean moves no item past another and is left alone: only the unit changes.
            spread = np.std(before)
            assert after == pytest.approx([score / spread for score in before], rel=1e-5)


def test_standardised_by_hand():
    # The spread of (1, 3) is 1 and that of (0, 4) is 2.
    assert standardised(np.array([[1.0, 3.0], [0.0, 4.0]])).tolist() == [[1, 3], [0, 2]]


@given(st.lists(st.lists(st.floats(-40, 40, width=32), min_size=4, max_size=4), min_size=1))
def test_root_likelihoods_are_the_roots_of_the_softmax_in_units_of_the_likeliest(rows):
    logits = np.array(rows, np.float32)
    found = root_likelihood(logits)
    assert found.dtype == np.float32
    roots = torch.from_numpy(logits).double().softmax(dim=1).sqrt()
    assert found == pytest.approx((roots / roots.amax(dim=1, keepdim=True)).numpy(), rel=1e-4)


def test_a_logit_that_is_no_number_spoils_its_row_and_no_other():
    found = root_likelihood(np.array([[0.0, np.inf], [0.0, np.nan], [0.0, 2 * np.log(2)]]))
    assert np.isnan(found[:2]).any(axis=1).all()
    assert found[2].tolist() == [0.5, 1.0]
