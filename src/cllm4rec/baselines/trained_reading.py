"""Item texts as a language model reads them once it has been trained on who likes what.

Items that stand in one history are drawn together, over all others: a linear map of what is read
(`cllm4rec.models.reading`) and, if wanted, the last layers that read. Those below them are frozen,
so what they make of each text is computed once and kept in memory: 12,000 titles of 20 words are
290 MB in bfloat16. A step reads 64 items anew and compares them with all others, as these were last
read; so each item is read once an epoch.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from cllm4rec import progress
from cllm4rec.downloads import cache_dir
from cllm4rec.errors import ConfigError
from cllm4rec.linear.text_vectors import Whitening
from cllm4rec.models.losses import cooccurrence_likelihood
from cllm4rec.models.pretrained import find_backbone
from cllm4rec.models.reading import LoadedReader, Reader, Vectors, by_length, keep, kept
from cllm4rec.seeds import generator
from cllm4rec.tokens.tokenizer import beginning

DIMENSIONS = 256
"""Of the vectors, at most."""
POWER = 0.75
"""Whitening (`Whitening`) with which the linear map begins."""
BATCH = 64
"""Items read in a step."""
SCALE = 10.0
"""Inverse temperature at the start; it is trained."""
RATES = {"layers": 1e-4, "map": 1e-3, "scale": 1e-2}
"""Highest learning rates: a tenth of the steps to get there, then down to a twentieth."""
FOLLOWS = 0.1
"""How fast the mean that is taken off follows the batches'."""


@dataclass(frozen=True, slots=True)
class TrainedReader:
    """How texts are read, and how the reading is trained.

    Attributes:
        reader: what is trained; where layers are, a text is read once, without echo.
        layers: of the reader's ``depth`` that are trained, the last; 0 for the map alone.
        epochs: how often each item is read in training.
        seed: of the order of the items.
    """

    reader: Reader
    layers: int
    epochs: int
    seed: int = 0

    def vectors(self, texts: Sequence[str], pairs: csr_matrix) -> Vectors:
        """Train on the items that co-occur, and read all; or what the cache holds of just this.

        The cache is ``readings`` in ``$CLLM4REC_CACHE``; it may be removed at any time.

        Args:
            texts: one per item.
            pairs: symmetric counts of training items, ``[items, items]``; an item without any takes
                no part, and is read.

        Returns:
            ``float32 [items, size]``, rows of length one; zeros for an item without a word.

        Raises:
            InputError: the backbone cannot be found.
            ConfigError: it has fewer layers than ``depth``, or layers that cannot be trained so.
        """
        folder = find_backbone(self.reader.backbone)
        path = cache_dir() / "readings" / self._key(folder, texts, pairs) / "trained.safetensors"
        vectors = kept(path, len(texts))
        if vectors is None:
            vectors = self._train(texts, pairs, folder)
            keep(path, vectors)
        return vectors

    def _train(self, texts: Sequence[str], pairs: csr_matrix, folder: Path) -> Vectors:
        read: _Read = _Kept(self.reader.vectors(texts))
        if self.layers:
            reader = replace(self.reader, echo=False)
            read = _Layers(LoadedReader.of(reader, folder, "full"), texts, self.layers)
        found = _trained(read, pairs, self.epochs, self.seed)
        if found is None:
            return np.zeros((len(texts), 0), np.float32)
        head, given = found
        result = np.zeros((len(texts), head.axes.shape[1]), np.float32)
        result[given] = head.settled(read.all(given)).numpy()
        return result

    def _key(self, folder: Path, texts: Sequence[str], pairs: csr_matrix) -> str:
        """sha256 of all that the vectors depend on."""
        settings = {**asdict(self), "reader": self.reader.settings(folder)}
        constants = [DIMENSIONS, POWER, BATCH, SCALE, RATES, FOLLOWS]
        inputs = json.dumps([settings, constants, list(texts)], sort_keys=True)
        digest = hashlib.sha256(inputs.encode())
        for array in (pairs.indptr, pairs.indices, pairs.data):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def trained_map(read: Vectors, pairs: csr_matrix, epochs: int, seed: int) -> Whitening | None:
    """The linear map alone, for texts that come later too; None where no two items co-occur.

    Args:
        read: in the items' texts, ``[items, size]``; zeros for an item without a word.
        pairs: as of `TrainedReader.vectors`.
        epochs: how often each item is seen.
        seed: of the order of the items.
    """
    found = _trained(_Kept(read), pairs, epochs, seed)
    if found is None:
        return None
    head, given = found
    mean = read[given][head.trained.numpy()].mean(axis=0)
    return Whitening(mean, head.axes.detach().numpy().astype(np.float64))


