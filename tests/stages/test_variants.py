"""Every part that can be switched off or exchanged still gives a run that trains and ranks."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from cllm4rec import progress
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.finetune import finetune
from cllm4rec.stages.initialise import initialise
from cllm4rec.stages.pretrain import pretrain
from cllm4rec.stages.train import train
from support.tiny_backbone import write_tiny_gpt2
from support.toy_run import toy_config

VARIANTS = {
    "without what is added": [
        "model.warm_start=none",
        "model.history_skip=false",
        "model.linear=false",
        "model.projection=false",
        "pretrain.vocabulary=full",
        "finetune.user_token_dropout=0.0",
    ],
    "dropout in a trained backbone": ["backbone.mode=full", "backbone.dropout=0.1"],
    "a prior, and c-steps in time order": [
        "corpus.order=time",
        "finetune.target=next",
        "finetune.content_steps=true",
        "model.prior_weight=0.1",
    ],
    "words both ways": ["corpus.words=both-ways"],
    "word means": ["model.warm_start=words"],
    "no pretraining": ["pretrain.enabled=false"],
    "random weights": ["backbone.weights=random"],
    "one layer": ["backbone.depth=1"],
    "a softmax over a sample": ["model.softmax_items=5"],
    "lora": ["backbone.mode=lora"],
    "layers computed again": ["backbone.mode=lora", "backbone.activation_checkpointing=true"],
    "full": ["backbone.mode=full"],
    "time order": ["corpus.order=time"],
    "next item": ["corpus.order=time", "finetune.target=next", "finetune.dropout=0.3"],
    "next item, full, nobody": [
        "corpus.order=time",
        "finetune.target=next",
        "backbone.mode=full",
        "model.skip_decay=0.8",
        "pretrain.enabled=false",
        "finetune.user_token_dropout=1.0",
    ],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant(trained, backbone, tmp_path, variant):
    config = toy_config(backbone, "finetune.epochs=1", *VARIANTS[variant])
    check(trained, tmp_path, config)


def test_stages_apart_make_what_they_make_together(trained, backbone, tmp_path):
    """What one stage trains in place, the next one finds as a process of its own would."""
    given = "backbone.mode=full", "finetune.content_steps=true", "finetune.epochs=1"
    config, made = toy_config(backbone, *given), []
    for name, stages in (("together", [train]), ("apart", [initialise, pretrain, finetune])):
        run = prepared(trained, tmp_path / name)
        with progress.quiet():
            for stage in stages:
                stage(run, config)
        losses = [row for row in run.metrics() if "loss" in row]
        made.append((losses, run.file("model", "model.safetensors").read_bytes()))
    assert {"content", "finetune"} <= {row["part"] for row in made[0][0]}
    assert made[0] == made[1]


def test_without_pretraining_no_text_is_tokenised_and_z_c_is_where_it_starts(
    trained, backbone, tmp_path
):
    run = prepared(trained, tmp_path / "run")
    off = toy_config(backbone, "pretrain.enabled=false", "finetune.epochs=1")
    with progress.quiet():
        assert train(run, off).keys() == {"initialise", "finetune"}
        assert pretrain(run, off).keys() == {"skipped"}
        assert not run.file("corpus").exists()
        initial = load_file(run.file("initial", "start.safetensors"))
        idle = ["pretrain.rounds=0", "pretrain.content_warmup_epochs=0"]
        train(run, toy_config(backbone, "finetune.epochs=1", *idle))
    tables = load_file(run.file("pretrained", "content.safetensors"))
    assert torch.equal(tables["items"], initial["content"])
    assert torch.equal(tables["users"], initial["content_users"])


def test_no_user_table_where_no_user_token_is_read(trained, backbone, tmp_path):
    run = prepared(trained, tmp_path / "run")
    given = "pretrain.enabled=false", "finetune.user_token_dropout=1.0", "finetune.epochs=1"
    with progress.quiet():
        train(run, toy_config(backbone, *given))
        recommender = Recommender.load(run.path)
    assert "embedding.users" not in load_file(run.file("model", "model.safetensors"))
    assert recommender.scorer.task.space.num_users == 0
    assert (recommender.recommend(None, 5).items >= 0).all()


def test_gpt2(trained, tmp_path):
    folder = write_tiny_gpt2(tmp_path / "gpt2", layers=2)
    check(trained, tmp_path, toy_config(folder, "finetune.epochs=1"))


def prepared(trained, folder) -> RunDir:
    """A run of the toy data, not trained."""
    run = RunDir(folder).create()
    shutil.copytree(trained.run.file("data"), run.file("data"))
    run.finish("prepare", [run.file("data")], 0.0)
    return run


def check(trained, tmp_path, config) -> None:
    run = prepared(trained, tmp_path / "run")
    with progress.quiet():
        train(run, config)
        lists = Recommender.load(run.path).recommend(None, 5)
    assert (lists.items >= 0).all()
    rows = run.metrics()
    passes = {row["part"] for row in rows if "part" in row}
    assert "finetune" in passes
    assert ("collaborative" in passes) == config.pretrain.enabled
