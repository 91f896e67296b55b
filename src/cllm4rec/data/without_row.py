"""Ids of the log without a row in ``items.*`` or ``users.*``, or written otherwise there."""

from collections.abc import Sequence
from typing import Any

import duckdb

from cllm4rec import progress
from cllm4rec.data.database import one_number
from cllm4rec.data.input_file import InputFile
from cllm4rec.data.spellings import alike, spelled

MANY_WITHOUT_ROW = 0.5
"""Fraction of the log's items without a row from which on it is said, whatever the spelling."""
NOBODYS = 0.5
"""Fraction of the rows of ``users.*`` that are nobody's from which on another spelling is said."""

_ROWS = "item_rows WHERE reason IS NULL"
_OF_LOG = "items WHERE code IS NOT NULL"
"""Items of the file alone, in the catalogue where all are, have no code."""


def report_unmatched_items(
    connection: duckdb.DuckDBPyConnection, file: InputFile, report: dict[str, Any]
) -> bool:
    """``items_without_row`` and ``items_without_interactions``; a note each, where many.

    Of the first, however few, where in another spelling some would have a row; else of the second.

    Needs the tables ``items`` and ``item_rows``.

    Args:
        connection: the database.
        file: ``items.*``.
        report: receives the count.

    Returns:
        Whether a spelling was named.
    """
    without = f"items WHERE item_id NOT IN (SELECT item_id FROM {_ROWS})"
    report["items_without_row"] = missing = _count(connection, without)
    of_log = _count(connection, _OF_LOG)
    alone = f"(SELECT item_id FROM {_ROWS} AND item_id NOT IN (SELECT item_id FROM items))"
    report["items_without_interactions"] = nobodys = _count(connection, alone)
    found = _alike(connection, "item_id", without, _ROWS) if missing else {}
    if found or (missing and missing >= MANY_WITHOUT_ROW * of_log):
        said = f"{missing:,} of {of_log:,} items have no row in {file.name}: no title, no text"
        for spelling, count in found.items():
            said += f"; {spelling} {count:,} of them would have one"
        progress.note(f"{said}; ids must be written alike in both files")
    elif nobodys > MANY_WITHOUT_ROW * of_log:
        progress.note(
            f"{nobodys:,} items of {file.name} have no interaction that is kept and are "
            f"not known; they are with --set data.catalogue=all, in Python "
            f'config={{"catalogue": "all"}}, or once add-items has added them'
        )
    return bool(found)


def report_unmatched_users(
    connection: duckdb.DuckDBPyConnection, file: InputFile, report: dict[str, Any]
) -> bool:
    """``users_without_interactions``; a note where many, of whom a spelling would match some.

    Needs the tables ``log_users`` and ``user_rows``.

    Args:
        connection: the database.
        file: ``users.*``.
        report: receives the count.

    Returns:
        Whether a spelling was named.
    """
    rows = "user_rows WHERE reason IS NULL"
    alone = f"{rows} AND user_id NOT IN (SELECT user_id FROM log_users)"
    report["users_without_interactions"] = nobodys = _count(connection, alone)
    if not nobodys or nobodys < NOBODYS * (given := _count(connection, rows)):
        return False
    if found := _alike(connection, "user_id", alone, "log_users"):
        said = f"{nobodys:,} of {given:,} users of {file.name} are not in the log"
        for spelling, count in found.items():
            said += f"; {spelling} {count:,} of them would be"
        progress.note(f"{said}; ids must be written alike in both files")
    return bool(found)


def note_doubled_items(connection: duckdb.DuckDBPyConnection) -> None:
    """Say how many items of the log are another one of it, but for the spelling, or all floats.

    Needs the table ``items``.
    """
    _note_doubled(connection, "item", _OF_LOG)


def note_doubled_users(connection: duckdb.DuckDBPyConnection) -> None:
    """Say how many users of the log are another one of it, but for the spelling, or all floats.

    Needs the table ``log_users``: whoever is two may have too few interactions as either.
    """
    _note_doubled(connection, "user", "log_users WHERE usable")


def _note_doubled(connection: duckdb.DuckDBPyConnection, kind: str, rows: str) -> None:
    of_log = _count(connection, rows)

    def doubled(spellings: Sequence[str]) -> int:
        different = f"(SELECT DISTINCT {spelled(spellings, f'{kind}_id')} FROM {rows})"
        return of_log - _count(connection, different)

    for spelling, count in alike(doubled).items():
        progress.note(
            f"{count:,} of {of_log:,} {kind}s would be another one {spelling}, and count as "
            f"two; ids must be written alike in the whole log"
        )
    if of_log and _count(connection, f"{rows} AND {kind}_id SIMILAR TO '[0-9]+[.]0+'") == of_log:
        progress.note(
            f"all {kind} ids end in .0, as pandas writes whole numbers beside a missing one: "
            f"1.0 is another id than 1; for these read the column as Int64, and write it again"
        )


def _alike(
    connection: duckdb.DuckDBPyConnection, key: str, unmatched: str, others: str
) -> dict[str, int]:
    """How many of the unmatched would be one of the others, by spelling; only where some would."""

    def matched(spellings: Sequence[str]) -> int:
        plain = spelled(spellings, key)
        return _count(connection, f"{unmatched} AND {plain} IN (SELECT {plain} FROM {others})")

    return alike(matched)


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    return one_number(connection, f"SELECT count(*) FROM {rows}")
