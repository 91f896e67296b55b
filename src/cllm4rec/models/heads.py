"""Item and word heads: hidden states to queries, scored against tied vectors."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class ItemHead(nn.Module):
    """Scores every item: ``exp(log_scale) · (P h + S m) · z_j + b_j``, z tied to the table.

    ``P`` projects the hidden state ``h`` (a truncated backbone's hidden states do not live in
    embedding space); ``S`` maps the history's mean item embedding ``m``. Without both, and without
    ``bias``, which leaves b and the scale at their start, this is the paper's tied head.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, num_items: int, size: int, *, projection: bool, skip: bool, bias: bool = True
    ) -> None:
        super().__init__()
        self.projection = nn.Linear(size, size, bias=False) if projection else None
        self.skip = nn.Linear(size, size, bias=False) if skip else None
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(num_items), requires_grad=bias)
        self.log_scale = nn.Parameter(torch.zeros(()), requires_grad=bias)
        with torch.no_grad():
            if self.skip is not None:
                self.skip.weight.copy_(torch.eye(size))
            if self.projection is not None:
                # With a skip, scores start from the history mean; the backbone's part is learned
                # on top.
                start = torch.zeros(size, size) if self.skip is not None else torch.eye(size)
                self.projection.weight.copy_(start)

    def standardise(self, hidden: Float[Tensor, "rows size"]) -> None:
        """Take the projection's mean and standard deviation from a sample of hidden states.

        A frozen backbone's hidden states share a mean far larger than their differences, and a few
        coordinates are outliers: a projection of raw states would learn those first. Without a
        projection this does nothing.
        """
        if self.projection is not None:
            self.mean.copy_(hidden.mean(dim=0))
            if len(hidden) > 1:  # the std of one row is NaN
                self.std.copy_(hidden.std(dim=0).clamp_min(1e-3))

    def forward(
        self, hidden: Float[Tensor, "rows size"], history_mean: Float[Tensor, "rows size"]
    ) -> Float[Tensor, "rows size"]:
        """The query; its product with an item's vector is the item's score without bias."""
        query = hidden
        if self.projection is not None:
            query = self.projection((hidden - self.mean) / self.std)
        if self.skip is not None:
            query = query + self.skip(history_mean)
        return query * self.log_scale.exp()


class WordHead(nn.Module):
    """Query and candidates for the next word, tied to the frozen word embeddings.

    The candidates may be only the words of the corpus. That changes the softmax's normaliser, not
    the ranking: the model need not unlearn the mass that a truncated backbone gives to words that
    never occur.

    Args:
        words: all word embeddings.
        vocabulary: token ids of the candidates.
        projection: whether hidden states pass a trained square map.
        bias: whether each candidate has a trained bias.
        scale: of ``words``, as a multiple of the table that hidden states are scored against.
    """

    candidates: Tensor
    index: Tensor

    def __init__(
        self,
        words: Float[Tensor, "words size"],
        vocabulary: Int[Tensor, " vocabulary"],
        *,
        projection: bool,
        bias: bool = True,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        size = words.shape[1]
        self.register_buffer("candidates", words[vocabulary] / scale, persistent=False)
        index = torch.full((words.shape[0],), -1)
        index[vocabulary] = torch.arange(len(vocabulary))
        self.register_buffer("index", index, persistent=False)
        self.projection = nn.Linear(size, size, bias=False) if projection else None
        self.bias = nn.Parameter(torch.zeros(len(vocabulary)), requires_grad=bias)
        if self.projection is not None:
            with torch.no_grad():
                self.projection.weight.copy_(torch.eye(size))

    def forward(self, hidden: Float[Tensor, "scored size"]) -> Float[Tensor, "scored size"]:
        """The query of each hidden state."""
        query: Tensor = hidden if self.projection is None else self.projection(hidden)
        return query
