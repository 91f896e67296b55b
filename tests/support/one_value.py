"""An objective of one parameter, for tests of the training loop."""

import torch
from torch import nn

from cllm4rec.models.losses import Loss
from cllm4rec.training.loop import Pass


class OneValue:
    """A step has one document, its loss is of `value`; a test says which."""

    weights = {"likelihood": 1.0}  # noqa: RUF012
    corpus = (0,)

    def __init__(self) -> None:
        self.value = nn.Parameter(torch.ones(2))

    def parameters(self) -> dict[str, nn.Parameter]:
        return {"value": self.value}

    def steps(self, part: Pass) -> list[list[int]]:
        return [[0]] * part.count

    def lengths(self, step: list[int]) -> list[int]:
        return [1] * len(step)

    def batches(self, step: list[int]) -> list[int]:
        return step

    def counts(self, batch: int) -> dict[str, int]:
        return {"likelihood": 1}

    def losses(self, batch: int) -> dict[str, Loss]:
        raise NotImplementedError
