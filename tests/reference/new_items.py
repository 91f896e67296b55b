"""Slow, independent versions of what becomes of items without interactions."""

import math
from itertools import combinations


def neighbour_weights(vectors, items, among, k: int, power: float) -> list[list[float]]:
    """Each item's weights over all items: the k largest cosines, raised, divided by their sum."""
    found = []
    for item in items:
        cosine = {
            n: sum(a * b for a, b in zip(vectors[item], vectors[n], strict=True)) for n in among
        }
        last = sorted(cosine.values(), reverse=True)[min(k, len(among)) - 1]
        kept = {n: c**power for n, c in cosine.items() if c >= last and c > 0}
        total = sum(kept.values())
        found.append([kept.get(n, 0.0) / total if total else 0.0 for n in range(len(vectors))])
    return found


def new_items_scores(
    weights, vectors, new, neighbours, history, text_weight, scale, offset, per_user=False
):
    """Scores of one user from the definition, one item at a time."""
    items = range(len(weights))
    asked = [0.0] * len(weights)
    for item in history:
        asked[item] += 1.0
        if item in new:
            for near in items:
                asked[near] += neighbours[new.index(item)][near]
    ease = [sum(asked[i] * weights[i][j] for i in items) for j in items]
    unit = 1.0
    if per_user:
        mean = sum(ease) / len(ease)
        unit = math.sqrt(sum((score - mean) ** 2 for score in ease) / len(ease)) or 1.0
    scores = list(ease)
    for place, item in enumerate(new):
        mean = sum(neighbours[place][n] * ease[n] for n in items)
        cosines = [
            sum(a * b for a, b in zip(vectors[i], vectors[item], strict=True)) for i in history
        ]
        own = math.fsum(cosines) / max(len(cosines), 1)
        scores[item] = scale * (mean + text_weight * own * unit) + offset * unit
    return scores


def share_of_new(others, new, offset: float) -> float:
    """Share of new items among every user's first n of both, n as many as there are others."""
    total = 0
    for other, own in zip(others, new, strict=True):
        both = [(score, 0) for score in other] + [(score + offset, 1) for score in own]
        total += sum(kind for _, kind in sorted(both, reverse=True)[: len(other)])
    return total / (len(others) * len(others[0]))


def places_of_new(others, new, length: int) -> list[float]:
    """How often each new item is among one user's first ``length``, over all orders of level ones.

    Args:
        others: the user's scores of other items.
        new: those of new items.
        length: of the list; as many items as that there are.
    """
    scores = [*others, *new]
    last = sorted(scores, reverse=True)[length - 1]
    above = [at for at, score in enumerate(scores) if score > last]
    level = [at for at, score in enumerate(scores) if score == last]
    lists = [{*above, *some} for some in combinations(level, length - len(above))]
    size = len(others)
    return [sum(size + at in each for each in lists) / len(lists) for at in range(len(new))]
