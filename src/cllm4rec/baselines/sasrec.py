"""SASRec: self-attentive sequential recommendation (Kang & McAuley, ICDM 2018)."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from cllm4rec.baselines.base import Context, Settings
from cllm4rec.baselines.neural import NeuralBaseline
from cllm4rec.baselines.searched import (
    is_dropout,
    is_layers,
    is_rate,
    is_width,
    refuse_other_losses,
    refuse_other_than,
)
from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer
from cllm4rec.seeds import derived_seed

if TYPE_CHECKING:
    from cllm4rec.baselines.networks.items import FreeItems
    from cllm4rec.baselines.networks.losses import Loss
    from cllm4rec.baselines.networks.transformer import SasRecNetwork

LARGE_ITEMS = 6_000
"""Catalogues above this get the short grid."""
MAX_LENGTH = 50
"""Items of a history that are read, the newest."""
LOSSES = ("full", "sampled", "gbce")


class SasRec(NeuralBaseline):
    """What comes next, from the order of what came before.

    With one sampled negative, as in the paper, it ranks overconfidently and is far below what it
    can be (Klenitskiy & Vasilev, RecSys 2023; Petrov & Macdonald, RecSys 2023); so the softmax is
    over the whole catalogue, or over many negatives with a correction.

    Args:
        dims: widths; none: 64, 128 and 256, of a large catalogue 128 and 256.
        dropouts: none: .2 and .5, of a large catalogue .5.
        layers: numbers of blocks.
        learning_rates: of Adam.
        losses: ``full``, ``sampled`` (2,048 negatives), ``gbce``.

    Raises:
        ValueError: a loss that does not exist, an empty list, or what is no list of numbers.
    """

    epochs: ClassVar[tuple[int, ...]] = (5, 10, 15, 20, 30, 40, 60, 80, 120, 160)

    def __init__(
        self,
        dims: Sequence[int] | None = None,
        dropouts: Sequence[float] | None = None,
        layers: Sequence[int] = (2,),
        learning_rates: Sequence[float] = (1e-3,),
        losses: Sequence[Literal["full", "sampled", "gbce"]] = ("full",),
    ) -> None:
        refuse_other_than("whole numbers from 1 to 4096", "dims", dims, is_width)
        refuse_other_than("numbers from 0, below 1", "dropouts", dropouts, is_dropout)
        refuse_other_than("whole numbers from 1 to 12", "layers", layers, is_layers)
        refuse_other_than("numbers above 0", "learning_rates", learning_rates, is_rate)
        refuse_other_losses(losses, LOSSES)
        self.dims, self.dropouts, self.layers = dims, dropouts, layers
        self.learning_rates, self.losses = learning_rates, losses

    def networks(self, num_items: int) -> list[Settings]:
        """``dim``, the width, × ``dropout`` × ``layers`` × ``learning_rate`` × ``loss``."""
        large = num_items > LARGE_ITEMS
        dims = self.dims or ((128, 256) if large else (128, 256, 64))
        dropouts = self.dropouts or ((0.5,) if large else (0.5, 0.2))
        return [
            {"dim": dim, "dropout": dropout, "layers": count, "learning_rate": rate, "loss": loss}
            for loss, rate, count, dropout, dim in product(
                self.losses, self.learning_rates, self.layers, dropouts, dims
            )
        ]

    def trained(
        self, settings: Settings, train: Interactions, context: Context
    ) -> Iterator[tuple[int, Scorer]]:
        """Adam on batches of sequences of similar length."""
        # Torch is loaded where a network is trained; the other baselines do without it.
        from cllm4rec.baselines.networks.checkpoints import checkpoints
        from cllm4rec.baselines.networks.sequences import SasRecScorer, training_epoch
        from cllm4rec.models.randomness import seeded

        seed = derived_seed(context.seed, self.name, str(settings))
        with seeded(seed, "weights"):
            network = self.network(settings, train, context)
        epoch = training_epoch(
            network,
            train,
            seed=seed,
            learning_rate=float(settings["learning_rate"]),
            loss=cast("Loss", settings["loss"]),
        )
        popularity = train.item_counts()
        for epochs, trained in checkpoints(network, epoch, self.epochs, label=self.name, seed=seed):
            yield epochs, SasRecScorer(trained, popularity)

    def network(self, settings: Settings, train: Interactions, context: Context) -> "SasRecNetwork":
        """The network before training."""
        from cllm4rec.baselines.networks.transformer import SasRecNetwork

        return SasRecNetwork(
            self.items(int(settings["dim"]), context),
            dim=int(settings["dim"]),
            layers=int(settings["layers"]),
            dropout=float(settings["dropout"]),
            max_length=MAX_LENGTH,
        )

    def items(self, dim: int, context: Context) -> "FreeItems":
        """The items' vectors before training, which the network initialises."""
        from cllm4rec.baselines.networks.items import FreeItems

        return FreeItems(context.num_items, dim)

    def unavailable(self, context: Context) -> str | None:
        """Histories must have an order."""
        if context.ordered:
            return None
        return "the interactions have no order; add a column timestamp or position"
