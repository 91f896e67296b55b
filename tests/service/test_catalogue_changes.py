"""Items added and removed over HTTP: in every answer at once, and no request is dropped for it."""

import asyncio
import http.client
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.linear.fitted import Fitted
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir
from cllm4rec.service.served import Served, model_version
from cllm4rec.stages.prepare import import_dataset
from support.server import PAUSE_S, Server, ask

NEW = [
    {"item_id": "n 1", "title": "A Robot's Autumn", "attributes": {"genre": "genre 7", "year": 2}},
    {"item_id": "n0", "text": "A tale of a rocket.", "attributes": {"no such column": ["x"]}},
]

ROBOT = {"title": "A Robot's Autumn"}


def test_an_id_in_another_spelling_is_said_in_the_answer(own, own_run):
    known = Recommender.load(own_run).dataset.items.id(0)
    [note] = own.post("/v1/items", json={"items": [{"item_id": f" {known}", **ROBOT}]}).json()[
        "notes"
    ]
    assert note.startswith("1 of 1 added items have another item's id but for blanks, capitals")


def lists_of(client, **body) -> list[tuple[str, float]]:
    answer = client.post("/v1/recommend", json={"k": 62, "seen": True, **body})
    assert answer.status_code == 200, answer.text
    items = answer.json()["results"][0]["items"]
    return [(item["item_id"], item["score"]) for item in items]


