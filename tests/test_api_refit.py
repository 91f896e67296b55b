"""A model trained once more, in Python: on what was held out, or on other data."""

import gc

import pytest

from cllm4rec import CLLM4Rec, Dataset, progress
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.errors import ConfigError, InputError, RunError
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


def test_a_run_of_nobody_takes_other_data(model, tmp_path):
    write_planted_world(tmp_path / "other", users=60, items=60)
    again = CLLM4Rec(model.config_)
    with progress.quiet():
        other = Dataset.load(tmp_path / "other")
        again.fit(model.recommender_.dataset)
        run = again.run
        again.fit(other)
    assert (again.run, len(again.recommender_.dataset.users)) == (run, len(other.users))
    assert len(other.users) < len(model.recommender_.dataset.users)
