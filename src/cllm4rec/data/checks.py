"""Checks of input rows; refused rows are counted by reason, never silently dropped.

Every function leaves a table with a column ``reason``: NULL for a row that is good, otherwise the
first check that the row failed.
"""

import re
from collections.abc import Sequence

import duckdb

from cllm4rec import progress
from cllm4rec.data import timestamps
from cllm4rec.data.database import literal, one_number
from cllm4rec.data.input_file import InputFile
from cllm4rec.data.reading import reading
from cllm4rec.data.timestamps import MAX_TIMESTAMP

PARTS = ("train", "valid", "test", "history")
"""Part names; a part's code on disk is its place here."""

REPEATED_PAIR = "repeated pair"

_DECIMAL_COMMA = r"[-+]?\d{1,10},\d{1,6}"
_OTHER_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}(?:[T ,]+\d[\d:. APMZ+-]{0,19})?"
_DAY_FIRST = re.compile(r"\d{1,2}[./-](?:0?[1-9]|1[0-2])[./-]\d{2,4}\b")
"""How a date begins that may have its day before its month."""
_MONTH_ALONE = r"(?:19|20)\d\d[/-](?:0?[1-9]|1[0-2])"
_AMERICAN_DATE = r"\d{1,2} \d{1,2}, \d{4}"
_WEEKDAY = "(?:Mon|Tues?|Wednes|Wed|Thurs|Thu|Fri|Satur|Sat|Sun)(?:day)?"
_MONTH = (
    "(?:Jan|January|Feb|February|Mar|March|Apr|April|May|June?|July?|Aug|August|Sept?|September"
    "|Oct|October|Nov|November|Dec|December)"
)
_DATE_IN_WORDS = (
    rf"(?i:(?:{_WEEKDAY},? )?(?:{_MONTH}\.? \d{{1,2}}|\d{{1,2}}[ -]{_MONTH}\.?)"
    rf"(?:,?[ -](?:[\d:.+-]{{2,15}}|AM|PM|GMT|UTC|Z)){{1,5}})"
)
_UNREADABLE = {
    "timestamp": (
        f"{_DECIMAL_COMMA}|{_MONTH_ALONE}|{_OTHER_DATE}|{_AMERICAN_DATE}|{_DATE_IN_WORDS}",
        "ISO dates, such as 2018-06-17 or 2018-06-17 00:00, or unix times",
    ),
    "rating": (_DECIMAL_COMMA, "a decimal point, such as 5.0"),
}
"""Column → the shape of a value that may be shown, which no text has, and how to write it."""

_EMPTY_LOG = """
    CREATE TABLE log (file USMALLINT, row BIGINT, user_id VARCHAR, item_id VARCHAR,
                      timestamp DOUBLE, unit UTINYINT, position DOUBLE, rating DOUBLE,
                      positive BOOLEAN, reason VARCHAR)
"""


def load_interactions(
    connection: duckdb.DuckDBPyConnection, files: Sequence[InputFile], minimum_rating: float
) -> dict[str, int]:
    """Read the log into ``log``.

    Its columns: ``file, row, user_id, item_id, timestamp, unit, position, rating, positive,
    reason``.

    Args:
        connection: the database.
        files: the log; ``file`` is a place here, and each has a unit of timestamps of its own.
        minimum_rating: ``positive`` is a rating above it, ``true``, or no rating.

    Returns:
        Refused rows by reason; repeated pairs are found later, by :mod:`cllm4rec.data.ingest`.
    """
    connection.execute(_EMPTY_LOG)
    for place, file in enumerate(files):
        _append_to_log(connection, file, place, minimum_rating)
    return refused(connection, "log")


def _append_to_log(
    connection: duckdb.DuckDBPyConnection, file: InputFile, place: int, minimum_rating: float
) -> None:
    file.require("user_id", "item_id")
    rows = one_number(connection, "SELECT count(*) FROM log")
    checks = [
        *_nested("user_id", "item_id"),
        ("no user_id", "user_id IS NULL"),
        ("no item_id", "item_id IS NULL"),
        ("bad rating", f"rating_given AND liked IS NULL AND NOT {_finite('rating')}"),
        (
            "bad timestamp",
            f"timestamp_given AND NOT ({_finite('timestamp')} "
            f"AND timestamp BETWEEN 0 AND {MAX_TIMESTAMP})",
        ),
        ("bad position", f"position_given AND NOT {_finite('position')}"),
    ]
    numbers = ("rating", "timestamp", "position")
    given = ", ".join(f"{file.given(x)} AS {x}_given" for x in numbers)
    with reading(file.path, file):
        connection.execute(f"""
            INSERT INTO log
            SELECT {place}, row + {rows}, user_id, item_id, timestamp, unit, position, rating,
                   coalesce(liked, rating > {minimum_rating!r}::DOUBLE, true) AS positive,
                   {_first_failed(checks)} AS reason
            FROM (SELECT *, {timestamps.seconds("date", "number")} AS timestamp
                  FROM (SELECT *, {timestamps.unit("date", "number")} AS unit
                        FROM (SELECT row_number() OVER () AS row,
                                     {file.identifier("user_id")} AS user_id,
                                     {file.identifier("item_id")} AS item_id,
                                     {file.number("rating")} AS rating,
                                     {file.boolean("rating")} AS liked,
                                     {file.date("timestamp")} AS date,
                                     {file.number("timestamp")} AS number,
                                     {file.number("position")} AS position,
                                     {file.nested("user_id", "item_id")} AS nested, {given}
                              FROM {file.relation})))
        """)
        _note_unreadable(connection, file, place)
    timestamps.refuse_other_units(connection, place, file)


