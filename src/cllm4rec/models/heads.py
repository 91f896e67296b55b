"""From hidden states to scores: the heads of items and of words, tied to their tables."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cllm4rec.models.losses import Loss, token_likelihood


class ItemHead(nn.Module):
    """Scores every item: ``exp(log_scale) · (P h + S m) · z_j + b_j``, z tied to the table.

    ``P`` is the projection of the hidden state (a truncated backbone's hidden states do not live
    in embedding space) and ``S`` maps the history's mean item embedding ``m``; without both this
    is the paper's tied head.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, num_items: int, size: int, *, projection: bool, skip: bool) -> None:
        super().__init__()
        self.projection = nn.Linear(size, size, bias=False) if projection else None
        self.skip = nn.Linear(size, size, bias=False) if skip else None
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(num_items))
        self.log_scale = nn.Parameter(torch.zeros(()))
        with torch.no_grad():
            if self.skip is not None:
                self.skip.weight.copy_(torch.eye(size))
            if self.projection is not None:
                # With a skip the scores start from the history alone and the backbone is learned
                # on top.
                start = torch.zeros(size, size) if self.skip is not None else torch.eye(size)
                self.projection.weight.copy_(start)

    def standardise(self, hidden: Float[Tensor, "rows size"]) -> None:
        """Take the projection's centre and spread from a sample of hidden states.

        A frozen backbone's hidden states share a mean far larger than what tells them apart, and a
        few coordinates are outliers: learned on them raw, the projection learns those first. With
        no projection there is nothing to set.
        """
        if self.projection is not None:
            self.center.copy_(hidden.mean(dim=0))
            if len(hidden) > 1:  # one row has no spread, and NaN would be learned on
                self.spread.copy_(hidden.std(dim=0).clamp_min(1e-3))

    def query(
        self, hidden: Float[Tensor, "rows size"], history_mean: Float[Tensor, "rows size"]
    ) -> Float[Tensor, "rows size"]:
        """The vector whose product with an item's embedding is its score, less the bias."""
        query = hidden
        if self.projection is not None:
            query = self.projection((hidden - self.center) / self.spread)
        if self.skip is not None:
            query = query + self.skip(history_mean)
        return query * self.log_scale.exp()

    def forward(
        self, query: Float[Tensor, "rows size"], items: Float[Tensor, "items size"]
    ) -> Float[Tensor, "rows items"]:
        """Logits over the whole catalogue."""
        return query @ items.T + self.bias


class WordHead(nn.Module):
    """Next-word likelihood over a fixed set of words, tied to the frozen word embeddings.

    Scoring the corpus's own words instead of all of them changes the softmax's normaliser, not
    the order of the words in it: mass that a truncated model wastes on words that never occur is
    not learned away.
    """

    words: Tensor
    index: Tensor

    def __init__(
        self,
        words: Float[Tensor, "words size"],
        vocabulary: Int[Tensor, " vocabulary"],
        *,
        projection: bool,
        half_precision: bool,
    ) -> None:
        super().__init__()
        size = words.shape[1]
        self.register_buffer("words", words[vocabulary], persistent=False)
        index = torch.full((words.shape[0],), -1)
        index[vocabulary] = torch.arange(len(vocabulary))
        self.register_buffer("index", index, persistent=False)
        self.half_precision = half_precision
        self.projection = nn.Linear(size, size, bias=False) if projection else None
        self.bias = nn.Parameter(torch.zeros(len(vocabulary)))
        if self.projection is not None:
            with torch.no_grad():
                self.projection.weight.copy_(torch.eye(size))

    def loss(self, hidden: Float[Tensor, "scored size"], targets: Int[Tensor, " scored"]) -> Loss:
        """Summed negative log likelihood of the target words (token ids)."""
        query = hidden if self.projection is None else self.projection(hidden)
        return token_likelihood(
            query, self.words, self.bias, self.index[targets], half_precision=self.half_precision
        )
