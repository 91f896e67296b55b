"""Recommended lists as an Arrow table, which pandas, polars, DuckDB and others read."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cllm4rec.data.ids import IdMap
from cllm4rec.ranking.topk import NO_ITEM

SCHEMA = pa.schema([
    pa.field("user_id", pa.string(), nullable=False),
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("rank", pa.int32(), nullable=False),
    pa.field("score", pa.float32(), nullable=False),
])
"""Columns of a top-k file and of `list_table`."""


def list_table(
    user_ids: Any, items: NDArray[np.int32], scores: NDArray[np.float32], catalogue: IdMap
) -> pa.Table:
    """One row per listed item: ``user_id, item_id, rank`` (1 = best), ``score``.

    ``table.to_pandas()``, ``polars.from_arrow(table)`` and the like take it on.

    Args:
        user_ids: the id of every list: an Arrow array of text, or a sequence.
        items: item numbers ``[lists, k]``, best first; −1 where a list is shorter.
        scores: ``[lists, k]``.
        catalogue: ids of the items.
    """
    if not isinstance(user_ids, pa.Array):
        user_ids = pa.array(user_ids, pa.string())
    rows, places = np.nonzero(items != NO_ITEM)
    columns = [
        pc.cast(user_ids.take(pa.array(rows)), pa.string()),
        pc.cast(catalogue.external.take(pa.array(items[rows, places])), pa.string()),
        pa.array(places + 1, pa.int32()),
        pa.array(scores[rows, places], pa.float32()),
    ]
    return pa.table(columns, schema=SCHEMA)
