"""Every part that can be switched off or exchanged still gives a run that trains and ranks."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from cllm4rec import progress
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.pretrain import pretrain
from cllm4rec.stages.train import train
from support.tiny_backbone import write_tiny_gpt2
from support.toy_run import toy_config

VARIANTS = {
    "paper": [
        "model.warm_start=none",
        "model.history_skip=false",
        "model.linear=false",
        "model.projection=false",
        "pretrain.vocabulary=full",
        "finetune.user_token_dropout=0.0",
    ],
    "word means": ["model.warm_start=words"],
    "no pretraining": ["pretrain.enabled=false"],
    "random weights": ["backbone.weights=random"],
    "one layer": ["backbone.depth=1"],
    "lora": ["backbone.mode=lora"],
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


def test_without_pretraining_no_text_is_tokenised_and_the_content_table_is_where_it_would_start(
    trained, backbone, tmp_path
):
    both = {}
    for name, given in {
        "off": ["pretrain.enabled=false"],
        "no rounds": ["pretrain.rounds=0", "pretrain.content_warmup_epochs=0"],
    }.items():
        run = RunDir(tmp_path / name).create()
        shutil.copytree(trained.run.file("data"), run.file("data"))
        run.finish("prepare", [run.file("data")], 0.0)
        with progress.quiet():
            info = pretrain(run, toy_config(backbone, *given))
        both[name] = load_file(run.file("pretrained", "content.safetensors"))
        assert run.file("corpus").exists() == ("content" in info["documents"]) == (name != "off")
    off, started = (tables["embedding.entities"] for tables in both.values())
    assert torch.equal(off, started)


def test_gpt2(trained, tmp_path):
    folder = write_tiny_gpt2(tmp_path / "gpt2", layers=2)
    check(trained, tmp_path, toy_config(folder, "finetune.epochs=1"))


def check(trained, tmp_path, config) -> None:
    run = RunDir(tmp_path / "run").create()
    shutil.copytree(trained.run.file("data"), run.file("data"))
    run.finish("prepare", [run.file("data")], 0.0)
    with progress.quiet():
        train(run, config)
        lists = Recommender.load(run.path).recommend(None, 5)
    assert (lists.items >= 0).all()
    rows = run.metrics()
    passes = {row["part"] for row in rows if "part" in row}
    assert "finetune" in passes
    assert ("collaborative" in passes) == config.pretrain.enabled
