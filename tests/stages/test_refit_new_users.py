"""refit where whole users are held out: their histories are trained on, but of who is measured."""

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.run import RunDir
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.refit import refit
from cllm4rec.stages.train import train
from support.toy_run import toy_config


@pytest.fixture(scope="module")
def source(tmp_path_factory, backbone) -> RunDir:
    folder = tmp_path_factory.mktemp("new-users")
    write_planted_world(folder / "source", users=80, items=60, genres=4)
    config = toy_config(backbone, "finetune.epochs=1", "pretrain.enabled=false")
    run = RunDir(folder / "run")
    with progress.quiet():
        prepare(folder / "source", run, split=None, protocol="new-users", config=config)
        train(run, config)
    return run


def counts(run: RunDir, part) -> np.ndarray:
    return Dataset.open(run.file("data")).part(part).counts()


def test_every_interaction_is_trained_on(source, tmp_path):
    again = RunDir(tmp_path / "again")
    with progress.quiet():
        refit(source, again)
    whole = Dataset.open(source.file("data")).interactions
    assert counts(source, "history").any()
    np.testing.assert_array_equal(counts(again, "train"), whole.counts())


def test_only_users_who_are_measured_keep_their_history(source, tmp_path):
    again = RunDir(tmp_path / "again")
    with progress.quiet():
        refit(source, again, keep_test=True)
        results = evaluate(again)
    measured = counts(source, "test") > 0
    whole = Dataset.open(source.file("data")).interactions.counts()
    np.testing.assert_array_equal(counts(again, "train"), np.where(measured, 0, whole))
    np.testing.assert_array_equal(
        counts(again, "history"), np.where(measured, counts(source, "history"), 0)
    )
    assert results["rows"][0]["users"] == int(measured.sum())
