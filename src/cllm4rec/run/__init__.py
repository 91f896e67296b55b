"""The run directory, and how files are written into it.

    RUN/
      manifest.json    finished stages, with the sha256 of every file they wrote
      config.toml      the complete settings: the model's, once there is one
      split.parquet    part of every interaction
      data/            prepared data
      checkpoints/     training state and settings, removed when its stage is done
      model/           safetensors + JSON
      pretrained/      pretrained token tables
      topk/            lists of the test part, and per-user metrics
      results.json  metrics.jsonl  report.html

Files are written atomically: under a temporary name in the same folder, flushed to disk, then
renamed. A stage is done when the manifest says so, and the manifest is written last. Stages that
change a run hold the lock ``.lock``, which the system releases when their process ends. Where
several processes train together, the main one alone locks and writes.
"""

from cllm4rec.run.exclusive import exclusive
from cllm4rec.run.files import (
    atomic_folder,
    atomic_write,
    flush,
    make_folder,
    read_json,
    sha256_file,
    sha256_files,
    write_json,
)
from cllm4rec.run.leftovers import clear_leftovers
from cllm4rec.run.manifest import FORMAT, package_version
from cllm4rec.run.opened import Opened
from cllm4rec.run.places import refuse_inside_run, refuse_unwritable
from cllm4rec.run.processes import end_at_once, is_alone, is_main, place_among_processes
from cllm4rec.run.run import RunDir
from cllm4rec.run.seal import is_sealed, seal, sealed_files, verify_seal

__all__ = [
    "FORMAT",
    "Opened",
    "RunDir",
    "atomic_folder",
    "atomic_write",
    "clear_leftovers",
    "end_at_once",
    "exclusive",
    "flush",
    "is_alone",
    "is_main",
    "is_sealed",
    "make_folder",
    "package_version",
    "place_among_processes",
    "read_json",
    "refuse_inside_run",
    "refuse_unwritable",
    "seal",
    "sealed_files",
    "sha256_file",
    "sha256_files",
    "verify_seal",
    "write_json",
]
