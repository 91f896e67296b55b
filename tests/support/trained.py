"""A planted world, prepared and trained with a toy backbone, for tests outside ``stages``."""

from pathlib import Path

from cllm4rec import progress
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from support.toy_run import toy_config


def train_toy_run(folder: Path, backbone: Path, *overrides: str) -> RunDir:
    """Prepare and train in ``folder/run``; ``overrides`` are settings."""
    write_planted_world(folder / "source", users=120, items=80, genres=4)
    config = toy_config(backbone, "finetune.epochs=1", "pretrain.enabled=false", *overrides)
    run = RunDir(folder / "run")
    split = folder / "source" / "split.parquet"
    with progress.quiet():
        prepare(folder / "source", run, split=split, protocol="paper", config=config)
        train(run, config)
    return run
