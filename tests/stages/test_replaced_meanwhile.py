"""A training that ends while its run is read: what is read is of one model, and says of which."""

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cllm4rec import progress
from cllm4rec.api import CLLM4Rec
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.recommender import intact
from cllm4rec.recommender.intact import model_fingerprint
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.shards import ShardFolder
from cllm4rec.run import RunDir, read_json
from cllm4rec.stages import recommend_all as of_all
from cllm4rec.stages.add_items import add_items
from cllm4rec.stages.recommend_all import recommend_all
from cllm4rec.stages.recommend_ray import ShardScorer
from support.other_model import other_model, swap
from support.trained import served_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory, backbone) -> Path:
    return served_run(tmp_path_factory, backbone).path


@pytest.fixture
def run(trained, tmp_path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def other(run) -> Path:
    return other_model(run)


def lists_of(recommender: Recommender) -> list:
    return recommender.recommend(None, 5).scores.tolist()


def before(monkeypatch, owner, name: str, *changes) -> None:
    """Make these changes before the first calls of a function, one before each."""
    done, left = getattr(owner, name), list(changes)

    def changed(*given, **options):
        if left:
            left.pop(0)()
        return done(*given, **options)

    monkeypatch.setattr(owner, name, changed)


def test_a_model_that_comes_during_a_load_is_loaded_whole(run, other, monkeypatch):
    first = lists_of(Recommender.load(run))
    before(monkeypatch, LanguageModel, "load", lambda: swap(run, other))
    found = Recommender.load(run)  # the record was read by then, the weights were not
    assert found.version.fingerprint == model_fingerprint(run)
    assert lists_of(found) == lists_of(Recommender.load(run)) != first


def test_a_model_that_was_replaced_is_not_saved_under_the_card_of_the_first(run, other, tmp_path):
    model = CLLM4Rec.load(run)
    swap(run, other)
    with pytest.raises(IntegrityError, match=r"run/model was replaced or removed"):
        model.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    CLLM4Rec.load(run).save(tmp_path / "saved")
    assert Recommender.load(tmp_path / "saved").version.fingerprint == model_fingerprint(run)


def test_a_model_that_is_away_for_a_moment_is_waited_for(run, other, monkeypatch):
    before(monkeypatch, LanguageModel, "load", lambda: os.replace(run / "model", run / "old"))
    before(monkeypatch, intact.time, "sleep", lambda: os.replace(other, run / "model"))
    found = Recommender.load(run)
    assert found.version.fingerprint == model_fingerprint(run)


def test_one_that_is_replaced_all_the_time_is_refused_in_one_line(run, other, monkeypatch):
    before(monkeypatch, LanguageModel, "load", *[lambda: swap(run, other)] * 3)
    with pytest.raises(InputError, match=r"run is being replaced; load it when that is done$"):
        Recommender.load(run)
    assert Recommender.load(run)


def test_data_that_come_during_a_load_are_not_taken_for_the_models(run, monkeypatch):
    shutil.copytree(run / "data", run / "new")
    titles = pq.read_table(run / "new" / "items.parquet")
    at = titles.column_names.index("title")
    titles = titles.set_column(at, "title", pa.array(["another"] * len(titles)))
    pq.write_table(titles, run / "new" / "items.parquet")

    def prepared() -> None:
        shutil.rmtree(run / "data")
        os.replace(run / "new", run / "data")

    before(monkeypatch, Dataset, "open", prepared)
    with pytest.raises(IntegrityError, match=r"items\.parquet is not what it was when"):
        Recommender.load(run)


def test_what_is_wrong_with_one_model_is_said_at_once(run, monkeypatch):
    monkeypatch.setattr(intact.time, "sleep", lambda _: pytest.fail("nothing was replaced"))
    (run / "model" / "model.safetensors").write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"model\.safetensors is not what was saved"):
        Recommender.load(run)


def test_lists_of_everyone_are_of_the_model_that_was_loaded(run, other, tmp_path, monkeypatch):
    was, out = model_fingerprint(run), tmp_path / "out"
    before(monkeypatch, of_all, "list_length", lambda: swap(run, other))
    with progress.quiet():
        recommend_all(RunDir(run), out=out, k=3)
    assert model_fingerprint(run) != was
    assert read_json(out / "_batch.json")["model"] == was


def test_so_are_they_where_items_are_added_meanwhile(run, tmp_path, monkeypatch):
    was, out = model_fingerprint(run), tmp_path / "out"
    row = {"item_id": "new", "title": "The Autumn of the Robot"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "new.parquet")
    add = lambda: add_items(RunDir(run), tmp_path / "new.parquet", measure=False)  # noqa: E731
    before(monkeypatch, of_all, "list_length", add)
    with progress.quiet():
        recommend_all(RunDir(run), out=out, k=3)
    assert model_fingerprint(run) != was
    assert read_json(out / "_batch.json")["model"] == was


def test_an_actor_that_finds_another_model_writes_nothing(run, other, tmp_path):
    users = len(Dataset.open(run / "data").users)
    folder = ShardFolder(tmp_path / "out", model_fingerprint(run), None, 3, 100, users)
    assert ShardScorer(run, folder, of_all.NO_FILTERS)
    swap(run, other)
    with pytest.raises(IntegrityError, match=r"has another model, .* choose another --out"):
        ShardScorer(run, folder, of_all.NO_FILTERS)
