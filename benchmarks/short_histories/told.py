"""Which items of a history are told."""

import numpy as np

from cllm4rec.data.interactions import Interactions


def told(
    histories: Interactions, number: int | None, *, newest: bool, seed: int = 0
) -> Interactions:
    """At most ``number`` items of each history.

    Args:
        histories: oldest first.
        number: of items; None: all.
        newest: whether they are the newest ones, in their order; else they are drawn at random, a
            larger number with those of a smaller one among them.
        seed: of the draw.
    """
    if number is None:
        return histories
    draw = np.random.default_rng(seed)
    rows = []
    for row in range(histories.num_users):
        items = histories.of(row)
        kept = items[-number:] if newest else draw.permutation(items)[:number]
        rows.append(kept.tolist())
    return Interactions.from_lists(rows, histories.num_items)
