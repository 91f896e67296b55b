"""The real server in its own process: killed, ended, reloaded and asked for too much."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from cllm4rec.errors import InputError
from cllm4rec.recommender.intact import seal_model
from cllm4rec.service.feedback import FILE
from cllm4rec.service.served import model_version
from cllm4rec.service.server import _listening_socket
from support.server import PAUSE_S, Server, ask

ASK = {"users": ["user_000001", "user_000002"], "k": 3}


@pytest.fixture
def own_run(run, tmp_path) -> Path:
    """A copy of the run that a test may write into."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def gone(process: int) -> bool:
    """Whether a process ends within ten seconds."""
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        stat = Path(f"/proc/{process}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def repeatedly(
    server: Server,
    until: threading.Event,
    work: Callable[[object, int], None],
    askers: int,
    pause_s: float = 0.0,
) -> list[BaseException]:
    """Connections that ask again and again until told to stop; what went wrong, if anything.

    Each pauses after an answer: those who never do take the processor from what they wait for.
    """
    failures: list[BaseException] = []

    def asker(number: int) -> None:
        connection = server.connect()
        try:
            while not until.is_set():
                work(connection, number)
                time.sleep(pause_s)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    with ThreadPoolExecutor(askers) as pool:
        list(pool.map(asker, range(askers)))
    return failures


@pytest.mark.slow
def test_no_acknowledged_feedback_is_lost_by_kill_9(own_run, tmp_path):
    acknowledged: list[str] = []
    log = own_run / "feedback" / FILE
    for kill in range(2):
        with Server(own_run, tmp_path / f"server{kill}") as server:
            killed, scoring = threading.Event(), server.scoring_process()
            counter = iter(range(10**9))

            def send(connection, asker, counter=counter, kill=kill):
                user = f"{kill}-{asker}-{next(counter)}"
                row = {"user_id": user, "item_id": "item_000001"}
                status, answer, _ = ask(connection, "/v1/feedback", {"interactions": [row] * 3})
                assert (status, answer) == (202, {"accepted": 3})
                acknowledged.append(user)

            before = len(acknowledged)

            def kill_soon(server=server, killed=killed, before=before):
                while len(acknowledged) < before + 60:
                    time.sleep(0.001)
                server.send(signal.SIGKILL)
                killed.set()

            killer = threading.Thread(target=kill_soon)
            killer.start()
            repeatedly(server, killed, send, 8)
            killer.join()
            assert server.process.wait(30) == -signal.SIGKILL
            assert gone(scoring)
        # Whatever the killed process left half written, and a line torn on purpose.
        with log.open("ab") as file:
            file.write(b'{"user_id": "torn')
    with Server(own_run, tmp_path / "last") as server:
        assert server.end() == 0
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    kept = [row["user_id"] for row in rows]
    assert len(acknowledged) >= 120
    assert all(kept.count(user) == 3 for user in acknowledged)
    assert "torn" not in kept


@pytest.mark.slow
def test_sigterm_finishes_what_was_accepted(own_run, tmp_path):
    with Server(own_run, tmp_path / "server") as server:
        known = server.ask("/v1/users?limit=64")[1]["users"]
        body = {"users": known, "k": 50, "explain": True}  # takes a while
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(server.ask, "/v1/recommend", body) for _ in range(4)]
            row = {"user_id": "u", "item_id": "item_000001"}
            while "cllm4rec_queue_requests 0.0" in metrics(server):
                time.sleep(0.001)
            assert server.ask("/v1/feedback", {"interactions": [row]})[0] == 202
            code = server.end()
            statuses = [each.result()[0] for each in asked]
        assert code == 0
        # Some may have been refused for the others' sake, but none was left without an answer.
        assert set(statuses) <= {200, 429}
        assert 200 in statuses
        assert "everything that was accepted is answered" in server.said()
        assert "leaked" not in server.said(), "the end of the program is nobody's to read about"
        with pytest.raises(ConnectionRefusedError):
            server.ask("/healthz")
    assert (own_run / "feedback" / FILE).read_text().count("\n") == 1


def metrics(server: Server) -> str:
    connection = server.connect()
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    return page


def change_model(run: Path) -> str:
    """Another model in the same run; its version."""
    path = run / "model" / "model.safetensors"
    tensors = load_file(path)
    tensors["head.bias"] = tensors["head.bias"][::-1].copy()
    new = path.with_name("new.safetensors")
    save_file(tensors, new)
    new.replace(path)
    (run / "model" / "sha256.json").unlink()
    seal_model(run / "model")
    return model_version(run)


