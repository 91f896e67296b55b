"""A run trained once more on what was held out, as validation chose it."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

from cllm4rec import progress
from cllm4rec.baselines import Context
from cllm4rec.cli.app import cllm4rec
from cllm4rec.config import read_config
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble import linear
from cllm4rec.errors import InputError, RunError
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.seeds import derived_seed
from cllm4rec.stages import refit as stage
from cllm4rec.stages.chosen import Chosen
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import configure
from cllm4rec.stages.refit import refit
from cllm4rec.stages.train import train
from support.planted_order import write_planted_order
from support.toy_run import toy_config


def pairs_of(interactions) -> set[tuple[int, int]]:
    return set(zip(interactions.users().tolist(), interactions.items.tolist(), strict=True))


@pytest.fixture(scope="module")
def source(trained, backbone, tmp_path_factory) -> RunDir:
    """A run in which training pays, so that an epoch after the start is chosen."""
    run = RunDir(tmp_path_factory.mktemp("refit") / "source")
    shutil.copytree(trained.run.path, run.path)
    config = toy_config(backbone, "model.warm_start=none", "finetune.learning_rate=0.02")
    with progress.quiet():
        train(run, configure(run, config))
        evaluate(run)
    assert run.info("finetune")["best_epoch"] > 0
    return run


@pytest.fixture(scope="module")
def again(source, tmp_path_factory) -> RunDir:
    """The test part kept."""
    run = RunDir(tmp_path_factory.mktemp("refit") / "again")
    with progress.quiet():
        refit(source, run, keep_test=True)
    return run


def test_validation_is_trained_on_and_the_test_part_stays(source, again):
    before, after = (Dataset.open(run.file("data")) for run in (source, again))
    assert pairs_of(after.part("train")) == pairs_of(before.known("test"))
    assert pairs_of(after.part("test")) == pairs_of(before.part("test"))
    assert not len(after.part("valid"))
    assert after.newest_held_out == before.newest_held_out
    assert after.report()["kept"]["train"] == len(after.part("train"))


def test_what_was_chosen_is_taken_over(source, again):
    for name in ("start", "linear"):
        assert again.info("initialise")[name] == source.info("initialise")[name]
    for name in ("best_epoch", "blend", "blend_by_length"):
        assert again.info("finetune")[name] == source.info("finetune")[name]
    assert again.info("finetune")["epochs"] == source.info("finetune")["best_epoch"]
    assert read_config(again.file("config.toml")) == read_config(source.file("config.toml"))


def test_its_linear_half_is_fitted_on_both_parts(source, again):
    dataset, config = Dataset.open(again.file("data")), read_config(again.file("config.toml"))
    context = Context.of(dataset, derived_seed(config.seed, "linear prior"))
    settings = again.info("initialise")["linear"]
    wanted = linear.as_chosen(dataset.known("test"), settings, context).arrays()
    found = load_file(again.file("initial", "linear.safetensors"))
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-6)


def test_it_is_evaluated_without_baselines_which_nothing_could_choose(source, again):
    with progress.quiet():
        results = evaluate(again)
    assert set(results["left_out"]) == set(
        read_config(again.file("config.toml")).evaluate.baselines
    )
    assert all("nothing is held out" in reason for reason in results["left_out"].values())
    before = json.loads(source.file("results.json").read_text())
    own = [row["model"] for row in before["rows"] if row["model"] not in results["left_out"]]
    assert [row["model"] for row in results["rows"]] == own
    assert results["rows"][0]["users"] == before["rows"][0]["users"]


def test_on_the_same_parts_the_same_model_is_trained(source, tmp_path, monkeypatch):
    """What takes choices over trains as what made them did, to the bit."""
    monkeypatch.setattr(stage, "with_held_out", lambda dataset, keep_test: dataset)
    run = RunDir(tmp_path / "same")
    with progress.quiet():
        refit(source, run)
    for path in source.file("model").glob("*.safetensors"):
        mine, theirs = load_file(path), load_file(run.file("model", path.name))
        assert mine.keys() == theirs.keys()
        for name, array in mine.items():
            assert array.tobytes() == theirs[name].tobytes(), (path.name, name)


def test_a_start_that_was_chosen_is_not_trained(trained, tmp_path):
    assert trained.run.info("finetune")["best_epoch"] == 0
    run = RunDir(tmp_path / "start")
    with progress.quiet():
        refit(trained.run, run)
    assert run.info("finetune")["best_epoch"] == run.info("finetune")["epochs"] == 0
    assert not [row for row in run.metrics() if row.get("part") == "finetune"]


def test_progress_counts_the_epochs_that_are_trained(source, tmp_path, monkeypatch):
    totals: list[int | None] = []

    @contextmanager
    def task(name, total=None, unit=""):
        with shown(name, total, unit) as done:
            yield done
        if name == "Finetune":
            totals.extend([total, done.done])

    shown, by = progress.task, Chosen.by
    monkeypatch.setattr(progress, "task", task)
    monkeypatch.setattr(Chosen, "by", lambda run: replace(by(run), epoch=1))
    with progress.quiet():
        refit(source, RunDir(tmp_path / "run"))
    assert read_config(source.file("config.toml")).finetune.epochs > 1
    assert totals[0] == totals[1] > 0


def test_without_a_test_part_everything_is_trained_on_and_nothing_is_measured(source, tmp_path):
    to = tmp_path / "all"
    given = ["refit", "--run", str(source.path), "--to", str(to), "--json"]
    result = CliRunner().invoke(cllm4rec, given)
    assert result.exit_code == 0, result.output
    run, before = RunDir(to), Dataset.open(source.file("data"))
    assert pairs_of(Dataset.open(to / "data").part("train")) == pairs_of(before.interactions)
    recommender = Recommender.load(to)
    known = before.known("recommend").rows(np.arange(3))
    assert recommender.scorer.score(np.arange(3, dtype=np.int32), known).shape[0] == 3
    with progress.quiet(), pytest.raises(InputError, match="trained on everything, the test"):
        evaluate(run)


def test_an_interrupted_call_goes_on_and_another_runs_folder_is_refused(source, again, tmp_path):
    to = RunDir(tmp_path / "copy")
    shutil.copytree(again.path, to.path)
    before = to.file("manifest.json").read_text()
    with progress.quiet():
        refit(source, to, keep_test=True)
    assert json.loads(to.file("manifest.json").read_text()) == json.loads(before)
    with pytest.raises(InputError, match=r"--to .*copy is another run"):
        refit(source, to)
    with pytest.raises(InputError, match="was itself made by refit"):
        refit(to, RunDir(tmp_path / "third"))
    assert not (tmp_path / "third").exists()


def test_a_run_that_is_not_trained_is_refused(prepared_only, tmp_path):
    with pytest.raises(RunError, match="no finished stage"):
        refit(prepared_only, RunDir(tmp_path / "to"))
    assert not (tmp_path / "to").exists()


@pytest.fixture
def prepared_only(tmp_path) -> RunDir:
    """In time order: what order means must outlive the held-out part."""
    write_planted_order(tmp_path / "source")
    given = ["prepare", "--data", str(tmp_path / "source"), "--run", str(tmp_path / "run")]
    result = CliRunner().invoke(cllm4rec, [*given, "--protocol", "leave-last-out"])
    assert result.exit_code == 0, result.output
    return RunDir(tmp_path / "run")


def test_that_the_newest_were_held_out_is_still_known(prepared_only, tmp_path):
    to, chosen = RunDir(tmp_path / "to").create(), stage.Chosen({}, None, 0, 0.0)
    to.file("data").mkdir()
    found = stage.merge(prepared_only.file("data"), to.file("data"), chosen, keep_test=False)
    assert found.newest_held_out
    assert not len(found.part("test"))
    assert stage.Chosen.before(to) == chosen
