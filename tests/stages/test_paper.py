"""``--config paper`` and what only it does, from end to end with a small GPT-2."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cllm4rec import progress
from cllm4rec.config import PAPER, Config, request_of, resolve
from cllm4rec.data.dataset import Dataset
from cllm4rec.documents.content import ContentCorpus
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.finetune import finetuning_objectives
from cllm4rec.stages.initialise import Initial
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.pretrain import pretraining_objectives, schedule_of_passes
from cllm4rec.stages.setup import Setup
from cllm4rec.stages.train import train
from cllm4rec.training.loop import Pass
from support.tiny_backbone import write_tiny_gpt2
from support.toy_run import toy

BRIEF = [
    "corpus.max_items=200",  # the toy tokenizer has three words for one of GPT-2's
    "corpus.max_words=200",
    "pretrain.content_warmup_epochs=1",
    "pretrain.rounds=1",
    "finetune.epochs=2",
]


def paper(gpt2: Path, *overrides: str) -> Config:
    given = [*toy(gpt2), *BRIEF, *overrides]
    return resolve(request_of("paper", given), newest_held_out=False)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_tiny_gpt2(tmp_path_factory.mktemp("gpt2"), layers=2)


@pytest.fixture(scope="module")
def prepared(trained, gpt2, tmp_path_factory):
    """Runs of a world where a tenth of the items has no training interaction."""

    def make(name: str) -> RunDir:
        run = RunDir(tmp_path_factory.mktemp(name) / "run")
        with progress.quiet():
            prepare(trained.source, run, split=None, protocol="new-items", config=paper(gpt2))
        return run

    return make


@pytest.fixture(scope="module")
def run(prepared, gpt2):
    """Trained, uninterrupted."""
    run = prepared("whole")
    with progress.quiet():
        train(run, paper(gpt2))
    return run


@pytest.fixture
def before_finetuning(run, gpt2):
    """The model and the objectives of finetuning, without pretraining."""
    return finetuning_objectives(Setup.of(run, paper(gpt2)), Initial.read(run))


def losses(run: RunDir) -> list[dict]:
    return [row for row in run.metrics() if "loss" in row]


def test_the_whole_schedule_has_10_and_100_passes_over_the_texts():
    plan = schedule_of_passes(PAPER.pretrain, {"collaborative": 7, "content": 9})
    assert [(part.objective, part.count) for part in plan] == [
        ("warmup", 10 * 9),
        *(("collaborative", 7), ("content", 9)) * 100,
    ]
    starts = [part.start for part in plan if part.objective == "content"]
    assert starts == [9 * number for number in range(100)]


def test_c_steps_follow_every_pass_of_both_stages_at_constant_rates(run):
    rows = losses(run)
    last = [row for row, after in pairwise([*rows, {}]) if row["pass"] != after.get("pass")]
    assert [(row["stage"], row["part"]) for row in last] == [
        ("pretrain", "warmup"),
        ("pretrain", "collaborative"),
        ("pretrain", "content"),
        *[("finetune", "finetune"), ("finetune", "content")] * 2,
    ]
    batches = -(-len(ContentCorpus.open(run.file("corpus"))) // 160)
    steps = Counter((row["stage"], row["part"]) for row in rows)
    assert steps["pretrain", "warmup"] == steps["pretrain", "content"] == batches > 1
    assert steps["finetune", "content"] == 2 * batches
    rates = {(row["stage"], row["rate"]) for row in rows}
    assert rates == {("pretrain", 1e-3), ("finetune", 1e-4)}
    assert {row["part"] for row in rows if "mutual" not in row} == {"warmup"}


def test_users_and_items_are_all_that_is_trained(run, gpt2, before_finetuning):
    setup = Setup.of(run, paper(gpt2))
    before = pretraining_objectives(setup, Initial.read(run))
    for objective in (*before.values(), *before_finetuning[1].values()):
        assert objective.parameters().keys() == {"embedding.users", "embedding.items.weight"}
    model = load_file(run.file("model", "model.safetensors"))
    assert not model["head.bias"].any()
    assert model["head.log_scale"] == 0
    assert (Recommender.load(run.path).recommend(None, 5).items >= 0).all()


def test_each_side_is_regularised_towards_the_other_as_it_is_trained(run, gpt2, before_finetuning):
    model, both = before_finetuning
    assert both["finetune"].mutual.other is both["content"].model.embedding
    assert both["content"].mutual.other is model.embedding
    setup = Setup.of(run, paper(gpt2, "finetune.content_steps=false"))
    _, alone = finetuning_objectives(setup, Initial.read(run))
    assert alone.keys() == {"finetune"}
    assert not any(p.requires_grad for p in alone["finetune"].mutual.other.parameters())


def test_items_without_a_training_interaction_are_negatives_like_others(run, before_finetuning):
    model, both = before_finetuning
    dataset = Dataset.open(run.file("data"))
    cold = torch.from_numpy(dataset.part("train").item_counts() == 0)
    assert cold.any()
    tables = Initial.read(run).tensors
    assert torch.equal(model.embedding.items.all()[cold], tables["collaborative"][cold])
    objective = both["finetune"]
    step = objective.steps(Pass("finetune", 0, 50))[0]
    objective.losses(objective.batches(step)[0])["likelihood"].total.backward()
    assert model.embedding.items.weight.grad[cold].any(dim=1).all()


def test_validation_does_not_switch_off_the_dropout_of_c_steps(before_finetuning):
    model, both = before_finetuning
    content = both["content"]
    assert content.model.backbone is model.backbone  # frozen, and so one for both
    model.eval()
    assert not model.backbone.model.training
    content.losses(content.batches(content.steps(Pass("content", 0, 50))[0])[0])
    assert model.backbone.model.training


class Interrupted(Exception):
    """Stands for a kill after a pass's checkpoint."""


def test_a_run_that_goes_on_is_the_run_that_was_never_interrupted(run, prepared, gpt2, monkeypatch):
    """Interrupted after passes of both kinds; with dropout and two optimisers' moments."""
    stopped, log = prepared("stopped"), RunDir.log_metrics
    for at in (("pretrain", 1), ("pretrain", 2), ("finetune", 1), ("finetune", 2)):

        def until(self: RunDir, at=at, **row) -> None:
            if "step" in row and (row["stage"], row["pass"]) == at:
                raise Interrupted
            log(self, **row)

        with monkeypatch.context() as patch, progress.quiet():
            patch.setattr(RunDir, "log_metrics", until)
            with pytest.raises(Interrupted):
                train(stopped, paper(gpt2))
    with progress.quiet():
        train(stopped, paper(gpt2))
    for name in ("pretrained/content", "pretrained/collaborative", "model/model"):
        files = [one.file(f"{name}.safetensors").read_bytes() for one in (run, stopped)]
        assert files[0] == files[1]
    assert losses(run) == losses(stopped)
