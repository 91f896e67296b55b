"""How often a training step waits for a device: python waits.py prints it per objective, as JSON.

On the pretended device, in a process of its own. A step waits where the host needs a number that
the device computes: it is copied, or decides the shape of a result. A copy to a device waits too,
unless it is from pinned memory, which the pretended device marks and does not have.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cllm4rec.tokens import batch
from cllm4rec.training import readings
from cllm4rec.training.loop import Pass, Position, fit, optimiser_step
from cllm4rec.training.optim import adam
from support import pretend_device, tiny_objectives

BY_VALUE = {
    "aten::_local_scalar_dense",
    "aten::bincount",
    "aten::masked_select",
    "aten::nonzero",
}
"""Their result's shape, or the host's number, is known when the device is done."""
BY_MASK = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
"""With a mask they look for its places first."""

_PINNED: dict[int, Tensor] = {}


def _pinned(tensor: Tensor) -> Tensor:
    copy = tensor.clone()
    _PINNED[copy.data_ptr()] = copy  # kept, so that nothing else is there
    return copy


class Waits(TorchDispatchMode):
    """Counts operations that wait, by name; and all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        result = function(*args, **(kwargs or {}))
        name = function._schema.name
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        far = [each for each in given if each.device.type == pretend_device.NAME]
        if far:
            self.operations += 1
            mask = any(each.dtype == torch.bool for each in given[1:])
            copied = isinstance(result, Tensor) and result.device.type == "cpu"
            if name in BY_VALUE or (name in BY_MASK and mask) or copied:
                self.found[name.removeprefix("aten::")] += 1
        elif isinstance(result, Tensor) and result.device.type == pretend_device.NAME and given:
            whole = given[0].dim() > 0
            waits = not (given[0].data_ptr() in _PINNED and (kwargs or {}).get("non_blocking"))
            self.copies["waiting" if waits else "by itself"] += whole
        return result


def main() -> None:
    """One warm-up step and one counted step of each objective."""
    pretend_device.install()
    readings.SECONDS = 1e9  # however slow the pretended device is
    batch.COPY_THEMSELVES.add(pretend_device.NAME)
    Tensor.pin_memory = _pinned
    found = {}
    for name, objective in tiny_objectives.every(pretend_device.NAME).items():
        optimizer = adam(objective.parameters(), learning_rate=1e-3, head_scale=1.0)
        step = objective.steps(Pass(name, 0, len(objective.corpus)))[0]
        optimiser_step(objective, optimizer, step)
        with Waits() as waits:
            optimiser_step(objective, optimizer, step)
        found[name] = {
            "batches": len(objective.batches(step)),
            "operations": waits.operations,
            "waits": dict(waits.found),
            "copies": dict(waits.copies),
        }
        if name == "content":  # the smallest model
            found[name]["many"] = of_many_steps(name, objective, optimizer)
    print(json.dumps(found))


def of_many_steps(name: str, objective: Any, optimizer: Any) -> dict[str, int]:
    """Steps of a training, and how often it waits for their losses."""
    rows: list[dict] = []
    with Waits() as waits:
        fit(
            [Pass(name, 0, 40 * len(objective.corpus))],
            {name: objective},
            {name: optimizer},
            stage="finetune",
            position=Position(),
            log=lambda **row: rows.append(row),
            after_pass=lambda _: False,
            checkpoint=lambda _: None,
            ahead=True,
        )
    return {"steps": len(rows), "waits": waits.found["_to_copy"]}


if __name__ == "__main__":
    main()
