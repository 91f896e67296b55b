"""Similar items by cosine of their vectors; reads the saved tensors without torch."""

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import top_k
from cllm4rec.recommender.added import AddedItems
from cllm4rec.run import read_json


class SimilarItems:
    """Nearest neighbours by cosine.

    Args:
        embeddings: item vectors ``float32 [items, size]``.
    """

    def __init__(self, embeddings: NDArray[np.float32]) -> None:
        self.embeddings = embeddings

    @classmethod
    def of_model(cls, folder: Path, added: AddedItems | None = None) -> "SimilarItems":
        """Read the item vectors of a run, or of a saved folder.

        Args:
            folder: of either.
            added: items that were added, if any: means of their neighbours.
        """
        model = folder / "model"
        place = read_json(model / "model.json")["item_vectors"]
        with safe_open(model / place["file"], "numpy") as file:
            table = file.get_tensor(place["tensor"])
        if added is not None:
            table = np.concatenate([table, np.asarray(added.neighbours @ table, np.float32)])
        return cls(table)

    def to(self, item: int, k: int) -> tuple[list[int], list[float]]:
        """The ``k`` items nearest to ``item``, nearest first, and their cosines."""
        table = self.embeddings
        cosines = (table @ table[item]) / (self._norms * self._norms[item])
        itself = Interactions.from_lists([[item]], len(cosines))
        items, scores = top_k(cosines[None], itself, min(k, len(cosines) - 1))
        return items[0].tolist(), scores[0].tolist()

    @cached_property
    def _norms(self) -> NDArray[np.float32]:
        norms: NDArray[np.float32] = np.linalg.norm(self.embeddings, axis=1)
        return norms.clip(1e-12)