class _Read(nn.Module, ABC):
    """What is read of items' texts, before the map."""

    words: NDArray[np.int64]
    """Tokens of each item's text."""

    @abstractmethod
    def forward(self, items: NDArray[np.int64]) -> Tensor:
        """Means over the words ``[items, size]``, each with at least one."""

    def all(self, items: NDArray[np.int64]) -> Tensor:
        """The same of many, without gradients."""
        with torch.no_grad():
            return self.forward(items)


class _Kept(_Read):
    """What a reader has read; nothing of it is trained."""

    def __init__(self, vectors: Vectors) -> None:
        super().__init__()
        self.vectors = torch.from_numpy(vectors)
        self.words = np.any(vectors != 0, axis=1).astype(np.int64)

    def forward(self, items: NDArray[np.int64]) -> Tensor:
        return self.vectors[torch.from_numpy(items)]


class _Layers(_Read):
    """The last layers of a reader, over kept states of those below."""

    def __init__(self, loaded: LoadedReader, texts: Sequence[str], trained: int) -> None:
        super().__init__()
        self.backbone = loaded.backbone
        if self.backbone.layers is None:
            raise ConfigError(
                f"backbone {loaded.reader.backbone!r}: only layers of Llama and GPT-2 families can "
                f"be trained to read; set train_layers = 0, or another backbone"
            )
        self.layers, self.below = self.backbone.layers, loaded.reader.depth - trained
        self._only_last_are_trained()
        tidied = [beginning(text, loaded.reader.max_words) for text in texts]
        read = loaded.tokens(tidied)
        tokens = [ids if text else [] for text, ids in zip(tidied, read, strict=True)]
        self.words = np.array(list(map(len, tokens)), np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.words)])
        size = loaded.words.shape[1]
        self.states = torch.zeros(int(self.starts[-1]), size, dtype=self.layers.dtype)
        batches = by_length(self.words.tolist())
        with torch.no_grad(), progress.task("Reading item texts", total=len(batches)) as task:
            for rows in batches:
                ids = torch.tensor([token for row in rows for token in tokens[row]])
                lengths = self.words[rows].tolist()
                states = self.layers.first(loaded.words[ids], lengths, self.below)
                self.states[self._places(np.array(rows))] = states
                task.advance(1)

    def _only_last_are_trained(self) -> None:
        """Gradients for the last layers and the final norm."""
        model = self.backbone.model
        model.requires_grad_(False)
        for module in self.layers.blocks()[self.below :]:
            module.requires_grad_(True)

    def _places(self, items: NDArray[np.int64]) -> Tensor:
        """Rows of the items' states."""
        return torch.from_numpy(
            np.concatenate([np.arange(self.starts[i], self.starts[i + 1]) for i in items])
        )

    def forward(self, items: NDArray[np.int64]) -> Tensor:
        order = np.argsort(self.words[items], kind="stable")  # like lengths beside one another
        lengths = self.words[items[order]]
        states = self.layers.rest(
            self.states[self._places(items[order])], lengths.tolist(), self.below
        )
        counts = torch.from_numpy(lengths)
        document = torch.repeat_interleave(torch.from_numpy(order), counts)
        sums = states.new_zeros(len(items), states.shape[1]).index_add(0, document, states)
        return sums / torch.from_numpy(self.words[items]).unsqueeze(1)

    def all(self, items: NDArray[np.int64]) -> Tensor:
        result = torch.zeros(len(items), self.states.shape[1])
        with torch.no_grad():
            for rows in by_length(self.words[items].tolist()):
                result[rows] = self(items[rows])
        return result


