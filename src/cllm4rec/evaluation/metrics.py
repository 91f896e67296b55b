"""Ranking metrics per user, from ranked lists and relevant items.

Every metric but coverage returns ``float64 [U]``, NaN for users without a relevant item; the caller
decides how to average. With ``rel(r)`` 1 if the item at rank r (from 1) is relevant, and n relevant
items:

    recall@k = Σ_{r<=k} rel(r) / min(k, n)
    ndcg@k   = Σ_{r<=k} rel(r)/log2(r+1) / Σ_{r<=min(k, n)} 1/log2(r+1)
    mrr      = 1 / rank of the first relevant item in the list, 0 where there is none
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions

PerUser = NDArray[np.float64]
_Hits = NDArray[np.bool_]
_Counts = NDArray[np.int64]


def coverage_at(ranked: NDArray[np.integer[Any]], num_items: int, k: int) -> float:
    """Fraction of the catalogue that is among the first ``k`` of any list.

    Args:
        ranked: items ``[U, length]``, best first; padded with −1.
        num_items: size of the catalogue.
        k: how far down the lists to look.
    """
    first = ranked[:, :k]
    return len(np.unique(first[first >= 0])) / num_items


def hits(ranked: NDArray[np.integer[Any]], relevant: Interactions) -> _Hits:
    """Which entries of the lists are relevant, ``bool [U, length]``; −1 never is."""
    assert len(ranked) == relevant.num_users, (len(ranked), relevant.num_users)
    num_items = np.int64(relevant.num_items)
    wanted = np.sort(relevant.users().astype(np.int64) * num_items + relevant.items)
    if len(wanted) == 0:
        return np.zeros(ranked.shape, dtype=np.bool_)
    listed = np.arange(len(ranked))[:, None] * num_items + ranked
    place = np.minimum(np.searchsorted(wanted, listed), len(wanted) - 1)
    found: _Hits = (wanted[place] == listed) & (ranked >= 0)
    return found


def recall_at(hit: _Hits, relevant: _Counts, k: int) -> PerUser:
    """Fraction of the relevant items, of at most ``k``, among the first ``k``.

    Args:
        hit: of `hits`, ``[U, length]``.
        relevant: how many items are, ``[U]``.
        k: how far down the list to look.
    """
    return _ratio(hit[:, :k].sum(axis=1), np.minimum(relevant, k))


def ndcg_at(hit: _Hits, relevant: _Counts, k: int) -> PerUser:
    """Normalised discounted cumulative gain at ``k``, binary (Järvelin & Kekäläinen, TOIS 2002).

    Args:
        hit: of `hits`, ``[U, length]``.
        relevant: how many items are, ``[U]``.
        k: how far down the list to look.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])
    first = hit[:, :k]
    return _ratio(first @ discounts[: first.shape[1]], ideal[np.minimum(relevant, k)])


def mrr(hit: _Hits, relevant: _Counts) -> PerUser:
    """Reciprocal rank of the first relevant item in the list, 0 without any.

    Args:
        hit: of `hits`, ``[U, length]``.
        relevant: how many items are, ``[U]``.
    """
    if hit.shape[1] == 0:
        return _ratio(np.zeros(len(hit)), (relevant > 0).astype(np.float64))
    rank = hit.argmax(axis=1) + 1
    return np.where(relevant > 0, np.where(hit.any(axis=1), 1 / rank, 0.0), np.nan)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> PerUser:
    result = np.full(len(part), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


METRICS: dict[str, Callable[[_Hits, _Counts], PerUser]] = {
    "recall@10": lambda hit, relevant: recall_at(hit, relevant, 10),
    "recall@20": lambda hit, relevant: recall_at(hit, relevant, 20),
    "recall@40": lambda hit, relevant: recall_at(hit, relevant, 40),
    "ndcg@10": lambda hit, relevant: ndcg_at(hit, relevant, 10),
    "ndcg@100": lambda hit, relevant: ndcg_at(hit, relevant, 100),
    "mrr": mrr,
}
"""Name → metric of (hits, number of relevant items); the results table's columns."""

COVERAGE_DEPTH = 20
"""Depth of ``coverage@20``, the one metric that is not a mean over users."""
