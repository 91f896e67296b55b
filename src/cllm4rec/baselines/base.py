"""What a baseline is: a grid of settings and a fitted scorer for each of them.

A package of your own brings one without a change here. It declares an entry point, whose name is
the baseline's::

    [project.entry-points."cllm4rec.baselines"]
    recency = "my_package.recency:Recency"

and once it is installed, the name may stand in the settings, with keyword arguments of the class::

    [evaluate]
    baselines = ["popularity", "ease", "recency"]

    [evaluate.baseline_settings.recency]
    decays = [0.5, 0.9]

`Recency` is a subclass of `Baseline`. Values in ``baseline_settings`` are numbers, texts, truth
values, lists and tables of them; what the class refuses with ``ValueError`` is said in one line.
The class is imported by ``evaluate`` and ``bench quality``, not when settings are read. A name of
ours cannot be replaced.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.data.item_rows import joined
from cllm4rec.data.texts import Texts
from cllm4rec.errors import InputError
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.text_space import TextSpace
from cllm4rec.ranking import Scorer

Settings = dict[str, float | int | str]
"""One point of a grid; an empty one where there is nothing to tune."""
Refinement = Callable[[Settings], Iterator[tuple[Settings, Scorer]]]
"""From the best settings so far to more of them, with their scorers."""
MANY_USERS = 2000
"""Validation users from which on settings that lie close together are told apart
(docs/decisions/0005, 0018)."""


@dataclass(frozen=True, slots=True)
class Demanding:
    """A refinement whose points count only where they are better by a share of the best so far.

    Attributes:
        points: the refinement.
        gain: the share.
    """

    points: Refinement
    gain: float

    def __call__(self, best: Settings) -> Iterator[tuple[Settings, Scorer]]:
        """As the refinement."""
        return self.points(best)


@dataclass(frozen=True, eq=False)
class Context:
    """What baselines are fitted from besides the training interactions.

    Attributes:
        num_items: size of the catalogue.
        words: one text per item, empty where there is none.
        seed: of whatever draws at random.
        ordered: whether a history's items are known to stand in the order of time.
        newest_held_out: whether what is held out are each user's newest interactions.
        selection: on validation, for a baseline that tunes a part of its own.
    """

    num_items: int
    words: Sequence[str]
    seed: int = 0
    ordered: bool = False
    newest_held_out: bool = False
    selection: Selection | None = None

    @classmethod
    def of(cls, dataset: Dataset, seed: int = 0, selection: Selection | None = None) -> "Context":
        """The context of prepared data."""
        return cls(
            len(dataset.items),
            _words(dataset.texts),
            seed,
            dataset.ordered,
            dataset.newest_held_out,
            selection,
        )

    def without_texts(self) -> "Context":
        """The same without a word."""
        return replace(self, words=[""] * self.num_items)

    @cached_property
    def text_space(self) -> TextSpace:
        """The space of the items' words, computed at the first use and kept."""
        with progress.task("Space of the items' words"):
            return TextSpace.fit(self.words, seed=self.seed)

    @cached_property
    def text_vectors(self) -> NDArray[np.float32]:
        """Item text vectors ``float32 [items, d]``, computed at the first use and kept."""
        return self.text_space.items


class Baseline(ABC):
    """A family of scorers and the settings to try."""

    name: str = "baseline"
    """That in ``evaluate.baselines`` and in the results table; `baseline_named` sets it."""
    draws_at_random: bool = False
    """Whether another seed gives another scorer, beyond rounding; a bench then runs every seed."""
    backbone: str | None = None
    """Name of the language model that reads the texts, as ``backbone.name``; None: none reads. A
    bench's results hold for the files that it had."""
    patience: ClassVar[int | None] = None
    """Points of a training without a better one after which its rest is left out; None: never."""

    @abstractmethod
    def grid(self, num_items: int) -> list[Settings]:
        """Settings to try; of equally good ones the first is kept."""

    def points(self, context: Context) -> list[Settings]:
        """Those of the grid that have a meaning for these data; by default all."""
        return self.grid(context.num_items)

    @abstractmethod
    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """Yield a scorer for every one of `points`, in order; shared work is done once."""

    def trainings(
        self, train: Interactions, context: Context
    ) -> Iterator[Iterator[tuple[Settings, Scorer]]]:
        """The candidates again, in groups: the points of a group are stages of one training.

        Who stops asking a group for points stops its training. Here all points are one group.
        """
        yield self.candidates(train, context)

    def refinements(
        self, train: Interactions, context: Context, users: int
    ) -> Sequence[Refinement]:
        """Rounds after the grid, each around the best point so far; none by default.

        Args:
            train: to fit on.
            context: as in `candidates`.
            users: validation users that select; few cannot choose among many near points
                (`MANY_USERS`).
        """
        return ()

    def chosen(self, settings: Settings, scorer: Scorer) -> dict[str, Any]:
        """What `refitted` needs of the best point: its settings, and of a part that was tuned too.

        Args:
            settings: of the best point.
            scorer: that of these settings.
        """
        return dict(settings)

    def refitted(self, chosen: Mapping[str, Any], train: Interactions, context: Context) -> Scorer:
        """A scorer of what was `chosen` on other parts of the data; nothing is chosen again.

        Here every candidate before it is fitted too.

        Args:
            chosen: of `chosen`.
            train: to fit on.
            context: as in `candidates`; its selection plays no part.

        Raises:
            InputError: no candidate has these settings.
        """
        for settings, scorer in self.candidates(train, context):
            if settings.items() <= chosen.items():
                return scorer
        raise InputError(f"{self.name} has no candidate of the settings {dict(chosen)}")

    def unavailable(self, context: Context) -> str | None:
        """Why this baseline cannot be fitted here, with the mend; None if it can."""
        return None


def _words(texts: Texts) -> list[str]:
    """The items' words and, where few have a text, what their features say."""
    return joined(texts.item_words(), *texts.word_features.values())
