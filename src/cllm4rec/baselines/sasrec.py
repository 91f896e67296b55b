"""SASRec: self-attentive sequential recommendation (Kang & McAuley, ICDM 2018), full softmax."""

from collections.abc import Iterator
from typing import ClassVar

from cllm4rec.baselines.base import Context, Settings
from cllm4rec.baselines.neural import NeuralBaseline
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.scorer import Scorer
from cllm4rec.seeds import derived_seed

LARGE_ITEMS = 6_000
"""Catalogues above this get the short grid."""
MAX_LENGTH = 50
"""Items of a history that are read, the newest."""


class SasRec(NeuralBaseline):
    """What comes next, from the order of what came before."""

    epochs: ClassVar[tuple[int, ...]] = (5, 10, 15, 20, 30, 40, 60, 80, 120, 160)

    def networks(self, num_items: int) -> list[Settings]:
        """``dim``, the width, with ``dropout``."""
        points = [(128, 0.5), (256, 0.5)]
        if num_items <= LARGE_ITEMS:
            points += [(64, 0.2), (64, 0.5), (128, 0.2)]
        return [{"dim": dim, "dropout": dropout} for dim, dropout in points]

    def trained(
        self, settings: Settings, train: Interactions, context: Context
    ) -> Iterator[tuple[int, Scorer]]:
        """Adam on batches of sequences of similar length."""
        # Torch is loaded where a network is trained; the other baselines do without it.
        from cllm4rec.baselines.networks.checkpoints import checkpoints
        from cllm4rec.baselines.networks.sequences import SasRecScorer, training_epoch
        from cllm4rec.baselines.networks.transformer import SasRecNetwork
        from cllm4rec.models.randomness import seeded

        seed = derived_seed(context.seed, self.name, str(settings))
        with seeded(seed, "weights"):
            network = SasRecNetwork(
                train.num_items,
                dim=int(settings["dim"]),
                dropout=float(settings["dropout"]),
                max_length=MAX_LENGTH,
            )
        epoch = training_epoch(network, train, seed=seed)
        popularity = train.item_counts()
        for epochs, trained in checkpoints(network, epoch, self.epochs, label=self.name, seed=seed):
            yield epochs, SasRecScorer(trained, popularity)

    def unavailable(self, context: Context) -> str | None:
        """Histories must have an order."""
        if context.ordered:
            return None
        return "the interactions have no order; add a column timestamp or position"
