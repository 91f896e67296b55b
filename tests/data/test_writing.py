import duckdb
import numpy as np
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.writing import write_entities, write_interactions, write_reviews
from support.examples import examples

PAIRS = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 6)),
    st.tuples(st.integers(0, 3), st.none() | st.integers(0, 3)),
    min_size=1,
)


@given(pairs=PAIRS)
@examples(20)
def test_interactions_are_grouped_by_user_and_ordered_by_time(tmp_path, pairs):
    rows = [
        (user, item, when, None, row, part)
        for row, ((user, item), (part, when)) in enumerate(pairs.items())
    ]
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(
            "CREATE TABLE parted (user_code INTEGER, item_code INTEGER, timestamp DOUBLE, "
            "position DOUBLE, tie BIGINT, part UTINYINT)"
        )
        connection.executemany("INSERT INTO parted VALUES (?, ?, ?, ?, ?, ?)", rows)
        for kind, size in (("users", 5), ("items", 7)):
            connection.execute(
                f"CREATE TABLE {kind} AS SELECT range::INTEGER AS number, range AS code "
                f"FROM range({size})"
            )
        counts = write_interactions(connection, tmp_path)
    rows.sort(key=lambda row: (row[0], -1 if row[2] is None else row[2], row[4]))
    offsets, items, parts = (np.load(tmp_path / f"{x}.npy") for x in ("offsets", "items", "parts"))
    assert (offsets.dtype, items.dtype, parts.dtype) == (np.int64, np.int32, np.uint8)
    assert items.tolist() == [row[1] for row in rows]
    assert parts.tolist() == [row[5] for row in rows]
    assert offsets.tolist() == [sum(row[0] < user for row in rows) for user in range(6)]
    codes = {"train": 0, "valid": 1, "test": 2, "history": 3}
    assert counts == {name: sum(row[5] == code for row in rows) for name, code in codes.items()}


def test_entities_stand_in_the_order_of_their_numbers(tmp_path):
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE items AS FROM (VALUES (1, 'b'), (0, 'a')) t(number, item_id)"
        )
        connection.execute(
            "CREATE TABLE item_rows AS FROM (VALUES ('b', 'B', '1', NULL), ('c', 'C', '2', NULL), "
            "('b', 'again', '3', 'repeated item_id')) t(item_id, title, feature_0, reason)"
        )
        write_entities(
            connection,
            tmp_path / "items.parquet",
            numbered="items",
            rows="item_rows",
            key="item_id",
            columns={"title": "title", 'odd "name"': "feature_0"},
        )
    assert pq.read_table(tmp_path / "items.parquet").to_pydict() == {
        "item_id": ["a", "b"],
        "title": [None, "B"],
        'odd "name"': [None, "1"],
    }


def test_reviews_are_written_without_the_refused(tmp_path):
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE reviews AS FROM (VALUES (1, 1, 0, 'late', NULL), (2, 0, 3, 'b', NULL), "
            "(3, 0, 2, 'a', NULL), (4, 0, 2, 'c', NULL), (5, 0, 0, 'no', 'unknown item')) "
            "t(row, user_number, item_number, text, reason)"
        )
        write_reviews(connection, tmp_path / "reviews.parquet")
    assert pq.read_table(tmp_path / "reviews.parquet").to_pylist() == [
        {"user": 0, "item": 2, "text": "a"},
        {"user": 0, "item": 2, "text": "c"},
        {"user": 0, "item": 3, "text": "b"},
        {"user": 1, "item": 0, "text": "late"},
    ]
