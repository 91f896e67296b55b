"""Slow, independent versions of the decayed means: one position and one item at a time."""


def running_mean(embedded, is_item, decay: float) -> list[list[list[float]]]:
    """Per row and position: Σ decay^(later items) · item ÷ Σ decay^(later items), items so far."""
    found = []
    for vectors, marks in zip(embedded.tolist(), is_item.tolist(), strict=True):
        row = []
        for end in range(1, len(vectors) + 1):
            items = [v for v, mark in zip(vectors[:end], marks[:end], strict=True) if mark]
            total, weight = [0.0] * len(vectors[0]), 0.0
            for age, item in enumerate(reversed(items)):
                total = [t + decay**age * x for t, x in zip(total, item, strict=True)]
                weight += decay**age
            row.append([t / weight if items else 0.0 for t in total])
        found.append(row)
    return found
