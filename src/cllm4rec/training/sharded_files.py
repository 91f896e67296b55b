"""Files of tensors that are sharded over processes: torch's distributed checkpoint, no pickle.

Its safetensors format keeps in each file's header which rows of which tensor the file has, so there
is no file of metadata, which would be a pickle.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from cllm4rec.training.world import here, is_sharded


def save_sharded(tensors: Mapping[str, Tensor], folder: Path | None = None) -> None:
    """Write a file for each process; every process calls it.

    Args:
        tensors: DTensors, each process's rows of them; other tensors are the main process's alone.
            Without any DTensor nothing is written.
        folder: empty, on a file system that every process sees; of the main process.

    Raises:
        RunError: another process has ended.
    """
    if not any(map(is_sharded, tensors.values())):
        return
    # Imported late: a training of whole parameters needs none of it.
    import torch.distributed.checkpoint as distributed

    dcp: Any = distributed
    world = here()
    path = world.of_main(lambda: str(folder))
    with world.together():
        try:
            writer = dcp.HuggingFaceStorageWriter(path, save_distributed=True)
            dcp.save(dict(tensors), storage_writer=writer, process_group=world.groups["cpu"])
        except dcp.api.CheckpointException as error:  # no Exception; of any process
            raise RuntimeError(f"the checkpoint cannot be written: {error}") from error


def load_sharded(folder: Path, sharded: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read all tensors; no process waits for another.

    Args:
        folder: files of any number of processes.
        sharded: DTensors, by the name of a file's tensor of which the same rows are wanted.

    Returns:
        DTensors under those names, as far as they are in the files; others whole.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not sharded and len(files) == 1:
        return load_file(files[0])
    import torch.distributed.checkpoint as distributed

    dcp: Any = distributed
    reader = dcp.HuggingFaceStorageReader(str(folder))
    stored = reader.read_metadata().state_dict_metadata
    tensors = {
        name: torch.zeros_like(sharded[name].detach())
        if name in sharded
        else torch.zeros(of.size, dtype=of.properties.dtype)
        for name, of in stored.items()
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        dcp.load(tensors, storage_reader=reader, no_dist=True)
    return tensors
