"""User and item vectors of a run, and how far their lists are from the run's own."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import save_file

from cllm4rec import progress, seeds
from cllm4rec.data.dataset import Dataset
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.lists import ranked
from cllm4rec.recommender.scorer import ModelScorer

BLOCK_USERS = 10_000
SAMPLE_USERS = 1_000
"""Users whose lists are compared."""


class Vectors(NamedTuple):
    """The language model's score of user u for item i is ``users[u] · items[i] + biases[i]``.

    Attributes:
        users: ``float32 [users, size]``.
        items: ``float32 [items, size]``.
        biases: ``float32 [items]``.
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]
    biases: NDArray[np.float32]

    @property
    def queries(self) -> NDArray[np.float32]:
        """Users with a 1 behind, which meets the bias: ``float32 [users, size + 1]``."""
        return np.hstack([self.users, np.ones((len(self.users), 1), np.float32)])

    @property
    def candidates(self) -> NDArray[np.float32]:
        """Items with their bias behind: ``float32 [items, size + 1]``."""
        return np.hstack([self.items, self.biases[:, None]])


def vectors_of(scorer: ModelScorer, dataset: Dataset) -> Vectors:
    """Vectors of all users, from all that is known of them, and of all items."""
    audience = Audience.of_run(dataset)
    users = np.empty((len(audience), scorer.model.embedding.size), np.float32)
    with progress.task("User vectors", total=len(audience), unit="user") as task:
        for start in range(0, len(audience), BLOCK_USERS):
            end = min(start + BLOCK_USERS, len(audience))
            histories = audience.histories.rows(np.arange(start, end))
            for rows, queries in scorer.queries(audience.numbers[start:end], histories):
                users[start + rows] = queries.cpu().numpy()
            task.advance(end - start)
    return Vectors(users, *scorer.item_vectors())


def write_vectors(vectors: Vectors, dataset: Dataset, folder: Path) -> None:
    """Write ``vectors.safetensors``, ``seen.safetensors`` and the ids in the rows' order."""
    save_file(
        {"users": vectors.users, "items": vectors.items, "item_biases": vectors.biases},
        folder / "vectors.safetensors",
    )
    known = dataset.known("recommend").joined(dataset.excluded)
    seen: dict[str, NDArray[Any]] = {
        "offsets": np.array(known.offsets),
        "items": np.array(known.items),
    }
    save_file(seen, folder / "seen.safetensors")
    for name, ids in (("user_id", dataset.users), ("item_id", dataset.items)):
        table = pa.table({name: ids.external.cast(pa.string())})
        pq.write_table(table, folder / f"{name.removesuffix('_id')}s.parquet")


def sample_of(size: int, seed: int) -> NDArray[np.int64]:
    """At most :data:`SAMPLE_USERS` user numbers, ascending."""
    chosen = seeds.generator(seed, "export").permutation(size)[:SAMPLE_USERS]
    return np.sort(chosen)


def overlap_with_blend(scorer: ModelScorer, audience: Audience, k: int) -> float:
    """Mean fraction of the blend's ``k`` items that the language model also lists."""
    language_model = scorer.language_model_alone()
    lists = [ranked(each, audience.request(k)).items for each in (language_model, scorer)]
    return overlap(*lists)


def overlap(lists: NDArray[np.int32], wanted: NDArray[np.int32]) -> float:
    """Mean fraction of a list's items (−1 is none) that the other list also has."""
    shared = [
        len(np.intersect1d(a[a >= 0], b[b >= 0])) / max(1, int((b >= 0).sum()))
        for a, b in zip(lists, wanted, strict=True)
    ]
    return float(np.mean(shared))
