"""SASRec: a causal transformer over the items of a history, oldest first (Kang & McAuley 2018).

A prefix
is trained exactly as it is asked: positions are counted from the oldest item, and neither padding
nor later items change what is said after it.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from cllm4rec.baselines.networks.items import FreeItems

HEADS = 2


class Block(nn.Module):
    """Causal self-attention and a two-layer map, each normalised before and added to its input.

    Args:
        dim: width.
        dropout: probability, of both additions and of the attention's weights.
    """

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = nn.Linear(dim, 3 * dim)
        self.mixed = nn.Linear(dim, dim)
        self.map_norm = nn.LayerNorm(dim)
        self.map = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim)
        )

    def forward(self, hidden: Float[Tensor, "batch length dim"]) -> Tensor:
        """Hidden states of the same shape."""
        added = self.mixed(self._attend(self.attention_norm(hidden)))
        hidden = hidden + functional.dropout(added, self.dropout, self.training)
        added = self.map(self.map_norm(hidden))
        return hidden + functional.dropout(added, self.dropout, self.training)

    def _attend(self, hidden: Tensor) -> Tensor:
        batch, length, dim = hidden.shape
        parts = self.attention(hidden).view(batch, length, 3, HEADS, dim // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=self.dropout if self.training else 0.0
        )
        return mixed.transpose(1, 2).reshape(batch, length, dim)


class SasRecNetwork(nn.Module):
    """Item and position embeddings, blocks, and the item embeddings again as the output's weights.

    Args:
        items: vectors of width ``dim``, a multiple of two heads.
        dim: width.
        layers: number of blocks.
        dropout: probability, everywhere.
        max_length: longest input, in items.
    """

    def __init__(
        self, items: FreeItems, *, dim: int, layers: int, dropout: float, max_length: int
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.max_length = max_length
        self.items = items
        self.positions = nn.Embedding(max_length, dim)
        self.blocks = nn.ModuleList([Block(dim, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(dim)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, items: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length dim"]:
        """Hidden states; the one at a position knows the items up to and including it.

        Histories are padded on the right, with any item.
        """
        positions = self.positions.weight[: items.shape[1]]
        # The paper's scale: at √dim the items outweigh the positions.
        embedded = self.items.vectors(items) * positions.shape[1] ** 0.5 + positions
        hidden = functional.dropout(embedded, self.dropout, self.training)
        for block in self.blocks:
            hidden = block(hidden)
        normed: Tensor = self.norm(hidden)
        return normed

    def logits(self, hidden: Float[Tensor, "n dim"]) -> Float[Tensor, "n items"]:
        """Scores of every item."""
        return hidden @ self.items.vectors().T
