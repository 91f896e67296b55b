"""Training checkpoints: safetensors and JSON, verified by sha256, replaced atomically."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cllm4rec.errors import IntegrityError
from cllm4rec.run import atomic_folder, is_main, read_json, sha256_file, write_json
from cllm4rec.training.divided import DividedItems
from cllm4rec.training.loop import Position
from cllm4rec.training.optim import optimizer_tensors, restore_optimizer


class Checkpoint:
    """The checkpoint folder of one stage.

    Args:
        folder: replaced atomically at every save.
        identity: hash of everything that the state depends on (settings, data, backbone).
            A checkpoint with another identity is ignored.
        parameters: trained parameters, by objective and name; objectives may share some.
        optimizers: by objective.
        items: item vectors of which this process has a part; the file has them whole, whatever the
            number of processes.
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        parameters: Mapping[str, Mapping[str, nn.Parameter]],
        optimizers: Mapping[str, torch.optim.Optimizer],
        items: DividedItems | None = None,
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.parameters = parameters
        self.optimizers = optimizers
        self.items = items

    def save(
        self, position: Position, notes: Mapping[str, Any], kept: Mapping[str, Tensor]
    ) -> None:
        """Write position, parameters, moments, ``notes`` (JSON values) and ``kept`` tensors.

        Only the main process writes. Every process calls it, for its rows of divided items.
        """
        tensors = {f"kept/{name}": tensor for name, tensor in kept.items()}
        for objective, named in self.parameters.items():
            for name, parameter in named.items():
                tensors[f"parameters/{objective}/{name}"] = parameter.detach()
        for objective, optimizer in self.optimizers.items():
            for name, tensor in optimizer_tensors(optimizer).items():
                tensors[f"optimizer/{objective}/{name}"] = tensor
        if self.items is not None:
            parts = {n: self.items.gathered(tensors[n]) for n in self._divided(tensors)}
            tensors |= parts if is_main() else {}
        if not is_main():
            return
        with atomic_folder(self.folder) as folder:
            save_file(_apart(tensors), folder / "state.safetensors")
            write_json(
                folder / "state.json",
                {
                    "identity": self.identity,
                    "position": asdict(position),
                    "notes": dict(notes),
                    "sha256": sha256_file(folder / "state.safetensors"),
                },
            )

    def resume(self) -> tuple[Position, dict[str, Any], dict[str, Tensor]] | None:
        """Restore parameters and moments in place; None if there is nothing to resume.

        Returns:
            Position, notes and kept tensors as they were saved.

        Raises:
            IntegrityError: the state file has changed since it was written.
        """
        if not (self.folder / "state.json").is_file():
            return None
        record = read_json(self.folder / "state.json")
        if record["identity"] != self.identity:
            return None
        path = self.folder / "state.safetensors"
        if not path.is_file() or sha256_file(path) != record["sha256"]:
            raise IntegrityError(f"{path} is damaged; remove {self.folder} to train anew")
        tensors = load_file(path)
        if self.items is not None:
            own = self.items.rows.own
            tensors |= {name: tensors[name][own] for name in self._divided(tensors)}
        with torch.no_grad():
            for objective, named in self.parameters.items():
                for name, parameter in named.items():
                    parameter.copy_(tensors[f"parameters/{objective}/{name}"])
        for objective, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, under(tensors, f"optimizer/{objective}/"))
        return Position(**record["position"]), record["notes"], under(tensors, "kept/")

    def _divided(self, names: Iterable[str]) -> list[str]:
        """Names of tensors of which each process has its rows: vectors, moments and averages."""
        assert self.items is not None
        divided = set()
        for objective, named in self.parameters.items():
            groups = self.optimizers[objective].param_groups
            order = [p for group in groups for p in group["params"]]
            for name, parameter in named.items():
                if parameter is self.items.weight:
                    index = next(i for i, each in enumerate(order) if each is parameter)
                    moments = f"optimizer/{objective}/{index}.exp_avg"
                    kept = {f"kept/best/{name}", f"kept/average/{name}"}
                    divided |= {f"parameters/{objective}/{name}", moments, f"{moments}_sq", *kept}
        return sorted(divided.intersection(names))

    def remove(self) -> None:
        """Remove the checkpoint once its stage is done; in the main process."""
        if not is_main():
            return
        shutil.rmtree(self.folder, ignore_errors=True)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors themselves; copies of those that share memory, which safetensors refuses.

    Copies of all would be the largest peak of a training: parameters, moments, average and best.
    """
    apart: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.contiguous()
        if tensor.untyped_storage().data_ptr() in taken:
            tensor = tensor.clone()
        taken.add(tensor.untyped_storage().data_ptr())
        apart[name] = tensor
    return apart


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names start with ``prefix``, by the rest of the name."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
