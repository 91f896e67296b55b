import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.data.ids import IdMap
from cllm4rec.errors import IntegrityError, UnknownId
from support.ids import id_map

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(TEXTS, min_size=1), st.data())
def test_id_and_number_are_inverse(ids, data):
    users = id_map(ids, "user")
    number = data.draw(st.integers(0, len(users) - 1))
    assert users.number(users.id(number)) == number
    assert users.ids(users.numbers(ids)) == ids


@given(st.lists(TEXTS))
def test_numbers_follow_sorted_ids(ids):
    users = id_map(ids)
    assert users.ids(range(len(users))) == sorted(set(ids))


@given(st.lists(TEXTS), TEXTS)
def test_many_at_once_agrees_with_one_by_one(ids, other):
    users = id_map(ids)
    assert users.numbers(ids).tolist() == [users.number(each) for each in ids]
    assert (other in users) == (other in ids)


@given(st.lists(TEXTS), st.data())
def test_it_is_a_sequence_of_ids(ids, data):
    users, plain = id_map(ids), sorted(set(ids))
    bounds = [data.draw(st.none() | st.integers(-9, 9)) for _ in range(2)]
    part = slice(*bounds, data.draw(st.sampled_from([None, -2, -1, 1, 3])))
    assert list(users) == plain
    assert users[part] == plain[part]
    for place in range(-len(plain), len(plain)):
        assert users[place] == plain[place]
    for outside in (len(plain), -len(plain) - 1):
        with pytest.raises(IndexError, match="outside"):
            users[outside]


@given(st.lists(TEXTS))
def test_parquet_round_trip(tmp_path, ids):
    id_map(ids).write(tmp_path / "items.parquet", "item_id")
    again = IdMap.read(tmp_path / "items.parquet", "item_id")
    assert again.kind == "item"
    assert again.ids(range(len(again))) == sorted(set(ids))


def test_numbers_are_int32():
    assert id_map(["b", "a"]).numbers(["b", "a", "b"]).tolist() == [1, 0, 1]
    assert id_map(["b", "a"]).numbers([]).dtype == np.int32


@pytest.mark.parametrize("ids", [["a", "zz"], ["a", "\ud800"]])
def test_unknown_id_is_named(ids):
    users = id_map(["a", "b"], "user")
    with pytest.raises(UnknownId, match=r"unknown user .*knows 2 users"):
        users.numbers(ids)
    with pytest.raises(UnknownId, match=r"unknown user"):
        users.number(ids[1])


def test_the_first_unknown_of_many_is_the_one_named():
    with pytest.raises(UnknownId, match="'x'"):
        id_map(["a"]).numbers(["a", "x", "y"])


def test_a_long_unknown_id_is_cut_to_80_characters():
    with pytest.raises(UnknownId) as caught:
        id_map(["a"]).number("x" * 10_000)
    assert "x" * 78 + "…" in str(caught.value)
    assert "x" * 79 not in str(caught.value)


def test_a_number_is_no_id():
    with pytest.raises(UnknownId, match="ids are text"):
        id_map(["7"]).number(7)  # type: ignore[arg-type]
    assert 7 not in id_map(["7"])


def test_numbers_out_of_range_are_refused():
    users = id_map(["a", "b"])
    for number in (-1, 2):
        with pytest.raises(IndexError):
            users.id(number)
        with pytest.raises(IndexError):
            users.ids([0, number])


@pytest.mark.parametrize("ids", [["b", "a"], ["a", "a"], ["a", None]])
def test_a_file_that_is_not_sorted_and_unique_is_refused(tmp_path, ids):
    path = tmp_path / "users.parquet"
    pq.write_table(pa.table({"user_id": ids}), path)
    with pytest.raises(IntegrityError, match="not sorted and unique"):
        IdMap.read(path, "user_id")


def test_a_missing_column_or_file_is_refused(tmp_path):
    path = tmp_path / "users.parquet"
    with pytest.raises(IntegrityError, match=r"users\.parquet"):
        IdMap.read(path, "user_id")
    pq.write_table(pa.table({"other": ["a"]}), path)
    with pytest.raises(IntegrityError, match="no column user_id"):
        IdMap.read(path, "user_id")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(IntegrityError, match="damaged"):
        IdMap.read(path, "user_id")


@pytest.mark.parametrize(
    ("known", "asked", "meant"),
    [
        ("001002", "1002", "'001002'"),
        ("1002", "001002", "'1002'"),
        ("1000", "1000.0", "'1000'"),
        ("1000.0", "1000", "'1000.0'"),
        ("00000001234565", "1234565", "'00000001234565'"),
        ("b00x", "B00X", "'b00x'"),
        ("B00X", "b00x", "'B00X'"),
        ("Blue Shirt", "blue shirt", "'Blue Shirt'"),
        ("a b", " a b\n", "'a b'"),
    ],
)
def test_an_id_in_another_spelling_is_named(known, asked, meant):
    with pytest.raises(UnknownId) as caught:
        id_map([known, "other"], "item").number(asked)
    assert str(caught.value).endswith(f": did you mean {meant}?")
    assert "catalogue" not in str(caught.value)


def test_ids_in_two_spellings_are_both_named():
    with pytest.raises(UnknownId, match="did you mean '7' or '007'"):
        id_map(["7", "007"]).number("07")


def test_an_id_of_an_added_item_in_another_spelling_is_named():
    items = id_map(["a"], "item").with_appended(["007"])
    with pytest.raises(UnknownId, match="did you mean '007'"):
        items.number("7")


def test_ids_with_commas_between_them_are_to_be_separated_by_blanks():
    users = id_map(["1000", "1001"], "user")
    for asked in ("1000,1001", "1000, 1001"):
        with pytest.raises(UnknownId, match="these are 2 ids: in a shell 1000 1001, else"):
            users.number(asked)
    for asked in ("1000,1002", ",", "1000,"):
        with pytest.raises(UnknownId, match="this run knows 2 users"):
            users.number(asked)


def test_what_an_unknown_id_was_meant_to_be_is_not_sought_in_all_ids(monkeypatch):
    users = id_map([f"{number:05}" for number in range(1000)], "user")
    monkeypatch.setattr(IdMap, "__iter__", lambda self: pytest.fail("all ids are read"))
    found: list[str] = []
    monkeypatch.setattr(IdMap, "__contains__", lambda self, each: bool(found.append(each)))
    users.unknown("x")
    users.unknown("9" * 10_000)
    assert len(found) < 100


def test_it_is_shown_as_a_count_alone():
    assert repr(id_map(["a", "b"], "user")) == "IdMap(2 users)"
    assert repr(id_map(["a"])) == "IdMap(1 ids)"
