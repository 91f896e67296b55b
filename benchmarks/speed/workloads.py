"""What is timed: an optimiser step, or the scoring of some users, each with its cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from benchmarks.speed.check import SlowBackbone, SlowPath, joint_table
from benchmarks.speed.stopwatch import Timed
from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.ensemble.linear import LinearModel
from cllm4rec.models.backbone import Backbone
from cllm4rec.models.randomness import seeded
from cllm4rec.planning.flops import Cost
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.tasks.held_out import HeldOutObjective
from cllm4rec.tasks.language import LanguageObjective
from cllm4rec.tokens.batch import Batch
from cllm4rec.training.loop import optimiser_step
from cllm4rec.training.stream import Drawn

CHECKED = 4
"""Documents of a check; enough for padding, few enough to be written out."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much one run of a workload does.

    Attributes:
        users: users trained on or scored; documents, where texts are the documents. Of a step whose
            documents are of one length, as many as its tokens are at the mean length of all.
        tokens: without padding.
        padded: with it, as `tokens_read` counts.
        cost: arithmetic and traffic of the real tokens.
    """

    users: float
    tokens: int
    padded: int
    cost: Cost


def tokens_read(backbone: Backbone, batch: Batch) -> int:
    """Tokens of a batch with padding, packed where the library's layers read it so.

    Our own layers read none; counted is the batch's.
    """
    own = backbone.layers is not None and next(backbone.parameters()).device.type == "cpu"
    packing = None if own else backbone.packing(batch.near.lengths, batch.tokens.shape[1])
    return batch.tokens.numel() if packing is None else packing.positions.numel()


class Workload(Protocol):
    """Something that can be timed and checked."""

    stage: str
    depth: int
    amount: Amount

    def run(self) -> None:
        """Do it once."""
        ...

    def errors(self, slow: SlowBackbone) -> dict[str, float]:
        """Relative distances of what it computes from the slow path."""
        ...

    def timed(self) -> list[Timed]:
        """The functions whose time says where the time goes."""
        ...

    def tensors(self) -> list[Tensor]:
        """What it keeps between two runs."""
        ...


class Training:
    """One optimiser step of one objective.

    Args:
        stage: its name in the table.
        depth: layers.
        objective: what is minimised.
        optimizer: over its parameters.
        step: its documents.
        amount: of them.
        histories: training interactions, which say what is a candidate.
        amount_of: the same as ``amount`` of any step's micro-batches.
    """

    def __init__(
        self,
        stage: str,
        depth: int,
        objective: LanguageObjective | HeldOutObjective,
        optimizer: torch.optim.Optimizer,
        step: Sequence[Drawn],
        amount: Amount,
        histories: Interactions,
        amount_of: Callable[[Sequence[Any]], Amount],
    ) -> None:
        self.stage, self.depth, self.amount = stage, depth, amount
        self.histories, self.amount_of = histories, amount_of
        self.objective, self.optimizer, self.step = objective, optimizer, step

    def run(self) -> None:
        """The step, as the training loop does it."""
        with seeded(0, self.stage):
            optimiser_step(self.objective, self.optimizer, self.step)

    def errors(self, slow: SlowBackbone) -> dict[str, float]:
        """Of the step's loss, and of the gradient of the token tables.

        Both of a few of its documents, dropout off: it is chance, and not the same on both paths.
        """
        objective = self.objective
        dropout = getattr(objective.model, "dropout", 0.0)
        step = _spread_out(self.step, CHECKED)
        objective.model.dropout = 0.0
        try:
            loss, gradient = self._fast(step)
        finally:
            objective.model.dropout = dropout
        expected, path = self._slow(step, slow)
        expected.backward()  # type: ignore[no-untyped-call]
        assert path.table.grad is not None
        return {
            "loss": abs(loss - float(expected.detach())) / max(abs(float(expected.detach())), 1e-9),
            "gradient": distance(gradient, path.table.grad),
        }

    def timed(self) -> list[Timed]:
        """Parts of `optimiser_step`."""
        return [
            Timed(self.objective, "batches", "data"),
            Timed(self.objective, "losses", "head and loss"),
            *_model_parts(self.objective.model),
            Timed(torch.Tensor, "backward", "backward"),
            Timed(self.optimizer, "step", "optimiser"),
        ]

    def tensors(self) -> list[Tensor]:
        """Parameters, buffers, gradients and moments."""
        states = self.optimizer.state.values()
        moments = [v for state in states for v in state.values() if isinstance(v, Tensor)]
        parameters = list(self.objective.model.parameters())
        gradients = [p.grad for p in parameters if p.grad is not None]
        return [*parameters, *self.objective.model.buffers(), *gradients, *moments]

    def _fast(self, step: Sequence[Drawn]) -> tuple[float, Tensor]:
        objective: Any = self.objective
        batches = objective.batches(step)
        counts = [objective.counts(batch) for batch in batches]
        total = torch.zeros(())
        for batch in batches:
            for name, loss in objective.losses(batch).items():
                count = max(sum(one[name] for one in counts), 1)
                total = total + objective.weights[name] * loss.total / count
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        gradient = torch.cat([
            torch.zeros_like(table) if table.grad is None else table.grad
            for table in objective.model.embedding.parameters()
        ])
        self.optimizer.zero_grad(set_to_none=True)
        return float(total.detach()), gradient

    def _slow(self, step: Sequence[Drawn], slow: SlowBackbone) -> tuple[Tensor, SlowPath]:
        objective = self.objective
        cold = np.flatnonzero(self.histories.item_counts() == 0)
        path = SlowPath(slow, objective.model, cold)
        if isinstance(objective, HeldOutObjective):
            examples = [objective.corpus.example(d.index, d.epoch) for d in step]
            documents = [example.document for example in examples]
            loss = path.held_out(documents, [example.holdout for example in examples])
            targets = np.concatenate([example.holdout for example in examples])
            extra = path.space.item(targets).tolist()
        else:
            drawn = [objective.corpus.document(d.index, d.epoch) for d in step]
            documents = [Document(one.prompt, one.main) for one in drawn]
            loss, extra = path.next_token(documents), []
        other = objective.mutual.other
        if other is not None:
            parts = [part.tolist() for d in documents for part in (d.prompt, d.main)]
            tokens = [token for part in parts for token in part] + extra
            loss = loss + objective.weights["mutual"] * path.mutual(tokens, joint_table(other))
        return loss, path


class Scoring:
    """Ranking the catalogue for some users.

    Args:
        stage: its name in the table.
        depth: layers.
        scorer: the model, and the linear model beside it.
        users: user numbers.
        history: their known items.
        documents: what the model is asked, one per user.
        amount: of all users.
        call: does it.
    """

    def __init__(
        self,
        stage: str,
        depth: int,
        scorer: ModelScorer,
        users: np.ndarray,
        history: Interactions,
        documents: Sequence[Any],
        amount: Amount,
        call: Callable[[], Any],
    ) -> None:
        self.stage, self.depth, self.amount = stage, depth, amount
        self.scorer, self.users, self.history = scorer, users, history
        self.documents, self.call = documents, call

    def run(self) -> None:
        """Rank once."""
        with progress.quiet():
            self.call()

    def errors(self, slow: SlowBackbone) -> dict[str, float]:
        """Of a few users' logits, each less its mean, which no ranking depends on."""
        rows = np.array(_spread_out(range(len(self.users)), CHECKED))
        fast = self.scorer.logits(self.users[rows], self.history.rows(rows))
        with torch.no_grad():
            path = SlowPath(slow, self.scorer.model)
            expected = path.scores([self.documents[row] for row in rows])
        centred = [logits - logits.mean(dim=1, keepdim=True) for logits in (fast, expected)]
        return {"scores": distance(*centred)}

    def timed(self) -> list[Timed]:
        """Parts of scoring and ranking."""
        from cllm4rec.ensemble import weight
        from cllm4rec.ranking import scoring

        return [
            Timed(self.scorer.task, "questions", "data"),
            Timed(self.scorer.model, "logits", "head and loss"),
            Timed(self.scorer.model, "last_queries", "head and loss"),
            *_model_parts(self.scorer.model),
            Timed(LinearModel, "sums", "linear model"),
            *(Timed(module, "top_k", "top k") for module in (scoring, weight)),
            Timed(weight, "evaluate", "measures"),
        ]

    def tensors(self) -> list[Tensor]:
        """Parameters and buffers, the linear model's weights included."""
        model, linear = self.scorer.model, self.scorer.linear
        weights = [] if linear is None else list(map(torch.from_numpy, linear.arrays().values()))
        return [*model.parameters(), *model.buffers(), *weights]


def distance(found: Tensor, expected: Tensor) -> float:
    """Length of the difference as a share of the expected length."""
    found, expected = found.cpu(), expected.cpu()
    return float((found - expected).norm() / expected.norm().clamp_min(1e-12))


def _model_parts(model: Any) -> list[Timed]:
    """Embedding and backbone; the backbone by whichever of its methods the models call."""
    methods = [
        name
        for name, value in vars(type(model.backbone)).items()
        if callable(value) and not name.startswith("_") and name != "train"
    ]
    return [
        Timed(model.embedding, "forward", "embedding"),
        *(Timed(model.backbone, name, "backbone") for name in methods),
    ]


def _spread_out(values: Any, count: int) -> list[Any]:
    """At most ``count`` of the values, evenly spaced."""
    places = np.unique(np.linspace(0, len(values) - 1, min(count, len(values))).round())
    return [values[int(place)] for place in places]
