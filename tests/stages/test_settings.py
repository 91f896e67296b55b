"""Settings are what runs: a configuration trains as its own file does, and a backbone stays."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cllm4rec import progress
from cllm4rec.config import Config, read_config, to_toml
from cllm4rec.errors import ConfigError
from cllm4rec.recommender.intact import seal_model
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir, read_json, write_json
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.prepare import configure, prepare
from cllm4rec.stages.pretrain import SECTIONS
from cllm4rec.stages.setup import Setup
from cllm4rec.stages.train import train
from support.input_folder import small_log, write_rows
from support.toy_run import toy_config, toy_request

SHORT = ("finetune.epochs=1", "finetune.average=0")
STILL = ("finetune.learning_rate=1e-12",)
"""A rate at which the backbone stays what it was."""


@pytest.fixture
def prepared(trained, tmp_path):
    """A function that makes prepared runs of the planted world."""

    def make(name: str) -> RunDir:
        run = RunDir(tmp_path / name).create()
        shutil.copytree(trained.run.file("data"), run.file("data"))
        run.finish("prepare", [run.file("data")], 0.0)
        return run

    return make


def test_a_configuration_trains_as_its_own_file_read_again(prepared, backbone, tmp_path):
    config = toy_config(backbone, *SHORT)
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    runs = prepared("as it is"), prepared("read again")
    with progress.quiet():
        train(runs[0], config)
        train(runs[1], read_config(path))
    for name in ("model/model.safetensors", "pretrained/collaborative.safetensors"):
        assert runs[0].file(name).read_bytes() == runs[1].file(name).read_bytes()


def prepared_at_random(folder: Path, config) -> tuple[RunDir, Config]:
    """A run of a split at random, and the configuration that ``prepare`` left there."""
    write_rows(folder / "in", "interactions", small_log(40, 30, 12))
    run = RunDir(folder / "run")
    with progress.quiet():
        prepare(folder / "in", run, split=None, protocol="paper", config=config)
    return run, read_config(run.file("config.toml"))


@pytest.mark.parametrize(
    ("preset", "given", "said"),
    [("sequences", {}, True), ("sets", {}, False), ("sequences", {"position": 3}, False)],
)
def test_next_item_training_on_a_log_without_order_is_said(tmp_path, capsys, preset, given, said):
    rows = [{**row, "timestamp": None, **given} for row in small_log(40, 30, 12)]
    write_rows(tmp_path / "in", "interactions", rows)
    run = RunDir(tmp_path / "run")
    prepare(tmp_path / "in", run, split=None, protocol="paper", config=preset)
    assert ("it will be that of the files" in capsys.readouterr().err) == said


def kept_share(run: RunDir, backbone: Path) -> float:
    """Of the backbone's saved tensors, how many are those of its folder."""
    pretrained = load_file(backbone / "model.safetensors")
    saved = load_file(run.file("model", "model.safetensors"))
    same = [
        torch.allclose(tensor, pretrained[name.replace("backbone.model.", "model.")], atol=1e-5)
        for name, tensor in saved.items()
        if name.startswith("backbone.") and tensor.ndim == 2
    ]
    assert same
    return sum(same) / len(same)


@pytest.mark.parametrize(
    ("given", "share"), [([], 1.0), (["backbone.weights=random"], 0.0), (["backbone.depth=1"], 1.0)]
)
def test_a_backbone_that_is_named_keeps_its_weights_unless_others_are_asked_for(
    backbone, tmp_path, given, share
):
    request = toy_request(backbone, *SHORT, *STILL, *given)
    run, config = prepared_at_random(tmp_path, request)
    assert (config.preset, config.backbone.mode) == ("sets", "full")
    with progress.quiet():
        train(run, configure(run))
    assert kept_share(run, backbone) == share


