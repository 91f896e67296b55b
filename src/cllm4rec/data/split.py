"""The six protocols: who is trained on what, and what must be predicted.

Every draw is the order of md5(seed, user) and md5(seed, item), so a split depends on the seed and
the ids alone: not on the order of rows, the file's format, the machine or, where a protocol works
within users, on the other users.

Each protocol reads the table ``eligible`` (``user_code, item_code, timestamp, position, tie``; one
row per pair) and gives a query of the same columns plus ``part``.
"""

from collections.abc import Callable

import duckdb

from cllm4rec.data.checks import PARTS
from cllm4rec.data.database import one_number
from cllm4rec.errors import InputError

VERSION = 2
"""To be raised whenever the same log is split or ordered otherwise: data prepared before are then
others."""

TRAIN, VALID, TEST, HISTORY = range(len(PARTS))

PAIR_DRAW = "md5_number_lower(user_codes.key || item_codes.key)"
"""SQL of a pair's place in random order; the keys are md5 of seed and id, in hexadecimal."""

OLDEST_FIRST = "timestamp NULLS FIRST, position NULLS FIRST, tie"
NEWEST_FIRST = "timestamp DESC NULLS LAST, position DESC NULLS LAST, tie DESC"
LATEST_ROW = "timestamp DESC NULLS LAST, position DESC NULLS LAST, row DESC"
"""Of the rows of one pair the first is kept."""

TIE = """CASE WHEN timestamp IS NULL OR position IS NOT NULL THEN row::UBIGINT
              ELSE md5_number_lower(user_id || item_id) END"""
"""SQL of what orders a user's pairs of equal times: a draw, the same for every seed.

Not the file's order, which within a day is often that of the items' ids: then the newest item could
be told by its id. Where positions are given, or no time is, rows are in the file's order.
"""

MOST_USERS = 0.9
"""Fraction of the users whose newest pairs are held out, where these are said to be."""

_COLUMNS = "user_code, item_code, timestamp, position, tie"


def split_by_protocol(connection: duckdb.DuckDBPyConnection, protocol: str) -> None:
    """Make the table ``parted`` (``eligible`` and a column ``part``) by a protocol.

    Users left without a training (or, if new, a history) row are not in it.

    Raises:
        InputError: unknown protocol; the log lacks what it needs; nothing is left for a part.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
    query = PROTOCOLS[protocol](connection)
    connection.execute(f"""
        CREATE TABLE parted AS
        WITH everything AS ({query})
        SELECT {_COLUMNS}, part::UTINYINT AS part FROM everything
        WHERE user_code IN (SELECT user_code FROM everything WHERE part IN ({TRAIN}, {HISTORY}))
    """)
    for code in (TRAIN, VALID, TEST):
        if one_number(connection, f"SELECT count(*) FROM parted WHERE part = {code}") == 0:
            pairs = one_number(connection, "SELECT count(*) FROM eligible")
            raise InputError(
                f"protocol {protocol} leaves nothing for {PARTS[code]} out of {pairs} positive "
                f"pairs; give a larger log, or a split of your own with --split"
            )


def paper(connection: duckdb.DuckDBPyConnection) -> str:
    """Each user's pairs 80/10/10 at random, at least one each for test and validation.

    Source: the protocol of arXiv 2402.09617 and of the code of CLLM4Rec's authors.
    """
    # Half to even, as the published splits of this protocol have it.
    held = "greatest(1, CAST(round_even(count(*) OVER users / 10.0, 0) AS BIGINT))"
    return _within_users(f"{PAIR_DRAW}, item_code", held=held)


def leave_last_out(connection: duckdb.DuckDBPyConnection) -> str:
    """Each user's newest item for test, the one before for validation.

    Source: the protocol of SASRec (Kang and McAuley, ICDM 2018).
    """
    _need_order(connection, "leave-last-out", "timestamp", "position")
    return _within_users(NEWEST_FIRST, held="1")


def users_of_a_drawn_newest(connection: duckdb.DuckDBPyConnection) -> int:
    """How many users have several pairs of their newest time, and no positions among these."""
    return one_number(
        connection,
        """
        SELECT count(*) FROM (
            SELECT user_code FROM (
                SELECT user_code, position FROM eligible WHERE timestamp IS NOT NULL
                QUALIFY rank() OVER (PARTITION BY user_code ORDER BY timestamp DESC) = 1)
            GROUP BY user_code HAVING count(*) > 1 AND count(position) = 0)
        """,
    )


def newest_are_held_out(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether ``parted`` holds out of the histories their newest interactions.

    True if that is so for nine in ten of the users whose oldest held-out pair and newest training
    pair are of different times; a random split does that by chance for a few short histories only.
    Equal times speak neither for nor against it, unless they are all of a user's.
    """
    place = "timestamp NULLS FIRST, position NULLS FIRST"
    users = f"""
        SELECT count(*) FILTER (first_held > last_trained) AS newest, count(*) AS users,
               count(*) FILTER (first_held <> last_trained) AS told_apart FROM (
            SELECT max(place) AS last, min(place) FILTER (part IN ({VALID}, {TEST})) AS first_held,
                   max(place) FILTER (part = {TRAIN}) AS last_trained
            FROM (SELECT user_code, part,
                         rank() OVER (PARTITION BY user_code ORDER BY {place}) AS place FROM parted)
            GROUP BY user_code)
        WHERE last > 1 AND first_held IS NOT NULL AND last_trained IS NOT NULL
    """
    newest = f"users > 0 AND newest >= {MOST_USERS} * told_apart"
    return bool(one_number(connection, f"SELECT ({newest})::INTEGER FROM ({users})"))


