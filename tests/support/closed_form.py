"""What a closed form of given settings scores, by the slow versions of its parts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cllm4rec.linear.ordered import WINDOWS
from cllm4rec.linear.transitions import FUTURE_DECAY, PAST_DECAY
from reference import linear_model as reference


def slow_scores(
    histories: list[list[int]], settings: Mapping[str, Any], texts: np.ndarray, asked: list[int]
) -> np.ndarray:
    """Scores of one history, oldest item first, by EASE fitted to others with these settings."""
    items, (l2, alpha) = len(texts), (settings["l2"], settings["alpha"])
    rows = settings.get("constant", 0.0), settings.get("length_power", 0.0)
    if settings.get("windows"):
        weights, bias = reference.averaged(histories, items, WINDOWS, l2, texts, alpha, *rows)
    else:
        near = [[other for other in range(items) if other != item] for item in range(items)]
        transitions = settings.get("transitions", 0.0)
        weights, bias = reference.regressed(
            histories, near, l2, texts, alpha, transitions, PAST_DECAY, FUTURE_DECAY, *rows
        )
    decay = settings.get("decay", 1.0)
    aged = (decay**age * weights[item] for age, item in enumerate(reversed(asked)))
    return np.asarray(sum(aged, bias))