class _Head(nn.Module):
    """The linear map, from the mean off to length one, and the inverse temperature."""

    def __init__(self, read: Tensor, trained: NDArray[np.int64]) -> None:
        """Begin with the whitening of what was read.

        Args:
            read: of all items, ``[items, size]``.
            trained: numbers of those that are trained on.
        """
        super().__init__()
        self.trained = torch.from_numpy(trained)
        whitening = Whitening.fit(read[self.trained].numpy(), POWER, DIMENSIONS)
        axes = torch.from_numpy(whitening.axes.astype(np.float32))
        self.mean = torch.from_numpy(whitening.mean)
        lengths = ((read[self.trained] - self.mean) @ axes).norm(dim=1)
        self.axes = nn.Parameter(axes / lengths.mean().clamp_min(1e-9))
        self.log_scale = nn.Parameter(torch.tensor(SCALE).log())

    def forward(self, read: Tensor) -> Tensor:
        """Vectors of a batch. The mean follows it, with gradients: no step moves all as one."""
        own = read.mean(0)
        self.mean = self.mean + FOLLOWS * (own.detach() - self.mean)
        return F.normalize((read - (own + (self.mean - own).detach())) @ self.axes, dim=1)

    @torch.no_grad()
    def settled(self, read: Tensor) -> Tensor:
        """Vectors of all items, without the mean of those that are trained on."""
        return F.normalize((read - read[self.trained].mean(0)) @ self.axes, dim=1)


def _trained(
    read: _Read, pairs: csr_matrix, epochs: int, seed: int
) -> "tuple[_Head, NDArray[np.int64]] | None":
    """A trained head, and the items that have words; None where no two of them co-occur."""
    # Items without a word have nothing to train; the others do not compete with them.
    given = np.flatnonzero(read.words)
    used = pairs[given][:, given].tocsr()
    if not used.nnz:
        return None
    head = _Head(read.all(given), np.flatnonzero(used.getnnz(axis=1)))
    _fit(read, head, given, used, epochs, seed)
    return head, given


def _fit(
    read: _Read, head: _Head, items: NDArray[np.int64], pairs: csr_matrix, epochs: int, seed: int
) -> None:
    """Train what is read of ``items``, by number in ``pairs``, and the head."""
    trained = head.trained.numpy()
    among = pairs[trained][:, trained].tocsr()
    counts = np.asarray(among.sum(axis=1)).ravel()
    frequency = torch.from_numpy(np.log(counts))  # log-q
    others = head.settled(read.all(items))[head.trained]
    layers = [parameter for parameter in read.parameters() if parameter.requires_grad]
    groups = [
        {"params": layers, "peak": RATES["layers"]},
        {"params": [head.axes], "peak": RATES["map"]},
        {"params": [head.log_scale], "peak": RATES["scale"]},
    ]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]], betas=(0.9, 0.98))
    steps = epochs * -(-len(trained) // BATCH)
    step = 0
    with progress.task("Training the reading", total=steps) as task:
        for epoch in range(epochs):
            order = generator(seed, "trained reading", epoch).permutation(len(trained))
            for start in range(0, len(order), BATCH):
                rows = order[start : start + BATCH]
                own = torch.from_numpy(rows)
                vectors = head(read(items[trained[rows]]))
                candidates = others.index_copy(0, own, vectors)
                scores = head.log_scale.exp() * (vectors @ candidates.T) + frequency
                # A frequent item counts with the root of its frequency.
                together = among[rows].toarray() / np.sqrt(counts[rows, None])
                loss = cooccurrence_likelihood(scores, own, torch.from_numpy(together))
                rate = min(1, (step + 1) / (0.1 * steps)) * (1 - 0.95 * step / steps)
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * rate
                optimizer.zero_grad()
                mean = loss.total / float(together.sum())
                mean.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                others[own] = vectors.detach()
                step += 1
                task.advance(1)
