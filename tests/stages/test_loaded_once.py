"""A command loads its backbone once, and what it answers is what a fresh process answers."""

import pytest

from cllm4rec import CLLM4Rec, Dataset, progress
from cllm4rec.data.sources import SOURCES
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.models import language_model
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.stages.demo import demo
from support.toy_run import toy_request


@pytest.fixture
def loads(monkeypatch) -> list[str]:
    """The backbones loaded, by name."""
    names, load = [], language_model.load_backbone

    def counted(folder, *rest):
        names.append(folder.name)
        return load(folder, *rest)

    monkeypatch.setattr(language_model, "load_backbone", counted)
    return names


@pytest.mark.parametrize("mode", ["frozen", "full"])
def test_fit(backbone, loads, tmp_path, mode):
    write_planted_world(tmp_path / "source", users=60, items=60)
    given = toy_request(backbone, "finetune.epochs=2", f"backbone.mode={mode}")
    with progress.quiet():
        dataset = Dataset.load(tmp_path / "source", split=tmp_path / "source" / "split.parquet")
        model = CLLM4Rec(given, run=tmp_path / "run").fit(dataset)
    assert loads == [backbone.name]
    users = dataset.users.ids(range(9))
    assert CLLM4Rec.load(tmp_path / "run").recommend(users) == model.recommend(users)


def test_demo(backbone, loads, tmp_path, monkeypatch):
    write = lambda folder: write_planted_world(folder, users=60, items=60)  # noqa: E731
    monkeypatch.setitem(SOURCES, "movielens-100k", write)
    run = RunDir(tmp_path)
    with progress.quiet():
        result = demo(run, toy_request(backbone, "finetune.epochs=1"))
    assert loads == [backbone.name]
    recommender = Recommender.load(run.path)
    users = list(result["recommendations"])
    ranked = recommender.recommend(users, 5)
    for listed, items, scores in zip(
        result["recommendations"].values(), ranked.items, ranked.scores, strict=True
    ):
        assert [row["item_id"] for row in listed] == recommender.dataset.items.ids(items)
        assert [row["score"] for row in listed] == pytest.approx(scores.tolist(), abs=1e-5)
    assert result["results"]["rows"][0]["model"] == "hybrid"
