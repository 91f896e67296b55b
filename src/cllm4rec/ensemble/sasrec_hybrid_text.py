"""The fairest rival that sees the texts too: its items are made of them, as our default's are."""

from typing import TYPE_CHECKING

import torch

from cllm4rec.baselines.base import Context, Settings
from cllm4rec.baselines.ease_lm import EaseLm
from cllm4rec.baselines.text_knn import no_texts
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.sasrec_hybrid import SasRecHybrid
from cllm4rec.linear.text_vectors import with_reading

if TYPE_CHECKING:
    from cllm4rec.baselines.networks.items import FreeItems
    from cllm4rec.baselines.networks.transformer import SasRecNetwork


class SasRecHybridText(SasRecHybrid):
    """`SasRecHybrid` whose items are a free vector plus a trained map of their text.

    The texts are TF-IDF vectors beside what the reader reads; TF-IDF alone if its depth is 0. The
    map begins at zero, so that training begins where `SasRecHybrid`'s does. What is left between
    this row and our default is the transformer and how it is trained.
    """

    def items(self, dim: int, context: Context) -> "FreeItems":
        """Free vectors of the items, plus a map of their texts."""
        from cllm4rec.baselines.networks.items import TextItems

        reader = EaseLm(**self.reader)
        texts = context.text_vectors
        return TextItems(with_reading(texts, reader.read(context)) if reader.reads else texts, dim)

    def network(self, settings: Settings, train: Interactions, context: Context) -> "SasRecNetwork":
        """The network with factors as its item table and a map of zeros."""
        network = super().network(settings, train, context)
        torch.nn.init.zeros_(network.items.get_parameter("map.weight"))
        return network

    def unavailable(self, context: Context) -> str | None:
        """What `SasRecHybrid` needs, and texts."""
        return super().unavailable(context) or no_texts(context)
