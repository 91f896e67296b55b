import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.numbering import make_codes, make_pairs, number_entities
from support.examples import examples

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


def make_log(connection, rows):
    connection.execute(
        "CREATE OR REPLACE TABLE log (row BIGINT, user_id VARCHAR, item_id VARCHAR, "
        "timestamp DOUBLE, position DOUBLE, reason VARCHAR, positive BOOLEAN)"
    )
    for table in ("user_codes", "item_codes", "pairs", "parted", "item_rows", "users", "items"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, true)", rows)


@given(ids=st.lists(TEXTS, min_size=1, max_size=20))
@examples(20)
def test_numbers_follow_the_ids_code_points_as_in_python(connection, ids):
    make_log(connection, [(n, each, each, None, None, None) for n, each in enumerate(ids)])
    make_codes(connection, seed=0)
    make_pairs(connection)
    connection.execute("CREATE TABLE parted AS FROM pairs")
    number_entities(connection, all_items=False)
    for kind in ("user", "item"):
        rows = connection.execute(f"SELECT {kind}_id, number FROM {kind}s").fetchall()
        assert sorted(rows) == [(each, number) for number, each in enumerate(sorted(set(ids)))]


def test_refused_rows_have_no_code_and_repeats_are_counted(connection):
    make_log(
        connection,
        [
            (1, "a", "x", 5, None, None),
            (2, "a", "x", 7, None, None),
            (3, "a", "x", 7, 1, None),
            (4, "b", "x", 9, None, "bad rating"),
        ],
    )
    make_codes(connection, seed=0)
    assert connection.execute("SELECT user_id FROM user_codes").fetchall() == [("a",)]
    assert make_pairs(connection) == 2
    assert connection.execute("SELECT position, tie FROM pairs").fetchall() == [(1, 3)]


def test_keys_depend_on_the_seed_and_the_kind(connection):
    keys = set()
    for seed in (0, 1):
        make_log(connection, [(1, "same", "same", None, None, None)])
        make_codes(connection, seed)
        for kind in ("user", "item"):
            keys |= set(connection.execute(f"SELECT key FROM {kind}_codes").fetchall())
    assert len(keys) == 4