def order_ties_by_part(connection: duckdb.DuckDBPyConnection) -> None:
    """Of equal times in ``parted``, what is in training comes first and what is tested last.

    A split file by which the newest pairs are held out says their order where the times do not.
    """
    later = f"CASE part WHEN {VALID} THEN 1 WHEN {TEST} THEN 2 ELSE 0 END"
    connection.execute(f"""
        CREATE OR REPLACE TABLE parted AS
        SELECT * REPLACE ((row_number() OVER (ORDER BY {later}, tie))::UBIGINT AS tie) FROM parted
    """)


def temporal(connection: duckdb.DuckDBPyConnection) -> str:
    """One cut in time for all: the last tenth of the pairs for test, the one before to validate."""
    _need_order(connection, "temporal", "timestamp")
    return f"""
        SELECT {_COLUMNS}, CASE WHEN place <= held THEN {TEST}
            WHEN place <= 2 * held THEN {VALID} ELSE {TRAIN} END AS part
        FROM (SELECT eligible.*, greatest(1, count(*) OVER () // 10) AS held,
                     row_number() OVER (ORDER BY timestamp DESC NULLS LAST, {PAIR_DRAW} DESC,
                                        user_code, item_code) AS place
              FROM {_with_keys()})
    """


def new_users(connection: duckdb.DuckDBPyConnection) -> str:
    """A tenth of the users for test, a tenth for validation: none of their pairs is trained on.

    A fifth of a held-out user's pairs is to be predicted from the others, their history.
    """
    held_out = _held_out("user_code", "user_codes", "HAVING count(*) >= 2")
    return f"""
        SELECT {_COLUMNS}, CASE WHEN held_part IS NULL THEN {TRAIN}
            WHEN place <= greatest(1, total // 5) THEN held_part ELSE {HISTORY} END AS part
        FROM (SELECT eligible.*, held_part, count(*) OVER users AS total,
                     row_number() OVER (users ORDER BY {PAIR_DRAW}, item_code) AS place
              FROM {_with_keys()} LEFT JOIN ({held_out}) AS held USING (user_code)
              WINDOW users AS (PARTITION BY user_code))
    """


def new_items(connection: duckdb.DuckDBPyConnection) -> str:
    """A tenth of the items for test, a tenth for validation, with every one of their pairs."""
    return f"""
        SELECT {_COLUMNS}, coalesce(held_part, {TRAIN}) AS part
        FROM eligible LEFT JOIN ({_held_out("item_code", "item_codes")}) AS held USING (item_code)
    """


