"""The model that answers, and its exchange for another while requests go on."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.tuning import tune
from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import CLLM4RecError, InputError
from cllm4rec.ranking import Scorer
from cllm4rec.recommender.catalogue import Catalogue
from cllm4rec.recommender.intact import model_fingerprint
from cllm4rec.recommender.similar import SimilarItems
from cllm4rec.run import read_json
from cllm4rec.seeds import derived_seed
from cllm4rec.service.subprocess_scorer import ScorerGone, ScoringProcess, frame_of
from cllm4rec.service.type_ahead import TypeAhead

LOADS = 3
"""Tries at reading a model that is being replaced at the same time."""


@dataclass(frozen=True, eq=False)
class Served:
    """One loaded model and what goes with it; never changed, only exchanged.

    Attributes:
        scorer: the model, blended with its prior where it has one.
        frame: tokens of a document besides its items.
        config: settings it was trained with.
        dataset: the run's data.
        catalogue: titles, attributes and ids.
        type_ahead: searches the titles.
        known: what every known user has had, oldest first.
        similar: nearest neighbours of the items.
        version: the model's, from its bytes.
    """

    scorer: Scorer
    frame: int
    config: Config
    dataset: Dataset
    catalogue: Catalogue
    type_ahead: TypeAhead
    known: Interactions
    similar: SimilarItems
    version: str

    @classmethod
    def load(cls, run: Path, *, subprocess: bool = False) -> "Served":
        """Load a run, or a saved folder.

        Args:
            run: what to load.
            subprocess: whether the model runs in a subprocess.

        Raises:
            InputError: there is no trained model in ``run``, or it cannot be loaded.
            IntegrityError: the model does not fit its backbone or its data, or a file of either is
                not what was written.
        """
        for _ in range(LOADS):
            version = model_version(run)
            try:
                served = cls._load(run, version, subprocess=subprocess)
            except CLLM4RecError:
                if _is_still(run, version):
                    raise
                continue
            if _is_still(run, version):
                return served
        raise InputError(f"the model in {run} is being replaced; load it when that is done")

    @classmethod
    def _load(cls, run: Path, version: str, *, subprocess: bool) -> "Served":
        load_scorer = _in_subprocess if subprocess else _here
        scorer, frame = load_scorer(run)  # verifies the files read below
        dataset = Dataset.open(run / "data")
        catalogue = Catalogue(dataset)
        catalogue.warm()
        return cls(
            scorer,
            frame,
            Config.model_validate(read_json(run / "model" / "model.json")["config"]),
            dataset,
            catalogue,
            TypeAhead(catalogue),
            dataset.known("recommend"),
            SimilarItems.of_model(run),
            version,
        )

    @property
    def alive(self) -> bool:
        """Whether it can answer; a process of its own may have ended."""
        return not isinstance(self.scorer, ScoringProcess) or self.scorer.alive

    def close(self) -> None:
        """End the subprocess of the model, if it has one."""
        if isinstance(self.scorer, ScoringProcess):
            self.scorer.close()

    def tokens(self, history_lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of each history's document, near enough to plan with, ``int64 [histories]``."""
        return np.minimum(history_lengths, self.config.corpus.max_items) + self.frame

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
        context = Context.of(self.dataset, derived_seed(self.config.seed, "baselines"))
        ease = baseline_named("ease")
        if reason := ease.unavailable(context):
            raise InputError(f"there is no EASE to compare with: {reason}")
        return tune(ease, self.dataset, context).scorer


def _in_subprocess(run: Path) -> tuple[Scorer, int]:
    scorer = ScoringProcess(run)
    return scorer, scorer.frame


def _here(run: Path) -> tuple[Scorer, int]:
    from cllm4rec.recommender.saved import Recommender  # torch: only where it is needed

    recommender = Recommender.load(run)
    return recommender.scorer, frame_of(recommender)


class NotReady(Exception):
    """No model is loaded yet."""


class ModelHolder:
    """Holds the model that answers now; a load that fails leaves it where it is.

    Args:
        run: folder to load from.
        subprocess: whether models run in subprocesses, so that scoring does not slow the
            requests' bookkeeping, and the other way round.
    """

    def __init__(self, run: Path, *, subprocess: bool = False) -> None:
        self.run = run
        self._subprocess = subprocess
        self.on_load: Callable[[bool], None] = lambda _worked: None
        """Told after every load whether it worked."""
        self.on_pass: Callable[[int, float], None] = lambda _tokens, _seconds: None
        """Told of every forward pass that was done to get a model ready: tokens, seconds."""
        self._current: Served | None = None
        self._loading = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether there is a model that can answer."""
        return self._current is not None and self._current.alive

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
                served = Served.load(self.run, subprocess=self._subprocess)
                try:
                    self._warm_up(served)
                except BaseException:
                    served.close()
                    raise
            except CLLM4RecError:
                self.on_load(False)
                raise
            except Exception as error:
                self.on_load(False)
                gone = isinstance(error, ScorerGone)
                reason = "its process ended" if gone else type(error).__name__
                raise InputError(f"the model in {self.run} cannot be loaded: {reason}") from error
            self._current = served
        self.on_load(True)
        return served

    def revive(self) -> None:
        """Load the model again, in the background, after its process has ended by itself."""
        if self._current is not None and not self.ready and not self._loading.locked():
            progress.note("the scoring process has ended; loading the model again")
            threading.Thread(target=self.reload_or_say, name="revive", daemon=True).start()

    def close(self) -> None:
        """End what answers now; nothing is asked any more."""
        if self._current is not None:
            self._current.close()

    def _warm_up(self, served: Served) -> None:
        """The first passes of a process are slow; nobody's request should be one of them."""
        num_items = len(served.catalogue.items)
        history = list(range(min(50, num_items)))
        for rows in (1, 1, 8, 1, 16, *[1] * 20):
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
    return model_fingerprint(run)[:12]


def _is_still(run: Path, version: str) -> bool:
    try:
        return model_version(run) == version
    except CLLM4RecError:  # without a name for a moment, while another takes its place
        return False
