"""The interaction log of an input directory: its rows, what was refused, what was not read."""

from collections.abc import Sequence
from typing import Any

import duckdb

from cllm4rec import progress
from cllm4rec.config import DataConfig
from cllm4rec.data import checks
from cllm4rec.data.database import literal, one_number
from cllm4rec.data.input_file import INDEX, InputFile
from cllm4rec.data.timestamps import unit_of_log
from cllm4rec.errors import InputError

AT_RANDOM = ("paper", "new-users", "new-items")
"""Protocols that ask for no order."""
COLUMNS = ("user_id", "item_id", "timestamp", "position", "rating")
"""Standard columns of interactions; others are not read."""

NO_IDS = ("nan", "NaN", "NULL", "null", "None", "N/A", "<NA>")
"""What programs write for a missing id: pandas' ``astype(str)``, a database's dump."""

MANY_WITHOUT_TIME = 0.1
"""Fraction of a log's usable rows without a time from which on it is said."""

LOWEST_SHARE_ABOVE = 0.4
"""Share of ratings above the default ``data.minimum_rating`` below which their scale is said."""
HIGHEST_USUAL = 5.0
"""Largest rating of the scale that the default is for."""


def load_log(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[InputFile],
    config: DataConfig,
    report: dict[str, Any],
) -> None:
    """Make the table ``log``, as `checks.load_interactions` does, and report what was read.

    Also ``log_users`` (``user_id, usable``): whether a row of the user can be used.

    Args:
        connection: the database.
        files: the log.
        config: its thresholds.
        report: receives counts of rows and users, the times from first to last, refused rows, and
            columns that were not read.

    Raises:
        InputError: a file cannot be read, lacks a column, or has no usable row; or only some of
            several files say when or in which order their interactions were.
    """
    _refuse_other_order(files)
    refused = checks.load_interactions(connection, files, config.minimum_rating)
    _refuse_unusable(connection, files)
    _note_no_ids(connection)
    report["read"] = one_number(connection, "SELECT count(*) FROM log")
    connection.execute("""
        CREATE TABLE log_users AS
        SELECT user_id, bool_or(reason IS NULL) AS usable FROM log WHERE user_id IS NOT NULL
        GROUP BY user_id
    """)
    report["users_read"] = one_number(connection, "SELECT count(*) FROM log_users")
    report["users_refused"] = one_number(
        connection, "SELECT count(*) FROM log_users WHERE NOT usable"
    )
    report["refused"]["interactions"] = refused
    given = "reason IS NULL AND (timestamp IS NOT NULL OR position IS NOT NULL)"
    report["ordered"] = one_number(connection, f"SELECT count(*) FROM log WHERE {given}") > 0
    if report["ordered"]:
        _count_without_time(connection, report)
    _report_ratings(connection, config.minimum_rating, report)
    report["timestamp_unit"] = unit_of_log(connection)
    _report_times(connection, report)
    if len(files) > 1:
        report["read_of"] = {file.path.name: rows for file, rows in _rows(connection, files)}
    unread = {
        column: _why_unread(file, column) for file in files for column in file.unread(COLUMNS)
    }
    report["refused_columns"]["interactions"] = unread
    if named := [column for column, why in unread.items() if why != INDEX]:
        absent = [each for each in COLUMNS if not any(file.has(each) for file in files)]
        progress.note(_said(named, absent, at_random=report["split"] in AT_RANDOM))


def _why_unread(file: InputFile, column: str) -> str:
    if file.is_index(column):
        return INDEX
    if column in COLUMNS:
        return "another column is mapped to this name"
    return "no column of interactions"


def _note_no_ids(connection: duckdb.DuckDBPyConnection) -> None:
    """Count ids that likely mean none; they stay ids, as all do."""
    given = ", ".join(map(literal, NO_IDS))
    for column in ("user_id", "item_id"):
        rows = f"SELECT count(*) FROM log WHERE reason IS NULL AND {column} IN ({given})"
        if count := one_number(connection, rows):
            progress.note(
                f"{count:,} row{'s have' if count > 1 else ' has'} nan, None, NULL or the like as "
                f"{column}, which likely means none and counts as an id; leave it empty there"
            )


def _count_without_time(connection: duckdb.DuckDBPyConnection, report: dict[str, Any]) -> None:
    """``without_time``, where some rows say neither when nor in which order; a note, where many."""
    count = "SELECT count(*) FROM log WHERE reason IS NULL"
    usable = one_number(connection, count)
    without = one_number(connection, f"{count} AND timestamp IS NULL AND position IS NULL")
    if not without:
        return
    report["without_time"] = without
    if without >= MANY_WITHOUT_TIME * usable:
        progress.note(
            f"{without:,} of {usable:,} usable rows have neither a timestamp nor a position: they "
            f"count as older than all others, and none is held out as a user's newest while there "
            f"is another; fill these in, or leave the rows out of the log"
        )


