"""Slow, independent versions of the method's losses: one token, item, coordinate at a time."""

import math

import torch


def softmax_nll(logits: list[float], wanted: int) -> float:
    """−log softmax of one entry, with Python floats."""
    highest = max(logits)
    total = sum(math.exp(x - highest) for x in logits)
    return math.log(total) + highest - logits[wanted]


def linear_cross_entropy(hidden, weight, bias, targets) -> float:
    """Σ −log p(target) of ``hidden @ weight.T + bias``."""
    total = 0.0
    for row, target in zip(hidden.tolist(), targets.tolist(), strict=True):
        logits = [
            sum(h * w for h, w in zip(row, word, strict=True)) + b
            for word, b in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        total += softmax_nll(logits, target)
    return total


def holdout_nll(logits, holdouts: list[list[int]], left_out: frozenset[int] = frozenset()) -> float:
    """−Σ_users Σ_j r_j^hold log softmax_j, the multi-hot target written out.

    Items of ``left_out`` are no candidates.
    """
    total = 0.0
    for scores, held in zip(logits.tolist(), holdouts, strict=True):
        candidates = [item for item in range(len(scores)) if item not in left_out]
        target = [1.0 if item in held else 0.0 for item in candidates]
        kept = [scores[item] for item in candidates]
        total += sum(r * softmax_nll(kept, place) for place, r in enumerate(target) if r)
    return total


def half_squared_distance(own, other, occurrences: list[int]) -> float:
    """Σ over occurrences of ½‖own − other‖², coordinate by coordinate."""
    total = 0.0
    for row in occurrences:
        for a, b in zip(own[row].tolist(), other[row].tolist(), strict=True):
            total += 0.5 * (a - b) ** 2
    return total


def next_item_nll(model, document, left_out: frozenset[int] = frozenset()) -> float:
    """Σ −log p(item | everything before it) of one document, one forward pass per predicted item.

    The autoregressive definition taken literally: each pass sees the prefix and nothing else.
    Items of ``left_out`` are no candidates. Words among the items are read and not predicted.
    """
    tokens = [*document.prompt.tolist(), *document.main.tolist()]
    start = len(document.prompt)
    total = 0.0
    for position in range(start, len(tokens)):
        if not model.space.is_item(tokens[position]):
            continue
        prefix = torch.tensor([tokens[:position]])
        embedded = model.embedding(prefix)
        hidden = model.backbone(embedded)[0, -1]
        shown = [
            embedded[0, at] for at in range(start, position) if model.space.is_item(tokens[at])
        ]
        mean = torch.zeros_like(hidden)
        if len(shown):
            weights = [model.skip_decay**age for age in reversed(range(len(shown)))]
            mean = sum(w * z for w, z in zip(weights, shown, strict=True)) / sum(weights)
        query = model.head(hidden[None], mean[None])[0]
        logits = model.embedding.items.weight @ query + model.head.bias
        target = model.space.item_number(tokens[position])
        candidates = [item for item in range(len(logits)) if item not in left_out]
        total += softmax_nll(logits[candidates].tolist(), candidates.index(target))
    return total


def authors_regulariser(own, other, devices: list[list[list[int]]], weight: float) -> float:
    """The authors' λ · Σ‖own − other‖², a sum over a device's batch, averaged over devices.

    Written out from ``nn.MSELoss(reduction="sum")`` in their `model.py`, and from the mean of
    gradients that several devices take.

    Args:
        own: table of users and items, ``[rows, size]``.
        other: the other side's, fixed.
        devices: of each device the documents, of each document the rows of its tokens.
        weight: λ.
    """
    total = 0.0
    for documents in devices:
        for rows in documents:
            for row in rows:
                for a, b in zip(own[row].tolist(), other[row].tolist(), strict=True):
                    total += weight * (a - b) ** 2
    return total / len(devices)


def half_squares(table, occurrences: list[int]) -> float:
    """Σ over occurrences of ½‖z‖², coordinate by coordinate."""
    return sum(0.5 * a * a for row in occurrences for a in table[row].tolist())


def cooccurrence_nll(scores, own: list[int], pairs) -> float:
    """−Σ_i Σ_j pairs_ij log softmax_j over all items but i itself, term by term."""
    total = 0.0
    for row, item, together in zip(scores.tolist(), own, pairs.tolist(), strict=True):
        others = [other for other in range(len(row)) if other != item]
        kept = [row[other] for other in others]
        total += sum(together[j] * softmax_nll(kept, place) for place, j in enumerate(others))
    return total


def sampled_nll(logits, holdouts: list[list[int]], drawn: dict[int, float]) -> float:
    """−Σ_users Σ_targets log (e^s / Z'), Z' of the user's targets and of drawn items over their π.

    Args:
        logits: of every item, one row per user.
        holdouts: each user's targets.
        drawn: item → probability with which it was drawn; only those that were.
    """
    total = 0.0
    for scores, held in zip(logits.tolist(), holdouts, strict=True):
        z = sum(math.exp(scores[item]) for item in held)
        z += sum(math.exp(scores[item]) / pi for item, pi in drawn.items() if item not in held)
        total += sum(math.log(z) - scores[item] for item in held)
    return total
