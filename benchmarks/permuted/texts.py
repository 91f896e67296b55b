"""A log whose texts are permuted: items' among items, reviews' among training pairs."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec.errors import InputError
from cllm4rec.seeds import generator

_OWN = {"items": ("item_id",), "reviews": ("user_id", "item_id")}
"""File → columns that stay in their rows; all others move together."""
_READ = {"interactions", "items", "users", "reviews"}


def write_permuted(data: Path, split: Path, folder: Path, seed: int) -> dict[str, int]:
    """Write a copy of an input directory with its texts permuted.

    Reviews of pairs outside the training part are left out: what a held-out pair's review says
    must not reach training at another pair.

    Args:
        data: input directory of Parquet files.
        split: Parquet file ``user_id, item_id, part``.
        folder: an existing one.
        seed: of the permutations.

    Returns:
        File → number of its rows.

    Raises:
        InputError: there is no ``interactions.parquet`` or no ``items.parquet``, or a part of the
            data is of another form.
    """
    for name in ("interactions", "items"):
        if not (data / f"{name}.parquet").is_file():
            raise InputError(f"{data} has no {name}.parquet; files of other forms are not permuted")
    for path in sorted(data.iterdir()):
        ours = path.name.split(".")[0].split("-")[0] in _READ
        if ours and (path.is_dir() or path.suffix != ".parquet"):
            raise InputError(f"{path} is no Parquet file; files of other forms are not permuted")
    counts: dict[str, int] = {}
    for path in sorted(data.glob("*.parquet")):
        if path.resolve() == split.resolve():
            continue
        name, table = path.stem, pq.read_table(path)
        if name == "reviews":
            # Ids are texts, whatever a file has them as.
            texts = "* REPLACE (user_id::VARCHAR AS user_id, item_id::VARCHAR AS item_id)"
            rows, parts = duckdb.read_parquet(str(path)), duckdb.read_parquet(str(split))
            training = parts.filter("part = 'train'").project(texts).project("user_id, item_id")
            kept = rows.project(texts).join(training, "user_id, item_id", how="semi")
            table = kept.order("user_id, item_id").to_arrow_table()
        if name in _OWN:
            table = permuted(table, _OWN[name], generator(seed, "permuted texts", name))
        pq.write_table(table, folder / path.name)
        counts[name] = table.num_rows
    return counts


def permuted(table: pa.Table, own: tuple[str, ...], random: np.random.Generator) -> pa.Table:
    """The rows of ``table`` with all columns but ``own`` moved together, by one permutation."""
    moved = table.take(random.permutation(table.num_rows))
    columns = {name: (table if name in own else moved).column(name) for name in table.column_names}
    return pa.table(columns)
