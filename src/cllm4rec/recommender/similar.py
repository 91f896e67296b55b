"""Similar items by cosine: of the model's vectors, of texts, of who had them; without torch."""

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from scipy.sparse import csr_matrix

from cllm4rec.data.arguments import shown
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.ranking import top_k
from cllm4rec.recommender.added import AddedItems
from cllm4rec.recommender.placing import WORDS, Placing
from cllm4rec.run import read_json

By = Literal["model", "content", "collaboration", "both"]
"""What is compared: the model's embeddings, the texts, who had the items, or the latter two."""
Cosines = NDArray[np.float32]


class Similar(ABC):
    """Nearest neighbours of items."""

    strangers: ClassVar[bool] = False
    """Whether items that have nothing in common with one may be listed."""
    nothing: ClassVar[str] = "the item has no text, and nobody had it in training"
    """Why an item is like no other."""

    @abstractmethod
    def cosines(self, item: int) -> Cosines:
        """With every item, ``float32 [items]``."""

    def to(self, item: int, k: int) -> tuple[list[int], list[float]]:
        """The ``k`` items nearest to ``item``, nearest first, and their cosines.

        Raises:
            InputError: the item has nothing to be compared by.
        """
        cosines = self.cosines(item)
        if not self.strangers and not cosines[item] > 0:
            raise InputError(f"{self.nothing}; compare by model")
        itself = Interactions.from_lists([[item]], len(cosines))
        found, scores = top_k(cosines[None], itself, min(k, len(cosines) - 1))
        listed = len(scores[0]) if self.strangers else int((scores[0] > 0).sum())
        return found[0][:listed].tolist(), scores[0][:listed].tolist()


class SimilarItems(Similar):
    """By the model's vectors.

    Args:
        embeddings: item vectors ``float32 [items, size]``.
    """

    strangers: ClassVar[bool] = True

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

    def cosines(self, item: int) -> Cosines:
        """Zeros for an item whose vector is zero."""
        table = self.embeddings
        found: Cosines = (table @ table[item]) / (self._norms * self._norms[item])
        return found

    @cached_property
    def _norms(self) -> NDArray[np.float32]:
        norms: NDArray[np.float32] = np.linalg.norm(self.embeddings, axis=1)
        return norms.clip(1e-12)


class SimilarTexts(SimilarItems):
    """By vectors of the texts."""

    strangers: ClassVar[bool] = False
    nothing: ClassVar[str] = "the item has no text with a word that says anything"

    @classmethod
    def of(cls, folder: Path, added: AddedItems | None = None) -> "SimilarTexts":
        """Read what a run, or a saved folder, keeps of its texts.

        Raises:
            InputError: it keeps nothing.
        """
        if not (folder / "model" / WORDS).is_file():
            raise InputError(
                f"{folder} keeps no texts to compare items by: they have none that it was trained "
                f"with, or an earlier version trained it; compare by model or collaboration"
            )
        vectors = Placing.read(folder).texts.items
        return cls(vectors if added is None else np.concatenate([vectors, added.vectors]))


class SimilarAudiences(Similar):
    """By who had them in training, as the baseline ``item-knn``.

    Args:
        train: training interactions.
    """

    nothing: ClassVar[str] = "nobody had the item in training"

    def __init__(self, train: Interactions) -> None:
        self._users: csr_matrix = train.matrix().T.tocsr()
        self._norms = np.sqrt(np.maximum(np.diff(self._users.indptr), 1)).astype(np.float32)

    def cosines(self, item: int) -> Cosines:
        """Zeros for an item that nobody had."""
        together = (self._users @ self._users[item].T).toarray()[:, 0]
        return np.asarray(together / (self._norms * self._norms[item]), np.float32)


class SimilarByBoth(Similar):
    """By the mean of two cosines.

    Args:
        first: of the two.
        second: of the two.
    """

    def __init__(self, first: Similar, second: Similar) -> None:
        self._first, self._second = first, second

    def cosines(self, item: int) -> Cosines:
        """The mean, ``float32 [items]``."""
        both = self._first.cosines(item) + self._second.cosines(item)
        return np.asarray(both / 2, np.float32)


def similar_by(by: By, folder: Path, dataset: Dataset, added: AddedItems | None = None) -> Similar:
    """What compares the items of a run, or of a saved folder.

    Args:
        by: what is compared.
        folder: of either; its seal must have been verified.
        dataset: its data, with the items that were added.
        added: these.

    Raises:
        InputError: there is no such comparison, or there are no texts to compare.
    """
    if by not in get_args(By):
        raise InputError(f"by is {shown(by)}; give {', '.join(get_args(By)[:-1])} or both")
    if by == "model":
        return SimilarItems.of_model(folder, added)
    if by == "content":
        return SimilarTexts.of(folder, added)
    audiences = SimilarAudiences(dataset.part("train"))
    return (
        audiences
        if by == "collaboration"
        else SimilarByBoth(SimilarTexts.of(folder, added), audiences)
    )
