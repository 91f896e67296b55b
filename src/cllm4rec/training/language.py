"""L-steps and C-steps: next-token likelihood with mutual regularisation (paper section 3.3)."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from cllm4rec import seeds
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM
from cllm4rec.models.losses import Loss, mutual_regularisation
from cllm4rec.tokens.batch import Batch, collate, length_buckets
from cllm4rec.training.loop import Pass
from cllm4rec.training.optim import trained_parameters
from cllm4rec.training.stream import Corpus, Drawn, stream


class LanguageObjective:
    """Next-token likelihood of main texts + λ · mean ½‖own − other‖² over occurrences.

    Serves both LLMs (paper eqs. 5 and 8): with a collaborative LLM its steps are the L-steps,
    with a content LLM the C-steps. The other side's table is fixed.

    Args:
        model: whose table is trained.
        corpus: its documents.
        other: the other LLM's token table, or None for no regularisation.
        mutual_weight: λ.
        batch_tokens: tokens of one step, padding included.
        seed: of order and batches.
    """

    def __init__(
        self,
        model: ContentLLM | CollaborativeLLM,
        corpus: Corpus,
        other: Tensor | None,
        *,
        mutual_weight: float,
        batch_tokens: int,
        seed: int,
    ) -> None:
        self.model = model
        self.corpus = corpus
        self.other = None
        if other is not None and mutual_weight > 0:
            self.other = other.to(model.device)
        self.weights = {"likelihood": 1.0, "mutual": mutual_weight}
        self.batch_tokens = batch_tokens
        self.seed = seed
        self._lengths = corpus.lengths()

    def parameters(self) -> Mapping[str, nn.Parameter]:
        """Trained parameters of the model, the backbone's included where it is trained."""
        return trained_parameters(self.model)

    def steps(self, part: Pass) -> Sequence[Sequence[Drawn]]:
        """Batches of similar length in random order."""
        drawn = stream(len(self.corpus), part, self.seed)
        lengths = self._lengths[[d.index for d in drawn]]
        rng = seeds.generator(self.seed, part.objective, "batches", part.start)
        buckets = length_buckets(lengths, max_tokens=self.batch_tokens, max_rows=None, rng=rng)
        return [[drawn[i] for i in bucket] for bucket in buckets]

    def batches(self, step: Sequence[Drawn]) -> list[Batch]:
        """The step's one batch, on the processor."""
        return [collate([self.corpus.document(d.index, d.epoch) for d in step])]

    def counts(self, batch: Batch) -> dict[str, int]:
        """Scored tokens, and entity-token occurrences."""
        counts = {"likelihood": int((batch.lengths - batch.main_starts).sum())}
        if self.other is not None:
            counts["mutual"] = len(self.model.embedding.space.entity_rows(batch.tokens))
        return counts

    def losses(self, batch: Batch) -> dict[str, Loss]:
        """Both losses of one batch."""
        self.model.train()
        batch = batch.to(self.model.device)
        losses = {"likelihood": self.model.loss(batch)}
        if self.other is not None:
            occurrences = self.model.embedding.space.entity_rows(batch.tokens)
            losses["mutual"] = mutual_regularisation(
                self.model.embedding.entities, self.other, occurrences
            )
        return losses
