"""Training checkpoints: safetensors and JSON, verified by sha256, replaced atomically.

Of divided tables and a sharded backbone each process writes its rows, by torch's distributed
checkpoint (DCP) in its safetensors format; any number of processes reads them again, each the rows
that it has then.
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cllm4rec.errors import IntegrityError
from cllm4rec.run import atomic_folder, is_main, read_json, sha256_file, sha256_files, write_json
from cllm4rec.training.lazy import LazyTable
from cllm4rec.training.loop import Position
from cllm4rec.training.optim import optimizer_tensors, restore_optimizer
from cllm4rec.training.sharded_files import load_sharded, save_sharded
from cllm4rec.training.world import here, is_sharded, own


class Checkpoint:
    """The checkpoint folder of one stage.

    Args:
        folder: replaced atomically at every save.
        identity: hash of everything that the state depends on (settings, data, backbone).
            A checkpoint with another identity is ignored.
        parameters: trained parameters, by objective and name; objectives may share some.
        optimizers: by objective.

    Attributes:
        earlier_s: seconds that the processes before took, up to the checkpoint that was resumed.
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
        self.earlier_s = 0.0
        self._begun_at_s = time.perf_counter()

    def save(
        self, position: Position, notes: Mapping[str, Any], kept: Mapping[str, Tensor]
    ) -> None:
        """Write position, parameters, moments, ``notes`` (JSON values) and ``kept`` tensors.

        Kept are ``best/NAME`` and ``average/NAME`` of the first objective with such a parameter.
        Only the main process writes, but for rows of which each has some. Every process calls it.
        """
        tensors = {f"kept/{name}": tensor for name, tensor in kept.items()}
        for objective, named in self.parameters.items():
            for name, parameter in named.items():
                tensors[f"parameters/{objective}/{name}"] = parameter.detach()
        for objective, optimizer in self.optimizers.items():
            for name, tensor in optimizer_tensors(optimizer).items():
                tensors[f"optimizer/{objective}/{name}"] = tensor
        for name, parameter in self._shared().items():
            if name in tensors and not is_sharded(parameter):
                tensors[name] = here().divided[parameter].as_sharded(tensors[name])
        sharded = {name: tensor for name, tensor in tensors.items() if is_sharded(tensor)}
        if not is_main():
            save_sharded(sharded)
            return
        whole = _apart({name: each for name, each in tensors.items() if name not in sharded})
        with atomic_folder(self.folder) as folder:
            if sharded:
                save_sharded({**whole, **sharded}, folder)
            else:
                save_file(whole, folder / "state.safetensors")
            state = {
                "identity": self.identity,
                "position": asdict(position),
                "notes": dict(notes),
                "seconds": self.earlier_s + time.perf_counter() - self._begun_at_s,
                "files": sha256_files(folder, "."),
            }
            write_json(folder / "state.json", state)

    def resume(self) -> tuple[Position, dict[str, Any], dict[str, Tensor]] | None:
        """Restore parameters and moments in place; None if there is nothing to resume.

        Returns:
            Position, notes and kept tensors as they were saved.

        Raises:
            IntegrityError: a file has changed since it was written.
        """
        if not (self.folder / "state.json").is_file():
            return None
        record = read_json(self.folder / "state.json")
        if record["identity"] != self.identity:
            return None
        # Of an earlier version of the program there is one file.
        files = record.get("files", {"state.safetensors": record.get("sha256")})
        for name, sha256 in files.items():
            path = self.folder / name
            if not path.is_file() or sha256_file(path) != sha256:
                raise IntegrityError(f"{path} is damaged; remove {self.folder} to train anew")
        divided = here().divided
        shared = {
            name: divided[p].as_sharded(_like(name, p)) if p in divided else p
            for name, p in self._shared().items()
        }
        tensors = load_sharded(self.folder, shared)
        for name, parameter in self._shared().items():
            if parameter in divided and name in tensors:
                tensors[name] = own(tensors[name])
        with torch.no_grad():
            for objective, named in self.parameters.items():
                for name, parameter in named.items():
                    parameter.copy_(tensors[f"parameters/{objective}/{name}"])
        for objective, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, under(tensors, f"optimizer/{objective}/"))
        self.earlier_s = float(record.get("seconds", 0.0))
        return Position(**record["position"]), record["notes"], under(tensors, "kept/")

    def _shared(self) -> dict[str, nn.Parameter]:
        """Parameters of which this process has rows, by the names of all tensors like them.

        These are values, moments and averages.
        """
        found: dict[str, nn.Parameter] = {}
        seen: set[str] = set()
        for objective, named in self.parameters.items():
            groups = self.optimizers[objective].param_groups
            order = [id(p) for group in groups for p in group["params"]]
            for name, parameter in named.items():
                kept = () if name in seen else (f"kept/best/{name}", f"kept/average/{name}")
                seen.add(name)
                if is_sharded(parameter) or parameter in here().divided:
                    number = order.index(id(parameter))
                    moments = f"optimizer/{objective}/{number}.exp_avg"
                    like = (f"parameters/{objective}/{name}", moments, f"{moments}_sq", *kept)
                    if isinstance(parameter, LazyTable):
                        like = (*like, f"optimizer/{objective}/{number}.touched")
                    found |= dict.fromkeys(like, parameter)
        return found

    def remove(self) -> None:
        """Remove the checkpoint once its stage is done; in the main process."""
        if not is_main():
            return
        shutil.rmtree(self.folder, ignore_errors=True)


def _like(name: str, parameter: nn.Parameter) -> Tensor:
    """The shape and type of what is saved of a parameter under a name, as a tensor."""
    if name.endswith(".touched") and isinstance(parameter, LazyTable):
        touched: Tensor = parameter.state["touched"]
        return touched
    return parameter


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
