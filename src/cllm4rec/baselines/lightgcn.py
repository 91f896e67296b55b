"""LightGCN: vectors propagated over the graph of users and items (He et al., SIGIR 2020)."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from cllm4rec.baselines.base import Context, Settings
from cllm4rec.baselines.neural import NeuralBaseline
from cllm4rec.baselines.searched import (
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
    from cllm4rec.baselines.networks.graph import Loss

LARGE_ITEMS = 6_000
"""Catalogues above this get the short grid."""
LOSSES = ("bpr", "sampled")


class LightGcn(NeuralBaseline):
    """Sees no order and no texts; the network is torch_geometric's.

    Args:
        dims: widths; none: 64, of a small catalogue 128 too.
        layers: numbers of propagations; none: 3 and 4, of a small catalogue 2 too.
        learning_rates: of Adam; none: .005, of a small catalogue .002 too.
        losses: ``bpr`` (the paper), ``sampled`` (a softmax over 512 negatives).

    Raises:
        ValueError: a loss that does not exist, an empty list, or what is no list of numbers.
    """

    epochs: ClassVar[tuple[int, ...]] = (5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 240)

    def __init__(
        self,
        dims: Sequence[int] | None = None,
        layers: Sequence[int] | None = None,
        learning_rates: Sequence[float] | None = None,
        losses: Sequence[Literal["bpr", "sampled"]] = ("bpr",),
    ) -> None:
        refuse_other_than("whole numbers from 1 to 4096", "dims", dims, is_width)
        refuse_other_than("whole numbers from 1 to 12", "layers", layers, is_layers)
        refuse_other_than("numbers above 0", "learning_rates", learning_rates, is_rate)
        refuse_other_losses(losses, LOSSES)
        self.dims, self.layers = dims, layers
        self.learning_rates, self.losses = learning_rates, losses

    def networks(self, num_items: int) -> list[Settings]:
        """``dim``, the width, × ``layers`` × ``learning_rate`` × ``loss``."""
        large = num_items > LARGE_ITEMS
        dims = self.dims or ((64,) if large else (64, 128))
        rates = self.learning_rates or ((5e-3,) if large else (5e-3, 2e-3))
        layers = self.layers or ((3, 4) if large else (3, 4, 2))
        return [
            {"dim": dim, "layers": count, "learning_rate": rate, "loss": loss}
            for loss, rate, dim, count in product(self.losses, rates, dims, layers)
        ]

    def trained(
        self, settings: Settings, train: Interactions, context: Context
    ) -> Iterator[tuple[int, Scorer]]:
        """Adam on random batches of pairs, each with a pass over the whole graph."""
        # Torch is loaded where a network is trained; the other baselines do without it.
        from cllm4rec.baselines.networks.checkpoints import checkpoints
        from cllm4rec.baselines.networks.graph import GraphNetwork, GraphScorer, training_epoch
        from cllm4rec.models.randomness import seeded

        seed = derived_seed(context.seed, self.name, str(settings))
        with seeded(seed, "weights"):
            network = GraphNetwork(train, dim=int(settings["dim"]), layers=int(settings["layers"]))
        epoch = training_epoch(
            network,
            train,
            seed=seed,
            learning_rate=float(settings["learning_rate"]),
            loss=cast("Loss", settings["loss"]),
        )
        for epochs, trained in checkpoints(network, epoch, self.epochs, label=self.name, seed=seed):
            yield epochs, GraphScorer(trained, train)

    def unavailable(self, context: Context) -> str | None:
        """The package is an optional extra."""
        if find_spec("torch_geometric") is not None:
            return None
        return (
            "package torch_geometric is not installed; in the checkout: "
            "pip install '.[graph]' -c constraints.txt"
        )
