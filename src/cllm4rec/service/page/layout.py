"""Item embeddings → a place in the plane for every item, close ones close."""

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
"""Number of the layout; another one is another map of the same embeddings."""
COMPONENTS = 50
"""Principal components that distances are measured in."""
MOST_EMBEDDED = 5_000
"""Items that t-SNE lays out itself: under a minute on one core; time would grow without end."""
PERPLEXITY = 15.0
NEIGHBOURS = 5
"""Laid-out items between which a further item is put."""
PLACED_AT_ONCE = 20_000


def layout(
    items: NDArray[np.float32], weights: NDArray[np.integer], seed: int
) -> NDArray[np.float32]:
    """A place for every item.

    Up to `MOST_EMBEDDED` items are laid out by t-SNE on their principal components; of a larger
    catalogue, those with the largest weights are, and every other item is put at the mean of its
    nearest ones' places. Items without a direction of their own (a zero embedding: they were in no
    training history) have no neighbours; they stand in rows below the map.

    Args:
        items: embeddings ``[items, size]``.
        weights: how well known each item is, ``[items]``; any measure.
        seed: of the random numbers; the same one gives the same map on the same machine.

    Returns:
        ``float32 [items, 2]``: x from 0 to 1, y from 0 (top) to 1, or a little
        further down for the rows below.
    """
    learned = ~unlearned(items)
    places = np.empty((len(items), 2), dtype=np.float32)
    places[learned] = _scaled(_embedded(items[learned], weights[learned], seed))
    foot = float(places[learned, 1].max(initial=0))
    places[~learned] = rows_below(int((~learned).sum()), foot)
    return places


def unlearned(items: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which items, ``bool [items]``, have no direction: nothing was learned about them."""
    return np.asarray(np.linalg.norm(items, axis=1) <= 1e-6)


def rows_below(count: int, foot: float) -> NDArray[np.float32]:
    """Places ``[count, 2]`` in even rows, the first of them a little under ``foot``."""
    across = max(50, int(np.ceil(np.sqrt(10 * count))))
    order = np.arange(count)
    return np.stack(
        [(order % across + 0.5) / across, foot + 0.06 + (order // across) / across], axis=1
    ).astype(np.float32)


def principal_components(items: NDArray[np.float32], components: int) -> NDArray[np.float32]:
    """The directions of largest variance, ``[items, min(components, size)]``, largest first.

    By the covariance's eigenvectors, so that time grows with the items only once; a direction's
    sign is that of its largest part, so that the map does not flip.
    """
    mean = items.mean(axis=0, dtype=np.float64)
    blocks = range(0, len(items), PLACED_AT_ONCE)
    covariance = np.zeros((items.shape[1], items.shape[1]))
    for start in blocks:
        centred = items[start : start + PLACED_AT_ONCE] - mean
        covariance += centred.T @ centred
    _values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :components]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    parts = [(items[start : start + PLACED_AT_ONCE] - mean) @ axes for start in blocks]
    return np.concatenate(parts).astype(np.float32)


def _embedded(
    items: NDArray[np.float32], weights: NDArray[np.integer], seed: int
) -> NDArray[np.float32]:
    """Unscaled places ``[items, 2]`` of items with a direction."""
    if len(items) < 4:  # too few for t-SNE, or for a shape at all
        return np.arange(2 * len(items), dtype=np.float32).reshape(-1, 2)
    vectors = principal_components(items, COMPONENTS)
    # Stable: of equally well-known items the one with the smaller number comes first.
    chosen = np.sort(np.argsort(-weights, kind="stable")[:MOST_EMBEDDED])
    places = np.empty((len(items), 2), dtype=np.float32)
    places[chosen] = _tsne(vectors[chosen], seed)
    others = np.setdiff1d(np.arange(len(items)), chosen)
    if len(others):
        places[others] = _between(vectors[others], vectors[chosen], places[chosen])
    return places


def _tsne(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE  # a second: where a map is drawn, not where a service starts

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    # One thread: the service answers requests meanwhile, and sums keep their order.
    start = np.zeros((len(vectors), 2), dtype=np.float32)
    start[:, : vectors.shape[1]] = vectors[:, :2]
    start *= np.float32(1e-4) / max(float(start[:, 0].std()), 1e-12)
    model = TSNE(2, perplexity=perplexity, init=start, random_state=seed % 2**32, n_jobs=1)
    return np.asarray(model.fit_transform(vectors), dtype=np.float32)


def _between(
    vectors: NDArray[np.float32], anchors: NDArray[np.float32], places: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Mean places of each vector's nearest anchors, the nearer the heavier."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(anchors)), n_jobs=1).fit(anchors)
    found = np.empty((len(vectors), 2), dtype=np.float32)
    for start in range(0, len(vectors), PLACED_AT_ONCE):
        block = slice(start, start + PLACED_AT_ONCE)
        distances, nearest = index.kneighbors(vectors[block])
        shares = 1 / (distances + 1e-6)
        shares /= shares.sum(axis=1, keepdims=True)
        found[block] = np.einsum("nk,nkd->nd", shares, places[nearest])
    return found


def _scaled(places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turned so that it is widest from left to right, and scaled into the middle of the square."""
    if not len(places):
        return np.empty((0, 2), dtype=np.float32)
    places = principal_components(places, 2)
    low, high = places.min(axis=0), places.max(axis=0)
    middle, extent = (low + high) / 2, max(float((high - low).max()), 1e-9)
    return np.asarray((places - middle) / extent + 0.5, dtype=np.float32)
