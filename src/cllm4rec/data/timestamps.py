"""Detection of a log's timestamp unit: that of most values, by their magnitude."""

from datetime import datetime

import duckdb

from cllm4rec import progress
from cllm4rec.data.database import literal
from cllm4rec.data.input_file import InputFile
from cllm4rec.errors import InputError

MAX_TIMESTAMP = 253_402_300_799
"""The last second of the year 9999; a larger number is in a smaller unit, or noise."""

UNITS = ("dates", "seconds", "milliseconds", "microseconds", "nanoseconds")
"""What a timestamp may be; a unit's code is its place here."""

_DATES, _SECONDS, _DAYS = 0, 1, len(UNITS)
"""Code ``_DAYS``: a number such as 20240131. It is a date, unless the log is one of seconds."""

_EARLIEST, _LATEST = 1900, 3 * 86_400
"""Years, months (202401) and a spreadsheet's days (45342.79), read as seconds, lie between."""

_DAY = ("%Y%m%d", 19000101, 21001231)
"""How a date is written as a number, and the least and the largest number that is read as one."""
_MINUTE = ("%Y%m%d%H%M", 197001010000, 210012312359)
_SECOND = ("%Y%m%d%H%M%S", 19700101000000, 21001231235959)


def are_seconds(number: int) -> bool:
    """Whether :func:`unit` calls a whole number seconds whatever its file's others are, or it is 0.

    For what is written to a log one by one: a day among seconds would depend on the others.
    """
    dated = any(_is_date(number, *written) for written in (_DAY, _MINUTE, _SECOND))
    return 0 <= number <= MAX_TIMESTAMP and not dated


def unit(date: str, number: str) -> str:
    """SQL for the code of one timestamp's unit.

    NULL for none, for 0, which is the same in any, and for a number outside all of them.

    Args:
        date: SQL of unix seconds where a date is given, else NULL.
        number: SQL of a number where one is given, else NULL.
    """
    sizes = " ".join(
        f"WHEN {number} <= {MAX_TIMESTAMP}::DOUBLE * {1000**place} THEN {place + 1}"
        for place in range(len(UNITS) - 1)
    )
    return (
        f"(CASE WHEN {date} IS NOT NULL OR {_minute(number)} IS NOT NULL THEN {_DATES} "
        f"WHEN NOT coalesce({number} > 0, false) THEN NULL "
        f"WHEN {_day(number)} IS NOT NULL THEN {_DAYS} {sizes} END)::UTINYINT"
    )


def seconds(date: str, number: str) -> str:
    """SQL for unix seconds (DOUBLE), by the column ``unit`` made of :func:`unit`.

    A number that may be a calendar day stays as it is until :func:`refuse_other_units`.
    """
    scaled = " ".join(
        f"WHEN {place + 1} THEN {number} / {1000**place}" for place in range(1, len(UNITS) - 1)
    )
    return f"coalesce({date}, {_minute(number)}, CASE unit {scaled} ELSE {number} END)"


def refuse_other_units(connection: duckdb.DuckDBPyConnection, place: int, file: InputFile) -> None:
    """Give the rows of ``log`` whose timestamp is not in the unit of most of its file a reason.

    Args:
        connection: the database.
        place: of the file in the log.
        file: whose rows are looked at.

    Raises:
        InputError: no unit has more than half of the file's timestamps.
    """
    here = f"file = {place} AND unit"
    rows = dict(
        connection.execute(f"""
            SELECT unit, count(*) FROM log WHERE reason IS NULL AND {here} IS NOT NULL GROUP BY unit
        """).fetchall()
    )
    if days := rows.pop(_DAYS, 0):
        are = _SECONDS if rows.get(_SECONDS, 0) >= days else _DATES
        value = "timestamp" if are == _SECONDS else _day("timestamp")
        connection.execute(
            f"UPDATE log SET unit = {are}, timestamp = {value} WHERE {here} = {_DAYS}"
        )
        rows[are] = rows.get(are, 0) + days
    if len(rows) > 1:
        most = max(rows, key=rows.__getitem__)
        if 2 * rows[most] <= sum(rows.values()):
            counts = sorted(rows.items(), key=lambda each: (-each[1], each[0]))
            units = ", ".join(f"{number:,} in {UNITS[code]}" for code, number in counts)
            raise InputError(
                f"{file.path}: its timestamps are {units}, none of them most; write all in one "
                f"unit, or each unit's rows to a file of its own, "
                f"interactions-NAME{file.path.suffix}"
            )
        connection.execute(f"""
            UPDATE log SET reason = {literal(f"timestamp not in {UNITS[most]}, as most are")}
            WHERE reason IS NULL AND {here} <> {most}
        """)
    _note_no_times(connection, place, file)


def unit_of_log(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The units of the usable timestamps in ``log``, each file's; None where there are none."""
    codes = connection.execute("""
        SELECT unit FROM log WHERE reason IS NULL AND unit IS NOT NULL GROUP BY unit ORDER BY unit
    """).fetchall()
    return ", ".join(UNITS[code] for (code,) in codes) or None


def _note_no_times(connection: duckdb.DuckDBPyConnection, place: int, file: InputFile) -> None:
    """Say it where all seconds of a file lie where years and the like do; 0 may mean no time."""
    ((earliest, latest),) = connection.execute(f"""
        SELECT min(timestamp), max(timestamp) FROM log
        WHERE reason IS NULL AND file = {place} AND unit = {_SECONDS}
    """).fetchall()
    if earliest is not None and earliest >= _EARLIEST and latest < _LATEST:
        progress.note(
            f"{file.name}: all timestamps lie on the first three days of 1970, so they are likely "
            f"no unix times but years, months or a spreadsheet's days; write ISO dates, in pandas "
            f'of such days by pd.to_datetime(column, unit="D", origin="1899-12-30")'
        )


def _day(number: str) -> str:
    """SQL for unix seconds of a calendar day such as 20240131, else NULL."""
    return _calendar(number, *_DAY)


def _minute(number: str) -> str:
    """SQL for unix seconds of a number such as 202401311200 or 20240131120000, else NULL.

    The shorter would be seconds beyond the year 8000, or milliseconds of half a year in 1976; the
    longer milliseconds beyond 2500, or microseconds of half a year in 1970.
    """
    return f"coalesce({_calendar(number, *_MINUTE)}, {_calendar(number, *_SECOND)})"


def _calendar(number: str, pattern: str, lowest: int, highest: int) -> str:
    digits = f"CASE WHEN {number} BETWEEN {lowest} AND {highest} THEN {number}::BIGINT::VARCHAR END"
    seconds = f"epoch(try_strptime({digits}, '{pattern}'))"
    return f"(CASE WHEN {number} = floor({number}) THEN {seconds} END)"


def _is_date(number: int, pattern: str, lowest: int, highest: int) -> bool:
    """As :func:`_calendar`, of one number in Python."""
    if not lowest <= number <= highest:
        return False
    try:
        datetime.strptime(str(number), pattern)
    except ValueError:
        return False
    return True
