"""Next-token likelihood of main texts: L-steps over items, C-steps over words (section 3.3)."""

from collections.abc import Callable, Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from cllm4rec import seeds
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM
from cllm4rec.models.losses import Loss, next_token_likelihood
from cllm4rec.tasks.mutual import Mutual
from cllm4rec.tokens.batch import Batch, collate, length_buckets, next_tokens
from cllm4rec.training.loop import Pass
from cllm4rec.training.optim import trained_parameters
from cllm4rec.training.stream import Corpus, Drawn, stream


class LanguageObjective:
    """Next-token likelihood + λ · mutual regularisation (paper eqs. 5 and 8).

    Args:
        model: to train.
        corpus: of its documents.
        likelihood: loss of a batch's main texts.
        other: the other model's token vectors, fixed; None without regularisation.
        mutual_weight: λ.
        batch_tokens: tokens per step, with padding.
        seed: of order and batches.
    """

    def __init__(
        self,
        model: ContentLLM | CollaborativeLLM,
        corpus: Corpus,
        likelihood: Callable[[Batch], Loss],
        other: TokenEmbedding | None,
        *,
        mutual_weight: float,
        batch_tokens: int,
        seed: int,
    ) -> None:
        self.model = model
        self.corpus = corpus
        self.likelihood = likelihood
        self.mutual = Mutual(model.embedding, other, mutual_weight)
        self.weights = {"likelihood": 1.0, "mutual": mutual_weight}
        self.batch_tokens = batch_tokens
        self.seed = seed
        self._lengths = corpus.lengths()

    def parameters(self) -> Mapping[str, nn.Parameter]:
        """Trained parameters of the model, with the backbone's if it is trained."""
        return trained_parameters(self.model)

    def steps(self, part: Pass) -> Sequence[Sequence[Drawn]]:
        """Batches of similar length in random order."""
        drawn = stream(len(self.corpus), part, self.seed)
        lengths = self._lengths[[d.index for d in drawn]]
        rng = seeds.generator(self.seed, part.objective, "batches", part.start)
        buckets = length_buckets(lengths, max_tokens=self.batch_tokens, max_rows=None, rng=rng)
        return [[drawn[i] for i in bucket] for bucket in buckets]

    def batches(self, step: Sequence[Drawn]) -> list[Batch]:
        """The step's single batch, on the CPU."""
        return [collate([self.corpus.document(d.index, d.epoch) for d in step])]

    def counts(self, batch: Batch) -> dict[str, int]:
        """Scored tokens, and entity-token occurrences."""
        scored = int((batch.lengths - batch.main_starts).sum())
        return {"likelihood": scored, **self.mutual.counts(batch.tokens)}

    def losses(self, batch: Batch) -> dict[str, Loss]:
        """Both losses of one batch."""
        self.model.train()
        batch = batch.to(self.model.device)
        return {"likelihood": self.likelihood(batch), **self.mutual.losses(batch.tokens)}


def items_likelihood(
    model: CollaborativeLLM, left_out: Float[Tensor, " items"]
) -> Callable[[Batch], Loss]:
    """Likelihood of every main-text item, the first included (eq. 4).

    Args:
        model: predicts every item from the tokens before it.
        left_out: bias ``[items]``; −inf for items that are not training candidates.
    """

    def likelihood(batch: Batch) -> Loss:
        targets = model.space.item_number(next_tokens(batch)[2])
        queries, bias = model.queries(batch), model.head.bias + left_out
        items = model.embedding.items.all()
        return next_token_likelihood(queries, items, bias, targets, dtype=model.dtype)

    return likelihood


def words_likelihood(model: ContentLLM) -> Callable[[Batch], Loss]:
    """Likelihood of every main-text word among the head's candidates (eq. 7)."""
    head = model.head

    def likelihood(batch: Batch) -> Loss:
        targets: Tensor = head.index[next_tokens(batch)[2]]
        queries = model.queries(batch)
        return next_token_likelihood(
            queries, head.candidates, head.bias, targets, dtype=model.dtype
        )

    return likelihood