def _note_unreadable(connection: duckdb.DuckDBPyConnection, file: InputFile, place: int) -> None:
    """Show a timestamp and a rating that were refused, and how to write them."""
    bad = f"log WHERE file = {place} AND reason IN ('bad timestamp', 'bad rating')"
    if not one_number(connection, f"SELECT count(*) FROM {bad}"):
        return
    for standard, (shape, mend) in _UNREADABLE.items():
        example = connection.execute(f"""
            SELECT trim(value) FROM (SELECT {file.text(standard)} AS value FROM {file.relation}
                                     WHERE {file.number(standard)} IS NULL
                                           AND {file.date(standard)} IS NULL)
            WHERE regexp_full_match(trim(value), {literal(shape)}) LIMIT 1
        """).fetchone()
        if example is not None:
            if _DAY_FIRST.match(example[0]):
                mend += "; days before months are read by pd.to_datetime(…, dayfirst=True)"
            elif standard == "timestamp" and not re.fullmatch(_DECIMAL_COMMA, example[0]):
                mend += "; pandas makes such dates by pd.to_datetime(…)"
            progress.note(
                f"{file.name}: a {standard} such as {example[0]} cannot be read; write {mend}"
            )


def load_entities(
    connection: duckdb.DuckDBPyConnection,
    file: InputFile | None,
    table: str,
    key: str,
    columns: dict[str, str],
) -> dict[str, int]:
    """Read ``items.*`` or ``users.*``; of a repeated id one row is kept.

    It is the first with a title; where none has one, the first with a text, else the first.

    Args:
        connection: the database.
        file: the input file; None makes an empty table.
        table: name of the table to make: ``row``, the key, ``columns``, ``reason``.
        key: ``item_id`` or ``user_id``.
        columns: further columns of the table → SQL over the file; VARCHAR, where there is no file.

    Returns:
        Refused rows by reason.
    """
    if file is None:
        named = "".join(f"{column} VARCHAR, " for column in columns)
        connection.execute(
            f"CREATE TABLE {table} (row BIGINT, {key} VARCHAR, {named} reason VARCHAR)"
        )
        return {}
    file.require(key)
    selected = "".join(f", {value} AS {column}" for column, value in columns.items())
    standard = [column for column in (key, "title", "text") if column in {key, *columns}]
    checks = [*_nested(*standard), (f"no {key}", f"{key} IS NULL")]
    with reading(file.path, file):
        connection.execute(f"""
            CREATE TABLE {table} AS
            SELECT * EXCLUDE (nested), {_first_failed(checks)} AS reason
            FROM (SELECT row_number() OVER () AS row, {file.identifier(key)} AS {key}{selected},
                         {file.nested(*standard)} AS nested
                  FROM {file.relation})
        """)
    _refuse_repeats(connection, table, key, f"repeated {key}", [*standard[1:]])
    return refused(connection, table)


