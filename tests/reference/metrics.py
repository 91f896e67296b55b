"""Ranking metrics written as loops over one user's list, straight from their definitions."""

from math import log2, nan


def recall_at(ranked: list[int], relevant: set[int], k: int) -> float:
    """Hits among the first k, of as many as could be there."""
    if not relevant:
        return nan
    found = 0
    for item in ranked[:k]:
        if item in relevant:
            found += 1
    return found / min(k, len(relevant))


def ndcg_at(ranked: list[int], relevant: set[int], k: int) -> float:
    """Discounted gain over the gain of the best possible list."""
    if not relevant:
        return nan
    gain = 0.0
    for rank, item in enumerate(ranked[:k], start=1):
        if item in relevant:
            gain += 1 / log2(rank + 1)
    ideal = 0.0
    for rank in range(1, min(k, len(relevant)) + 1):
        ideal += 1 / log2(rank + 1)
    return gain / ideal


def mrr(ranked: list[int], relevant: set[int]) -> float:
    """One over the rank of the first hit."""
    if not relevant:
        return nan
    for rank, item in enumerate(ranked, start=1):
        if item in relevant:
            return 1 / rank
    return 0.0


def top_k(scores: list[float], known: set[int], k: int) -> list[int]:
    """Unknown items by falling score, then by number; −1 to fill up."""
    candidates = [item for item in range(len(scores)) if item not in known]
    candidates = [item for item in candidates if scores[item] != float("-inf")]
    candidates.sort(key=lambda item: (-scores[item], item))
    return (candidates + [-1] * k)[:k]
