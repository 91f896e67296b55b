"""Slow, independent versions of the linear model: one history, item, window at a time, dense."""

import numpy as np


def windows(history: list[int], length: int) -> list[list[int]]:
    """Every ``length`` items that follow each other; the whole where it is shorter."""
    if len(history) <= length:
        return [history] if history else []
    return [history[:length], *windows(history[1:], length)]


def ease(indicators: list[tuple[float, list[int]]], num_items: int, l2, texts, alpha, constant=0.0):
    """EASE's weights from weighted rows of items and, α times, from texts: one dense inverse.

    With a constant there is a last input more, whose weights are the last row.
    """
    size = num_items + bool(constant)
    gram = np.zeros((size, size))
    for weight, items in indicators:
        values = np.zeros(size)
        values[items] = 1
        if constant and items:
            values[-1] = constant
        gram += weight * np.outer(values, values)
    gram[:num_items, :num_items] += alpha * texts @ texts.T
    inverse = np.linalg.inv(gram + l2 * np.eye(size))
    weights = np.zeros((size, num_items))
    for row in range(size):
        for column in range(num_items):
            if row != column:
                weights[row, column] = -inverse[row, column] / inverse[column, column]
    return weights


def averaged(histories, num_items: int, lengths, l2: float, texts, alpha, constant=0.0, power=0.0):
    """One fit of whole histories plus one per window length, each over its deviation.

    Returns the weights between items, and the biases.
    """
    total = sum(map(len, histories))
    of_rows = [max(len(history), 1) ** -power for history in histories]
    scale = total / sum(w * len(h) for w, h in zip(of_rows, histories, strict=True))
    whole = [(w * scale, history) for w, history in zip(of_rows, histories, strict=True)]
    weights, bias = np.zeros((num_items, num_items)), np.zeros(num_items)
    for length in (None, *lengths):
        rows = list(whole)
        if length is not None:
            rows += [(2 / length * w, each) for w, h in whole for each in windows(h, length)]
        fitted = ease(rows, num_items, l2, texts, alpha, constant)
        own = constant * fitted[-1] if constant else np.zeros(num_items)
        stds = [np.std(sum((fitted[i] for i in h), own)) for h in histories]
        weights += fitted[:num_items] / np.mean(stds)
        bias += own / np.mean(stds)
    return weights, bias


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
    return regressed(histories, near, l2, texts, alpha, weight, past, future, 0.0, 0.0)[0]


def regressed(
    histories, near: list[list[int]], l2, texts, alpha, weight, past, future, constant, power
):
    """The same with an input that each row has, and rows that count by the history's length.

    Returns the weights between items, and what the constant gives each.
    """
    num_items = len(near)
    lengths = [max(len(history), 1) for history in histories]
    total = sum(map(len, histories))
    scale = total / max(sum(len(h) * len(h) ** -power for h in histories if h), 1)
    inputs, targets, ones = [], [], []
    for history, length in zip(histories, lengths, strict=True):
        root = (scale * length**-power) ** 0.5
        whole = np.zeros(num_items)
        whole[history] = 1
        before, after = past_and_future([history], num_items, past, future)
        inputs += [root * whole, *(root * weight**0.5 * before)]
        targets += [root * whole, *(root * weight**0.5 * after)]
        ones += [root * bool(history), *([root * weight**0.5] * len(before))]
    inputs = np.concatenate([np.array(inputs).reshape(-1, num_items), alpha**0.5 * texts.T])
    targets = np.concatenate([np.array(targets).reshape(-1, num_items), alpha**0.5 * texts.T])
    column = constant * np.concatenate([ones, np.zeros(texts.shape[1])])
    weights, bias = np.zeros((num_items, num_items)), np.zeros(num_items)
    for item, some in enumerate(near):
        own = inputs[:, some]
        if constant:
            own = np.concatenate([own, column[:, None]], axis=1)
        if own.shape[1]:
            stacked = np.concatenate([own, np.sqrt(l2) * np.eye(own.shape[1])])
            wanted = np.concatenate([targets[:, item], np.zeros(own.shape[1])])
            found = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
            weights[some, item] = found[: len(some)]
            bias[item] = constant * found[-1] if constant else 0
    return weights, bias
