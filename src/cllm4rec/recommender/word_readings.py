"""What a language model reads in the catalogue's words, read when the first query asks for it.

A minute for each 22,000 words is more than many a training takes, so no training pays it. Readings
are kept in ``words`` beside the model, in a file named after all that they depend on. A file that
is damaged, or of another model, is never used: the words are read again.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from cllm4rec import progress
from cllm4rec.errors import InputError
from cllm4rec.linear.text_vectors import Whitening
from cllm4rec.run import atomic_write, clear_leftovers

FOLDER = "words"
"""Of a run, or a saved folder."""
POWER = 0.75
"""Of the whitening."""


@dataclass(frozen=True, slots=True, eq=False)
class WordReadings:
    """Whitened readings of words.

    Attributes:
        whitening: of readings.
        vectors: whitened, of the words, ``float32 [words, d]``, rows of length one.
    """

    whitening: Whitening
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, terms: Sequence[str], reader: Mapping[str, Any]) -> "WordReadings":
        """Read words: a minute of one core for each 22,000 with the default backbone.

        Raises:
            InputError: the backbone cannot be found.
        """
        from cllm4rec.models.reading import Reader  # torch: only where words are read

        progress.note(f"reading the catalogue's {len(terms):,} words for queries, once")
        read = Reader(**reader).vectors(terms)
        whitening = Whitening.fit(read, POWER)
        # Cosines to three digits at half the size; the first answer is like every later one.
        vectors = whitening.applied(read).astype(np.float16).astype(np.float32)
        return cls(whitening, vectors)

    @classmethod
    def at(
        cls,
        folder: Path,
        terms: Sequence[str],
        reader: Mapping[str, Any],
        backbone_sha256: str,
        instead: Path | None = None,
    ) -> "WordReadings":
        """What a run keeps; read now and kept, if it keeps none yet.

        Args:
            folder: a run, or a saved folder; need not be writable.
            terms: words of the catalogue.
            reader: settings of `cllm4rec.models.reading.Reader`.
            backbone_sha256: of the reader's backbone.
            instead: keeps them where the folder cannot be written (`kept_for`).

        Raises:
            InputError: the backbone cannot be found.
        """
        name = f"{_key(terms, reader, backbone_sha256)}.safetensors"
        paths = [place / name for place in (folder / FOLDER, instead) if place is not None]
        for path in paths:
            if (found := cls._kept(path, len(terms))) is not None:
                return found
        found = cls.of(terms, reader)
        kept = next((path for path in paths if found._is_kept(path)), None)
        if kept != paths[0]:
            then = f"are kept in {kept.parent} for a time" if kept else "will be read again"
            progress.note(f"{paths[0].parent} cannot be written; the words {then}")
        return found

    def _is_kept(self, path: Path) -> bool:
        """Keep it, where that can be done."""
        try:
            self._keep(path)
        except (InputError, OSError, SafetensorError):
            return False
        return True

    def _keep(self, path: Path) -> None:
        """Write a file with its own sha256 in the header, and remove those of other words."""
        clear_leftovers(path.parent)
        numbers: dict[str, NDArray[Any]] = {
            "vectors": self.vectors.astype(np.float16),
            "mean": self.whitening.mean,
            "axes": np.ascontiguousarray(self.whitening.axes),
        }
        with atomic_write(path) as temporary:
            save_file(numbers, temporary, metadata={"sha256": _sha256(numbers)})
        for other in path.parent.glob("*.safetensors"):
            if other != path:
                other.unlink(missing_ok=True)

    @classmethod
    def _kept(cls, path: Path, words: int) -> "WordReadings | None":
        """What a file holds, if it is whole."""
        try:
            with safe_open(path, framework="numpy") as file:
                numbers = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                digest = (file.metadata() or {}).get("sha256")
        except (OSError, SafetensorError, TypeError):  # a dtype that numpy has not
            return None
        if numbers.keys() != {"vectors", "mean", "axes"} or digest != _sha256(numbers):
            return None
        if len(numbers["vectors"]) != words:
            return None
        whitening = Whitening(numbers["mean"], numbers["axes"])
        return cls(whitening, numbers["vectors"].astype(np.float32))


def kept_for(owner: object) -> Path | None:
    """A temporary folder for readings, which goes with its owner; None where there can be none.

    No other user can write there: what a file says of its own sha256 is believed.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="cllm4rec-words-"))
    except OSError:
        return None
    finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder


def _key(terms: Sequence[str], *on: Any) -> str:
    inputs = json.dumps([POWER, *on, list(terms)], sort_keys=True)
    return hashlib.sha256(inputs.encode()).hexdigest()[:16]


def _sha256(numbers: Mapping[str, NDArray[Any]]) -> str:
    whole = hashlib.sha256()
    for name in sorted(numbers):
        whole.update(f"{name} {numbers[name].dtype} {numbers[name].shape}".encode())
        whole.update(np.ascontiguousarray(numbers[name]).tobytes())
    return whole.hexdigest()
