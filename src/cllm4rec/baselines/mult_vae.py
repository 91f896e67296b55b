"""Mult-VAE: a variational autoencoder with a multinomial likelihood (Liang et al., WWW 2018)."""

from collections.abc import Iterator
from typing import ClassVar

from cllm4rec.baselines.base import Context, Settings
from cllm4rec.baselines.neural import NeuralBaseline
from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer
from cllm4rec.seeds import derived_seed

LARGE_ITEMS = 6_000
"""Catalogues above this get one network."""


class MultVae(NeuralBaseline):
    """Histories as bags of items, through a narrow normal code, back to the whole catalogue."""

    epochs: ClassVar[tuple[int, ...]] = (20, 50, 100, 150, 200)

    def networks(self, num_items: int) -> list[Settings]:
        """``hidden`` and ``latent`` widths with ``beta``, the weight of the divergence."""
        points = [(600, 200, 0.5)]
        if num_items <= LARGE_ITEMS:
            points += [(300, 100, 0.2), (300, 100, 0.5)]
        return [
            {"hidden": hidden, "latent": latent, "beta": beta} for hidden, latent, beta in points
        ]

    def trained(
        self, settings: Settings, train: Interactions, context: Context
    ) -> Iterator[tuple[int, Scorer]]:
        """Adam on random batches of users."""
        # Torch is loaded where a network is trained; the other baselines do without it.
        from cllm4rec.baselines.networks.checkpoints import checkpoints
        from cllm4rec.baselines.networks.vae import MultVaeNetwork, MultVaeScorer, training_epoch
        from cllm4rec.models.randomness import seeded

        seed = derived_seed(context.seed, self.name, str(settings))
        hidden, latent = int(settings["hidden"]), int(settings["latent"])
        with seeded(seed, "weights"):
            network = MultVaeNetwork(train.num_items, hidden, latent)
        epoch = training_epoch(network, train, beta=float(settings["beta"]), seed=seed)
        for epochs, trained in checkpoints(network, epoch, self.epochs, label=self.name, seed=seed):
            yield epochs, MultVaeScorer(trained)
