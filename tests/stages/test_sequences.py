"""Where the newest interactions are held out: order in, next items out, from end to end."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cllm4rec import progress
from cllm4rec.config import SEQUENCES, Config, Request, read_config, resolve
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.linear import PLAIN
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.epochs import epochs_of, finetuning_optimizer
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import configure, prepare
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.train import train
from cllm4rec.training.optim import adam
from support.planted_order import write_planted_order
from support.toy_run import toy_request


class Interrupted(Exception):
    """Stands for a kill."""


class Interrupting(RunDir):
    """A run whose log ends in an interruption when the third epoch is validated."""

    def log_metrics(self, **row) -> None:
        if row.get("epoch") == 3:
            raise Interrupted
        super().log_metrics(**row)


def config_of(backbone: Path, *overrides: str) -> Config:
    return resolve(request_for(backbone, *overrides), newest_held_out=True)


def request_for(backbone: Path, *overrides: str) -> Request:
    # No warm start: what the items have to do with each other is still to be learned.
    return toy_request(
        backbone,
        "model.warm_start=none",
        "finetune.learning_rate=0.02",
        "finetune.batch_tokens=512",
        "finetune.epochs=8",
        "finetune.least_steps=0",
        "finetune.head_learning_rate_scale=0.3",
        "finetune.head_full_rate_interactions=0",
        *overrides,
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, backbone):
    """The order planted, and a function that makes prepared runs of it."""
    folder = tmp_path_factory.mktemp("order")
    follows = write_planted_order(folder / "source")
    whole = RunDir(folder / "prepared")
    with progress.quiet():
        prepare(
            folder / "source",
            whole,
            split=None,
            protocol="leave-last-out",
            config=request_for(backbone),
        )

    def make(path: Path, kind: type[RunDir] = RunDir) -> RunDir:
        shutil.copytree(whole.path, path)
        return kind(path)

    return follows, make


@pytest.fixture(scope="module")
def run(tmp_path_factory, backbone, prepared) -> RunDir:
    run = prepared[1](tmp_path_factory.mktemp("sequences") / "run")
    with progress.quiet():
        train(run, config_of(backbone))
        evaluate(run)
    return run


@pytest.fixture(scope="module")
def alone(tmp_path_factory, backbone, prepared) -> RunDir:
    """The language model alone; a linear model here would find the order as well."""
    alone = prepared[1](tmp_path_factory.mktemp("alone") / "run")
    with progress.quiet():
        train(alone, config_of(backbone, "model.linear=false"))
        evaluate(alone)
    return alone


def mrr_of(run: RunDir) -> dict[str, float]:
    rows = json.loads(run.file("results.json").read_text())["rows"]
    return {row["model"]: row["metrics"]["mrr"]["mean"] for row in rows}


def test_the_settings_kept_are_those_of_sequences(run):
    config = read_config(run.file("config.toml"))
    assert (config.corpus.order, config.finetune.target) == ("time", "next")
    assert config.model.skip_decay == SEQUENCES.model.skip_decay
    assert config.finetune.epochs == 8, "what was given wins over the profile"
    recommender = Recommender.load(run.path)
    assert recommender.config == config
    assert recommender.scorer.anonymous


def test_the_settings_of_a_prepared_run_are_those_that_were_given(prepared, backbone, tmp_path):
    run = prepared[1](tmp_path / "run")
    with progress.quiet():
        assert configure(run) == config_of(backbone)
        assert configure(run, None, ["seed=3"]) == config_of(backbone, "seed=3")


def test_the_planted_order_is_recovered_by_the_language_model_alone(alone):
    means = mrr_of(alone)
    assert not {"· language model", "· linear model"} & means.keys()
    # Of some 30 candidates none is more popular, and as a set a history goes on at both ends.
    assert means["popularity"] < 0.3
    assert means["ease"] < 0.85
    assert means["language model"] > 0.9
    epochs = {row["epoch"]: row["llm_alone"]["mrr"] for row in alone.metrics() if "epoch" in row}
    assert epochs[0] < 0.3, "it was learned in finetuning and was not there before"
    assert alone.info("finetune")["best_epoch"] > 0


def test_both_halves_stand_in_the_table_with_what_the_prior_was_fitted_with(run):
    means = mrr_of(run)
    assert {"hybrid", "· language model", "· linear model"} <= means.keys()
    # Windows and ages see what a gram matrix of whole histories cannot.
    assert means["· linear model"] > means["ease-text"] + 0.1
    own = json.loads(run.file("results.json").read_text())["rows"][0]
    assert own["settings"].keys() == {"blend weight", "l2", *PLAIN}
    assert own["settings"].items() >= run.info("finetune")["linear"].items()


def test_the_item_after_the_last_one_comes_first_for_a_bare_history(alone, prepared):
    follows, hits = prepared[0], []
    for item in sorted(follows):
        history = [item]
        while len(history) < 4:
            history.append(follows[history[-1]])
        lists = recommend(alone, history=history, k=1)["recommendations"]["history"]
        hits.append(lists[0]["item_id"] == follows[history[-1]])
    assert np.mean(hits) > 0.9


def test_training_again_does_nothing(run, backbone):
    before = run.file("model", "model.safetensors").stat().st_mtime_ns
    with progress.quiet():
        train(run, config_of(backbone))
        train(run, configure(run))
    assert run.file("model", "model.safetensors").stat().st_mtime_ns == before


def test_an_interrupted_run_goes_on_to_the_same_model(alone, prepared, backbone, tmp_path):
    interrupted = prepared[1](tmp_path / "run", Interrupting)
    config = config_of(backbone, "model.linear=false")
    with progress.quiet():
        with pytest.raises(Interrupted):
            train(interrupted, config)
        assert not interrupted.is_done("finetune")
        assert interrupted.file("checkpoints", "finetune").is_dir()
        resumed = RunDir(interrupted.path)
        train(resumed, config)
    for name in ("model.safetensors", "model.json"):
        assert resumed.file("model", name).read_bytes() == alone.file("model", name).read_bytes()
    epochs = [row["epoch"] for row in resumed.metrics() if "epoch" in row]
    assert epochs == [row["epoch"] for row in alone.metrics() if "epoch" in row]


@pytest.mark.parametrize(
    ("steps", "epochs"), [(100, 8), (32, 8), (31, 9), (13, 20), (1, 40), (0, 40)]
)
def test_small_data_get_more_epochs_up_to_five_times_as_many(steps, epochs):
    assert epochs_of(SEQUENCES.finetune, steps) == epochs
    assert epochs_of(SEQUENCES.finetune.changed(least_steps=0), steps) == 8


@pytest.mark.parametrize(
    ("interactions", "share"), [(0, 0), (200, 0.01), (10_000, 0.5), (20_000, 1), (10**7, 1)]
)
def test_heads_of_small_data_learn_slowly(interactions, share):
    names = ("embedding.items.weight", "head.skip.weight", "backbone.layers.0.weight")
    parameters = {name: torch.nn.Parameter(torch.zeros(1)) for name in names}
    config = SEQUENCES.finetune

    def peaks(config) -> list[float]:
        groups = finetuning_optimizer(config, parameters, interactions).param_groups
        return [group["peak"] for group in groups]

    assert peaks(config) == pytest.approx([3e-3, 9e-5 * share, 9e-5])
    whole = config.changed(head_full_rate_interactions=0)
    assert peaks(whole) == pytest.approx([3e-3, 9e-5 if interactions else 0, 9e-5])


def test_a_training_counts_its_own_interactions(prepared, tmp_path, backbone, monkeypatch):
    _, make = prepared
    run = make(tmp_path / "counted")
    given: list[float] = []

    def noted(*arguments, head_scale, **others):
        given.append(head_scale)
        return adam(*arguments, head_scale=head_scale, **others)

    monkeypatch.setattr("cllm4rec.stages.epochs.adam", noted)
    with progress.quiet():
        settings = ("finetune.epochs=1", "finetune.head_full_rate_interactions=1000000")
        train(run, config_of(backbone, *settings, "finetune.head_learning_rate_scale=1"))
    interactions = len(Dataset.open(run.file("data")).part("train").items)
    assert interactions > 100
    assert given == [pytest.approx(interactions / 1_000_000)]


def test_a_schedule_of_few_steps_has_more_epochs(run, prepared, tmp_path, backbone, monkeypatch):
    _, make = prepared
    steps = sum(each.get("pass") == 0 for each in logged(run))
    longer = make(tmp_path / "longer")
    overrides = ("finetune.epochs=1", f"finetune.least_steps={2 * steps + 1}", "model.linear=false")
    with progress.quiet():
        config = config_of(backbone, *overrides)
        said: list[str] = []
        monkeypatch.setattr(progress, "note", said.append)
        record = train(longer, config)["finetune"]
        train(longer, config)
    assert max(each["epoch"] for each in logged(longer) if "valid" in each) == 3
    [small] = [line for line in said if line.startswith("small data")]
    begins = f"small data, {steps} steps an epoch: 3 epochs and not 1, towards finetune.least_steps"
    assert small.startswith(begins)
    assert record["chosen"].startswith(("the language model of epoch", "the untrained start"))
    assert said[-1] == "finetune was done with these settings before, and is not done again"


def logged(run: RunDir) -> list[dict]:
    return [json.loads(line) for line in run.file("metrics.jsonl").read_text().splitlines()]
