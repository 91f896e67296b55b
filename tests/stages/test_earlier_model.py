"""A training that does not end leaves the model before it in force, with its settings."""

import json
import shutil

import pytest
from click.testing import CliRunner

from cllm4rec import progress
from cllm4rec.cli.app import cllm4rec
from cllm4rec.config import read_config
from cllm4rec.errors import CLLM4RecError, ConfigError, IntegrityError
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages import finetune as finetuning
from cllm4rec.stages.chosen import Chosen
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.finetune import finetune
from cllm4rec.stages.initialise import initialise
from cllm4rec.stages.prepare import configure, prepare
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.refit import refit
from cllm4rec.stages.train import train

DIVERGING = "finetune.learning_rate=1e30"
OTHER_START = ("model.warm_start=none", "pretrain.enabled=false")
"""Settings with which every stage before finetuning is done again."""


@pytest.fixture
def run(trained, tmp_path) -> RunDir:
    shutil.copytree(trained.run.path, tmp_path / "run")
    return RunDir(tmp_path / "run")


class Killed(BaseException):
    """Stands for a kill: nothing is put in order after it."""


def train_until(run: RunDir, monkeypatch, *overrides: str) -> None:
    """Train with other settings, until the first step of finetuning."""

    def log(self: RunDir, **row) -> None:
        if row["stage"] == "finetune":
            raise Killed

    with progress.quiet(), monkeypatch.context() as patch:
        patch.setattr(RunDir, "log_metrics", log)
        with pytest.raises(Killed):
            train(run, configure(run, None, overrides))


def diverge(run: RunDir, *overrides: str) -> None:
    with progress.quiet(), pytest.raises(ConfigError, match="diverged"):
        train(run, configure(run, None, [DIVERGING, *overrides]))


def answers(run: RunDir) -> list:
    users = Recommender.load(run.path).dataset.users.ids([0, 1])
    return recommend(run, users=users, k=5)["recommendations"]


@pytest.mark.parametrize("others", [(), OTHER_START])
def test_one_that_diverges_costs_nothing(trained, run, others):
    names = ("config.toml", "results.json", "metrics.jsonl")
    before = {name: run.file(name).read_bytes() for name in names}
    wanted, chosen = answers(run), Chosen.by(run)
    diverge(run, *others)
    assert {name: run.file(name).read_bytes() for name in before} == before
    assert answers(run) == wanted
    assert Chosen.by(run) == chosen, "what refit takes over is the model's"
    assert read_config(run.settings) == trained.config
    with progress.quiet():
        rows = {row["model"] for row in evaluate(run)["rows"]}
        assert rows == {row["model"] for row in json.loads(before["results.json"])["rows"]}
        again = train(run, configure(run))
    assert again["finetune"] == trained.run.info("finetune"), "it is not trained again"


def test_the_first_one_that_diverges_keeps_the_settings_of_prepare(trained, tmp_path):
    run = RunDir(tmp_path / "run").create()
    split = trained.source / "split.parquet"
    with progress.quiet():
        prepare(trained.source, run, split=split, protocol="paper", config=trained.config)
    before = run.file("config.toml").read_bytes()
    diverge(run, *OTHER_START)
    assert run.settings == run.file("config.toml")
    assert run.file("config.toml").read_bytes() == before
    with pytest.raises(CLLM4RecError, match="no trained model"):
        answers(run)


def test_a_killed_one_goes_on_and_is_said_meanwhile(trained, run, monkeypatch):
    wanted, others = answers(run), ["finetune.epochs=1", *OTHER_START]
    train_until(run, monkeypatch, *others)
    assert answers(run) == wanted
    assert read_config(run.file("config.toml")) == trained.config
    begun = read_config(run.settings)
    assert begun.model.warm_start == "none"
    given = ["similar", "--run", str(run.path), trained.world.item_ids[0], "--json"]
    result = CliRunner().invoke(cllm4rec, given)
    assert result.exit_code == 0, result.output
    assert f"cllm4rec train --run {run.path}" in result.stderr
    curves = run.metrics()
    assert curves == trained.run.metrics()
    with progress.quiet():
        train(run, configure(run))
    assert {row["stage"] for row in curves} == {"pretrain", "finetune"}
    assert {row["stage"] for row in run.metrics()} == {"finetune"}
    assert max(row["epoch"] for row in run.metrics() if "valid" in row) == 1
    assert not run.file("checkpoints", "metrics.jsonl").exists()
    assert read_config(run.file("config.toml")) == begun
    assert run.settings == run.file("config.toml")
    assert Recommender.load(run.path).config.finetune.epochs == 1
    assert not run.is_done("evaluate"), "the results are of the model before"


@pytest.mark.parametrize("name", ["save_model", "keep_settings"])
def test_one_killed_as_its_model_is_kept_is_measured_only_when_it_has_gone_on(
    run, monkeypatch, name
):
    done = getattr(finetuning, name)

    def killed(*given) -> None:
        done(*given)
        raise Killed

    with progress.quiet(), monkeypatch.context() as patch:
        patch.setattr(finetuning, name, killed)
        with pytest.raises(Killed):
            train(run, configure(run, None, ["finetune.epochs=1"]))
    for measured in (evaluate, lambda run: refit(run, RunDir(run.path.with_name("to")))):
        with pytest.raises(IntegrityError, match="not what `finetune` wrote"):
            measured(run)
    with progress.quiet():
        train(run, configure(run))
    run.require("finetune")
    assert read_config(run.file("config.toml")).finetune.epochs == 1
    assert Recommender.load(run.path).config.finetune.epochs == 1


def test_stages_by_themselves_hand_their_settings_on(run):
    with progress.quiet():
        initialise(run, configure(run, None, [*OTHER_START, "finetune.epochs=1"]))
        assert Recommender.load(run.path).config.model.warm_start != "none"
        finetune(run, configure(run))
    assert read_config(run.file("config.toml")).model.warm_start == "none"
    assert Recommender.load(run.path).config.finetune.epochs == 1


def test_one_that_goes_on_and_diverges_says_which_settings_wait(trained, run, monkeypatch, capsys):
    train_until(run, monkeypatch, DIVERGING, "pretrain.enabled=false")
    capsys.readouterr()
    with pytest.raises(ConfigError, match="diverged"):
        train(run, configure(run))
    said = capsys.readouterr().err
    assert f"--config {run.file('config.toml')}" in said
    assert "and its settings" not in said
    with progress.quiet():
        again = train(run, configure(run, run.file("config.toml")))
    assert again["finetune"] == trained.run.info("finetune")
    assert run.settings == run.file("config.toml")


def test_settings_that_are_prepared_wait_for_a_model(trained, run):
    split, other = trained.source / "split.parquet", trained.config.changed(finetune={"epochs": 1})
    with progress.quiet():
        prepare(trained.source, run, split=split, protocol="paper", config=trained.config)
        assert run.settings == run.file("config.toml")
        prepare(trained.source, run, split=split, protocol="paper", config=other)
    assert read_config(run.file("config.toml")) == trained.config
    assert read_config(run.settings) == other
