"""Synthetic worlds of any size, written in blocks: a log in time order, items with titles."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cllm4rec.data.sources.synthetic import GENRE_WORDS
from cllm4rec.run import atomic_write
from cllm4rec.seeds import generator

BLOCK_ROWS = 1_000_000
FIRST_S, SECONDS_A_ROW = 1_600_000_000, 2
LOYALTY = 0.8
"""Chance that an interaction is of the genre that its user likes."""


def write_world(folder: Path, *, users: int, items: int, interactions: int, seed: int = 0) -> None:
    """Write ``interactions.parquet`` and ``items.parquet`` of an input directory.

    Activity of users is log-normal, popularity of items falls with the square root of their rank;
    some pairs repeat. Rows are in time order, so that no user's rows stand together.

    Args:
        folder: of the input directory.
        users: number of users; hardly active ones may have no row.
        items: number of items; at least one per genre.
        interactions: number of rows.
        seed: of every draw.
    """
    folder.mkdir(parents=True, exist_ok=True)
    genres = len(GENRE_WORDS)
    assert items >= genres, (items, genres)
    rng = generator(seed, "growing world", users, items)
    activity = np.cumsum(rng.lognormal(0.0, 0.5, users))
    ranks = np.cumsum(np.arange(1, items // genres + 1) ** -0.5)
    schema = pa.schema([
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("timestamp", pa.int64()),
        ("rating", pa.float64()),
    ])
    path = folder / "interactions.parquet"
    with atomic_write(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, interactions, BLOCK_ROWS):
            count = min(BLOCK_ROWS, interactions - start)
            rng = generator(seed, "growing log", users, items, start)
            user = np.searchsorted(activity, rng.random(count) * activity[-1])
            rank = np.searchsorted(ranks, rng.random(count) * ranks[-1])
            strays = rng.random(count) >= LOYALTY
            genre = np.where(strays, rng.integers(genres, size=count), user % genres)
            columns = [
                _ids("u", user),
                _ids("i", rank * genres + genre),
                pa.array(FIRST_S + SECONDS_A_ROW * np.arange(start, start + count)),
                pa.array(rng.integers(3, 6, count).astype(np.float64)),
            ]
            writer.write_table(pa.table(columns, schema=schema))
    _write_items(folder / "items.parquet", items, seed)


def _write_items(path: Path, items: int, seed: int) -> None:
    words = np.array(GENRE_WORDS)
    rng = generator(seed, "growing titles", items)
    numbers = np.arange(items)
    first, second = (words[numbers % len(words), rng.integers(4, size=items)] for _ in range(2))
    titles = pc.binary_join_element_wise(
        pa.array(first), pa.array(second), pa.array(numbers).cast(pa.string()), " "
    )
    with atomic_write(path) as temporary:
        pq.write_table(pa.table({"item_id": _ids("i", numbers), "title": titles}), temporary)


def _ids(letter: str, numbers: np.ndarray) -> pa.Array:
    text = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 9, "0")
    return pc.binary_join_element_wise(letter, text, "")
