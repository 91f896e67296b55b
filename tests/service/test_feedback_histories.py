"""Feedback counts at once: of users known from it alone, and of users of the run."""

import json

import pytest
from fastapi.testclient import TestClient

from cllm4rec.service import ServiceSettings, create_app, feedback_histories
from cllm4rec.service.feedback_histories import FeedbackHistories


def row(user, item, timestamp=1):
    return {"user_id": user, "item_id": item, "timestamp": timestamp}


def recommended(client, **body):
    return client.post("/v1/recommend", json=body)


def ids_of(result):
    return [item["item_id"] for item in result["items"]]


@pytest.fixture
def keep(tmp_path, run, holder):
    settings = ServiceSettings(run=run, feedback=tmp_path, max_wait_ms=60_000)

    def start():
        return TestClient(create_app(settings, holder))

    return start


def test_a_user_of_feedback_alone_is_answered_from_it_now_and_after_a_restart(keep, holder):
    ids = holder.current.catalogue.ids
    had = [ids[4], ids[9], ids[4]]
    with keep() as client:
        assert recommended(client, users=["new"]).status_code == 422
        rows = [row("new", item, 100 + at) for at, item in enumerate(had)]
        assert client.post("/v1/feedback", json={"interactions": rows}).status_code == 202
        users = [holder.current.dataset.users.id(3), "new"]
        known, new = recommended(client, users=users, k=7).json()["results"]
        (wanted,) = recommended(client, histories=[had], k=7).json()["results"]
        assert new["user_id"] == "new"
        assert ids_of(new) == ids_of(wanted)
        (alone,) = recommended(client, users=users[:1], k=7).json()["results"]
        assert ids_of(known) == ids_of(alone)
        history = client.get("/v1/users/new/history").json()["items"]
        assert [item["item_id"] for item in history] == [ids[9], ids[4]]
        assert client.get("/v1/users/nobody/history").status_code == 404
    with keep() as client:
        (again,) = recommended(client, users=["new"], k=7).json()["results"]
        assert ids_of(again) == ids_of(wanted)


def test_what_a_known_user_just_had_is_not_recommended_again(keep, holder):
    user = holder.current.dataset.users.id(3)
    before = holder.current.known.of(3).tolist()
    with keep() as client:
        (first,) = recommended(client, users=[user], k=3).json()["results"]
        rows = [row(user, ids_of(first)[0]), row(user, "not in the catalogue")]
        answer = client.post("/v1/feedback", json={"interactions": rows}).json()
        assert answer == {
            "accepted": 2,
            "note": "1 of 2 are of items that the model does not know yet",
        }
        (then,) = recommended(client, users=[user], k=30).json()["results"]
        assert ids_of(first)[0] not in ids_of(then)
        items = client.get(f"/v1/users/{user}/history").json()["items"]
        history = holder.current.catalogue.item_numbers([item["item_id"] for item in items])
        assert history[:-1] == before
        assert items[-1]["item_id"] == ids_of(first)[0]


def test_one_unknown_user_or_item_does_not_refuse_the_rest(keep, holder):
    users, ids = holder.current.dataset.users.ids([3, 5]), holder.current.catalogue.ids
    with keep() as client:
        body = {"k": 4, "explain": True}
        two = recommended(client, users=users, **body).json()["results"]
        answer = recommended(client, users=[users[0], "nobody", users[1]], **body).json()
        assert answer["note"] == "1 of 3 users are not known and have no list"
        assert answer["results"] == [two[0], {"user_id": "nobody", "items": []}, two[1]]
        histories = [["gone"], [ids[4], "gone"]]
        answer = recommended(client, histories=histories, **body).json()
        (wanted,) = recommended(client, histories=[[ids[4]]], **body).json()["results"]
        assert answer["results"] == [{"user_id": None, "items": []}, wanted]


def test_histories_are_in_order_of_time():
    held = FeedbackHistories()
    held.add([row("known", "a"), row("x", "b", 5), row("x", "a", 3), row("x", "z", 4)])
    assert held.histories(["known", "x", "y"]) == {"known": ["a"], "x": ["a", "z", "b"]}


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(feedback_histories, "MOST_ROWS", 4)
    monkeypatch.setattr(feedback_histories, "MOST_ITEMS", 2)
    held = FeedbackHistories()
    held.add(row("x", item, at) for at, item in enumerate("abc"))
    held.add([row("y", "a"), row("z", "b"), row("x", "a", 0), row("w", "c")])
    found = held.histories("wxyz")
    assert found == {"w": ["c"], "x": ["a", "c"], "z": ["b"]}


def test_lines_that_are_no_feedback_are_passed_over(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(json.dumps(row("x", "a")).encode() + b'\n{"user_id": 1}\n[]\nnull\n\xff\n')
    with log.open("a") as more:
        for other in (
            row(["x"], "b"),
            row("x", ["b"]),
            row("x", "b", "later"),
            row("x", "b", None),
        ):
            more.write(json.dumps(other) + "\n")
        more.write("[" * 100_000 + "\n")
    held = FeedbackHistories()
    held.read(log)
    assert held.histories(["x"]) == {"x": ["a"]}
