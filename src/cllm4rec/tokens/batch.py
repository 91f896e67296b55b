"""Documents to tensors: padding, scored positions, batches of similar length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

COPY_THEMSELVES = {"cuda"}
"""Devices that copy from pinned memory while the host goes on."""


@runtime_checkable
class TokenDocument(Protocol):
    """Interface of a document for batching; see `documents.document.Document`."""

    @property
    def prompt(self) -> NDArray[np.int32]:
        """Tokens to read."""
        ...

    @property
    def main(self) -> NDArray[np.int32]:
        """Tokens to read and to predict."""
        ...


@dataclass(frozen=True)
class Batch:
    """Documents padded on the right with token 0 to a common length."""

    tokens: Int64[Tensor, "batch length"]
    """Token ids; ``ANONYMOUS`` for a user without an embedding."""
    lengths: Int64[Tensor, " batch"]
    """Tokens of each document, prompt and main text."""
    main_starts: Int64[Tensor, " batch"]
    """Position of the first main-text token; equal to the length where there is no main text."""
    host: "Batch | None" = None
    """The same on the processor, where it came from there: places of tokens are looked up in it, so
    that the host need not wait for a device to find them."""

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on ``device``."""
        tokens, lengths = moved(self.tokens, device), moved(self.lengths, device)
        return Batch(tokens, lengths, moved(self.main_starts, device), host=self.near)

    @property
    def near(self) -> "Batch":
        """The batch on the processor if it came from there, else itself."""
        return self if self.host is None else self.host


Scored = tuple[Int64[Tensor, " scored"], Int64[Tensor, " scored"], Int64[Tensor, " scored"]]
"""Of each scored token the row, the position that predicts it, and the token itself."""


def moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The same tensor on a device; the host does not wait for a copy to a GPU.

    A GPU copies from pinned memory by itself; for a copy from other memory the host waits until the
    GPU is done with all before it. Torch keeps pinned memory until the copy is done.
    """
    if tensor.device.type == "cpu" and torch.device(device).type in COPY_THEMSELVES:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def collate(documents: Sequence[TokenDocument]) -> Batch:
    """Batch documents in the order given, padded to the longest."""
    parts = [part for document in documents for part in (document.prompt, document.main)]
    sizes = np.fromiter(map(len, parts), np.int64, len(parts)).reshape(-1, 2)
    lengths = sizes.sum(axis=1)
    tokens = np.zeros((len(documents), lengths.max(initial=0)), np.int64)
    if parts:
        tokens[np.arange(tokens.shape[1]) < lengths[:, None]] = np.concatenate(parts)
    return Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(lengths),
        torch.from_numpy(sizes[:, 0].copy()),
    )


def collate_rows(
    tokens: NDArray[np.int32], offsets: NDArray[np.int64], main_starts: NDArray[np.int64]
) -> Batch:
    """Batch consecutive documents of a concatenated token array.

    Args:
        tokens: concatenated.
        offsets: ``[rows + 1]``; row r is ``tokens[offsets[r]:offsets[r + 1]]``.
        main_starts: start of each main text, ``[rows]``.
    """
    lengths = np.diff(offsets)
    padded = np.zeros((len(lengths), int(lengths.max(initial=0))), np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = tokens[offsets[0] : offsets[-1]]
    starts = torch.from_numpy(main_starts.copy())
    return Batch(torch.from_numpy(padded), torch.from_numpy(lengths), starts)


def next_tokens(batch: Batch, counts: Callable[[Tensor], Tensor] | None = None) -> Scored:
    """Scored positions: every main-text token, predicted from the position before it.

    The first main-text token is predicted too, from the prompt's last position (paper section 3.2).
    A main text without a prompt has nothing before its first token, which then is not scored.

    Args:
        batch: documents.
        counts: whether a token is scored; None for all of the main texts.

    Returns:
        For each scored token its row, the position that predicts it, and the token itself.
    """
    near, device = batch.near, batch.tokens.device
    position = torch.arange(near.tokens.shape[1], device=near.tokens.device)
    is_scored = (position >= near.main_starts.clamp_min(1).unsqueeze(1)) & (
        position < near.lengths.unsqueeze(1)
    )
    if counts is not None:
        is_scored &= counts(near.tokens)
    rows, positions = is_scored.nonzero(as_tuple=True)
    tokens = near.tokens[rows, positions]
    return moved(rows, device), moved(positions - 1, device), moved(tokens, device)


def length_buckets(
    lengths: np.ndarray,
    *,
    max_tokens: int,
    max_rows: int | None,
    rng: np.random.Generator | None,
    padding: bool = True,
) -> list[NDArray[np.int64]]:
    """Group documents of similar length into batches.

    Args:
        lengths: tokens of each document.
        max_tokens: tokens per batch; a longer document gets its own batch.
        max_rows: documents per batch; None for no limit.
        rng: shuffles documents of equal length and the order of batches; None (for scoring) sorts
            by descending length, stably.
        padding: counts as tokens; it does not where documents are packed before they are read.

    Returns:
        Indices into ``lengths``, each exactly once.
    """
    order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    longest_first = order[np.argsort(-np.asarray(lengths)[order], kind="stable")]
    ends = np.cumsum(np.asarray(lengths)[longest_first])
    batches = []
    start = 0
    while start < len(longest_first):
        longest = int(lengths[longest_first[start]])
        if padding:
            rows = max_tokens // max(1, longest)
        else:
            last = int(ends[start]) - longest + max_tokens
            rows = int(np.searchsorted(ends, last, side="right")) - start
        rows = max(1, rows)
        rows = rows if max_rows is None else min(rows, max_rows)
        batches.append(longest_first[start : start + rows])
        start += rows
    return batches if rng is None else [batches[index] for index in rng.permutation(len(batches))]
