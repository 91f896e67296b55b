"""Histories and reviews of nobody, of stated sizes, for a device whose machine has no data."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.growth.world import write_world
from cllm4rec.run import atomic_write
from cllm4rec.seeds import generator

SPREAD = 0.7
"""Std of the logarithm of a review's length."""
RANK_POWER = 0.8
"""A word's frequency is its rank to the minus this power."""
WORD_STARTS = "Ġ▁"
"""What tokenizers write for the space before a word."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a world.

    Attributes:
        users: number of users.
        items: number of items.
        interactions: number of rows.
        reviews: of the first rows.
        review_words: mean words of a review.
        words: different words in reviews, at most.
    """

    users: int
    items: int
    interactions: int
    reviews: int
    review_words: int
    words: int

    def report(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


WHOLE = Sizes(20_000, 12_000, 400_000, 60_000, 30, 16_000)
"""Near amazon-beauty's, with twice the interactions a user."""
QUICK = Sizes(400, 300, 8_000, 800, 15, 1_000)


def write_texts_and_histories(folder: Path, sizes: Sizes, tokenizer: Path) -> None:
    """Write ``interactions``, ``items`` and ``reviews`` of an input directory.

    Reviews are words of the tokenizer, one token each, of log-normal number and Zipf's frequencies.

    Args:
        folder: of the input directory.
        sizes: of the world.
        tokenizer: ``tokenizer.json`` of the backbone that will read them.
    """
    users, items, rows = sizes.users, sizes.items, sizes.interactions
    write_world(folder, users=users, items=items, interactions=rows)
    log = pq.read_table(folder / "interactions.parquet", columns=["user_id", "item_id"])
    log = log.slice(0, sizes.reviews)
    draw = generator(0, "speed reviews", sizes.reviews)
    lengths = draw.lognormal(0.0, SPREAD, len(log))
    counts = np.maximum(1, np.round(sizes.review_words * lengths / lengths.mean())).astype(int)
    words = single_words(tokenizer)[: sizes.words]
    frequency = np.arange(1, len(words) + 1) ** -RANK_POWER
    chosen = draw.choice(words, counts.sum(), p=frequency / frequency.sum())
    texts = [" ".join(part) for part in np.split(chosen, np.cumsum(counts)[:-1])]
    with atomic_write(folder / "reviews.parquet") as temporary:
        pq.write_table(log.append_column("text", pa.array(texts)), temporary)


def single_words(tokenizer: Path) -> NDArray[np.str_]:
    """Words that are one token each, in an order of chance; letters where there are none."""
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    found = [t[1:] for t in vocabulary if t[:1] in WORD_STARTS and t[1:].isascii()]
    words = sorted({word for word in found if word.isalpha()}) or list("abcdefghij")
    return generator(0, "speed words").permutation(np.array(words))
