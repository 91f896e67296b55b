"""Queries in words and comparisons over HTTP: what the library answers, and nothing in a log."""

import gc
import logging
import shutil
from pathlib import Path

import pytest

from cllm4rec import progress
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.word_readings import FOLDER
from cllm4rec.service.served import ModelHolder, Served
from cllm4rec.service.subprocess_scorer import ScoringProcess


@pytest.fixture(scope="module")
def recommender(run) -> Recommender:
    return Recommender.load(run)


@pytest.fixture(scope="module")
def words(recommender) -> str:
    return " ".join(recommender.queries.index.terms[:2])


def listed(client, path="/v1/recommend", **body):
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return [
        [(item["item_id"], pytest.approx(item["score"], abs=1e-4)) for item in result["items"]]
        for result in response.json()["results"]
    ]


def test_lists_are_the_recommenders(client, recommender, words):
    items, users = recommender.dataset.items, recommender.dataset.users.ids([0, 4])
    alone = recommender.named(recommender.recommend_for_history([], 5, query=words))
    assert alone == listed(client, query=words, k=5)
    after = items.ids([3, 8])
    history = recommender.named(recommender.recommend_for_history(after, 5, query=words))
    assert history == listed(client, histories=[after], query=words, k=5)
    known = recommender.named(recommender.recommend(users, 5, query=words))
    assert known == listed(client, users=users, query=words, k=5)
    assert known != listed(client, users=users, k=5)


def test_filters_and_reasons_go_with_a_query(client, words):
    body = {"query": words, "where": {"year": "1998"}, "explain": True}
    answer = client.post("/v1/recommend", json=body).json()["results"][0]
    assert answer["user_id"] is None
    assert answer["items"]
    assert all(item["reasons"] == [] for item in answer["items"])


def test_ease_is_asked_the_same(client, recommender, words):
    assert listed(client, "/v1/compare", query=words) == listed(client, query=words)
    item = recommender.dataset.items.id(2)
    with_words = listed(client, "/v1/compare", histories=[[item]], query=words)
    assert with_words != listed(client, "/v1/compare", histories=[[item]])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"query": ""}, "query: String should have at least 1 character"),
        ({"query": "war " * 25_000}, "query: String should have at most 1000 characters"),
        ({"query": "?!"}, "the query has no words"),
        ({"query": 7}, "query: Input should be a valid string"),
        ({}, "give exactly one of users, histories and profile, or a query"),
        ({"query": "a", "users": ["1"], "histories": [["1"]]}, "give exactly one of"),
    ],
)
def test_what_cannot_be_answered_is_422_in_a_line(client, body, message):
    response = client.post("/v1/recommend", json=body)
    assert response.status_code == 422
    assert message in response.json()["error"]
    assert "war" not in response.text


