"""What training and recommending cannot do is said in one line that names the mend."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import CLLM4RecError, ConfigError, InputError
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.ranking import RankedItems
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.recommend import recommend
from cllm4rec.stages.recommend_all import recommend_all
from cllm4rec.stages.train import train
from cllm4rec.tasks import task_for
from support.input_folder import small_log, write_rows
from support.tiny_backbone import write_tiny_gpt2
from support.toy_run import toy_config


@pytest.fixture(scope="module")
def lists(trained) -> tuple[RunDir, Dataset]:
    return trained.run, Dataset.open(trained.run.file("data"))


def train_on(folder: Path, backbone: Path, log: list[dict], *overrides: str) -> RunDir:
    """Train a run in ``folder`` from the rows of ``log``."""
    write_rows(folder / "in", "interactions", log)
    settings = ("finetune.epochs=1", "data.minimum_interactions=1", *overrides)
    config, run = toy_config(backbone, *settings), RunDir(folder / "run")
    with progress.quiet():
        prepare(folder / "in", run, split=None, protocol="paper", config=config)
        train(run, config)
    return run


def train_again(trained, folder: Path, config) -> None:
    """Train in ``folder`` on the data of the trained run."""
    run = RunDir(folder).create()
    shutil.copytree(trained.run.file("data"), run.file("data"))
    run.finish("prepare", [run.file("data")], 0.0)
    with progress.quiet():
        train(run, config)


def test_one_user_is_enough_to_train(backbone, tmp_path):
    run = train_on(tmp_path, backbone, small_log(1, 12, 12))
    item = Dataset.open(run.file("data")).items.id(0)
    found = Recommender.load(run.path).recommend_for_history([item], 3)
    assert np.isfinite(found.scores).all()


def test_histories_too_short_to_learn_from_are_refused(backbone, tmp_path):
    with pytest.raises(InputError, match="no user has enough training items to learn from"):
        train_on(tmp_path, backbone, small_log(6, 8, 3), "pretrain.enabled=false")


def test_a_rate_at_which_training_diverges_is_named(trained, backbone, tmp_path):
    config = toy_config(backbone, "pretrain.enabled=false", "finetune.learning_rate=1e30")
    with pytest.raises(CLLM4RecError, match=r"has diverged.*lower.*finetune\.learning_rate"):
        train_again(trained, tmp_path / "run", config)


@pytest.mark.parametrize(("name", "given"), [("max_items", 1200), ("max_words", 1200)])
def test_documents_longer_than_the_backbone_reads_are_refused(trained, tmp_path, name, given):
    backbone = write_tiny_gpt2(tmp_path / "gpt2", layers=2)
    config = toy_config(backbone, f"corpus.{name}={given}")
    wanted = rf"corpus\.{name} = {given}.* reads 1024 tokens at most.*set corpus\.{name} to (\d+)"
    with pytest.raises(ConfigError, match=wanted) as refused:
        train_again(trained, tmp_path / "run", config)
    most = re.search(wanted, str(refused.value))[1]
    dataset = Dataset.open(trained.run.file("data"))
    config = toy_config(backbone, f"corpus.{name}={most}")
    task_for(config, LanguageModel.load(config), len(dataset.users), len(dataset.items))


def test_repeated_users_are_asked_for_once(lists, tmp_path):
    run, dataset = lists
    users, out = dataset.users.ids([7, 2, 7]), tmp_path / "lists.parquet"
    assert recommend(run, users=users, k=3, out=out)["users"] == 2
    ranked = RankedItems.read(out, dataset.users, dataset.items, 3)
    assert ranked.users.tolist() == [2, 7]
    assert list(recommend(run, users=users, k=3)["recommendations"]) == users[:2]


def test_a_list_is_no_longer_than_the_catalogue(lists, tmp_path):
    run, dataset = lists
    user, k = dataset.users.id(7), 10**12
    found = recommend(run, users=[user], k=k)
    assert found["k"] == len(dataset.items)
    known = len(dataset.known("recommend").of(7))
    assert len(found["recommendations"][user]) == len(dataset.items) - known
    history = recommend(run, history=dataset.items.ids([1]), k=k)["recommendations"]
    assert len(history["history"]) == len(dataset.items) - 1
    with progress.quiet():
        assert recommend_all(run, out=tmp_path / "lists", k=k)["k"] == len(dataset.items)
    with pytest.raises(InputError, match="k = 0 asks for no item"):
        recommend(run, users=[user], k=0)


def test_a_file_is_not_written_over_a_folder(lists, tmp_path):
    run, dataset = lists
    with pytest.raises(InputError, match="is a folder; choose a file"):
        recommend(run, users=[dataset.users.id(7)], out=tmp_path)


@pytest.mark.parametrize("name", ["log.parquet", "notes.txt"])
@pytest.mark.parametrize("users", [["u0"], None])
def test_only_a_topk_file_is_replaced(lists, tmp_path, name, users):
    run, dataset = lists
    users = users and [dataset.users.id(7)]
    write_rows(tmp_path, "log", small_log(3, 4, 4), "parquet")
    (tmp_path / "notes.txt").write_text("kept")
    out = tmp_path / name
    before = out.read_bytes()
    with pytest.raises(InputError, match=rf"{name} exists and is not a top-k file; choose another"):
        recommend(run, users=users, k=3, out=out)
    assert out.read_bytes() == before
    for k in (3, 4):
        recommend(run, users=users, k=k, out=tmp_path / "lists.parquet")
