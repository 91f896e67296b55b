"""What is acknowledged is on the disk, whole lines only, whatever fails."""

import asyncio
import errno
import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec.errors import InputError
from cllm4rec.service import feedback
from cllm4rec.service.feedback import FeedbackLog, FeedbackUnavailable


def row(user: str) -> dict:
    return {"user_id": user, "item_id": "i", "timestamp": 1}


def logged(folder) -> list[str]:
    text = (folder / feedback.FILE).read_bytes()
    assert text == b"" or text.endswith(b"\n")
    return [json.loads(line)["user_id"] for line in text.splitlines()]


def written(folder, conversation, **arguments):
    async def run():
        log = FeedbackLog(folder, **arguments)
        log.start()
        try:
            return await asyncio.wait_for(conversation(log), 30)
        finally:
            await asyncio.to_thread(log.close)

    return asyncio.run(run())


@given(st.lists(st.lists(st.text(max_size=5), min_size=1, max_size=4), max_size=6))
def test_every_row_is_one_line_in_the_order_of_its_request(tmp_path_factory, requests):
    folder = tmp_path_factory.mktemp("log")

    async def conversation(log):
        for users in requests:
            await log.append([row(user) for user in users])

    written(folder, conversation)
    assert logged(folder) == [user for users in requests for user in users]


def test_requests_that_wait_together_share_one_commit(tmp_path, monkeypatch):
    gate, really = threading.Event(), os.fsync
    commits = []

    async def conversation(log):
        monkeypatch.setattr(os, "fsync", lambda file: (gate.wait(30), really(file)))
        asked = [asyncio.ensure_future(log.append([row(str(n))])) for n in range(50)]
        await asyncio.sleep(0.1)
        assert not any(each.done() for each in asked)  # nothing is acknowledged before the disk
        gate.set()
        await asyncio.gather(*asked)

    written(tmp_path, conversation, on_commit=lambda: commits.append(1))
    assert sorted(logged(tmp_path)) == sorted(map(str, range(50)))
    assert len(commits) <= 2


@pytest.mark.parametrize("torn", [b'{"user_id": "torn", "it', b"x" * 200_000, b"{}"])
@pytest.mark.parametrize("whole", [0, 2])
def test_half_a_line_is_cut_off_at_the_start(tmp_path, torn, whole):
    lines = b"".join(json.dumps(row(str(n))).encode() + b"\n" for n in range(whole))
    (tmp_path / feedback.FILE).write_bytes(lines + torn)

    async def conversation(log):
        await log.append([row("new")])

    written(tmp_path, conversation)
    assert logged(tmp_path) == [*map(str, range(whole)), "new"]


