"""Steps of which processes do parts together: rows of a divided item table, of a sharded backbone.

Within a micro-batch they meet: where one needs the others' rows, all give theirs. So all have
equally many, and one without documents goes through the motions.
"""

from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.models.losses import Loss
from cllm4rec.training.divided import DividedItems, ItemsOfSteps, undivided
from cllm4rec.training.loop import Objective, Pass
from cllm4rec.training.sharded import ShardedBackbone
from cllm4rec.training.world import World


class MeetingObjective:
    """An objective over parts that processes share; some of their micro-batches are idle.

    Args:
        objective: of one process's documents; it asks the backbone once for each micro-batch.
        world: the processes.
        items: that are divided; None where each process has them all.
        backbone: that is sharded; None where each process has it whole.
    """

    def __init__(
        self,
        objective: Objective,
        world: World,
        *,
        items: ItemsOfSteps | None = None,
        backbone: ShardedBackbone | None = None,
    ) -> None:
        self.objective, self.world = objective, world
        self.items, self.backbone = items, backbone

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
        """They and idle ones (None), as many as any process has; fetches the vectors of items."""
        if self.items is not None:
            self.items.fetch(batches)
        counts = torch.zeros(self.world.size)
        counts[self.world.rank] = len(batches)
        self.world.sum_([counts])
        return [*batches, *[None] * (int(counts.max()) - len(batches))]

    def counts(self, batch: Any) -> Mapping[str, int]:
        """Number of terms of each loss."""
        return {} if batch is None else self.objective.counts(batch)

    def losses(self, batch: Any) -> Mapping[str, Loss]:
        """The summed losses of one micro-batch."""
        return {"likelihood": self._idle()} if batch is None else self.objective.losses(batch)

    def _idle(self) -> Loss:
        """Meets the others in the order of a batch: backbone, softmax; backwards the reverse."""
        parts = []
        if self.backbone is not None:
            first = None if self.items is None else self.items.items.fetched
            parts.append(0 * self.backbone.idle(first).sum())
        if self.items is not None:
            parts.append(self.items.idle().total)
        return Loss(torch.stack(parts).sum(), 0)


@contextmanager
def whole(model: CollaborativeLLM) -> Iterator[None]:
    """Gather what processes share for the block, such as a validation; every process is in it."""
    with ExitStack() as stack:
        for part in (model.embedding.items, model.backbone):
            if isinstance(part, DividedItems | ShardedBackbone):
                stack.enter_context(part.whole())
        yield


def end_sharing(model: CollaborativeLLM) -> None:
    """Let every process have all of the model, as one process has."""
    if isinstance(model.embedding.items, DividedItems):
        model.embedding.items = undivided(model.embedding.items)
    if isinstance(model.backbone, ShardedBackbone):
        model.backbone = model.backbone.undone()
