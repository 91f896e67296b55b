"""Item texts as a frozen language model reads them: one vector per text, kept on disk.

A text's vector is the mean (or the last) of its words' hidden states after the first layers of a
backbone and its final norm. A causal model reads a word without those after it; so it reads the
text twice, and the second time is pooled (Springer et al., *Repetition Improves Language Model
Embeddings*, 2024). Reading a catalogue takes minutes, so it is done once: in blocks, which a killed
process leaves behind, in a folder named after everything that decides the vectors.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from cllm4rec import progress
from cllm4rec.config import BackboneConfig
from cllm4rec.downloads import cache_dir
from cllm4rec.errors import InputError
from cllm4rec.models.backbone import Backbone, load_backbone
from cllm4rec.models.device import compute_dtype
from cllm4rec.models.pretrained import find_backbone, fingerprint
from cllm4rec.run import atomic_write, clear_leftovers
from cllm4rec.tokens.tokenizer import WordTokenizer, beginning

BLOCK_TEXTS = 512
"""Texts per file: what a kill can cost is the reading of so many."""
_BETWEEN = " ."
"""Between the two readings of a text."""
BATCH_TOKENS = 2048
"""Tokens read at once, with padding. More is not faster on a processor, and takes memory."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reader:
    """How texts are read.

    Attributes:
        backbone: name of a causal language model, as ``backbone.name``.
        depth: layers that read, from the first.
        pooling: ``mean`` of the words' states, or the ``last`` word's.
        max_words: word tokens read of a text; the rest is not.
        echo: read each text twice and pool the second time, for twice the time.
        weights: ``random`` re-initialises the layers and keeps the words: a control row.
        dtype: compute dtype, as ``backbone.dtype``.
        seed: of random weights.
    """

    backbone: str
    depth: int
    pooling: Literal["mean", "last"] = "mean"
    max_words: int = 64
    echo: bool = True
    weights: Literal["pretrained", "random"] = "pretrained"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Read texts, or what the cache already holds of exactly these.

        Each distinct text is read once, so neither their order nor repetitions matter. The cache is
        ``readings`` in ``$CLLM4REC_CACHE``; it may be removed at any time, and need not be
        writable.

        Args:
            texts: any text at all.

        Returns:
            ``float32 [texts, size]``; a row of zeros for a text without words.

        Raises:
            InputError: the backbone cannot be found.
            ConfigError: it has fewer layers than ``depth``.
        """
        folder = find_backbone(self.backbone)
        tidied = [beginning(text, self.max_words) for text in texts]
        # Texts of a length share a block, so that batches are hardly padded.
        distinct = sorted({text for text in tidied if text}, key=lambda text: (len(text), text))
        blocks = [distinct[at : at + BLOCK_TEXTS] for at in range(0, len(distinct), BLOCK_TEXTS)]
        cache = cache_dir() / "readings" / self._key(folder, distinct)
        with suppress(OSError):  # of a cache that cannot be written
            clear_leftovers(cache)
        loaded: LoadedReader | None = None
        found: list[Vectors] = []
        writable = True
        with progress.task("Reading item texts", total=len(distinct), unit="text") as task:
            for number, block in enumerate(blocks):
                path = cache / f"{number:05d}.safetensors"
                vectors = kept(path, len(block))
                if vectors is None:
                    loaded = loaded or LoadedReader.of(self, folder)
                    vectors = loaded.read(block)
                    writable = writable and keep(path, vectors)
                found.append(vectors)
                task.advance(len(block))
        if not found:
            return np.zeros((len(texts), 0), np.float32)
        rows = {text: row for row, text in enumerate(distinct, start=1)}
        table = np.concatenate([np.zeros_like(found[0][:1]), *found])
        return table[[rows.get(text, 0) for text in tidied]]

    def unkept(self, texts: Sequence[str]) -> Vectors:
        """`vectors` of further texts, read at once and kept nowhere."""
        tidied = [beginning(text, self.max_words) for text in texts]
        given = [at for at, text in enumerate(tidied) if text]
        loaded = self.loaded()
        result = np.zeros((len(texts), loaded.words.shape[1]), np.float32)
        with progress.task("Reading item texts", total=len(given), unit="text") as task:
            # Blocks of long and short texts, so that the time left is that of both.
            for at in range(0, len(given), BLOCK_TEXTS):
                block = given[at : at + BLOCK_TEXTS]
                result[block] = loaded.read([tidied[each] for each in block], task)
        return result

    def loaded(self) -> "LoadedReader":
        """The reader with its language model, for texts that must not stay on a disk.

        Raises:
            InputError: the backbone cannot be found.
            ConfigError: it has fewer layers than ``depth``.
        """
        return LoadedReader.of(self, find_backbone(self.backbone))

    def settings(self, folder: Path) -> dict[str, Any]:
        """What decides the vectors, beside the texts."""
        dtype = str(compute_dtype(self.dtype))
        return {**asdict(self), "backbone": fingerprint(folder), "dtype": dtype}

    def _key(self, folder: Path, distinct: Sequence[str]) -> str:
        """sha256 of all that the vectors depend on."""
        inputs = [self.settings(folder), BLOCK_TEXTS, list(distinct)]
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class LoadedReader:
    """A reader with its language model in memory; keeps nothing of what it reads."""

    reader: Reader
    backbone: Backbone
    words: Tensor
    tokenizer: WordTokenizer
    between: list[int]
    """Tokens between the two readings of a text."""
    longest: int
    """Most tokens of a text: fewer than ``max_words`` with learned positions."""

    @classmethod
    def of(
        cls, reader: Reader, folder: Path, mode: Literal["frozen", "full"] = "frozen"
    ) -> "LoadedReader":
        """Load the first layers of a backbone's folder; ``full`` where some are to be trained."""
        config = BackboneConfig(
            name=reader.backbone,
            depth=reader.depth,
            mode=mode,
            weights=reader.weights,
            dtype=reader.dtype,
            lora_rank=1,
            dropout=0.0,
        )
        backbone, words = load_backbone(folder, config, reader.seed)
        tokenizer = WordTokenizer.from_folder(folder, num_words=words.shape[0])
        [between] = tokenizer.encode([_BETWEEN])
        longest = reader.max_words
        if (positions := backbone.positions) is not None:
            room = (positions - len(between)) // 2 if reader.echo else positions
            longest = min(longest, room)
        return cls(reader, backbone, words, tokenizer, between, longest)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The word tokens that are read of each text."""
        encoded = self.tokenizer.encode([" " + text for text in texts])
        return [ids[: self.longest] for ids in encoded]

    @torch.inference_mode()
    def read(self, texts: Sequence[str], task: progress.Task | None = None) -> Vectors:
        """Vectors ``[texts, size]``; zeros where the tokenizer finds no word.

        Args:
            texts: any.
            task: advances by the texts that have words.
        """
        tokens = self.tokens(texts)
        own = list(map(len, tokens))
        if self.reader.echo:
            tokens = [[*ids, *self.between, *ids] if ids else [] for ids in tokens]
        result = np.zeros((len(texts), self.words.shape[1]), np.float32)
        for rows in by_length(list(map(len, tokens))):
            lengths = torch.tensor([len(tokens[row]) for row in rows])
            padded = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
            for place, row in enumerate(rows):
                padded[place, : len(tokens[row])] = torch.tensor(tokens[row])
            pooled = torch.tensor([own[row] for row in rows])
            result[rows] = self._pooled(self.words[padded], lengths, pooled).numpy()
            if task is not None:
                task.advance(len(rows))
        return result

    def _pooled(self, embedded: Tensor, lengths: Tensor, pooled: Tensor) -> Tensor:
        """Mean of the last ``pooled`` states of each document, or its last one."""
        if self.reader.pooling == "last":
            return self.backbone.last(embedded, lengths)
        states = self.backbone(embedded, lengths)
        place = torch.arange(embedded.shape[1])
        counts = place < lengths.unsqueeze(1)
        counts &= place >= (lengths - pooled).unsqueeze(1)
        # States beyond the words are undefined, and could be no numbers.
        states = states.masked_fill(~counts.unsqueeze(2), 0.0)
        means: Tensor = states.sum(dim=1) / pooled.unsqueeze(1)
        return means


def by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Rows by length, cut so that rows × longest stays within ``BATCH_TOKENS``."""
    batches: list[list[int]] = []
    for row in sorted(np.flatnonzero(lengths).tolist(), key=lengths.__getitem__):
        if not batches or (len(batches[-1]) + 1) * lengths[row] > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(row)
    return batches


def keep(path: Path, vectors: Vectors) -> bool:
    """Write a block, with its own sha256 in the header; false, with a note, where it cannot be."""
    digest = hashlib.sha256(vectors.tobytes()).hexdigest()
    try:
        with atomic_write(path) as temporary:
            save_file({"vectors": vectors}, temporary, metadata={"sha256": digest})
    except (InputError, OSError, SafetensorError):
        progress.note(f"{path.parents[1]} cannot be written; what is read will be read again")
        return False
    return True


def kept(path: Path, rows: int) -> Vectors | None:
    """A block that was kept whole; None to read it again."""
    try:
        with safe_open(path, framework="numpy") as file:
            vectors: Vectors = file.get_tensor("vectors")
            digest = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError, TypeError):  # a dtype that numpy has not
        return None
    whole = vectors.ndim == 2 and len(vectors) == rows and vectors.dtype == np.float32
    fits = whole and digest == hashlib.sha256(vectors.tobytes()).hexdigest()
    return vectors if fits else None
