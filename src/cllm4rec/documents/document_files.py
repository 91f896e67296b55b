"""Documents on disk: ``.npy`` files, memory-mapped, never unpickled."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = ("tokens", "offsets", "prompt_lengths", "vocabulary")
"""int32 all documents' tokens; int64 where each begins, and the end; int32 tokens of each prompt;
int32 word tokens that occur in a main text, ascending."""


def open_arrays(folder: Path) -> list[NDArray[Any]]:
    """The four arrays of a `DocumentWriter`, in the order of `NAMES`, memory-mapped."""
    return [np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in NAMES]


class DocumentWriter:
    """Context manager that writes documents one by one, without holding all tokens in memory.

    Args:
        folder: must exist.
        num_words: word tokens are below this number.
    """

    def __init__(self, folder: Path, num_words: int) -> None:
        self._folder = folder
        self._raw = (folder / "tokens.raw").open("wb+")
        self._lengths: list[int] = []
        self._prompt_lengths: list[int] = []
        self._is_used = np.zeros(num_words, bool)

    def __enter__(self) -> "DocumentWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._raw.close()
        Path(self._raw.name).unlink()

    def add(self, prompt: NDArray[np.int32], main: NDArray[np.int32]) -> None:
        """Append one document; ``main`` has word tokens only."""
        self._raw.write(prompt.tobytes())
        self._raw.write(main.tobytes())
        self._lengths.append(len(prompt) + len(main))
        self._prompt_lengths.append(len(prompt))
        self._is_used[main] = True

    def finish(self) -> None:
        """Write the ``.npy`` files; only now is the number of tokens known for the header."""
        offsets = np.concatenate([[0], np.cumsum(self._lengths, dtype=np.int64)])
        self._save("offsets", offsets)
        self._save("prompt_lengths", np.array(self._prompt_lengths, np.int32))
        self._save("vocabulary", np.flatnonzero(self._is_used).astype(np.int32))
        header = np.lib.format.header_data_from_array_1_0(np.empty(0, np.int32))
        header["shape"] = (int(offsets[-1]),)
        with (self._folder / "tokens.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            self._raw.seek(0)
            shutil.copyfileobj(self._raw, file)

    def _save(self, name: str, array: NDArray[np.integer]) -> None:
        np.save(self._folder / f"{name}.npy", array, allow_pickle=False)
