"""Arrays on disk, memory-mapped: filled while rows are streamed, opened without being read."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.errors import IntegrityError


def new_array(path: Path, dtype: str, length: int) -> np.memmap:
    """A file of ``length`` numbers, to be filled and flushed."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(length,))


def open_array(path: Path) -> NDArray[Any]:
    """A file of prepared data.

    Raises:
        IntegrityError: it is missing or no array.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise IntegrityError(f"{path} is missing or damaged; prepare the data again") from None
    return np.asarray(array)