@pytest.mark.slow
def test_a_reload_under_load_drops_no_request(own_run, tmp_path):
    versions: set[str] = set()
    lists: dict[str, set[str]] = {}

    with Server(own_run, tmp_path / "server", "--max-wait-ms", "60000") as server:
        first, done = model_version(own_run), threading.Event()

        def listed(connection, _asker):
            status, answer, _ = ask(connection, "/v1/recommend", ASK)
            assert status == 200, answer
            version = answer["model"]["version"]
            versions.add(version)
            found = [[item["item_id"] for item in r["items"]] for r in answer["results"]]
            lists.setdefault(version, set()).add(json.dumps(found))

        def reload():
            try:
                time.sleep(0.3)
                change_model(own_run)
                server.send(signal.SIGHUP)
                server.wait_for("serving model", times=2)
                time.sleep(0.3)
                assert server.ask("/v1/reload", {})[0] == 200
                # One that fails: the model that answers goes on.
                (own_run / "model" / "model.json").write_text("{")
                status, answer, _ = server.ask("/v1/reload", {})
                assert status == 409
                assert f"model {second_version(server)} goes on" in answer["error"]
                server.send(signal.SIGHUP)
                server.wait_for("reload failed")
                time.sleep(0.2)
            finally:
                done.set()

        with ThreadPoolExecutor(1) as pool:
            reloading = pool.submit(reload)
            assert repeatedly(server, done, listed, 6, PAUSE_S) == []
            reloading.result()
        assert server.ask("/readyz")[0] == 200
    assert first in versions
    assert len(versions) == 2
    # Every answer is one model's: each version gives one list and no mixture.
    assert all(len(found) == 1 for found in lists.values())


def second_version(server: Server) -> str:
    version: str = server.ask("/v1/recommend", ASK)[1]["model"]["version"]
    return version


@pytest.mark.slow
def test_too_much_is_refused_at_once_and_says_when_to_come_back(own_run, tmp_path):
    with Server(own_run, tmp_path / "server", "--max-wait-ms", "1") as server:
        known = server.ask("/v1/users?limit=64")[1]["users"]
        answers, done = [], threading.Event()

        def asked(connection, _asker):
            answers.append(ask(connection, "/v1/recommend", {"users": known, "k": 10}))
            if len(answers) >= 150:
                done.set()

        assert repeatedly(server, done, asked, 12) == []
        page = metrics(server)
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {200, 429}
    for status, answer, headers in answers:
        if status == 429:
            assert list(answer) == ["error"]
            assert int(headers["retry-after"]) >= 1
        else:
            assert len(answer["results"]) == 64
    assert f"cllm4rec_shed_total {statuses.count(429):.1f}" in page


@pytest.mark.slow
def test_a_scoring_process_that_is_killed_is_replaced(own_run, tmp_path):
    with Server(own_run, tmp_path / "server") as server:
        first, before = server.scoring_process(), server.ask("/v1/recommend", ASK)[1]
        os.kill(first, signal.SIGKILL)
        assert gone(first)
        status, _, headers = server.ask("/v1/recommend", ASK)
        assert (status, headers["retry-after"]) == (503, "5")
        assert server.ask("/healthz")[0] == 200
        server.wait_for("serving model", times=2)
        assert server.ask("/v1/recommend", ASK)[:2] == (200, before)
        assert server.ask("/readyz")[0] == 200
        second = server.scoring_process()
        assert second != first
        assert server.end() == 0
        assert gone(second)


@pytest.mark.slow
def test_keys_are_asked_for_and_nothing_of_users_is_logged(own_run, tmp_path):
    with Server(own_run, tmp_path / "server", keys="the-key") as server:
        assert server.ask("/healthz")[0] == 200
        assert server.ask("/v1/users/user_000001/history")[0] == 401
        key = {"X-API-Key": "the-key"}
        assert server.ask("/v1/users/user_000001/history", **key)[0] == 200
        assert server.ask("/v1/recommend", {"users": ["secret-user"]}, **key)[0] == 422
        assert server.end(signal.SIGINT) == 0
        assert "user_" not in server.said()
        assert "secret" not in server.said()
        assert "the-key" not in server.said()
        assert "Traceback" not in server.said()


def refused(*options: str) -> str:
    program = "from cllm4rec.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_what_cannot_be_served_is_one_line_and_exit_code_2(own_run, tmp_path):
    absent = refused("--run", str(tmp_path / "absent"))
    assert "there is no folder" in absent
    assert not (tmp_path / "absent").exists()
    open_door = refused("--run", str(own_run), "--host", "0.0.0.0", "--port", "0")
    assert "there are no keys" in open_door
    (own_run / "data" / "offsets.npy").unlink()
    assert "offsets.npy is missing" in refused("--run", str(own_run), "--port", "0")


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "no such host"])
def test_what_is_no_host_is_said(host):
    with pytest.raises(InputError, match=f"--host {host} is no address of this machine: "):
        _listening_socket(host, 0)
