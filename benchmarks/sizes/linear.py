"""EASE + text for few users and many items, at every penalty at once.

The program's EASE inverts items × items. Here users are few and text vectors short, so their own
products are decomposed instead, and every penalty is a division.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cllm4rec.data.interactions import Interactions

Table = NDArray[np.float64]


def scores(
    train: Interactions,
    vectors: NDArray[np.float32],
    history: Interactions,
    alpha: float,
    penalties: tuple[float, ...],
) -> Iterator[Table]:
    """Scores of every item from histories, one table per penalty.

    With U the users' rows above √α Aᵀ, the weights B = I − P diag(P)⁻¹ of P = (UᵀU + λI)⁻¹ follow
    from the eigenvectors of UUᵀ.

    Args:
        train: N users.
        vectors: A, ``[items, d]``.
        history: of those who are asked.
        alpha: weight of the texts; 0 is EASE.
        penalties: λ.

    Yields:
        ``[asked, items]``.
    """
    rows = np.asarray(train.matrix().toarray(), np.float64)
    if alpha:
        rows = np.concatenate([rows, np.sqrt(alpha) * vectors.T.astype(np.float64)])
    values, axes = np.linalg.eigh(rows @ rows.T)
    turned = axes.T @ rows
    values = np.maximum(values, 0)
    asked = history.matrix().astype(np.float64)
    dense = np.asarray(asked.toarray())
    along = np.asarray(asked @ turned.T)
    for penalty in penalties:
        shrunk = 1 / (values + penalty)
        diagonal = 1 - (shrunk[:, None] * turned**2).sum(axis=0)
        yield dense - (dense - (along * shrunk) @ turned) / diagonal