def test_no_log_has_the_words(client, words, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        client.post("/v1/recommend", json={"query": f"{words} secretword"})
        client.post("/v1/recommend", json={"query": "secretword secretword" * 80})
    said = capfd.readouterr()
    assert "secretword" not in caplog.text + said.out + said.err


def test_a_run_that_keeps_nothing_says_so(client, holder, monkeypatch, tmp_path):
    served = holder.current
    monkeypatch.setitem(served.__dict__, "words", None)
    monkeypatch.setitem(served.__dict__, "run", tmp_path)
    response = client.post("/v1/recommend", json={"query": "war"})
    assert response.status_code == 422
    assert "answers no queries in words" in response.json()["error"]


@pytest.mark.parametrize("by", ["model", "content", "collaboration", "both"])
def test_similar_by_each(client, recommender, by):
    items = recommender.dataset.items
    found, cosines = recommender.similar_by(by).to(5, 4)
    response = client.get("/v1/similar", params={"item_id": items.id(5), "k": 4, "by": by})
    assert [item["item_id"] for item in response.json()["items"]] == items.ids(found)
    scores = [item["score"] for item in response.json()["items"]]
    assert scores == pytest.approx(cosines, abs=1e-5)
    assert client.get("/v1/similar", params={"item_id": "x", "by": "colour"}).status_code == 422


def test_a_profile_lists_what_the_library_does(client, recommender):
    profile = {"trade": "clerk", "age": 30}
    found = recommender.named(recommender.recommend_for_profile(profile, 5))
    assert found == listed(client, profile=profile, k=5)
    body = {"profile": profile, "explain": True}
    [answer] = client.post("/v1/recommend", json=body).json()["results"]
    assert answer["user_id"] is None
    assert all(item["reasons"] == [] for item in answer["items"])
    for wrong, said in (
        ({"trade": "secret"}, "that trade is not known; frequent ones: artist, clerk"),
        ({"age": "secret"}, "age takes a number, such as"),
        ({"age": [1]}, "profile.age"),
        ({}, "profile: Dictionary should have at least 1 item"),
    ):
        response = client.post("/v1/recommend", json={"profile": wrong})
        assert response.status_code == 422
        assert said in response.json()["error"]
        assert "secret" not in response.text
    both = client.post("/v1/recommend", json={"profile": profile, "users": ["x"]})
    assert "exactly one of" in both.json()["error"]


def test_filters_that_no_item_passes_are_answered_with_a_note(client, recommender):
    users = recommender.dataset.users.ids([0])
    for path in ("/v1/recommend", "/v1/compare"):
        answer = client.post(path, json={"users": users, "where": {"year": "secret"}}).json()
        assert [result["items"] for result in answer["results"]] == [[]]
        assert answer["note"].startswith("no item passes the filters: none has that year; ")
        assert "secret" not in answer["note"]
        assert "note" not in client.post(path, json={"users": users}).json()


@pytest.mark.parametrize("load", [Served.load, ScoringProcess])
def test_the_words_are_read_before_a_service_is_ready(run, tmp_path, load):
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / FOLDER, ignore_errors=True)
    with progress.quiet():
        loaded = load(tmp_path / "run")
    assert len(list((tmp_path / "run" / FOLDER).glob("*.safetensors"))) == 1
    loaded.close()


@pytest.fixture
def unwritable(run, tmp_path, monkeypatch) -> Path:
    """A run that keeps no readings, with a file where they would be; and temporary files here."""
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / FOLDER, ignore_errors=True)
    (tmp_path / "run" / FOLDER).touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return tmp_path / "run"


READING = "reading the catalogue's"


@pytest.mark.parametrize("subprocess", [True, False])
def test_where_the_run_cannot_be_written_a_service_reads_the_words_once(
    unwritable, subprocess, capfd
):
    holder = ModelHolder(unwritable, subprocess=subprocess)
    holder.load()
    [folder] = (unwritable.parent / "tmp").iterdir()
    assert folder.stat().st_mode & 0o077 == 0, "what others could write is not read"
    holder.load()
    holder.close()
    said = capfd.readouterr().err
    assert said.count(READING) == 1
    kept = f"{unwritable / FOLDER} cannot be written; the words are kept in {folder} for a time"
    assert said.count(kept) == 1
    del holder
    gc.collect()
    assert not folder.exists()


def test_where_nothing_can_be_written_a_service_answers(unwritable, monkeypatch, capfd):
    def nowhere(*_args, **_kwargs):
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("tempfile.mkdtemp", nowhere)
    holder = ModelHolder(unwritable)
    assert holder.load().queries.scores(holder.current.queries.index.terms[0]).any()
    assert "the words will be read again" in capfd.readouterr().err


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "-Infinity"])
def test_a_weight_that_is_not_finite_is_refused_for_that(client, weight):
    """Where JSON is read there are such numbers, though it has none."""
    content = f'{{"query": "war", "query_weight": {weight}}}'
    response = client.post(
        "/v1/recommend", content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422
    assert "query_weight: Input should be a finite number" in response.json()["error"]