def test_items_are_in_every_answer_until_they_are_removed(own, own_run, monkeypatch):
    user, version = {"users": ["user_000001"]}, model_version(own_run)
    before = lists_of(own, **user)
    answer = own.post("/v1/items", json={"items": NEW})
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["model"]["version"] == model_version(own_run) != version
    assert (report["added"], report["items_added"], report["items"]) == (2, 2, 62)
    assert report["unread_columns"] == ["no such column"]
    assert report["notes"] == []
    after = lists_of(own, **user)
    assert [pair for pair in after if pair[0] not in ("n 1", "n0")] == before
    assert {"n 1", "n0"} <= {item_id for item_id, _ in after}
    recommender = Recommender.load(own_run)
    listed = recommender.dataset.items.ids(recommender.recommend_for_history(["n0"], 5).items[0])
    found = lists_of(own, histories=[["n0"]], k=5, seen=False)
    assert [item_id for item_id, _ in found] == listed
    assert lists_of(own, **user, where={"genre": "genre 7"})[0][0] == "n 1"
    assert own.get("/v1/similar", params={"item_id": "n0", "k": 3}).status_code == 200
    found = own.get("/v1/items", params={"query": "robot's au"}).json()["items"]
    assert [item["item_id"] for item in found] == ["n 1"]
    one = own.get("/v1/items/n 1").json()
    assert (one["title"], one["interactions"]) == ("A Robot's Autumn", 0)
    assert one["attributes"] == {"genre": "genre 7", "year": "2", "kind": None}
    explained = {"histories": [["n0", "item_000001"]], "k": 3, "explain": True}
    assert own.post("/v1/recommend", json=explained).status_code == 200
    compared = own.post("/v1/compare", json={"histories": [["n0", "item_000001"]]})
    assert compared.json()["results"][0]["items"]
    unknown = {"histories": [["n0", "n 1"]], "explain": True}
    biased = Fitted(np.zeros((62, 62), np.float32), np.arange(62, dtype=np.float32))
    monkeypatch.setattr(Served, "ease", lambda _: biased)
    assert own.post("/v1/compare", json=unknown).json()["results"][0]["items"] == []
    asked = own.post("/v1/compare", json={**unknown, "query": "robot"}).json()
    assert asked["results"][0]["items"], "the words still tell items apart"
    rows = [{"user_id": "someone", "item_id": "n0"}]
    assert own.post("/v1/feedback", json={"interactions": rows}).status_code == 202
    assert lists_of(own, users=["someone"], k=3)
    assert own.get("/").status_code == 200
    gone = own.request("DELETE", "/v1/items", json={"items": ["n0"]}).json()
    assert (gone["removed"], gone["items_added"]) == (1, 1)
    assert own.post("/v1/recommend", json={"histories": [["n0"]]}).status_code == 422
    gone = own.request("DELETE", "/v1/items", json={"items": None}).json()
    assert gone["model"]["version"] == version
    assert lists_of(own, **user) == before


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"items": [{"item_id": "n", "title": "a"}, NEW[0]]}, "no word that two items"),
        ({"items": [{"item_id": "item_000001", "title": "robot"}]}, "trained with: 'item_000001'"),
        ({"items": [{"item_id": "n"}]}, "no title or text: 'n'"),
        ({"items": [NEW[0], NEW[0]]}, "repeated item_id: 'n 1'"),
        ({"items": [{"item_id": "n", "text": "é" * 60_000}]}, "more than 100,000 bytes"),
        ({"items": [{"item_id": "n", "title": "r" * 100_001}]}, "more than 100,000 bytes"),
        ({"items": [{"item_id": "n", "attributes": {"text": "x"}}]}, "text is no attribute"),
        ({"items": [{"item_id": " ", "title": "robot"}]}, "blanks alone are no id"),
        ({"items": [NEW[0], {"item_id": "n"}]}, "no title or text: 'n'; mend"),
        ({"items": [{"item_id": "n", "title": "a"}, {"item_id": "o"}]}, "of the run have: 'n'; m"),
        ({"items": [{**NEW[0], "attributes": {"price": float("nan")}}]}, "a finite number"),
        ({"items": []}, "at least 1 item"),
        ({"items": [{"item_id": "n", "name": "robot"}]}, "Extra inputs are not permitted"),
        ({"items": [{"item_id": "\ud800", "title": "robot"}]}, ""),
    ],
)
def test_what_cannot_be_added_is_refused_in_one_line(client, run, body, why):
    before, version = sorted(run.rglob("*")), model_version(run)
    content = json.dumps(body)
    answer = client.post("/v1/items", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in ({422} if why else {400, 422}), answer.text
    assert why in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert str(run) not in answer.json()["error"]
    assert sorted(run.rglob("*")) == before
    assert model_version(run) == version


def test_what_cannot_be_removed_is_refused_in_one_line(client):
    for items, why in ((["item_000001"], "was trained with it"), (["?"], "unknown item '?'")):
        answer = client.request("DELETE", "/v1/items", json={"items": items})
        assert answer.status_code == 422
        assert why in answer.json()["error"]


def test_while_another_process_is_at_work_it_is_409(own, own_run):
    program = "import sys\nfrom cllm4rec.run import RunDir\n"
    program += "with RunDir(sys.argv[1]).lock():\n    print(flush=True)\n    sys.stdin.read()"
    with _process(program, own_run) as other:
        answer = own.post("/v1/items", json={"items": NEW})
        assert answer.status_code == 409
        assert "another process is at work" in answer.json()["error"]
        other.stdin.close()
    assert own.post("/v1/items", json={"items": NEW}).status_code == 200


def files_of_added(run: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted((run / "added").rglob("*")) if p.is_file()}


def test_a_model_that_cannot_be_loaded_goes_on_and_what_was_added_stays_as_it_was(own, own_run):
    holder = own.app.state.components.holder
    texts = own_run / "model" / "texts.json"
    kept = texts.read_bytes()
    assert own.post("/v1/items", json={"items": NEW[1:]}).status_code == 200
    version, before = holder.current.version, files_of_added(own_run)
    lists = lists_of(own, users=["user_000001"])

    def fails():
        texts.write_text("{")
        try:
            return type(holder).load(holder)
        finally:
            texts.write_bytes(kept)

    holder.load = fails
    changes = [
        ("POST", {"items": NEW[:1]}),
        ("DELETE", {"items": ["n0"]}),
        ("DELETE", {"items": None}),
    ]
    for method, body in changes:
        answer = own.request(method, "/v1/items", json=body)
        assert answer.status_code == 409, answer.text
        assert f"nothing was changed, model {version} goes on" in answer.json()["error"]
        assert files_of_added(own_run) == before
        assert lists_of(own, users=["user_000001"]) == lists
    del holder.load
    assert own.post("/v1/items", json={"items": NEW[:1]}).json()["items_added"] == 2


def test_no_other_process_changes_the_run_before_the_model_is_loaded(own, own_run):
    holder, seen = own.app.state.components.holder, []

    def load():
        program = "import sys\nfrom cllm4rec.run import RunDir\n"
        program += "with RunDir(sys.argv[1]).lock():\n    pass"
        other = subprocess.run([sys.executable, "-c", program, own_run], capture_output=True)
        seen.append(other.stderr.decode())
        return type(holder).load(holder)

    holder.load = load
    assert own.post("/v1/items", json={"items": NEW}).status_code == 200
    assert "another process is at work" in seen[0]


def test_changes_that_wait_leave_other_requests_their_threads(own):
    holder, go_on = own.app.state.components.holder, threading.Event()

    def waits():
        go_on.wait(60)
        return type(holder).load(holder)

    holder.load = waits
    own.portal.call(_with_two_threads)
    with ThreadPoolExecutor(5) as pool:
        changing = [
            pool.submit(own.post, "/v1/items", json={"items": [{"item_id": f"n{n}", **ROBOT}]})
            for n in range(4)
        ]
        answering = pool.submit(own.post, "/v1/recommend", json={"query": "robot", "k": 1})
        try:
            assert answering.result(timeout=30).status_code == 200
        finally:
            go_on.set()
        assert [each.result().status_code for each in changing] == [200] * 4


async def _with_two_threads() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))


