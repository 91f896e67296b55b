"""Training checkpoints: safetensors and JSON, verified by sha256, replaced atomically."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cllm4rec.errors import IntegrityError
from cllm4rec.run import atomic_folder, is_main, read_json, sha256_file, write_json
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
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        parameters: Mapping[str, Mapping[str, nn.Parameter]],
        optimizers: Mapping[str, torch.optim.Optimizer],
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.parameters = parameters
        self.optimizers = optimizers

    def save(
        self, position: Position, notes: Mapping[str, Any], kept: Mapping[str, Tensor]
    ) -> None:
        """Write position, parameters, moments, ``notes`` (JSON values) and ``kept`` tensors.

        Only the main process writes: every process has the same state.
        """
        if not is_main():
            return
        tensors = {f"kept/{name}": tensor for name, tensor in kept.items()}
        for objective, named in self.parameters.items():
            for name, parameter in named.items():
                tensors[f"parameters/{objective}/{name}"] = parameter.detach()
        for objective, optimizer in self.optimizers.items():
            for name, tensor in optimizer_tensors(optimizer).items():
                tensors[f"optimizer/{objective}/{name}"] = tensor
        with atomic_folder(self.folder) as folder:
            # Clones: safetensors refuses tensors that share memory.
            save_file(
                {n: t.contiguous().clone() for n, t in tensors.items()},
                folder / "state.safetensors",
            )
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
        with torch.no_grad():
            for objective, named in self.parameters.items():
                for name, parameter in named.items():
                    parameter.copy_(tensors[f"parameters/{objective}/{name}"])
        for objective, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, under(tensors, f"optimizer/{objective}/"))
        return Position(**record["position"]), record["notes"], under(tensors, "kept/")

    def remove(self) -> None:
        """Remove the checkpoint once its stage is done; in the main process."""
        if not is_main():
            return
        shutil.rmtree(self.folder, ignore_errors=True)


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names start with ``prefix``, by the rest of the name."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