def load_split(connection: duckdb.DuckDBPyConnection, file: InputFile) -> dict[str, int]:
    """Read a split file into ``split_rows``: ``row, user_code, item_code, part, reason``.

    Needs the tables ``user_codes``, ``item_codes`` and ``pairs``. Of a repeated pair the first row
    is kept.

    Returns:
        Refused rows by reason.
    """
    file.require("user_id", "item_id", "part")
    codes = " ".join(f"WHEN {literal(part)} THEN {code}" for code, part in enumerate(PARTS))
    checks = [
        *_nested("user_id", "item_id"),
        ("no user_id", "given.user_id IS NULL"),
        ("no item_id", "given.item_id IS NULL"),
        ("unknown part", "given.part IS NULL"),
        ("pair not in the log", "pairs.user_code IS NULL"),
    ]
    with reading(file.path, file):
        connection.execute(f"""
            CREATE TABLE given AS
            SELECT row_number() OVER () AS row, {file.identifier("user_id")} AS user_id,
                   {file.identifier("item_id")} AS item_id,
                   (CASE {file.text("part")} {codes} END)::UTINYINT AS part,
                   {file.nested("user_id", "item_id")} AS nested
            FROM {file.relation}
        """)
    connection.execute(f"""
        CREATE TABLE split_rows AS
        SELECT given.row AS row, user_codes.code AS user_code, item_codes.code AS item_code,
               given.part AS part, {_first_failed(checks)} AS reason
        FROM given
        LEFT JOIN user_codes ON user_codes.user_id = given.user_id
        LEFT JOIN item_codes ON item_codes.item_id = given.item_id
        LEFT JOIN pairs
               ON pairs.user_code = user_codes.code AND pairs.item_code = item_codes.code
    """)
    connection.execute("DROP TABLE given")
    _refuse_repeats(connection, "split_rows", "user_code, item_code", REPEATED_PAIR)
    return refused(connection, "split_rows")


def load_reviews(connection: duckdb.DuckDBPyConnection, file: InputFile | None) -> dict[str, int]:
    """Read reviews into ``reviews``: ``row, user_number, item_number, text, reason``.

    A review of a pair outside training is refused: it tells of the very interaction that is to be
    predicted. Needs the tables ``users``, ``items`` and ``parted``.

    Returns:
        Refused rows by reason.
    """
    if file is None:
        connection.execute(
            "CREATE TABLE reviews (row BIGINT, user_number INTEGER, item_number INTEGER, "
            "text VARCHAR, reason VARCHAR)"
        )
        return {}
    file.require("user_id", "item_id", "text")
    checks = [
        *_nested("user_id", "item_id", "text"),
        ("no user_id", "given.user_id IS NULL"),
        ("no item_id", "given.item_id IS NULL"),
        ("no text", "given.text IS NULL"),
        ("unknown user", "users.number IS NULL"),
        ("unknown item", "items.number IS NULL"),
        ("pair not in training", "training.user_code IS NULL"),
    ]
    with reading(file.path, file):
        connection.execute(f"""
            CREATE TABLE given AS
            SELECT row_number() OVER () AS row, {file.identifier("user_id")} AS user_id,
                   {file.identifier("item_id")} AS item_id, {file.text("text")} AS text,
                   {file.nested("user_id", "item_id", "text")} AS nested
            FROM {file.relation}
        """)
    connection.execute(f"""
        CREATE TABLE reviews AS
        SELECT given.row AS row, users.number AS user_number, items.number AS item_number,
               given.text AS text, {_first_failed(checks)} AS reason
        FROM given
        LEFT JOIN users ON users.user_id = given.user_id
        LEFT JOIN items ON items.item_id = given.item_id
        LEFT JOIN (SELECT user_code, item_code FROM parted WHERE part = 0) AS training
               ON training.user_code = users.code AND training.item_code = items.code
    """)
    connection.execute("DROP TABLE given")
    return refused(connection, "reviews")


def refused(
    connection: duckdb.DuckDBPyConnection, table: str, which: str = "true"
) -> dict[str, int]:
    """Refused rows of a table by reason, in alphabetical order: those where ``which`` is true."""
    rows = connection.execute(f"""
        SELECT reason, count(*) FROM {table} WHERE reason IS NOT NULL AND {which}
        GROUP BY 1 ORDER BY 1
    """).fetchall()
    return {str(reason): int(count) for reason, count in rows}


def _refuse_repeats(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    keys: str,
    reason: str,
    wanted: Sequence[str] = (),
) -> None:
    """Keep one row of each: the first that has the first wanted column that any has."""
    with_one = "".join(f"min(row) FILTER (WHERE {x} IS NOT NULL), " for x in wanted)
    connection.execute(f"""
        UPDATE {table} SET reason = {literal(reason)} WHERE reason IS NULL AND row NOT IN
        (SELECT coalesce({with_one}min(row)) FROM {table} WHERE reason IS NULL GROUP BY {keys})
    """)


def _nested(*standard: str) -> list[tuple[str, str]]:
    """Checks of the column ``nested``, made by :meth:`InputFile.nested`."""
    return [(f"{x} is an object or a list", f"nested = {literal(x)}") for x in standard]


def _finite(number: str) -> str:
    return f"coalesce(isfinite({number}), false)"


def _first_failed(checks: Sequence[tuple[str, str]]) -> str:
    cases = " ".join(f"WHEN {condition} THEN {literal(reason)}" for reason, condition in checks)
    return f"CASE {cases} END"
