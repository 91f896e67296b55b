"""LightGCN by loops over users and items (He et al., SIGIR 2020, equations 3, 4 and 15)."""

import math

import numpy as np


def layers(histories: list[list[int]], users: np.ndarray, items: np.ndarray, count: int):
    """Vectors of users and of items, before any propagation and after each."""
    of_item = [[u for u, h in enumerate(histories) if i in h] for i in range(len(items))]
    found = [(users.astype(float), items.astype(float))]
    for _ in range(count):
        below_users, below_items = found[-1]
        next_users, next_items = np.zeros_like(below_users), np.zeros_like(below_items)
        for user, history in enumerate(histories):
            for item in history:
                norm = math.sqrt(len(history)) * math.sqrt(len(of_item[item]))
                next_users[user] += below_items[item] / norm
                next_items[item] += below_users[user] / norm
        found.append((next_users, next_items))
    return found


def scores(histories: list[list[int]], users: np.ndarray, items: np.ndarray, count: int):
    """Products of the layers' means, ``[users, items]``."""
    found = layers(histories, users, items, count)
    mean_users = sum(each for each, _ in found) / (count + 1)
    mean_items = sum(each for _, each in found) / (count + 1)
    return mean_users @ mean_items.T


def loss(scores: np.ndarray, triples, users: np.ndarray, items: np.ndarray, decay: float) -> float:
    """BPR of (user, item, other item), a mean, with the embeddings' squares."""
    total = 0.0
    for user, item, other in triples:
        total += math.log1p(math.exp(-(scores[user, item] - scores[user, other])))
        vectors = (users[user], items[item], items[other])
        total += decay * sum(float(v @ v) for v in vectors)
    return total / len(triples)
