"""A model trained once more, in Python: on what was held out, or on other data."""

import gc
import shutil
from unittest import mock

import pytest

from cllm4rec import CLLM4Rec, Dataset, progress
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.errors import ConfigError, InputError, IntegrityError, RunError
from cllm4rec.recommender.saved import Recommender
from support.trained import served_run


@pytest.fixture(scope="module")
def model(tmp_path_factory, backbone) -> CLLM4Rec:
    return CLLM4Rec.load(served_run(tmp_path_factory, backbone).path)


def test_a_model_is_trained_once_more_on_what_was_held_out(model, tmp_path):
    dataset = model.recommender_.dataset
    users = dataset.users.ids(range(5))
    before = model.recommend(users)
    again = model.refit(tmp_path / "again", keep_test=True)
    assert model.recommend(users) == before
    trained = Dataset.open(tmp_path / "again" / "data").part("train")
    assert len(trained) == len(dataset.part("train")) + len(dataset.part("valid"))
    assert again.evaluate()["rows"][0]["users"] == model.evaluate()["rows"][0]["users"]
    loaded = CLLM4Rec.load(tmp_path / "again")
    assert loaded.recommend(users) == again.recommend(users)
    with pytest.raises(InputError, match="was itself made by refit"):
        again.refit(tmp_path / "third")
    with pytest.raises(InputError, match=r"^folder .*again is another run"):
        model.refit(tmp_path / "again")


def test_a_folder_of_nobody_goes_with_the_model(model):
    again = model.refit()
    folder = again.run
    with pytest.raises(InputError, match="made by refit and trained on everything"):
        again.evaluate()
    assert (folder / "manifest.json").is_file()
    del again
    gc.collect()
    assert not folder.exists()


def test_a_saved_model_is_not_trained_once_more(model, tmp_path):
    model.save(tmp_path / "saved")
    with pytest.raises(RunError, match=r"saved model, which cannot be evaluated; the run"):
        CLLM4Rec.load(tmp_path / "saved").evaluate()
    with pytest.raises(RunError, match=r"is a saved model.*the run that it came from"):
        CLLM4Rec.load(tmp_path / "saved").refit(tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_other_baselines_are_evaluated_without_training(model):
    with progress.quiet():
        rows = model.evaluate(["popularity"])["rows"]
    assert [row["model"] for row in rows if not row["model"].startswith("·")][1:] == ["popularity"]
    with pytest.raises(ConfigError, match="no baseline 'pop'"):
        model.evaluate(["pop"])
    with pytest.raises(InputError, match="baselines is one text, 'ease'"):
        model.evaluate("ease")


def test_without_a_run_other_data_get_another(model, tmp_path, monkeypatch):
    write_planted_world(tmp_path / "other", users=60, items=60)
    again, first = CLLM4Rec(model.config_), model.recommender_.dataset
    with progress.quiet():
        other = Dataset.load(tmp_path / "other")
        again.fit(first)
        before, user = again.run, first.users.ids([0])
        lists = again.recommend(user, where={"genre": "genre 1"}), again.similar("item_000001", k=3)
        with monkeypatch.context() as patched:
            patched.setattr("cllm4rec.api.model.train", mock.Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                again.fit(other)
        again.recommender_ = Recommender.load(again.run)  # nothing of it is read yet
        found = again.recommend(user, where={"genre": "genre 1"}), again.similar("item_000001", k=3)
        assert (found, again.run, again._begun is None) == (lists, before, False)
        begun = again._begun
        again.fit(other)
    assert (again.run, again._begun) == (begun, None)
    assert len(again.recommender_.dataset.users) == len(other.users) < len(first.users)


def test_what_was_not_read_yet_is_refused_once_the_run_has_other_data(model, tmp_path):
    """It would be of another model: wrong without a word."""
    write_planted_world(tmp_path / "other", users=60, items=60)
    run = shutil.copytree(model.run, tmp_path / "run")
    read, unread = CLLM4Rec.load(run), CLLM4Rec.load(run)
    user = read.recommender_.dataset.users.ids([0])
    asked = {
        "filters": lambda of: of.recommend(user, where={"genre": "genre 1"}),
        "left out": lambda of: of.recommend([*user, "a stranger"]),
        "query": lambda of: of.recommend(user, query="robot"),
        "content": lambda of: of.similar("item_000001", by="content", k=3),
    }
    kept = {name: asked[name] for name in ("filters", "query")}
    before = {name: ask(read) for name, ask in kept.items()}
    with progress.quiet():
        CLLM4Rec(model.config_, run=run).fit(Dataset.load(tmp_path / "other"), replace=True)
    assert {name: ask(read) for name, ask in kept.items()} == before
    for ask in asked.values():
        with pytest.raises(IntegrityError, match=r"was replaced or removed since it was opened"):
            ask(unread)
