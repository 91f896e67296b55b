"""The split as a file, so that other programs can train and evaluate on the same split."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cllm4rec.data.checks import PARTS
from cllm4rec.data.dataset import Dataset
from cllm4rec.run import atomic_write

BLOCK_USERS = 10_000
"""Users whose rows are held as text at once."""


def write_split(dataset: Dataset, path: Path) -> None:
    """Write Parquet ``user_id, item_id, part``: a split file that ``prepare --split`` takes.

    Args:
        dataset: prepared data, split by a file or a protocol.
        path: appears under its name when it is whole.
    """
    schema = pa.schema([(name, pa.string()) for name in ("user_id", "item_id", "part")])
    interactions = dataset.interactions
    names = np.array(PARTS)
    with atomic_write(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for first in range(0, len(dataset.users), BLOCK_USERS):
            last = min(first + BLOCK_USERS, len(dataset.users))
            low, high = interactions.offsets[first], interactions.offsets[last]
            users = np.repeat(np.arange(first, last), interactions.counts()[first:last])
            columns = [
                dataset.users.ids(users),
                dataset.items.ids(interactions.items[low:high]),
                names[dataset.part_codes[low:high]].tolist(),
            ]
            arrays = [pa.array(column, pa.string()) for column in columns]
            writer.write_table(pa.table(arrays, schema=schema))
