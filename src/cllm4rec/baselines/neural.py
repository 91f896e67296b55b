"""Neural baselines: one training gives a scorer after each of several numbers of epochs."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, ClassVar

from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.ranking import Scorer


class NeuralBaseline(Baseline):
    """A grid of networks, each evaluated after several numbers of epochs."""

    draws_at_random = True
    patience: ClassVar[int | None] = 2
    epochs: ClassVar[tuple[int, ...]]
    """Epochs after which to evaluate, ascending."""

    @abstractmethod
    def networks(self, num_items: int) -> list[Settings]:
        """Settings to train a network with; fewer for a large catalogue."""

    @abstractmethod
    def trained(
        self, settings: Settings, train: Interactions, context: Context
    ) -> Iterator[tuple[int, Scorer]]:
        """Yield a scorer after each number of ``epochs``; trains on when the next is needed."""

    def grid(self, num_items: int) -> list[Settings]:
        """Every network's settings with every number of ``epochs``."""
        return [
            {**settings, "epochs": epochs}
            for settings in self.networks(num_items)
            for epochs in self.epochs
        ]

    def trainings(
        self, train: Interactions, context: Context
    ) -> Iterator[Iterator[tuple[Settings, Scorer]]]:
        """One training per network."""
        for settings in self.networks(context.num_items):
            yield self._points(settings, train, context)

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """The points of all trainings, none of them stopped early."""
        return chain.from_iterable(self.trainings(train, context))

    def refitted(self, chosen: Mapping[str, Any], train: Interactions, context: Context) -> Scorer:
        """One training, to the chosen number of epochs."""
        for settings in self.networks(context.num_items):
            if settings.items() <= chosen.items():
                for epochs, scorer in self.trained(settings, train, context):
                    if epochs == chosen["epochs"]:
                        return scorer
        raise InputError(f"{self.name} has no network of the settings {dict(chosen)}")

    def _points(
        self, settings: Settings, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        for epochs, scorer in self.trained(settings, train, context):
            yield {**settings, "epochs": epochs}, scorer
