"""Every door: no list of a known user has an item that the log says the user has had."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from cllm4rec import CLLM4Rec, progress
from cllm4rec.cli import main
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources.synthetic import GENRE_WORDS, write_planted_world
from cllm4rec.run import RunDir
from cllm4rec.service import ModelHolder, ServiceSettings, create_app
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.refit import refit
from cllm4rec.stages.train import train
from support.once import made_once, own_copy
from support.toy_run import toy_config

FURTHER = 25
"""Items of 80 that each user has had besides those of the split file."""
K = 20


def _write_source(folder) -> None:
    """The planted world, with rows of the log that its split file lacks."""
    write_planted_world(folder, users=60, items=80, genres=4)
    log, draw = pq.read_table(folder / "interactions.parquet").to_pylist(), np.random.default_rng(0)
    items = sorted({row["item_id"] for row in log})
    for user in sorted({row["user_id"] for row in log}):
        for item in draw.choice(items, FURTHER, replace=False):
            log.append({"user_id": user, "item_id": str(item), "timestamp": 1})
    pq.write_table(pa.Table.from_pylist(log), folder / "interactions.parquet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, backbone):
    config = toy_config(backbone, "finetune.epochs=1", "pretrain.enabled=false")

    def make(folder) -> None:
        _write_source(folder / "source")
        run, split = RunDir(folder / "run"), folder / "source" / "split.parquet"
        with progress.quiet():
            prepare(folder / "source", run, split=split, protocol="paper", config=config)
            train(run, config)

    return own_copy(tmp_path_factory, made_once(tmp_path_factory, "had-run", make))


@pytest.fixture(scope="module")
def run(folder):
    return folder / "run"


@pytest.fixture(scope="module")
def had(folder) -> dict[str, set[str]]:
    """User → every item that the log says."""
    found: dict[str, set[str]] = {}
    for row in pq.read_table(folder / "source" / "interactions.parquet").to_pylist():
        found.setdefault(row["user_id"], set()).add(row["item_id"])
    return found


@pytest.fixture(scope="module")
def model(run):
    with progress.quiet():
        return CLLM4Rec.load(run)


@pytest.fixture(scope="module")
def client(run, tmp_path_factory):
    holder = ModelHolder(run)
    with progress.quiet():
        holder.load()
    feedback = tmp_path_factory.mktemp("feedback")
    settings = ServiceSettings(run=run, feedback=feedback, max_wait_ms=60_000)
    with TestClient(create_app(settings, holder)) as client:
        yield client


def repeated(lists, had) -> int:
    """Places of lists, by user, with something that the user has had."""
    assert sum(map(len, lists.values())) > K * len(lists) / 2
    return sum(item in had[user] for user, items in lists.items() for item in items)


def ids(listed) -> list[str]:
    return [item["item_id"] for item in listed]


def test_by_python(model, had):
    users = sorted(had)
    lists = {user: [item for item, _ in row] for user, row in model.recommend(users, K).items()}
    assert repeated(lists, had) == 0
    table = model.recommend_table(users, K).to_pylist()
    assert not [row for row in table if row["item_id"] in had[row["user_id"]]]


def test_by_http(client, model, had):
    users = sorted(had)[:20]
    for path, asked in (("recommend", [users]), ("compare", [[user] for user in users[:4]])):
        lists = {}
        for some in asked:
            answer = client.post(f"/v1/{path}", json={"users": some, "k": K})
            assert answer.status_code == 200, answer.text
            lists |= {each["user_id"]: ids(each["items"]) for each in answer.json()["results"]}
        assert repeated(lists, had) == 0, path
    answer = client.post("/v1/recommend", json={"users": users[:1], "k": 3, "explain": True})
    history = ids(client.get(f"/v1/users/{users[0]}/history").json()["items"])
    reasons = [r for item in answer.json()["results"][0]["items"] for r in item["reasons"]]
    assert {reason["item_id"] for reason in reasons} <= set(history)
    dataset = model.recommender_.dataset
    known = dataset.known("recommend").of(dataset.users.number(users[0]))
    assert history == dataset.items.ids(known), "of what is in a part"


def test_by_the_command_line(run, had, tmp_path, capsys):
    def ask(*given) -> dict:
        with pytest.raises(SystemExit) as exit_:
            main(["recommend", "--run", str(run), "--json", "--k", str(K), *map(str, given)])
        out, err = capsys.readouterr()
        assert exit_.value.code == 0, err
        return json.loads(out)

    users = sorted(had)[:10]
    found = ask("--users", *users)["recommendations"]
    assert repeated({user: ids(row) for user, row in found.items()}, had) == 0
    for out in ("lists.parquet", "folder"):
        ask("--all", "--out", tmp_path / out)
        place = tmp_path / out
        files = sorted(place.glob("*.parquet")) if place.is_dir() else [place]
        lists: dict[str, list[str]] = {}
        for row in pa.concat_tables([pq.read_table(file) for file in files]).to_pylist():
            lists.setdefault(row["user_id"], []).append(row["item_id"])
        assert len(lists) == len(had)
        assert repeated(lists, had) == 0, out


def test_of_a_run_that_was_refitted_or_got_further_items(run, had, tmp_path):
    again = RunDir(tmp_path / "again")
    with progress.quiet():
        refit(RunDir(run), again)
        model = CLLM4Rec.load(again.path)
    own = shutil.copytree(run, tmp_path / "own")
    for each in (model, CLLM4Rec.load(own)):
        with progress.quiet():
            each.add_items(pa.table({"item_id": ["new"], "title": [" ".join(GENRE_WORDS[0])]}))
        lists = {u: [i for i, _ in row] for u, row in each.recommend(sorted(had), K).items()}
        assert repeated(lists, had) == 0


def test_an_earlier_run_answers_as_it_did(run, model, had, tmp_path):
    """Its data say nothing of what is in no part."""
    from cllm4rec.data.excluded import COUNT, ITEMS, OFFSETS
    from cllm4rec.recommender.audience import Audience
    from cllm4rec.recommender.lists import ranked

    data = shutil.copytree(run / "data", tmp_path / "data")
    report = json.loads((data / "report.json").read_text())
    assert report.pop(COUNT)
    (data / "report.json").write_text(json.dumps(report))
    for name in (ITEMS, OFFSETS):
        (data / name).unlink()
    earlier = Dataset.open(data)
    with progress.quiet():
        found = ranked(model.recommender_.scorer, Audience.of_run(earlier).request(K))
    lists = {
        earlier.users.id(user): earlier.items.ids(row[row >= 0])
        for user, row in zip(found.users.tolist(), found.items, strict=True)
    }
    assert repeated(lists, had) > 0
