"""The served model, and its replacement without interrupting requests."""

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
from cllm4rec.data.item_rows import NO_ROWS
from cllm4rec.errors import CLLM4RecError, InputError
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.properties import PropertyModel
from cllm4rec.ranking import Scorer
from cllm4rec.recommender.added import AddedItems, open_catalogue
from cllm4rec.recommender.catalogue import Catalogue
from cllm4rec.recommender.explain import Comparing
from cllm4rec.recommender.intact import Version, model_fingerprint, read_whole
from cllm4rec.recommender.profiles import property_model
from cllm4rec.recommender.queries import Queries
from cllm4rec.recommender.similar import By, Similar, SimilarItems, similar_by
from cllm4rec.recommender.word_readings import kept_for
from cllm4rec.run import Opened, read_json
from cllm4rec.seeds import derived_seed
from cllm4rec.service.subprocess_scorer import ScorerGone, ScoringProcess, frame_of
from cllm4rec.service.type_ahead import TypeAhead


@dataclass(frozen=True, eq=False)
class Served:
    """One loaded model with its data; immutable, replaced as a whole.

    Attributes:
        scorer: the model, blended with its linear model if it has one.
        frame: tokens of a document besides its items.
        config: of the training.
        dataset: the run's data.
        catalogue: titles, attributes and ids.
        type_ahead: searches the titles.
        known: histories of the run's users, oldest first.
        similar: nearest neighbours of the items.
        version: hash of the model.
        run: what was loaded.
        opened: its model.
        added: items that were added after training.
        words: answers queries in words; None where the run keeps nothing to answer them by.
    """

    scorer: Comparing
    frame: int
    config: Config
    dataset: Dataset
    catalogue: Catalogue
    type_ahead: TypeAhead
    known: Interactions
    similar: SimilarItems
    version: str
    run: Path
    opened: Opened
    added: AddedItems | None = None
    words: Queries | None = None

    @classmethod
    def load(cls, run: Path, *, subprocess: bool = False, instead: Path | None = None) -> "Served":
        """Load a run, or a saved folder.

        Args:
            run: to load.
            subprocess: whether the model runs in a subprocess.
            instead: where readings of words are kept if the run cannot be written.

        Raises:
            InputError: ``run`` has no trained model, or it cannot be loaded.
            IntegrityError: the model does not match its backbone or data, or a file has changed.
        """
        return read_whole(run, lambda version: cls._load(run, version, subprocess, instead))

    @classmethod
    def _load(cls, run: Path, version: Version, subprocess: bool, instead: Path | None) -> "Served":
        # Verifies the files.
        scorer, frame = _in_subprocess(run, instead) if subprocess else _here(run)
        dataset, added = open_catalogue(run)
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
            SimilarItems.of_model(run, added),
            _short(version.fingerprint),
            run,
            version.model,
            added,
            _queries(run, catalogue, added, instead),
        )

    @property
    def alive(self) -> bool:
        """Whether it can answer: false once its subprocess has ended."""
        return not isinstance(self.scorer, ScoringProcess) or self.scorer.alive

    def close(self) -> None:
        """End the subprocess of the model, if it has one."""
        if isinstance(self.scorer, ScoringProcess):
            self.scorer.close()

    def tokens(self, history_lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Approximate tokens of each history's document, for planning, ``int64 [histories]``."""
        return np.minimum(history_lengths, self.config.corpus.max_items) + self.frame

    @property
    def queries(self) -> Queries:
        """What answers queries in words.

        Raises:
            InputError: the run keeps nothing to answer them by.
        """
        # Reading says what is missing.
        return Queries.read(self.run) if self.words is None else self.words

    @cached_property
    def _comparisons(self) -> dict[By, Similar]:
        return {}

    def similar_by(self, by: By) -> Similar:
        """Nearest neighbours by what `By` names; made at the first call, then kept.

        Raises:
            InputError: there are no texts to compare.
        """
        if by == "model":
            return self.similar
        found = self._comparisons.get(by)
        if found is None:
            with self.opened.reading():
                found = similar_by(by, self.run, self.dataset, self.added)
            self._comparisons[by] = found
        return found

    def properties(self) -> PropertyModel:
        """What recommends by users' properties; counted at the first call, then kept.

        Raises:
            InputError: the run knows no properties of its users.
        """
        with self._counting:
            return self._properties

    @cached_property
    def example_profile(self) -> str:
        """Some properties that the run knows, ``age=34, occupation=artist``; empty without any."""
        try:
            return self.properties().example()
        except InputError:
            return ""

    @cached_property
    def _counting(self) -> threading.Lock:
        return threading.Lock()

    @cached_property
    def _properties(self) -> PropertyModel:
        return property_model(self.dataset)

    @cached_property
    def _fitting(self) -> threading.Lock:
        return threading.Lock()

    def ease(self) -> Scorer:
        """The EASE baseline, tuned on the validation part at the first call, then cached.

        Raises:
            InputError: the catalogue is too large for EASE, or nothing is held out to tune it on.
        """
        with self._fitting:
            return self._ease

    @cached_property
    def _ease(self) -> Scorer:
        seed = derived_seed(self.config.seed, "baselines")
        context = Context.of(self.dataset, seed)
        selection = Selection.of(self.dataset, self.config.evaluate.selection, seed)
        ease = baseline_named("ease")
        if reason := ease.unavailable(context):
            raise InputError(f"there is no EASE to compare with: {reason}")
        if not len(selection.users):
            raise InputError(
                "there is no EASE to compare with: nothing is held out for validation, as after "
                "refit, so its settings cannot be chosen; serve the run that it was made from"
            )
        return tune(ease, self.dataset.part("train"), selection, context).scorer


def _queries(
    run: Path, catalogue: Catalogue, added: AddedItems | None, instead: Path | None
) -> Queries | None:
    if not Queries.kept(run):
        return None
    rows = NO_ROWS if added is None else added.rows
    queries = Queries.read(run, catalogue.titles, rows, instead)
    queries.prepare()  # not ready before the words are: no query is to wait a minute
    return queries


def _in_subprocess(run: Path, instead: Path | None) -> tuple[Comparing, int]:
    scorer = ScoringProcess(run, instead)
    return scorer, scorer.frame


def _here(run: Path) -> tuple[Comparing, int]:
    from cllm4rec.recommender.saved import Recommender  # imports torch, so only when needed

    recommender = Recommender.load(run)
    return recommender.scorer, frame_of(recommender)


class NotReady(Exception):
    """No model is loaded yet."""


class ModelHolder:
    """Holds the current model; a failed load leaves it in place.

    Args:
        run: folder to load from.
        subprocess: whether models run in subprocesses, so that scoring and the event loop do not
            slow each other down.
    """

    def __init__(self, run: Path, *, subprocess: bool = False) -> None:
        self.run = run
        self._subprocess = subprocess
        self._instead = kept_for(self)
        self.on_load: Callable[[bool], None] = lambda _worked: None
        """Called after every load, with its success."""
        self.on_pass: Callable[[int, float], None] = lambda _tokens, _seconds: None
        """Called after every warm-up pass, with tokens and seconds."""
        self._current: Served | None = None
        self._loading = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether a model can answer."""
        return self._current is not None and self._current.alive

    @property
    def current(self) -> Served:
        """The current model.

        Raises:
            NotReady: no model is loaded yet.
        """
        if self._current is None:
            raise NotReady("the model is still being loaded; ask again in some seconds")
        return self._current

    def load(self) -> Served:
        """Load the run and replace the current model; concurrent loads run one by one.

        Raises:
            CLLM4RecError: loading failed; the current model stays.
        """
        with self._loading:
            try:
                served = Served.load(self.run, subprocess=self._subprocess, instead=self._instead)
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
        """Reload the model in the background if its subprocess has ended unexpectedly."""
        if self._current is not None and not self.ready and not self._loading.locked():
            progress.note("the scoring process has ended; loading the model again")
            threading.Thread(target=self.reload_or_say, name="revive", daemon=True).start()

    def close(self) -> None:
        """Close the current model."""
        if self._current is not None:
            self._current.close()

    def _warm_up(self, served: Served) -> None:
        """Run some passes, since the first ones of a process are slow."""
        num_items = len(served.catalogue.items)
        history = list(range(min(50, num_items)))
        for rows in (1, 1, 8, 1, 16, *[1] * 20):
            histories = Interactions.from_lists([history] * rows, num_items)
            tokens = int(served.tokens(histories.counts()).sum())
            started_at_s = time.perf_counter()
            served.scorer.score(np.full(rows, -1, np.int32), histories)
            self.on_pass(tokens, time.perf_counter() - started_at_s)

    def reload_or_say(self) -> None:
        """:meth:`load`, reporting the outcome in one line on standard error."""
        before = self._current
        try:
            served = self.load()
        except CLLM4RecError as error:
            kept = f"; model {before.version} goes on" if before is not None else ""
            progress.note(f"reload failed: {' '.join(str(error).split())}{kept}")
        else:
            progress.note(f"serving model {served.version}")


def model_version(run: Path) -> str:
    """Version of the model in a run: twelve hexadecimal digits.

    Raises:
        InputError: ``run`` has no model.
    """
    return _short(model_fingerprint(run))


def _short(fingerprint: str) -> str:
    return fingerprint[:12]