def new_items_last(connection: duckdb.DuckDBPyConnection) -> str:
    """The items first seen last: each user's newest pair with one of them, from what was before.

    The tenth of the items whose first pair is newest is for test, the tenth before for validation.
    Trained is on what is older than the first pair of any of them; a validation pair is older than
    any test item. All else of that time is left out, so that nothing tells of what comes after.
    """
    _need_order(connection, "new-items-last", "timestamp")
    return f"""
        WITH firsts AS (
            SELECT item_code, first,
                   row_number() OVER (ORDER BY first DESC NULLS LAST, item_codes.key DESC) AS place,
                   greatest(1, count(*) OVER () // 10) AS held
            FROM (SELECT item_code, min(timestamp) AS first FROM eligible GROUP BY item_code)
                AS seen
            JOIN item_codes ON item_codes.code = seen.item_code),
        parts AS (SELECT item_code, first, CASE WHEN place <= held THEN {TEST}
            WHEN place <= 2 * held THEN {VALID} ELSE {TRAIN} END AS part FROM firsts),
        cuts AS (SELECT min(first) FILTER (part = {VALID}) AS valid_from,
                        min(first) FILTER (part = {TEST}) AS test_from FROM parts)
        SELECT {_COLUMNS}, part
        FROM (SELECT eligible.*, part,
                     row_number() OVER (PARTITION BY user_code, part ORDER BY {NEWEST_FIRST})
                         AS place
              FROM eligible JOIN parts USING (item_code) CROSS JOIN cuts
              WHERE part = {TEST}
                  OR part = {VALID} AND timestamp < test_from
                  OR part = {TRAIN} AND (timestamp IS NULL OR timestamp < valid_from))
        WHERE part = {TRAIN} OR place = 1
    """


PROTOCOLS: dict[str, Callable[[duckdb.DuckDBPyConnection], str]] = {
    "paper": paper,
    "leave-last-out": leave_last_out,
    "temporal": temporal,
    "new-users": new_users,
    "new-items": new_items,
    "new-items-last": new_items_last,
}


def _within_users(order: str, held: str) -> str:
    """First ``held`` pairs of each user in ``order`` for test, as many again for validation.

    A user of two pairs has no validation pair, a user of one is trained on only.
    """
    return f"""
        SELECT {_COLUMNS}, CASE WHEN place <= held AND total >= 2 THEN {TEST}
            WHEN place <= 2 * held AND total >= 3 THEN {VALID} ELSE {TRAIN} END AS part
        FROM (SELECT eligible.*, count(*) OVER users AS total, {held} AS held,
                     row_number() OVER (users ORDER BY {order}) AS place
              FROM {_with_keys()}
              WINDOW users AS (PARTITION BY user_code))
    """


def _held_out(code: str, codes: str, condition: str = "") -> str:
    """A query of ``code`` and ``held_part`` (test or valid): a tenth of all codes each, by key."""
    return f"""
        SELECT {code}, CASE WHEN place <= held THEN {TEST} ELSE {VALID} END AS held_part
        FROM (SELECT {code}, row_number() OVER (ORDER BY {codes}.key, {code}) AS place,
                     (SELECT greatest(1, count(DISTINCT {code}) // 10) FROM eligible) AS held
              FROM (SELECT {code} FROM eligible GROUP BY {code} {condition}) AS candidates
              JOIN {codes} ON {codes}.code = candidates.{code})
        WHERE place <= 2 * held
    """


def _with_keys() -> str:
    return (
        "eligible JOIN user_codes ON user_codes.code = eligible.user_code "
        "JOIN item_codes ON item_codes.code = eligible.item_code"
    )


def _need_order(connection: duckdb.DuckDBPyConnection, protocol: str, *columns: str) -> None:
    given = " + ".join(f"count({column})" for column in columns)
    if one_number(connection, f"SELECT {given} FROM eligible") == 0:
        raise InputError(
            f"protocol {protocol} needs a {' or '.join(columns)} for the interactions and there is "
            f"none; add it (--set data.columns.{columns[0]}=NAME maps another name) or use paper"
        )
