"""Slow, independent versions of the linear model: one history, item, window at a time, dense."""

import numpy as np


def windows(history: list[int], length: int) -> list[list[int]]:
    """Every ``length`` items that follow each other; the whole where it is shorter."""
    if len(history) <= length:
        return [history] if history else []
    return [history[:length], *windows(history[1:], length)]


def ease(indicators: list[tuple[float, list[int]]], num_items: int, l2: float, texts, alpha):
    """EASE's weights from weighted rows of items and, α times, from texts: one dense inverse."""
    gram = np.zeros((num_items, num_items))
    for weight, items in indicators:
        for one in items:
            for other in items:
                gram[one, other] += weight
    gram += alpha * texts @ texts.T + l2 * np.eye(num_items)
    inverse = np.linalg.inv(gram)
    weights = np.zeros((num_items, num_items))
    for row in range(num_items):
        for column in range(num_items):
            if row != column:
                weights[row, column] = -inverse[row, column] / inverse[column, column]
    return weights


def averaged(histories: list[list[int]], num_items: int, lengths, l2: float, texts, alpha):
    """One fit of whole histories plus one per window length, each over its deviation."""
    whole = [(1.0, history) for history in histories]
    total = np.zeros((num_items, num_items))
    for length in (None, *lengths):
        rows = list(whole)
        if length is not None:
            rows += [(2 / length, w) for history in histories for w in windows(history, length)]
        weights = ease(rows, num_items, l2, texts, alpha)
        stds = [np.std(sum((weights[i] for i in h), np.zeros(num_items))) for h in histories]
        total += weights / np.mean(stds)
    return total


def scores(history: list[int], weights, decay: float) -> np.ndarray:
    """Each item's weights times ``decay`` per item after it, summed; over their std if any."""
    total = np.zeros(len(weights))
    factor = 1.0
    for item in reversed(history):
        total += factor * weights[item].astype(float)
        factor *= decay
    std = np.sqrt(np.mean((total - total.mean()) ** 2))
    return total / std if std > 0 else total


def by_neighbours(indicators, neighbours: list[list[int]], l2: float, texts, alpha) -> np.ndarray:
    """Each item's ridge regression on some others: least squares over stacked rows, dense."""
    num_items = len(neighbours)
    users = np.zeros((len(indicators), num_items))
    for row, (weight, items) in enumerate(indicators):
        users[row, items] = weight**0.5
    weights = np.zeros((num_items, num_items))
    for item, near in enumerate(neighbours):
        if near:
            ridge = np.sqrt(l2) * np.eye(len(near))
            inputs = np.concatenate([users[:, near], np.sqrt(alpha) * texts[near].T, ridge])
            side = np.sqrt(alpha) * texts[item]
            target = np.concatenate([users[:, item], side, np.zeros(len(near))])
            weights[near, item] = np.linalg.lstsq(inputs, target, rcond=None)[0]
    return weights


def nearest(histories: list[list[int]], texts, l2: float, alpha: float) -> np.ndarray:
    """Correlations of the items in the matrix that EASE inverts."""
    gram = np.zeros((len(texts), len(texts)))
    for history in histories:
        for one in history:
            gram[one, history] += 1
    gram += alpha * texts @ texts.T + l2 * np.eye(len(texts))
    return np.array([
        [gram[i, j] / (gram[i, i] * gram[j, j]) ** 0.5 for j in range(len(gram))]
        for i in range(len(gram))
    ])


def past_and_future(histories: list[list[int]], num_items: int, past: float, future: float):
    """For every place between two items: both sides, less with distance; under .01 is left out."""
    inputs, targets = [], []
    for history in histories:
        for cut in range(1, len(history)):
            before, after = np.zeros(num_items), np.zeros(num_items)
            for distance, item in enumerate(reversed(history[:cut])):
                before[item] += past**distance if past**distance >= 0.01 else 0
            for distance, item in enumerate(history[cut:]):
                after[item] += future**distance if future**distance >= 0.01 else 0
            inputs.append(before)
            targets.append(after)
    return np.array(inputs).reshape(-1, num_items), np.array(targets).reshape(-1, num_items)


def directed(histories, near: list[list[int]], l2, texts, alpha, weight, past, future):
    """Each item's least squares on some others: whole histories, and pasts that tell futures."""
    num_items = len(near)
    whole = np.zeros((len(histories), num_items))
    for row, history in enumerate(histories):
        whole[row, history] = 1
    before, after = past_and_future(histories, num_items, past, future)
    inputs = np.concatenate([whole, weight**0.5 * before, alpha**0.5 * texts.T])
    targets = np.concatenate([whole, weight**0.5 * after, alpha**0.5 * texts.T])
    weights = np.zeros((num_items, num_items))
    for item, some in enumerate(near):
        if some:
            ridge = np.sqrt(l2) * np.eye(len(some))
            stacked = np.concatenate([inputs[:, some], ridge])
            wanted = np.concatenate([targets[:, item], np.zeros(len(some))])
            weights[some, item] = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    return weights