def _report_times(connection: duckdb.DuckDBPyConnection, report: dict[str, Any]) -> None:
    """``times``, from first to last (UTC), where there are any: a column that is none shows."""
    first, last = (
        f"strftime(make_timestamp(floor({which}(timestamp))::BIGINT * 1000000), '%Y-%m-%d %H:%M')"
        for which in ("min", "max")
    )
    ((earliest, latest),) = connection.execute(
        f"SELECT {first}, {last} FROM log WHERE reason IS NULL"
    ).fetchall()
    if earliest is not None:
        report["times"] = {"from": earliest, "to": latest}


def _report_ratings(
    connection: duckdb.DuckDBPyConnection, minimum: float, report: dict[str, Any]
) -> None:
    """``ratings``, where there are any; a note, where they seem to be of another scale.

    Not where another minimum than the default was chosen, nor for a split of one's own, which says
    itself what counts.
    """
    ((lowest, highest, share),) = connection.execute("""
        SELECT min(rating), max(rating), avg(positive::INTEGER) FROM log
        WHERE reason IS NULL AND rating IS NOT NULL
    """).fetchall()
    if share is None:
        return
    report["ratings"] = {"lowest": lowest, "highest": highest}
    if report["split"] == "file" or minimum != DataConfig().minimum_rating:
        return
    if highest > HIGHEST_USUAL or share < LOWEST_SHARE_ABOVE:
        above = {0: "none", 1: "all"}.get(share, f"{100 * share:.0f} %")
        progress.note(
            f"ratings run from {lowest:g} to {highest:g}; above data.minimum_rating = {minimum:g}, "
            f"and so positives, are {above} of them; another: --set data.minimum_rating=NUMBER; "
            f'in Python config={{"minimum_rating": NUMBER}}'
        )


def _refuse_other_order(files: Sequence[InputFile]) -> None:
    """Files of one log are put in order by the same column, or by none."""
    timed = [file.has("timestamp") for file in files]
    column, given = "timestamp", timed
    if not any(timed):
        column, given = "position", [file.has("position") for file in files]
    if any(given) and not all(given):
        one, other = files[given.index(True)].path, files[given.index(False)]
        mend = f"add one, or map it: --set data.columns.{column}=NAME"
        if column in other.mapping:
            mend = (
                f"one name in data.columns serves all files: rename what is meant there to "
                f"{column!r}, which is read beside it"
            )
        raise InputError(
            f"{one} has a {column} and {other.path} has none (it has {', '.join(other.types)}), so "
            f"nobody can say which is older; {mend}"
        )


def _rows(
    connection: duckdb.DuckDBPyConnection, files: Sequence[InputFile], which: str = "true"
) -> list[tuple[InputFile, int]]:
    """How many rows of each file are of a kind."""
    query = "SELECT count(*) FROM log WHERE"
    return [
        (file, one_number(connection, f"{query} file = {place} AND {which}"))
        for place, file in enumerate(files)
    ]


def _refuse_unusable(connection: duckdb.DuckDBPyConnection, files: Sequence[InputFile]) -> None:
    for place, (file, rows) in enumerate(_rows(connection, files, "reason IS NULL")):
        refused = checks.refused(connection, "log", f"file = {place}")
        # Of several one may have no rows: a day without a visit.
        if rows == 0 and (refused or len(files) == 1):
            why = ", ".join(f"{reason}: {count}" for reason, count in refused.items())
            times = "; timestamps are unix times or ISO dates" if "bad timestamp" in refused else ""
            raise InputError(
                f"{file.path} has no usable row ({why or 'it has no rows'}); mend the file{times}"
            )


def _said(unread: Sequence[str], absent: Sequence[str], *, at_random: bool) -> str:
    """Which columns are not read, what follows from those that are absent, and how to map one."""
    many = len(unread) > 1
    said = [f"column{'s' * many} of interactions not read: {', '.join(unread)}"]
    mapped = []
    if {"timestamp", "position"} <= set(absent):
        follows = ", and what is held out is drawn at random" if at_random else ""
        said.append(f"no timestamp, no position: histories have no order{follows}")
        mapped.append("timestamp")
    if "rating" in absent:
        said.append("no rating: every interaction counts as a positive")
        mapped.append("rating")
    if mapped:
        options = " or ".join(f"--set data.columns.{standard}=NAME" for standard in mapped)
        python = ", ".join(f'"{standard}": NAME' for standard in mapped)
        said.append(
            f"if {'one of them' if many else 'it'} is one, {options}; "
            f'in Python config={{"columns": {{{python}}}}}'
        )
    return "; ".join(said)
