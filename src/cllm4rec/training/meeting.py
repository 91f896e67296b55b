"""Steps of which processes do parts together: rows of divided tables, of a sharded backbone.

Before a step they fetch rows of tables from each other, after it they return gradients. Where the
softmax is divided or the backbone sharded they also meet within a micro-batch: where one needs the
others' rows, all give theirs. So all have equally many, and one without documents goes through the
motions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cllm4rec.models.llms import TokenLLM
from cllm4rec.models.losses import Loss
from cllm4rec.training.divided import DividedSoftmax, DividedTables, undivide, whole_tables
from cllm4rec.training.loop import Objective, Pass
from cllm4rec.training.sharded import ShardedBackbone
from cllm4rec.training.world import World


@runtime_checkable
class OfTokens(Objective, Protocol):
    """An objective that says which tokens it reads."""

    def tokens(self, batch: Any) -> Tensor:
        """All tokens whose vectors a micro-batch reads, of any shape; on the processor."""
        ...


class MeetingObjective:
    """An objective over parts that processes share; some of their micro-batches are idle.

    Args:
        objective: of one process's documents; it asks backbone and softmax once for each
            micro-batch.
        world: the processes.
        tables: that are divided, if any are.
        softmax: over divided items; None where there is another or none.
        backbone: that is sharded; None where each process has it whole.
    """

    def __init__(
        self,
        objective: OfTokens,
        world: World,
        *,
        tables: DividedTables,
        softmax: DividedSoftmax | None = None,
        backbone: ShardedBackbone | None = None,
    ) -> None:
        self.objective, self.world = objective, world
        self.tables, self.softmax, self.backbone = tables, softmax, backbone

    @property
    def is_needed(self) -> bool:
        """Whether anything is shared."""
        return bool(self.tables) or self.softmax is not None or self.backbone is not None

    @property
    def corpus(self) -> Sized:
        """Its documents."""
        return self.objective.corpus

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each loss, by name."""
        return self.objective.weights

    def parameters(self) -> Mapping[str, nn.Parameter]:
        """Parameters to train; of what is shared this process's rows."""
        return self.objective.parameters()

    def steps(self, part: Pass) -> Sequence[Sequence[Any]]:
        """The documents of each optimiser step."""
        return self.objective.steps(part)

    def lengths(self, step: Sequence[Any]) -> Sequence[int]:
        """About how many tokens each document has."""
        return self.objective.lengths(step)

    def batches(self, step: Sequence[Any]) -> Sequence[Any]:
        """Micro-batches of a process's documents."""
        return self.objective.batches(step)

    def met(self, batches: Sequence[Any]) -> list[Any]:
        """Fetch the vectors that they read; where processes meet, add idle ones (None)."""
        self.tables.fetch([self.objective.tokens(batch) for batch in batches])
        if self.softmax is None and self.backbone is None:
            return list(batches)
        counts = torch.zeros(self.world.size)
        counts[self.world.rank] = len(batches)
        self.world.sum_([counts])
        return [*batches, *[None] * (int(counts.max()) - len(batches))]

    def return_gradients(self) -> None:
        """Bring the fetched vectors' gradients to those who have the rows."""
        self.tables.return_gradients()

    def counts(self, batch: Any) -> Mapping[str, int]:
        """Number of terms of each loss."""
        return {} if batch is None else self.objective.counts(batch)

    def losses(self, batch: Any) -> Mapping[str, Loss]:
        """The summed losses of one micro-batch."""
        return {"likelihood": self._idle()} if batch is None else self.objective.losses(batch)

    def _idle(self) -> Loss:
        """Meets the others in the order of a batch: backbone, softmax."""
        parts = []
        if self.backbone is not None:
            parts.append(0 * self.backbone.idle().sum())
        if self.softmax is not None:
            parts.append(self.softmax.idle().total)
        return Loss(torch.stack(parts).sum(), 0)


def can_go_ahead(device: torch.device, objectives: Iterable[Objective]) -> bool:
    """Whether a thread may make the next step's batches while the device computes.

    On a processor it would take cores from the step itself; batches of what is shared are made
    together with the other processes.
    """
    return device.type != "cpu" and not any(
        isinstance(each, MeetingObjective) for each in objectives
    )


@contextmanager
def whole(model: TokenLLM, users: NDArray[np.int32]) -> Iterator[None]:
    """Gather what processes share for the block, such as a validation; every process is in it.

    Args:
        model: to read.
        users: whose vectors are read; of a divided user table only these are fetched.
    """
    with ExitStack() as stack:
        stack.enter_context(whole_tables(model.embedding, users))
        if isinstance(model.backbone, ShardedBackbone):
            stack.enter_context(model.backbone.whole())
        yield


def end_sharing(model: TokenLLM) -> None:
    """Let every process have all of the model, as one process has."""
    undivide(model.embedding)
    if isinstance(model.backbone, ShardedBackbone):
        model.backbone = model.backbone.undone()
