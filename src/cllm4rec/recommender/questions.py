"""The prompts of many users as one run of tokens: ``prediction_document`` without the objects.

What is asked is word for word what `corpora.recommendation.prediction_document` asks; the tests
hold the two against each other. A Python object, four arrays and a dozen calls for every user would
take as long as the backbone does.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cllm4rec import seeds
from cllm4rec.config import Config, CorpusConfig
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.prompts import Prompt, Prompts
from cllm4rec.tokens.batch import Batch, length_buckets
from cllm4rec.tokens.space import TokenSpace


@dataclass(frozen=True, slots=True, eq=False)
class TokenRows:
    """Token ids of many documents, one after the other.

    Attributes:
        tokens: ``int32 [tokens]``.
        offsets: ``int64 [rows + 1]``; row ``r`` is ``tokens[offsets[r]:offsets[r + 1]]``.
        main_starts: ``int64 [rows]``: where the main text of each begins; its end where it has
            none.
    """

    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]
    main_starts: NDArray[np.int64]

    def reordered(self, order: NDArray[np.int64]) -> "TokenRows":
        """The same documents in another order."""
        counts = np.diff(self.offsets)[order]
        places = _places(self.offsets[:-1][order], counts)
        return TokenRows(self.tokens[places], _offsets(counts), self.main_starts[order])

    def batch(self, start: int, end: int) -> Batch:
        """Rows ``start`` to ``end``, padded on the right to the longest of them."""
        lengths = np.diff(self.offsets[start : end + 1])
        tokens = np.zeros((end - start, int(lengths.max(initial=0))), np.int64)
        is_token = np.arange(tokens.shape[1]) < lengths[:, None]
        tokens[is_token] = self.tokens[self.offsets[start] : self.offsets[end]]
        main_starts = self.main_starts[start:end].copy()
        return Batch(*map(torch.from_numpy, (tokens, lengths, main_starts)))


def question_rows(
    user_tokens: NDArray[np.int32],
    histories: Interactions,
    space: TokenSpace,
    prompts: Prompts,
    config: Config,
) -> TokenRows:
    """What is asked of every user, in the order given.

    Args:
        user_tokens: ``[rows]``; ``ANONYMOUS`` or ``NOBODY`` for a user without an embedding.
        histories: known items, one row per user; may be empty.
        space: layout of the token ids.
        prompts: encoded templates.
        config: of the run: order and cap of histories, target, seed.

    Raises:
        ValueError: an item number out of range.
    """
    seed = seeds.derived_seed(config.seed, "prediction")
    items = shown_histories(histories, config.corpus, seed)
    after = config.finetune.target == "next"
    parts = [*prompts.history.parts, "items"] if after else prompts.recommendation.parts
    rows = _filled(Prompt(tuple(parts)), user_tokens, items, space)
    if not after:
        return rows
    return TokenRows(rows.tokens, rows.offsets, np.diff(rows.offsets) - items.counts())


def buckets(lengths: NDArray[np.int64], max_tokens: int) -> Iterator[tuple[int, int]]:
    """Batches of rows that stand longest first, as (start, end); see `length_buckets`."""
    assert (np.diff(lengths) <= 0).all()
    for bucket in length_buckets(lengths, max_tokens=max_tokens, max_rows=None, rng=None):
        yield int(bucket[0]), int(bucket[-1]) + 1


def shown_histories(histories: Interactions, config: CorpusConfig, seed: int) -> Interactions:
    """The items that each prompt shows, in its order; see `corpora.history.shown`."""
    counts = histories.counts()
    kept = np.minimum(counts, config.max_items)
    if config.order != "random":
        starts = histories.offsets[1:] - kept
        return Interactions(_offsets(kept), _taken(histories, starts, kept), histories.num_items)
    # A set: sorted without repeats first, so that the draw depends on nothing else.
    users = histories.users()
    order = np.lexsort((histories.items, users))
    ordered = Interactions(histories.offsets, histories.items[order], histories.num_items)
    repeated = np.zeros(len(order), bool)
    repeated[1:] = (np.diff(ordered.items) == 0) & (np.diff(users) == 0)
    ordered = ordered.where(~repeated) if repeated.any() else ordered
    drawn = [_drawn(ordered.of(row), config.max_items, seed) for row in range(len(counts))]
    kept = np.minimum(ordered.counts(), config.max_items)
    flat = np.concatenate(drawn) if drawn else np.empty(0, np.int32)
    return Interactions(_offsets(kept), flat, histories.num_items)


def _drawn(items: NDArray[np.int32], most: int, seed: int) -> NDArray[np.int32]:
    """The permutation that `prediction_document` draws for this set of items."""
    content = hashlib.blake2b(items.tobytes(), digest_size=8).hexdigest()
    return seeds.generator(seed, "prediction", content).permutation(items)[:most]


def _filled(
    prompt: Prompt, user_tokens: NDArray[np.int32], items: Interactions, space: TokenSpace
) -> TokenRows:
    """The template of every user at once, part by part."""
    counts = items.counts()
    fixed = sum(
        (1 if part == "user" else 0) if isinstance(part, str) else len(part)
        for part in prompt.parts
    )
    lengths = fixed + counts * sum(isinstance(p, str) and p == "items" for p in prompt.parts)
    offsets = _offsets(lengths)
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
            tokens[_places(at, counts)] = space.item(items.items)
            at += counts
    return TokenRows(tokens, offsets, lengths)


def _taken(
    histories: Interactions, starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.int32]:
    return histories.items[_places(starts, counts)]


def _places(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """``start, start + 1, …`` of every row, one after the other."""
    before = _offsets(counts)
    places: NDArray[np.int64] = np.arange(before[-1]) + np.repeat(starts - before[:-1], counts)
    return places


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
