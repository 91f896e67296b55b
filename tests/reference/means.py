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


def exponential_average(values: list[list[list[float]]], steps: float) -> list[list[float]]:
    """Mean of matrices with the weight that each has after the last step, from the definition."""
    decays = [min(1 - 1 / steps, n / (n + 9)) for n in range(1, len(values))]
    weights = []
    for number in range(len(values)):
        weight = 1.0 if number == 0 else 1 - decays[number - 1]
        for decay in decays[number:]:
            weight *= decay
        weights.append(weight)
    rows, columns = len(values[0]), len(values[0][0])
    return [
        [sum(w * v[r][c] for w, v in zip(weights, values, strict=True)) for c in range(columns)]
        for r in range(rows)
    ]
