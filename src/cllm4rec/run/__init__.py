"""The run directory: the one place a run lives in, and how files get into it.

    RUN/
      manifest.json    which stage is done, with the sha256 of every file it left
      config.toml      the settings, every one decided
      split.parquet    which interaction is in which part
      data/            prepared data
      checkpoints/     training state, removed when its stage is done
      model/           safetensors + JSON
      pretrained/      what finetuning starts from
      topk/            lists of the test part, and each user's metrics
      results.json  metrics.jsonl  report.html

A file appears under its final name only when it is whole: it is written beside it under a
temporary name, flushed to the disk and renamed. A stage counts as done only when the manifest says
so, and the manifest is written last. Stages that change a run hold ``.lock`` meanwhile, which the
system takes back when their process ends, however it does.
"""

from cllm4rec.run.exclusive import exclusive
from cllm4rec.run.files import (
    atomic_folder,
    atomic_write,
    make_folder,
    read_json,
    sha256_file,
    sha256_files,
    write_json,
)
from cllm4rec.run.leftovers import clear_leftovers
from cllm4rec.run.places import refuse_inside_run
from cllm4rec.run.run import FORMAT, RunDir, package_version
from cllm4rec.run.seal import is_sealed, seal, sealed_files, verify_seal

__all__ = [
    "FORMAT",
    "RunDir",
    "atomic_folder",
    "atomic_write",
    "clear_leftovers",
    "exclusive",
    "is_sealed",
    "make_folder",
    "package_version",
    "read_json",
    "refuse_inside_run",
    "seal",
    "sealed_files",
    "sha256_file",
    "sha256_files",
    "verify_seal",
    "write_json",
]
