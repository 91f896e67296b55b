import math
from itertools import cycle, islice

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec.config import DataConfig
from cllm4rec.data.database import open_database
from cllm4rec.data.features import IDENTIFIER_ROWS, MAX_FEATURES, load_with_features
from cllm4rec.data.reading import open_file
from support.input_folder import write_rows

FORMATS = ("parquet", "csv", "jsonl")


def load(path, key="item_id", texts=("title", "text"), mapping=None, *, attributes=False):
    """The outcome, and each kept column's values in the order of the file."""
    with open_database(path.parent, "128MB") as connection:
        file = open_file(connection, path, DataConfig(columns=mapping or {}))
        outcome = load_with_features(
            connection, file, "entities", key, texts, attributes=attributes
        )
        values = {
            source: [
                value
                for (value,) in connection.execute(
                    f"SELECT {column} FROM entities WHERE reason IS NULL ORDER BY row"
                ).fetchall()
            ]
            for source, column in (outcome.attributes or outcome.columns).items()
        }
    (path.parent / "prepare.duckdb").unlink()
    return outcome, values


@pytest.mark.parametrize("ending", FORMATS)
def test_every_further_column_is_a_feature(tmp_path, ending):
    rows = [
        {"item_id": "a", "title": "x", "text": None, "year": 1995, "score": 2.5, "new": "yes"},
        {"item_id": "b", "title": "y", "text": "z", "year": 2001, "score": None, "new": "no"},
    ]
    outcome, values = load(write_rows(tmp_path, "items", rows, ending))
    assert values == {"year": ["1995", "2001"], "score": ["2.5", None], "new": ["yes", "no"]}
    assert outcome.refused_columns == {}
    assert outcome.refused_rows == {}


def test_numbers_are_written_plainly(tmp_path):
    table = pa.table({
        "item_id": ["a", "b", "c", "d"],
        "year": [1995.0, 0.5, math.nan, None],
        "sizes": [[1.0, math.nan, math.inf], [0.5], None, []],
        "flag": [True, False, None, True],
        "day": pa.array([0, 1, None, 2], pa.date32()),
    })
    pq.write_table(table, tmp_path / "items.parquet")
    _, values = load(tmp_path / "items.parquet")
    assert values == {
        "year": ["1995", "0.5", None, None],
        "sizes": ["1", "0.5", None, None],
        "flag": ["true", "false", None, "true"],
        "day": ["1970-01-01", "1970-01-02", None, "1970-01-03"],
    }


def test_a_csv_number_is_plain_too(tmp_path):
    rows = [{"item_id": "a", "year": "1995.0", "version": "1.2.0"}]
    _, values = load(write_rows(tmp_path, "items", rows, "csv"))
    assert values == {"year": ["1995"], "version": ["1.2.0"]}


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_lists_are_joined_without_their_blanks(tmp_path, ending):
    rows = [
        {"item_id": "a", "genres": ["Drama", "War"], "years": [1995, 1996]},
        {"item_id": "b", "genres": ["", None, "War"], "years": []},
        {"item_id": "c", "genres": [], "years": None},
    ]
    _, values = load(write_rows(tmp_path, "items", rows, ending))
    assert values == {"genres": ["Drama, War", "War", None], "years": ["1995, 1996", None, None]}


def test_what_title_and_text_say_is_no_feature(tmp_path):
    text = "Brand: Acme. The best anvil, made of steel; made to last."
    rows = [
        {"item_id": "a", "title": "Anvil", "text": text, "brand": "Acme", "raw": "Anvil",
         "color": "black", "parts": ["made of steel", "with a base"]},
        {"item_id": "b", "title": "Anvils", "text": None, "brand": "Acme", "raw": "Anvil",
         "color": "ack", "parts": ["steel"]},
    ]  # fmt: skip
    _, values = load(write_rows(tmp_path, "items", rows))
    assert values == {
        "brand": [None, "Acme"],
        "raw": [None, "Anvil"],
        "color": ["black", "ack"],
        "parts": ["with a base", "steel"],
    }


def test_a_raw_copy_of_the_text_is_recognised_by_how_it_begins(tmp_path):
    words = "An anvil is a block with a hard surface on which another object is struck, or forged"
    rows = [{
        "item_id": "a", "title": "T", "text": f"Brand: X. {words}. The end.",
        "raw": f"['{words.replace(' ', '  ')}', '<style>p</style> The end']",
    }, {"item_id": "b", "title": "U", "raw": "else"}]  # fmt: skip
    _, values = load(write_rows(tmp_path, "items", rows))
    assert values == {"raw": [None, "else"]}


