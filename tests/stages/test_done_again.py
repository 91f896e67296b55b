"""What is done is not done again, unless its files are damaged or its settings changed."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.errors import RunError
from cllm4rec.run import RunDir
from cllm4rec.stages.evaluate import evaluate
from cllm4rec.stages.finetune import finetune
from cllm4rec.stages.initialise import initialise
from cllm4rec.stages.prepare import configure, prepare
from cllm4rec.stages.pretrain import pretrain
from cllm4rec.stages.train import train
from cllm4rec.training.checkpoint import Checkpoint
from support.toy_run import toy_config


@pytest.fixture
def run(trained, tmp_path) -> RunDir:
    shutil.copytree(trained.run.path, tmp_path / "run")
    return RunDir(tmp_path / "run")


@pytest.mark.parametrize(
    "name", ["initial/start.safetensors", "pretrained/content.safetensors", "model/model.json"]
)
def test_a_damaged_result_is_made_again_by_the_same_command(trained, run, name):
    path = run.path / name
    intact = path.read_bytes()
    path.write_bytes(intact[:-3] + b"\0" + intact[-2:])
    with progress.quiet():
        train(run, trained.config)
    for stage in ("initialise", "pretrain", "finetune"):
        run.require(stage)
    assert path.read_bytes() == intact


def test_pretraining_that_is_switched_off_leaves_no_record(trained, backbone, run):
    assert run.is_done("pretrain")
    off = toy_config(backbone, "pretrain.enabled=false", "finetune.epochs=1")
    with progress.quiet():
        assert train(run, off).keys() == {"initialise", "finetune"}
    assert not run.is_done("pretrain")


def test_what_finetuning_drops_changes_nothing_that_was_pretrained(trained, backbone, run):
    before = run.file("pretrained", "collaborative.safetensors").read_bytes()
    run.forget("pretrain")
    with progress.quiet():
        pretrain(run, toy_config(backbone, "finetune.user_token_dropout=1.0"))
    assert run.file("pretrained", "collaborative.safetensors").read_bytes() == before


class Stopped(Exception):
    """Training stops here."""


def stopped(*_args, **_options):
    raise Stopped


def test_a_pretraining_that_stopped_is_not_resumed_on_other_texts(trained, tmp_path, monkeypatch):
    source = tmp_path / "source"
    shutil.copytree(trained.source, source)
    tables = {}
    for name in ("resumed", "fresh"):
        run = RunDir(tmp_path / name)
        for step in ("before", "after"):
            if step == "before" and name == "fresh":
                continue
            reviews = pq.read_table(trained.source / "reviews.parquet")
            if step == "after":
                texts = reviews["text"].to_pylist()[::-1]
                place = reviews.column_names.index("text")
                reviews = reviews.set_column(place, "text", pa.array(texts))
            pq.write_table(reviews, source / "reviews.parquet")
            with progress.quiet(), monkeypatch.context() as patch:
                split = source / "split.parquet"
                prepare(source, run, split=split, protocol="paper", config=trained.config)
                initialise(run, trained.config)
                if step == "before":
                    save = Checkpoint.save
                    patch.setattr(Checkpoint, "save", lambda *a, save=save: (save(*a), stopped()))
                    with pytest.raises(Stopped):
                        pretrain(run, trained.config)
                else:
                    pretrain(run, trained.config)
        tables[name] = run.file("pretrained", "content.safetensors").read_bytes()
    assert tables["resumed"] == tables["fresh"]


def test_a_finetuning_without_pretraining_does_not_stand_for_one_with_it(
    trained, backbone, run, monkeypatch
):
    run.forget("pretrain", "finetune")
    save = Checkpoint.save
    with progress.quiet(), monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", lambda *a: (save(*a), stopped()))
        with pytest.raises(Stopped):
            pretrain(run, trained.config)
    off = toy_config(backbone, "pretrain.enabled=false", "finetune.epochs=1")
    with progress.quiet():
        without = finetune(run, off)["identity"]
        pretrain(run, trained.config)
        assert finetune(run, trained.config)["identity"] != without
        pretrain(run, off)
        assert not run.is_done("pretrain")
        assert finetune(run, off)["identity"] == without


def test_other_measures_of_selection_choose_again(trained, run):
    with progress.quiet():
        before = initialise(run, trained.config)
        other = trained.config.changed(evaluate={"selection": ["mrr"]})
        again = initialise(run, other)
        finetuned = finetune(run, other.changed(pretrain={"enabled": False}))
    assert again["identity"] != before["identity"]
    assert "mrr" in finetuned["valid"], "the epoch and the blend are chosen by these"


def test_an_untrained_start_is_said_in_its_row(trained, backbone, run):
    """At a rate of next to nothing no epoch is better than none."""
    still = toy_config(
        backbone,
        "pretrain.enabled=false",
        "finetune.epochs=1",
        "finetune.learning_rate=1e-30",
        "evaluate.baselines=[]",
        "evaluate.bootstrap=5",
    )
    with progress.quiet():
        train(run, configure(run, still))
        rows = {row["model"]: row.get("note", "") for row in evaluate(run)["rows"]}
    assert run.info("finetune")["best_epoch"] == 0
    assert rows["· language model"] == "untrained start"
    assert "untrained start" in rows["hybrid"] or rows["hybrid"] == "linear model alone"
    assert rows["· linear model"] == ""


def test_a_stage_that_is_refused_keeps_no_setting(trained, backbone, run):
    run.forget("pretrain", "finetune")
    before = run.file("config.toml").read_bytes()
    with pytest.raises(RunError, match="no finished stage `pretrain`"):
        finetune(run, trained.config.changed(seed=5))
    assert run.file("config.toml").read_bytes() == before
