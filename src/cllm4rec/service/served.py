"""The model that answers, and its exchange for another while requests go on."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.baselines import BASELINES, Context
from cllm4rec.baselines.tuning import tune
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import CLLM4RecError, InputError
from cllm4rec.ranking import Scorer, top_k
from cllm4rec.recommender import Recommender, prior_seed
from cllm4rec.rundir import sha256_file
from cllm4rec.service.catalogue import Catalogue

LOADS = 3
"""Tries at reading a model that is being replaced at the same time."""


@dataclass(frozen=True, eq=False)
class Served:
    """One loaded model and what goes with it; never changed, only exchanged.

    Attributes:
        recommender: the trained model.
        catalogue: titles, attributes and ids.
        known: what every known user has had, oldest first.
        version: the model's, from its bytes.
    """

    recommender: Recommender
    catalogue: Catalogue
    known: Interactions
    version: str

    @classmethod
    def load(cls, run: Path) -> "Served":
        """Load a run, or a saved folder.

        Raises:
            InputError: there is no trained model in ``run``.
            IntegrityError: the model does not fit its backbone or its data.
        """
        for _ in range(LOADS):
            version = model_version(run)
            recommender = Recommender.load(run)
            dataset = recommender.assembly.dataset
            served = cls(recommender, Catalogue.of(dataset), dataset.known("recommend"), version)
            if model_version(run) == version:
                return served
        raise InputError(f"the model in {run} is being replaced; load it when that is done")

    @property
    def scorer(self) -> Scorer:
        """The model, blended with its prior where it has one."""
        return self.recommender.scorer

    @property
    def dataset(self) -> Dataset:
        """The run's data."""
        return self.recommender.assembly.dataset

    def named(self, item: int) -> dict[str, str | None]:
        """An item's id and title."""
        return {
            "item_id": self.catalogue.ids[item],
            "title": self.catalogue.titles[item],
        }

    def tokens(self, history_lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of each history's document, near enough to plan with, ``int64 [histories]``."""
        assembly = self.recommender.assembly
        return np.minimum(history_lengths, assembly.config.corpus.max_items) + self._frame

    @cached_property
    def _frame(self) -> int:
        """Tokens of a document besides its items."""
        prompts = self.recommender.assembly.prompts
        empty = np.empty(0, np.int32)
        return len(prompts.recommendation.fill(user=np.zeros(1, np.int32), items=empty))

    def similar(self, item: int, k: int) -> tuple[list[int], list[float]]:
        """The ``k`` items whose embeddings have the largest cosine with ``item``'s."""
        with torch.inference_mode():
            table = self.recommender.model.embedding.items
            cosines = (table @ table[item]) / (self._norms * self._norms[item])
        itself = Interactions.from_lists([[item]], len(cosines))
        items, scores = top_k(cosines.numpy()[None], itself, min(k, len(cosines) - 1))
        return items[0].tolist(), scores[0].tolist()

    @cached_property
    def _norms(self) -> torch.Tensor:
        table = self.recommender.model.embedding.items
        norms: torch.Tensor = torch.linalg.vector_norm(table.detach(), dim=1)
        return norms.clamp_min(1e-12)

    @cached_property
    def _fitting(self) -> threading.Lock:
        return threading.Lock()

    def ease(self) -> Scorer:
        """The EASE baseline, tuned on the validation part at the first call and kept.

        Raises:
            InputError: the catalogue is too large for it.
        """
        with self._fitting:
            return self._ease

    @cached_property
    def _ease(self) -> Scorer:
        assembly = self.recommender.assembly
        context = Context.of(assembly.dataset, prior_seed(assembly.config))
        if reason := BASELINES["ease"].unavailable(context):
            raise InputError(f"there is no EASE to compare with: {reason}")
        return tune(BASELINES["ease"], assembly.dataset, context).scorer


class NotReady(Exception):
    """No model is loaded yet."""


class ModelHolder:
    """Holds the model that answers now; a load that fails leaves it where it is.

    Args:
        run: folder to load from.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.on_load: Callable[[bool], None] = lambda _worked: None
        """Told after every load whether it worked."""
        self.on_pass: Callable[[int, float], None] = lambda _tokens, _seconds: None
        """Told of every forward pass that was done to get a model ready: tokens, seconds."""
        self._current: Served | None = None
        self._loading = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether there is a model."""
        return self._current is not None

    @property
    def current(self) -> Served:
        """The model that answers now.

        Raises:
            NotReady: none is loaded yet.
        """
        if self._current is None:
            raise NotReady("the model is still being loaded; ask again in some seconds")
        return self._current

    def load(self) -> Served:
        """Load the run anew and let it answer from now on; loads wait for each other.

        Raises:
            CLLM4RecError: it cannot be loaded; the model that answered goes on.
        """
        with self._loading:
            try:
                served = Served.load(self.run)
            except CLLM4RecError:
                self.on_load(False)
                raise
            except Exception as error:
                self.on_load(False)
                raise InputError(
                    f"the model in {self.run} cannot be loaded: {type(error).__name__}"
                ) from error
            self._warm_up(served)
            self._current = served
        self.on_load(True)
        return served

    def _warm_up(self, served: Served) -> None:
        """The first passes of a process are slow; nobody's request should be one of them."""
        num_items = len(served.catalogue.items)
        history = list(range(min(50, num_items)))
        for rows in (1, 8, 1, 16, 1):
            histories = Interactions.from_lists([history] * rows, num_items)
            tokens = int(served.tokens(histories.counts()).sum())
            started_at_s = time.perf_counter()
            served.scorer.score(np.full(rows, -1, np.int32), histories)
            self.on_pass(tokens, time.perf_counter() - started_at_s)

    def reload_or_say(self) -> None:
        """As :meth:`load`, with the outcome as one line on standard error."""
        before = self._current
        try:
            served = self.load()
        except CLLM4RecError as error:
            kept = f"; model {before.version} goes on" if before is not None else ""
            progress.note(f"reload failed: {' '.join(str(error).split())}{kept}")
        else:
            progress.note(f"serving model {served.version}")


def model_version(run: Path) -> str:
    """Twelve hexadecimal digits that say which model lies in a run.

    Raises:
        InputError: there is none.
    """
    digest = hashlib.sha256()
    for name in ("model.json", "model.safetensors"):
        path = run / "model" / name
        try:
            digest.update(sha256_file(path).encode())
        except OSError:
            raise InputError(
                f"no trained model in {run / 'model'}; run `cllm4rec train` first"
            ) from None
    return digest.hexdigest()[:12]
