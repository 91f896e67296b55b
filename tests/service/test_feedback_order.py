"""The order of feedback is the one sent, in the running service and in the next training."""

import json
import shutil
import time
from itertools import pairwise

import pytest
from fastapi.testclient import TestClient

from cllm4rec.service import ServiceSettings, create_app, feedback
from cllm4rec.service.feedback import FeedbackLog
from cllm4rec.service.schemas import Interaction
from support.input_folder import small_log, write_rows
from support.prepared import histories, prepare_folder


@pytest.fixture
def post(tmp_path, run, holder):
    """Send requests to a service of its own; the history that it then has of a user."""
    settings = ServiceSettings(run=run, feedback=tmp_path / "feedback", max_wait_ms=60_000)

    def sent(user, *requests):
        with TestClient(create_app(settings, holder)) as client:
            for interactions in requests:
                body = {"interactions": [{"user_id": user, **each} for each in interactions]}
                assert client.post("/v1/feedback", json=body).status_code == 202
            items = client.get(f"/v1/users/{user}/history").json()["items"]
        return [item["item_id"] for item in items]

    return sent


def trained_order(tmp_path, user, *logs):
    """A user's history after `prepare` of a log, with the service's files moved beside it."""
    for place, log in enumerate(logs):
        shutil.copy(log, tmp_path / "in" / f"interactions-{place}.jsonl")
    dataset, report = prepare_folder(tmp_path / "in", protocol="leave-last-out")
    assert report["refused"]["interactions"] == {}
    parts = [histories(dataset, part)[user] for part in ("train", "valid", "test")]
    return [item for part in parts for item in part]


@pytest.fixture
def log(tmp_path):
    write_rows(tmp_path / "in", "interactions", small_log(), "csv")
    return tmp_path / "feedback" / feedback.FILE


def items_of(holder, order):
    return [holder.current.catalogue.ids[place] for place in order]


def test_of_one_request_without_times(tmp_path, post, holder, log):
    items = items_of(holder, [17, 3, 21, 9, 14, 6, 1, 19])
    assert post("new", [{"item_id": item} for item in items]) == items
    assert trained_order(tmp_path, "new", log) == items


def test_of_one_request_in_which_one_time_is_given_to_all(tmp_path, post, holder, log):
    items = items_of(holder, [17, 3, 21, 9, 14, 6, 1, 19])
    assert post("new", [{"item_id": item, "timestamp": 1_700_000_000} for item in items]) == items
    assert trained_order(tmp_path, "new", log) == items


def test_of_requests_within_a_second_and_of_a_clock_that_is_set_back(
    tmp_path, post, holder, log, monkeypatch
):
    now_ns = iter([1_700_000_000_900_000_000, 1_700_000_000_200_000_000] * 20)
    monkeypatch.setattr(feedback.time, "time_ns", lambda: next(now_ns))
    items = items_of(holder, [17, 3, 21, 9, 14, 6, 1, 19])
    assert post("new", *([{"item_id": item}] for item in items)) == items
    assert trained_order(tmp_path, "new", log) == items


def test_rows_of_earlier_versions_are_read_with_those_of_today(tmp_path, post, holder, log):
    """In one file, and in files side by side; what came before stands before."""
    before, now = items_of(holder, [17, 3, 21]), items_of(holder, [9, 14, 6, 1, 19])
    old = [
        {"user_id": "new", "item_id": item, "timestamp": 1_700_000_000 + at}
        for at, item in enumerate(before)
    ]
    log.parent.mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in old)
    log.write_text(lines)
    rows = [{"item_id": item, "timestamp": old[-1]["timestamp"]} for item in now]
    assert post("new", rows) == before + now
    assert trained_order(tmp_path, "new", log) == before + now
    both = log.read_text()
    (tmp_path / "old").write_text(lines)
    (tmp_path / "today").write_text(both.removeprefix(lines))
    for files in (("old", "today"), ("today", "old")):
        found = trained_order(tmp_path, "new", *(tmp_path / name for name in files))
        assert found == before + now


def test_each_row_has_a_microsecond_of_its_own_that_a_double_holds(tmp_path):
    log = FeedbackLog(tmp_path)
    one = [Interaction(user_id="u", item_id="i")]
    rows = [row for size in (1000, 1, 1000, 1) for row in log.rows_of(one * size)]
    log.close()
    positions = [row["position"] for row in rows]
    assert all(position < then for position, then in pairwise(positions))
    assert positions[-1] < 2**53
    assert abs(positions[0] / 1e6 - time.time()) < 60
