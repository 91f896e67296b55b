"""SASRec whose items are an ID's embedding plus a map of the item's text, as UniSRec's are."""

from typing import TYPE_CHECKING

from cllm4rec.baselines.base import Context
from cllm4rec.baselines.sasrec import SasRec
from cllm4rec.baselines.text_knn import no_texts
from cllm4rec.linear.text_vectors import whitened

if TYPE_CHECKING:
    from cllm4rec.baselines.networks.items import FreeItems

WHITENING = 1.0
"""Power of the text vectors' components: all of one std, as in UniSRec."""


class SasRecText(SasRec):
    """The same search as SASRec's; the texts are the whitened TF-IDF/SVD vectors."""

    def items(self, dim: int, context: Context) -> "FreeItems":
        """Free vectors of the items, plus a map of their texts."""
        from cllm4rec.baselines.networks.items import TextItems

        return TextItems(whitened(context.text_vectors, WHITENING), dim)

    def unavailable(self, context: Context) -> str | None:
        """What SASRec needs, and texts."""
        return super().unavailable(context) or no_texts(context)