def test_on_top_of_a_run_a_backbone_that_is_named_keeps_its_weights(backbone, tmp_path, capsys):
    run, config = prepared_at_random(tmp_path, None)
    assert config.backbone.weights == "random"
    changed = configure(run, None, [f'backbone.name="{backbone}"'])
    assert changed.backbone.weights == "pretrained"
    [line] = [line for line in capsys.readouterr().err.splitlines() if "weights" in line]
    assert "pretrained weights, not the random ones of preset 'sets'" in line
    assert configure(run) == config
    assert "random weights: the preset 'sets' takes them" in capsys.readouterr().err


def test_a_run_made_before_a_setting_came_is_opened(trained, tmp_path):
    run = RunDir(tmp_path / "run")
    for name in ("data", "model"):
        shutil.copytree(trained.run.file(name), run.file(name))
    record = read_json(run.file("model", "model.json"))
    assert record["config"]["model"].pop("softmax_items") == 0
    assert record["config"]["finetune"].pop("head_full_rate_interactions") == 0
    assert record["config"]["finetune"].pop("text_prior_weight") == 0.0
    write_json(run.file("model", "model.json"), record)
    run.file("model", "sha256.json").unlink()
    seal_model(run.file("model"))
    text = trained.run.file("config.toml").read_text()
    later = {"softmax_items": 0, "head_full_rate_interactions": 0, "text_prior_weight": 0.0}
    for came_later, value in later.items():
        text = text.replace(f"{came_later} = {value}\n", "")
        assert came_later not in text
    run.file("config.toml").write_text(text)
    assert read_config(run.file("config.toml")) == trained.config
    assert Recommender.load(run.path).config == trained.config


def test_a_setting_that_came_later_does_not_train_a_run_again(prepared, backbone):
    config = toy_config(backbone)
    setup = Setup.of(prepared("run"), config)
    sections = {*SECTIONS, "finetune"}
    values = config.model_dump(include={*sections, "seed"})
    # What was hashed before there were these four.
    del values["model"]["softmax_items"], values["backbone"]["activation_checkpointing"]
    del values["finetune"]["head_full_rate_interactions"], values["finetune"]["text_prior_weight"]
    inputs = [values, {"a": "1"}, setup.lm.sha256, {"users": 3}]
    before = sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    assert setup.identity(sections, {"a": "1"}, users=3) == before
    other = Setup.of(setup.run, toy_config(backbone, "model.softmax_items=9"))
    assert other.identity(sections, {"a": "1"}, users=3) != before


def test_other_baselines_are_measured_on_a_trained_run(trained, tmp_path):
    run = RunDir(tmp_path / "run")
    shutil.copytree(trained.run.path, run.path)
    model = run.file("model", "model.safetensors").read_bytes()
    given = ['evaluate.baselines=["popularity", "text-knn"]', "evaluate.bootstrap=20"]
    with progress.quiet():
        results = evaluate(run, overrides=given)
        train(run, configure(run))
    assert [row["model"] for row in results["rows"][-2:]] == ["popularity", "text-knn"]
    kept = read_config(run.file("config.toml"))
    assert (kept.evaluate.baselines, kept.evaluate.bootstrap) == (["popularity", "text-knn"], 20)
    assert kept.finetune == trained.config.finetune
    assert run.file("model", "model.safetensors").read_bytes() == model


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("finetune.epochs=3", "setting finetune.epochs cannot be changed for evaluate"),
        ('evaluate.selection=["recall@10"]', "setting evaluate.selection cannot be changed"),
        ("seed=3", "setting seed cannot be changed for evaluate"),
        ("evaluate.baselines=['pop']", "no baseline 'pop'"),
    ],
)
def test_what_a_trained_run_depends_on_is_not_changed_by_evaluate(trained, given, message):
    before = trained.run.file("config.toml").read_text()
    with pytest.raises(ConfigError, match=message):
        evaluate(trained.run, overrides=[given])
    assert trained.run.file("config.toml").read_text() == before
