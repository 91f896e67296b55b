"""Maps of a few ids."""

from collections.abc import Iterable

import pyarrow as pa

from cllm4rec.data.ids import IdMap


def id_map(ids: Iterable[str], kind: str = "id") -> IdMap:
    """Sorted, without repeats, as prepared data have them."""
    return IdMap(pa.array(sorted(set(ids)), pa.large_string()), kind)
