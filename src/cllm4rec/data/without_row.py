"""Items of the log without a row in ``items.*``, or written otherwise there, and the reverse."""

from typing import Any

import duckdb

from cllm4rec import progress
from cllm4rec.data.database import one_number
from cllm4rec.data.input_file import InputFile

MANY_WITHOUT_ROW = 0.5
"""Fraction of the log's items without a row from which on it is said."""

_ROWS = "item_rows WHERE reason IS NULL"
_SPELLINGS = {
    "without .0 at the end": r"regexp_replace(item_id, '\.0+$', '')",
    "without leading zeros": r"regexp_replace(item_id, '^0+([0-9])', '\1')",
}
"""What an id may have in one of the files alone → SQL of the id without it."""


def report_unmatched_items(
    connection: duckdb.DuckDBPyConnection, file: InputFile, report: dict[str, Any]
) -> None:
    """``items_without_row`` and ``items_without_interactions``; a note each, where many.

    Of the first with the spelling in which more would have a row, else of the second.

    Needs the tables ``items`` and ``item_rows``.

    Args:
        connection: the database.
        file: ``items.*``.
        report: receives the count.
    """
    without = f"items WHERE item_id NOT IN (SELECT item_id FROM {_ROWS})"
    report["items_without_row"] = missing = _count(connection, without)
    # Items of the file alone, in the catalogue where all are, have no code.
    of_log = _count(connection, "items WHERE code IS NOT NULL")
    alone = f"(SELECT item_id FROM {_ROWS} AND item_id NOT IN (SELECT item_id FROM items))"
    report["items_without_interactions"] = nobodys = _count(connection, alone)
    if not missing or missing < MANY_WITHOUT_ROW * of_log:
        if nobodys > MANY_WITHOUT_ROW * of_log:
            progress.note(
                f"{nobodys:,} items of {file.path.name} have no interaction that is kept and are "
                f"not known; they are with --set data.catalogue=all, in Python "
                f'config={{"catalogue": "all"}}, or once add-items has added them'
            )
        return
    said = f"{missing:,} of {of_log:,} items have no row in {file.path.name}: no title, no text"
    for spelling, plain in _SPELLINGS.items():
        alike = f"{without} AND {plain} IN (SELECT {plain} FROM {_ROWS})"
        if found := _count(connection, alike):
            said += f"; {spelling} {found:,} of them would have one"
    progress.note(f"{said}; ids must be written alike in both files")


def _count(connection: duckdb.DuckDBPyConnection, rows: str) -> int:
    return one_number(connection, f"SELECT count(*) FROM {rows}")
