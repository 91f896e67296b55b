import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError, UnknownId
from cllm4rec.ranking import RankedItems, rank_all, scoring
from cllm4rec.ranking import lists as ranked_lists
from support.ids import id_map

INF = float("inf")
USERS = id_map(["007", "a user", "😀\n'\""], "user")
ITEMS = id_map(["7", "B00", "x" * 10_000, "ü"], "item")


def nothing(rows: int, num_items: int) -> Interactions:
    return Interactions.from_lists([[]] * rows, num_items)


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


def test_rank_all_gives_every_user_their_own_history_whatever_the_block(monkeypatch):
    monkeypatch.setattr(scoring, "BLOCK_USERS", 2)
    known = Interactions.from_lists([[4], [], [3, 4], [0]], 5)
    users = np.array([2, 0, 3])
    scorer = Remembering()
    ranked = rank_all(scorer, users, known, 2)
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
    monkeypatch.setattr(ranked_lists, "ROW_GROUP", row_group)
    lists.write(tmp_path / "top.parquet", USERS, ITEMS)
    again = RankedItems.read(tmp_path / "top.parquet", USERS, ITEMS, 2)
    assert again.users.tolist() == [0, 2]
    assert again.items.tolist() == [[2, -1], [3, 0]]
    assert again.scores.tolist() == [[-7.25, -INF], [0.5, 0.5]]


def test_an_interrupted_write_leaves_the_older_file(lists, tmp_path):
    path = tmp_path / "top.parquet"
    path.write_text("older")
    with pytest.raises(IndexError):
        lists.write(path, id_map(["one user"]), ITEMS)
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


def test_float_ids_are_read_as_those_of_the_log(tmp_path):
    path = tmp_path / "top.parquet"
    users, items = id_map(["0", "1000000000000000"], "user"), id_map(["7"], "item")

    def read(user_ids):
        columns = {"user_id": user_ids, "item_id": [7.0, 7.0], "rank": [1, 1], "score": [0.5, 0.5]}
        pq.write_table(pa.table(columns), path)
        return RankedItems.read(path, users, items, 1).users.tolist()

    assert read([-0.0, 1e15]) == [0, 1]
    with pytest.raises(InputError, match=r"top.parquet: column 'user_id' holds ids as floats"):
        read([0.0, 2.0**53])


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
    users = id_map(["u" * 500], "user")
    pq.write_table(table(user_id=["u" * 500] * 3), tmp_path / "f.parquet")
    with pytest.raises(InputError) as refused:
        RankedItems.read(tmp_path / "f.parquet", users, ITEMS, 1)
    assert len(str(refused.value)) < 200 + len(str(tmp_path))
