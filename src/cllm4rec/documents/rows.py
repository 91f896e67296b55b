"""Prompts of many users as one token array, without a Python object per user.

Equal to `Prompt.fill` for each user (tests compare them); creating objects per user would take as
long as the backbone.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec import seeds
from cllm4rec.config import CorpusConfig
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.prompts import Prompt
from cllm4rec.tokens.space import TokenSpace


@dataclass(frozen=True, slots=True, eq=False)
class TokenRows:
    """Token ids of many documents, concatenated.

    Attributes:
        tokens: ``int32 [tokens]``.
        offsets: ``int64 [rows + 1]``; row ``r`` is ``tokens[offsets[r]:offsets[r + 1]]``.
        main_starts: ``int64 [rows]``: start of each main text; the document's end if it has none.
    """

    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]
    main_starts: NDArray[np.int64]

    def reordered(self, order: NDArray[np.int64]) -> "TokenRows":
        """The same documents in another order."""
        counts = np.diff(self.offsets)[order]
        places = places_from(self.offsets[:-1][order], counts)
        return TokenRows(self.tokens[places], offsets_of(counts), self.main_starts[order])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document."""
        return np.diff(self.offsets)


def prediction_histories(histories: Interactions, config: CorpusConfig, seed: int) -> Interactions:
    """The items of each prediction prompt, truncated and in the prompt's order.

    With random order, the permutation is a function of (seed, set of items): the same items in
    another order, or repeated, give the same prompt.

    Args:
        histories: known items, one row per user, oldest first.
        config: order and cap.
        seed: of the permutations.
    """
    counts = histories.counts()
    kept = np.minimum(counts, config.max_items)
    if config.order != "random":
        starts = histories.offsets[1:] - kept
        return Interactions(offsets_of(kept), _taken(histories, starts, kept), histories.num_items)
    # Sort and deduplicate first, so that the draw depends only on the set of items.
    users = histories.users()
    order = np.lexsort((histories.items, users))
    ordered = Interactions(histories.offsets, histories.items[order], histories.num_items)
    repeated = np.zeros(len(order), bool)
    repeated[1:] = (np.diff(ordered.items) == 0) & (np.diff(users) == 0)
    ordered = ordered.where(~repeated) if repeated.any() else ordered
    drawn = [_drawn(ordered.of(row), config.max_items, seed) for row in range(len(counts))]
    kept = np.minimum(ordered.counts(), config.max_items)
    flat = np.concatenate(drawn) if drawn else np.empty(0, np.int32)
    return Interactions(offsets_of(kept), flat, histories.num_items)


def _drawn(items: NDArray[np.int32], most: int, seed: int) -> NDArray[np.int32]:
    """The permutation of this set of items."""
    content = hashlib.blake2b(items.tobytes(), digest_size=8).hexdigest()
    return seeds.generator(seed, "prediction", content).permutation(items)[:most]


def filled_rows(
    prompt: Prompt, user_tokens: NDArray[np.int32], items: Interactions, space: TokenSpace
) -> TokenRows:
    """Fill a template with slots ``user`` and ``items`` for all users at once.

    Args:
        prompt: the template; if it ends with ``items``, they are the main text.
        user_tokens: ``[rows]``.
        items: of each row; may be empty.
        space: layout of the token ids.

    Raises:
        ValueError: an item number out of range.
    """
    counts = items.counts()
    fixed = sum(
        (1 if part == "user" else 0) if isinstance(part, str) else len(part)
        for part in prompt.parts
    )
    lengths = fixed + counts * sum(isinstance(p, str) and p == "items" for p in prompt.parts)
    offsets = offsets_of(lengths)
    tokens = np.empty(offsets[-1], np.int32)
    at = offsets[:-1].copy()
    for part in prompt.parts:
        if not isinstance(part, str):
            tokens[at[:, None] + np.arange(len(part))] = part
            at += len(part)
        elif part == "user":
            tokens[at] = user_tokens
            at += 1
        else:
            tokens[places_from(at, counts)] = space.item(items.items)
            at += counts
    ends_in_items = isinstance(prompt.parts[-1], str) and prompt.parts[-1] == "items"
    return TokenRows(tokens, offsets, lengths - counts if ends_in_items else lengths)


def _taken(
    histories: Interactions, starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.int32]:
    return histories.items[places_from(starts, counts)]


def places_from(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """``start, start + 1, …`` for every row, concatenated."""
    before = offsets_of(counts)
    places: NDArray[np.int64] = np.arange(before[-1]) + np.repeat(starts - before[:-1], counts)
    return places


def offsets_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of consecutive runs begins, and the end of the last, ``[rows + 1]``."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
