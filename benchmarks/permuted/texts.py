"""A log whose texts are permuted: items' among items, reviews' among training pairs."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec.seeds import generator

_OWN = {"items": ("item_id",), "reviews": ("user_id", "item_id")}
"""File → columns that stay in their rows; all others move together."""


def write_permuted(data: Path, split: Path, folder: Path, seed: int) -> dict[str, int]:
    """Write a copy of an input directory with its texts permuted.

    Reviews of pairs outside the training part are left out: what a held-out pair's review says
    must not reach training at another pair.

    Args:
        data: Parquet files ``interactions``, ``items`` and, if there are any, ``reviews``.
        split: Parquet file ``user_id, item_id, part``.
        folder: an existing one.
        seed: of the permutations.

    Returns:
        File → number of its rows.
    """
    interactions = pq.read_table(data / "interactions.parquet")
    tables = {"interactions": interactions, "items": pq.read_table(data / "items.parquet")}
    if (data / "reviews.parquet").exists():
        reviews = duckdb.read_parquet(str(data / "reviews.parquet"))
        training = duckdb.read_parquet(str(split)).filter("part = 'train'")
        kept = reviews.join(training.project("user_id, item_id"), "user_id, item_id", how="semi")
        tables["reviews"] = kept.order("user_id, item_id").to_arrow_table()
    for name, table in tables.items():
        if name in _OWN:
            table = permuted(table, _OWN[name], generator(seed, "permuted texts", name))
        pq.write_table(table, folder / f"{name}.parquet")
    return {name: table.num_rows for name, table in tables.items()}


def permuted(table: pa.Table, own: tuple[str, ...], random: np.random.Generator) -> pa.Table:
    """The rows of ``table`` with all columns but ``own`` moved together, by one permutation."""
    moved = table.take(random.permutation(table.num_rows))
    columns = {name: (table if name in own else moved).column(name) for name in table.column_names}
    return pa.table(columns)