def test_a_value_without_a_word_is_none_but_an_emoji_is_one(tmp_path):
    rows = [{"item_id": "a", "mood": "['', '']"}, {"item_id": "b", "mood": "😀"}]
    _, values = load(write_rows(tmp_path, "items", rows))
    assert values == {"mood": [None, "😀"]}


def test_columns_beyond_the_limit_are_reported(tmp_path):
    row = {"item_id": "a"} | {f"column{n}": f"value {n}" for n in range(MAX_FEATURES + 2)}
    outcome, values = load(write_rows(tmp_path, "items", [row]))
    assert list(values) == [f"column{n}" for n in range(MAX_FEATURES)]
    assert outcome.refused_columns == {
        f"column{n}": f"more than {MAX_FEATURES} columns" for n in (MAX_FEATURES, MAX_FEATURES + 1)
    }


def test_nested_columns_are_reported(tmp_path):
    rows = [{"item_id": "a", "related": {"also_bought": ["b"]}, "tree": [["x"], ["y"]], "ok": "1"}]
    outcome, values = load(write_rows(tmp_path, "items", rows))
    assert set(outcome.refused_columns) == {"related", "tree"}
    assert values == {"ok": ["1"]}


def test_columns_of_nothing_and_of_identifiers_are_reported(tmp_path):
    rows = [
        {"item_id": f"i{n:03}", "title": f"title {n}", "imdb": 1000 + n, "empty": None,
         "again": f"Title {n}", "year": year}
        for n, year in zip(range(IDENTIFIER_ROWS), islice(cycle(range(1980, 2000)), 100),
                           strict=True)
    ]  # fmt: skip
    outcome, values = load(write_rows(tmp_path, "items", rows))
    assert outcome.refused_columns == {
        "imdb": "identifiers: numbers that hardly ever repeat",
        "empty": "no value beyond title and text",
        "again": "no value beyond title and text",
    }
    assert list(values) == ["year"]


def test_few_different_numbers_are_no_identifiers(tmp_path):
    rows = [{"item_id": f"i{n}", "year": 1990 + n} for n in range(10)]
    _, values = load(write_rows(tmp_path, "items", rows))
    assert values["year"] == [str(1990 + n) for n in range(10)]


def test_a_column_hidden_by_the_mapping_is_reported(tmp_path):
    rows = [{"item_id": "a", "description": "real", "text": "shadow"}]
    outcome, values = load(write_rows(tmp_path, "items", rows), mapping={"text": "description"})
    assert outcome.refused_columns == {"text": "another column is mapped to this name"}
    assert values == {}


def test_odd_column_names_are_kept(tmp_path):
    names = ['say "hi"', "it's", "row", "reason", "genre list", "Größe", "select"]
    rows = [{"user_id": "u"} | {name: f"v{n}" for n, name in enumerate(names)}]
    _, values = load(write_rows(tmp_path, "users", rows), "user_id", ())
    assert values == {name: [f"v{n}"] for n, name in enumerate(names)}


@pytest.mark.parametrize("ending", FORMATS)
def test_rows_without_an_id_or_with_one_again_are_refused(tmp_path, ending):
    rows = [
        {"item_id": "a", "title": "first"},
        {"item_id": "a", "title": "second"},
        {"item_id": None, "title": "x"},
        {"item_id": "", "title": "y"},
        {"item_id": "b", "title": "z"},
    ]
    path = write_rows(tmp_path, "items", rows, ending)
    outcome, _ = load(path)
    assert outcome.refused_rows == {"no item_id": 2, "repeated item_id": 1}
    with open_database(tmp_path, "128MB") as connection:
        file = open_file(connection, path, DataConfig())
        load_with_features(connection, file, "entities", "item_id", ("title", "text"))
        kept = connection.execute(
            "SELECT item_id, title FROM entities WHERE reason IS NULL ORDER BY row"
        ).fetchall()
    assert kept == [("a", "first"), ("b", "z")]


