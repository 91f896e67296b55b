"""The Python interface: whatever the command line does is one call here."""

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from cllm4rec import stages
from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import RunError
from cllm4rec.ranking import RankedItems
from cllm4rec.reasons import reasons
from cllm4rec.recommender import Recommender
from cllm4rec.rundir import RunDir, atomic_folder

__all__ = ["CLLM4Rec", "Config", "Dataset"]


class CLLM4Rec:
    """Collaborative large language model for recommendation (Zhu et al., WWW 2024).

    Example:
        >>> dataset = Dataset.load("data/movielens")          # doctest: +SKIP
        >>> model = CLLM4Rec().fit(dataset)                   # doctest: +SKIP
        >>> model.recommend(["196"], k=10)                    # doctest: +SKIP

    Args:
        config: settings; the default ones if not given.
        run: folder to train in, for resuming and reports; a temporary one if not given.
    """

    def __init__(self, config: Config | None = None, *, run: str | Path | None = None) -> None:
        self.config = config or Config()
        self.run = None if run is None else Path(run)

    def fit(self, dataset: Dataset) -> "CLLM4Rec":
        """Pretrain and finetune; goes on where an interrupted fit of the same data stood.

        Raises:
            InputError: the backbone cannot be had.
        """
        if self.run is None:
            self.run = Path(tempfile.mkdtemp(prefix="cllm4rec-"))
            weakref.finalize(self, shutil.rmtree, self.run, ignore_errors=True)
        run = RunDir(self.run).create()
        stages.adopt(run, dataset, self.config)
        stages.train(run, self.config)
        self.recommender_ = Recommender.load(self.run)
        return self

    def recommend(self, users: list[str], k: int = 10) -> dict[str, list[tuple[str, float]]]:
        """The best ``k`` items of known users, as ``{user_id: [(item_id, score), …]}``, best first.

        Raises:
            UnknownId: a user that is not in the data.
        """
        return dict(zip(users, self._named(self._fitted().recommend(users, k)), strict=True))

    def recommend_for_history(self, items: list[str], k: int = 10) -> list[tuple[str, float]]:
        """The best ``k`` items after a bare history, oldest first, as ``[(item_id, score), …]``.

        Raises:
            UnknownId: an item that is not in the data.
        """
        return self._named(self._fitted().recommend_for_history(items, k))[0]

    def explain(self, user: str, item: str) -> list[tuple[str, float]]:
        """The items of a user's history that speak for ``item``: ``[(item_id, effect), …]``.

        An effect is measured: how far the item's score falls when that one item is left out of the
        history. Strongest first, at most three, only what speaks for it.

        Raises:
            UnknownId: a user or an item that is not in the data.
        """
        recommender = self._fitted()
        dataset = recommender.assembly.dataset
        number = dataset.users.number(user)
        found = reasons(
            recommender.scorer,
            number,
            dataset.known("recommend").of(number),
            np.array([dataset.items.number(item)], np.int32),
            len(dataset.items),
        )
        return [(dataset.items.id(reason.item), reason.effect) for reason in found[0]]

    def evaluate(self) -> dict[str, Any]:
        """The results table on the test part, baselines included."""
        self._fitted()
        assert self.run is not None
        return stages.evaluate(RunDir(self.run))

    def save(self, folder: str | Path) -> None:
        """Write model and data tables to a folder (safetensors, Parquet, JSON), as a whole."""
        self._fitted()
        assert self.run is not None
        with atomic_folder(Path(folder)) as temporary:
            for name in ("data", "model"):
                shutil.copytree(self.run / name, temporary / name)

    @classmethod
    def load(cls, folder: str | Path) -> "CLLM4Rec":
        """Load a run or a saved folder.

        Raises:
            InputError: there is no trained model in it.
            IntegrityError: it was made with another backbone.
        """
        recommender = Recommender.load(Path(folder))
        model = cls(recommender.assembly.config, run=folder)
        model.recommender_ = recommender
        return model

    def _fitted(self) -> Recommender:
        recommender: Recommender | None = getattr(self, "recommender_", None)
        if recommender is None:
            raise RunError(
                "this CLLM4Rec is not fitted; call fit(dataset) or CLLM4Rec.load(folder)"
            )
        return recommender

    def _named(self, ranked: RankedItems) -> list[list[tuple[str, float]]]:
        items = self._fitted().assembly.dataset.items
        return [
            [(items.id(int(i)), float(s)) for i, s in zip(row, scores, strict=True) if i >= 0]
            for row, scores in zip(ranked.items, ranked.scores, strict=True)
        ]
