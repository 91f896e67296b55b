"""Truncation of histories: which items a document contains, and in which order."""

import numpy as np
from numpy.typing import NDArray

from cllm4rec.config import CorpusConfig


def truncated(
    items: NDArray[np.int32], config: CorpusConfig, rng: np.random.Generator | None
) -> NDArray[np.int32]:
    """Truncate a history to at most ``config.max_items`` items.

    Args:
        items: the history, oldest first.
        config: order ``random`` (a history is a set, paper section 3.4) or ``time``.
        rng: permutes the items where the order is random; None where it is time.

    Returns:
        A permutation of the items or of a random sample of them; or the newest, oldest first.
    """
    if rng is None:
        return items[max(0, len(items) - config.max_items) :]
    return rng.permutation(items)[: config.max_items]