def test_a_damaged_run_is_said_in_one_line(own, own_run):
    (own_run / "model" / "texts.json").write_text("{")
    for method, body in (("POST", {"items": NEW}), ("DELETE", {"items": None})):
        answer = own.request(method, "/v1/items", json=body)
        assert answer.status_code == 409, answer.text
        assert "texts.json" in answer.json()["error"]


@pytest.mark.slow
def test_no_request_is_dropped_and_none_is_a_mixture(own_run, tmp_path):
    lists: dict[str, set[str]] = {}
    done = threading.Event()
    with Server(own_run, tmp_path / "server", "--max-wait-ms", "60000") as server:

        def asker(_number: int) -> None:
            connection = server.connect()
            while not done.is_set():
                body = {"users": ["user_000001", "user_000002"], "k": 62, "seen": True}
                status, answer, _ = ask(connection, "/v1/recommend", body)
                assert status == 200, answer
                found = json.dumps([[i["item_id"] for i in r["items"]] for r in answer["results"]])
                lists.setdefault(answer["model"]["version"], set()).add(found)
                time.sleep(PAUSE_S)
            connection.close()

        def change() -> None:
            try:
                status, answer, _ = server.ask("/v1/items", {"items": NEW[:1]})
                assert status == 200, answer
                assert server.ask("/v1/items", {"items": NEW[1:]})[1]["items"] == 62
                assert _delete(server, {"items": None})["items"] == 60
            finally:
                done.set()

        with ThreadPoolExecutor(5) as pool:
            changing = pool.submit(change)
            list(pool.map(asker, range(4)))
            changing.result()
    assert len(lists) == 3
    assert all(len(found) == 1 for found in lists.values())
    assert sorted(len(json.loads(*found)[0]) for found in lists.values()) == [60, 61, 62]
    assert RunDir(own_run).is_done("finetune")


def _delete(server: Server, body: dict) -> dict:
    connection: http.client.HTTPConnection = server.connect()
    headers = {"Content-Type": "application/json"}
    connection.request("DELETE", "/v1/items", json.dumps(body).encode(), headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def _process(program: str, *arguments: object):
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    return process


def test_a_refusal_names_the_request_and_its_field(own):
    bad = [*NEW, {"item_id": "n2", "title": "ѫѫѫ"}]
    answer = own.post("/v1/items", json={"items": bad})
    assert answer.status_code == 422, answer.text
    said = json.dumps(answer.json())
    assert "the request: nothing was added" in said
    assert r"ask to skip them (\"skip\": true)" in said
    assert "--skip" not in said


def test_a_title_that_is_too_long_can_be_skipped(own):
    title = NEW[0]["title"]
    items = [{"item_id": "n3", "title": title}, {"item_id": "n4", "title": f"{title} " * 10**4}]
    assert own.post("/v1/items", json={"items": items}).status_code == 422
    answer = own.post("/v1/items", json={"items": items, "skip": True})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["added"], list(answer.json()["skipped"].values())) == (1, [1])


def test_what_was_not_read_yet_is_refused_once_the_run_has_other_data(own, own_run, tmp_path):
    """It would be of other users: a wrong answer without a word."""
    write_planted_world(tmp_path / "other", users=60, items=60)
    asked = {"users": ["user_000001"]}
    before = lists_of(own, **asked)
    with progress.quiet():
        other = Dataset.load(tmp_path / "other")
        import_dataset(RunDir(own_run), other, None, replace=True)
    for unread in ({"users": ["a stranger"]}, {"profile": {"age": "20"}}):
        answer = own.post("/v1/recommend", json=unread)
        assert answer.status_code == 409, answer.text
        assert "was replaced or removed since it was opened" in answer.json()["error"]
    assert lists_of(own, **asked) == before
