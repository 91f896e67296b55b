"""A run that is prepared, and as good as trained: its manifest says so."""

from pathlib import Path

from cllm4rec import progress
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import prepare

LATER = ("pretrain", "finetune", "evaluate")


def as_good_as_trained(source: Path, folder: Path) -> RunDir:
    """A run of these data in a new folder."""
    run = RunDir(folder)
    prepared_again(source, run)
    for stage in LATER:
        run.finish(stage, [], 0.0)
    return run


def prepared_again(source, run, *, config=None, split=None, protocol="paper", replace=True) -> dict:
    """What `prepare` reports."""
    with progress.quiet():
        return prepare(source, run, split=split, protocol=protocol, config=config, replace=replace)


def kept(run: RunDir) -> bool:
    """Whether what was trained is still there; all of it or nothing."""
    assert run.is_done("prepare")
    done = {run.is_done(stage) for stage in LATER}
    assert len(done) == 1
    return done.pop()