@pytest.mark.parametrize("ending", FORMATS)
def test_of_an_item_that_stands_there_again_the_row_that_says_most_is_kept(tmp_path, ending):
    rows = [
        {"item_id": "a", "title": None, "text": "words"},
        {"item_id": "a", "title": "one", "text": None},
        {"item_id": "a", "title": "two", "text": "more words"},
        {"item_id": "b", "title": None, "text": None},
        {"item_id": "b", "title": " ", "text": "words of b"},
        {"item_id": "c", "title": None, "text": None},
        {"item_id": "c", "title": None, "text": None},
    ]
    path = write_rows(tmp_path, "items", rows, ending)
    with open_database(tmp_path, "128MB") as connection:
        file = open_file(connection, path, DataConfig())
        outcome = load_with_features(connection, file, "entities", "item_id", ("title", "text"))
        kept = connection.execute(
            "SELECT row, item_id FROM entities WHERE reason IS NULL ORDER BY row"
        ).fetchall()
    assert kept == [(2, "a"), (5, "b"), (6, "c")]
    assert outcome.refused_rows == {"repeated item_id": 4}


def test_no_file_is_an_empty_table(tmp_path):
    with open_database(tmp_path, "128MB") as connection:
        outcome = load_with_features(connection, None, "entities", "item_id", ("title", "text"))
        rows = connection.execute("SELECT item_id, title, text, reason FROM entities").fetchall()
    assert (rows, outcome.columns, outcome.refused_rows) == ([], {}, {})


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_attributes_are_every_value_as_it_came(tmp_path, ending):
    text = "A crime noir of 1947 by Acme."
    rows = [
        {"item_id": "a", "title": "The Noir", "text": text, "genre": "crime noir", "year": 1947,
         "brand": "Acme", "tags": ["noir", "", "war"], "imdb": "1", "long": "x" * 1001},
        {"item_id": "b", "title": "War", "text": None, "genre": "crime noir", "year": None,
         "brand": " ", "tags": [], "imdb": "2", "long": "short"},
    ]  # fmt: skip
    path = write_rows(tmp_path, "items", rows, ending)
    _, features = load(path)
    assert features["genre"] == [None, "crime noir"]
    assert "brand" not in features
    outcome, values = load(path, attributes=True)
    assert values == {
        "genre": [["crime noir"], ["crime noir"]],
        "year": [["1947"], None],
        "brand": [["Acme"], None],
        "tags": [["noir", "war"], None],
        "imdb": [["1"], ["2"]],
        "long": [None, ["short"]],
    }
    assert set(outcome.refused_columns) == {"year", "brand"}  # as features; filters see them


def test_attributes_that_came_as_texts_stay_and_numbers_are_plain(tmp_path):
    texts, numbers = ["2.0", "7"], [2.0, 7.5]
    kinds = {"parquet": "float64 list", "jsonl": "json", "csv": "text"}
    for ending in kinds:
        lists = {} if ending == "csv" else {"tags": [["1.0"], ["2"]], "sizes": [[3.0, 4.5], [5.0]]}
        rows = [
            {"item_id": each, "version": texts[at], "score": numbers[at]}
            | {name: values[at] for name, values in lists.items()}
            for at, each in enumerate("ab")
        ]
        _, values = load(write_rows(tmp_path / ending, "items", rows, ending), attributes=True)
        assert values["version"] == [["2.0"], ["7"]], ending
        assert values["score"] == [["2.0" if ending == "csv" else "2"], ["7.5"]], ending
        if lists:
            assert values["tags"] == [["1.0"], ["2"]], ending
            assert values["sizes"] == [["3", "4.5"], ["5"]], ending


def test_json_attributes_are_plain_where_they_are_numbers_and_decimals_are_too(tmp_path):
    mixed = tmp_path / "items.jsonl"
    mixed.write_text(
        '{"item_id": "a", "size": 7.0, "sizes": [7.0, "7.0", null]}\n'
        '{"item_id": "b", "size": "7.0", "sizes": "8.0"}\n'
    )
    _, values = load(mixed, attributes=True)
    assert values == {"size": [["7"], ["7.0"]], "sizes": [["7", "7.0"], ["8.0"]]}
    price = pa.array(["7.00", "7.50"]).cast(pa.decimal128(6, 2))
    pq.write_table(pa.table({"item_id": ["a", "b"], "price": price}), tmp_path / "items.parquet")
    _, values = load(tmp_path / "items.parquet", attributes=True)
    assert values == {"price": [["7"], ["7.50"]]}


def test_decimal_commas_are_noted(tmp_path, capsys):
    rows = [{"item_id": f"i{n}", "price": f"{n},50", "parts": "1,2,3"} for n in range(4)]
    load(write_rows(tmp_path, "items", rows, "jsonl"), attributes=True)
    err = capsys.readouterr().err
    assert "column 'price' has decimal commas, such as 0,50: write a decimal point" in err
    assert "compare it by = and != alone" in err
    assert "parts" not in err
