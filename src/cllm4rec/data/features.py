"""Selection of additional columns of ``items.*`` and ``users.*`` as features and attributes.

Features are read by models and leave out what title and text already say; attributes are what
items are filtered by, as they came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from cllm4rec import progress
from cllm4rec.data.checks import load_entities
from cllm4rec.data.database import one_number
from cllm4rec.data.input_file import DECIMAL_COMMA, INDEX, InputFile, words

MAX_FEATURES = 32
IDENTIFIER_ROWS = 100
IDENTIFIER_SHARE = 0.95

_NESTED = "not a text, a number or a list of them"
_SAID = '"words of the texts"'


@dataclass(frozen=True, slots=True)
class Features:
    """The outcome for one file.

    Attributes:
        columns: feature's name in the file → column of the table, in the file's order.
        attributes: attribute's name in the file → column of the table, a list of texts.
        refused_columns: name in the file → why it is left out.
        refused_rows: refused rows by reason.
    """

    columns: dict[str, str]
    attributes: dict[str, str]
    refused_columns: dict[str, str]
    refused_rows: dict[str, int]


def load_with_features(
    connection: duckdb.DuckDBPyConnection,
    file: InputFile | None,
    table: str,
    key: str,
    texts: Sequence[str] = (),
    *,
    attributes: bool = False,
) -> Features:
    """Read ``items.*`` or ``users.*`` into a table: key, texts, and features as ``feature_0`` on.

    Args:
        connection: the database.
        file: the input file, if there is one.
        table: name of the table to make.
        key: ``item_id`` or ``user_id``.
        texts: standard text columns; what they already say is no feature.
        attributes: whether to keep every value as it came too, as ``attribute_0`` on.
    """
    if file is None:
        load_entities(connection, None, table, key, dict.fromkeys(texts, ""))
        return Features({}, {}, {}, {})
    standard = {file.column(column) for column in (key, *texts)}
    refused: dict[str, str] = {}
    columns: dict[str, str] = {}
    for column in file.types:
        if column in standard:
            continue
        if column in {key, *texts}:
            refused[column] = "another column is mapped to this name"
        elif file.is_nested(column):
            refused[column] = _NESTED
        elif file.is_index(column):
            refused[column] = INDEX
        elif len(columns) == MAX_FEATURES:
            refused[column] = f"more than {MAX_FEATURES} columns"
        else:
            columns[column] = f"feature_{len(columns)}"
    said = " || ".join(["''", *(words(file.text(text)) for text in texts)])
    # Worked out once per row, not once per feature.
    file = replace(file, relation=f"(SELECT *, {said} AS {_SAID} FROM {file.relation})")
    values = {text: file.text(text) for text in texts}
    # Properties of users are asked for by their values as they came.
    values |= {
        target: file.feature(source, _SAID, marked_up=key == "item_id")
        for source, target in columns.items()
    }
    given = {source: f"attribute_{at}" for at, source in enumerate(columns) if attributes}
    values |= {target: file.attribute(source) for source, target in given.items()}
    refused_rows = load_entities(connection, file, table, key, values)
    refused |= _without_content(connection, file, table, columns)
    _note_decimal_commas(connection, table, given)
    kept = {source: target for source, target in columns.items() if source not in refused}
    return Features(kept, given, refused, refused_rows)


def _note_decimal_commas(
    connection: duckdb.DuckDBPyConnection, table: str, given: Mapping[str, str]
) -> None:
    """Say which columns have numbers with a decimal comma, which ranges cannot be compared with."""
    for source, target in given.items():
        ((values, numbers, example),) = connection.execute(f"""
            SELECT count({target}), count(*) FILTER (is_one), min({target}[1]) FILTER (is_one)
            FROM (SELECT {target}, len({target}) = 1
                         AND regexp_full_match(trim({target}[1]), '{DECIMAL_COMMA}') AS is_one
                  FROM {table} WHERE reason IS NULL)
        """).fetchall()
        if 2 * numbers > values:
            progress.note(
                f"column {source!r} has decimal commas, such as {example}: write a decimal point, "
                f"or filters compare it by = and != alone, as text"
            )


def _without_content(
    connection: duckdb.DuckDBPyConnection, file: InputFile, table: str, columns: dict[str, str]
) -> dict[str, str]:
    """Columns a language model can learn nothing from: name in the file → why."""
    refused = {}
    for source, target in columns.items():
        ((given, different, digits),) = connection.execute(f"""
            SELECT count({target}), count(DISTINCT {target}),
                   count({target}) FILTER (regexp_full_match({target}, '[0-9]+'))
            FROM {table} WHERE reason IS NULL
        """).fetchall()
        if given == 0:
            nested = f"{file.relation} WHERE {file.holds_nested(source)}"
            held = one_number(connection, f"SELECT count(*) FROM {nested}")
            refused[source] = _NESTED if held else "no value beyond title and text"
        elif given >= IDENTIFIER_ROWS and digits == given and different >= IDENTIFIER_SHARE * given:
            refused[source] = "identifiers: numbers that hardly ever repeat"
    return refused