def test_a_full_disk_leaves_whole_lines_and_is_said(tmp_path, monkeypatch):
    really = os.write

    def full(file, data):
        if len(data) > 10:
            return really(file, bytes(data[:10]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def conversation(log):
        await log.append([row("first")])
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(FeedbackUnavailable, match="No space left"):
            await log.append([row("second")])
        monkeypatch.setattr(os, "write", really)
        await log.append([row("third")])

    written(tmp_path, conversation)
    assert logged(tmp_path) == ["first", "third"]


def test_after_a_failed_fsync_nothing_is_promised_any_more(tmp_path, monkeypatch):
    really = os.fsync

    def failing(_file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def conversation(log):
        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(FeedbackUnavailable, match="restart the service"):
            await log.append([row("a")])
        monkeypatch.setattr(os, "fsync", really)
        with pytest.raises(FeedbackUnavailable, match="restart the service"):
            await log.append([row("b")])

    written(tmp_path, conversation)


def test_too_much_that_waits_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(feedback, "MAX_WAITING_BYTES", 10)

    async def conversation(log):
        with pytest.raises(FeedbackUnavailable, match="too much feedback"):
            await log.append([row("a")])

    written(tmp_path, conversation)


def test_one_service_at_a_time_writes_a_log(tmp_path):
    async def conversation(_log):
        with pytest.raises(InputError, match=r"written by another service; give --feedback"):
            FeedbackLog(tmp_path)

    written(tmp_path, conversation)


@pytest.mark.parametrize("taken", ["moved", "deleted"])
def test_a_log_that_is_taken_away_is_followed_by_a_new_one(tmp_path, taken):
    folder, away = tmp_path / "log", tmp_path / "away"
    away.mkdir()

    async def conversation(log):
        await log.append([row("before")])
        if taken == "moved":
            os.rename(log.path, away / feedback.FILE)
        else:
            log.path.unlink()
        await log.append([row("after")])
        await log.append([row("later")])
        with pytest.raises(InputError, match="written by another service"):
            FeedbackLog(folder)

    written(folder, conversation)
    assert logged(folder) == ["after", "later"]
    if taken == "moved":
        assert logged(away) == ["before"]
    FeedbackLog(folder).close()


@pytest.mark.parametrize(("off", "kept"), [(5, ["a"]), (10**6, []), (-4, ["a", "b"])])
def test_a_log_that_is_cut_or_grows_meanwhile_loses_nothing_that_follows(tmp_path, off, kept):
    async def conversation(log):
        await log.append([row("a"), row("b")])
        size = log.path.stat().st_size
        if off < 0:
            log.path.write_bytes(log.path.read_bytes() + b"half")
        else:
            os.truncate(log.path, max(0, size - off))
        await log.append([row("after")])
        await log.append([row("later")])

    written(tmp_path, conversation)
    assert logged(tmp_path) == [*kept, "after", "later"]


def test_a_log_that_is_cut_during_a_failing_write_gets_no_nul_bytes(tmp_path, monkeypatch):
    really = os.write

    def cut(file, _data):
        os.truncate(file, 3)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def conversation(log):
        await log.append([row("before")])
        monkeypatch.setattr(os, "write", cut)
        with pytest.raises(FeedbackUnavailable, match="No space left"):
            await log.append([row("lost")])
        assert log.path.stat().st_size == 3
        monkeypatch.setattr(os, "write", really)
        await log.append([row("after")])

    written(tmp_path, conversation)
    assert logged(tmp_path) == ["after"]


def test_a_folder_that_is_taken_away_is_said(tmp_path):
    async def conversation(log):
        os.rename(tmp_path / "log", tmp_path / "away")
        with pytest.raises(FeedbackUnavailable, match="cannot write feedback: No such file"):
            await log.append([row("lost")])
        os.rename(tmp_path / "away", tmp_path / "log")
        await log.append([row("kept")])

    written(tmp_path / "log", conversation)
    assert logged(tmp_path / "log") == ["kept"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write feedback to .*give --feedback DIR"):
        FeedbackLog(tmp_path / "file" / "log")


def test_a_link_to_the_folder_may_lead_elsewhere_later(tmp_path):
    for name in ("monday", "tuesday"):
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "monday")

    async def conversation(log):
        await log.append([row("a")])
        link.unlink()
        link.symlink_to(tmp_path / "tuesday")
        await log.append([row("b")])

    written(link / "feedback", conversation)
    assert logged(tmp_path / "monday" / "feedback") == ["a", "b"]
    assert not list((tmp_path / "tuesday").iterdir())


def test_feedback_is_on_the_disk_when_it_is_accepted(client, holder):
    item = holder.current.catalogue.ids[0]
    rows = [{"user_id": "new", "item_id": item}, {"user_id": "é", "item_id": item, "timestamp": 9}]
    response = client.post("/v1/feedback", json={"interactions": rows})
    assert (response.status_code, response.json()) == (202, {"accepted": 2})
    log = client.app.state.components.feedback.path.read_text().splitlines()
    first, second = (json.loads(line) for line in log[-2:])
    assert first["user_id"] == "new"
    assert first["timestamp"] > 1_600_000_000
    position = first["position"] + 1
    assert second == {"user_id": "é", "item_id": item, "timestamp": 9, "position": position}


def test_feedback_that_is_none_is_refused_as_a_whole(client, holder):
    size = client.app.state.components.feedback.path.stat().st_size
    known = {"user_id": "u", "item_id": holder.current.catalogue.ids[0]}
    for item in ("", " "):
        rows = [known, {"user_id": "u", "item_id": item}]
        assert client.post("/v1/feedback", json={"interactions": rows}).status_code == 422
    assert client.post("/v1/feedback", json={"interactions": []}).status_code == 422
    assert client.post("/v1/feedback", json={"interactions": [known] * 1001}).status_code == 422
    assert client.app.state.components.feedback.path.stat().st_size == size


@pytest.mark.parametrize("timestamp", [202401311200, 20240131])
def test_feedback_at_a_date_written_as_a_number_is_refused(client, timestamp):
    path = client.app.state.components.feedback.path
    size = path.stat().st_size
    row = {"user_id": "u", "item_id": "i", "timestamp": timestamp}
    response = client.post("/v1/feedback", json={"interactions": [row]})
    assert (response.status_code, response.json()["error"]) == (
        422,
        "body.interactions.0.timestamp: a date written as a number, such as 20240131 or "
        "202401311200, is no unix time; give the seconds since 1970",
    )
    assert path.stat().st_size == size
