"""From ids to numbers, in the ids' order: codes while rows still drop out, then final numbers."""

import duckdb

from cllm4rec.data.database import literal, one_number
from cllm4rec.data.split import LATEST_ROW, TIE


def make_codes(connection: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Small numbers in place of ids, in the ids' order, and the key each id's draws come from."""
    for kind in ("user", "item"):
        connection.execute(f"""
            CREATE TABLE {kind}_codes AS
            SELECT (row_number() OVER (ORDER BY {kind}_id))::INTEGER AS code, {kind}_id,
                   md5({literal(f"{seed}:{kind}:")} || {kind}_id) AS key
            FROM (SELECT DISTINCT {kind}_id FROM log WHERE reason IS NULL)
        """)


def make_pairs(connection: duckdb.DuckDBPyConnection) -> int:
    """From ``log`` make ``pairs``, each once: codes, ``timestamp, position, tie, positive``.

    Of a repeated pair the latest row is kept, whatever its rating.

    Returns:
        How many rows repeat another.
    """
    usable = one_number(connection, "SELECT count(*) FROM log WHERE reason IS NULL")
    connection.execute(f"""
        CREATE TABLE pairs AS
        SELECT user_codes.code AS user_code, item_codes.code AS item_code, timestamp, position,
               positive, {TIE} AS tie
        FROM log JOIN user_codes USING (user_id) JOIN item_codes USING (item_id)
        WHERE reason IS NULL
        QUALIFY row_number() OVER (PARTITION BY user_code, item_code ORDER BY {LATEST_ROW}) = 1
    """)
    connection.execute("DROP TABLE log")
    return usable - one_number(connection, "SELECT count(*) FROM pairs")


def number_entities(connection: duckdb.DuckDBPyConnection, *, all_items: bool) -> None:
    """The tables ``users`` and ``items``: final numbers by sorted id.

    Args:
        connection: the database.
        all_items: whether every row of ``items.*`` belongs to the catalogue.
    """
    further = "UNION SELECT item_id FROM item_rows WHERE reason IS NULL"
    catalogue = further if all_items else ""
    for kind, more in (("user", ""), ("item", catalogue)):
        connection.execute(f"""
            CREATE TABLE {kind}s AS
            SELECT (row_number() OVER (ORDER BY {kind}_id) - 1)::INTEGER AS number, {kind}_id, code
            FROM (SELECT {kind}_id FROM {kind}_codes
                  WHERE code IN (SELECT {kind}_code FROM parted) {more}) AS kept
            LEFT JOIN {kind}_codes USING ({kind}_id)
        """)
