"""How fast a run's service answers, on this machine: alone, loaded, and asked for too much.

The real server runs in a process of its own. The bare forward pass, which the service's overhead is
measured against, runs here; it takes turns with single requests of the same histories, so that a
busy machine slows both.
"""

import asyncio
import gc
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.service.client import REFUSED, Answer, Client, figures
from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.errors import InputError
from cllm4rec.models.device import serving_threads
from cllm4rec.recommender.saved import Recommender
from cllm4rec.run import RunDir

HISTORY = 50
"""Items of every history that is asked about."""
STARTUP_S = 120.0
"""Longest time until the server is ready."""


@dataclass(frozen=True)
class Load:
    """What is asked of the service.

    Attributes:
        singles: requests sent one after the other.
        steady_per_s: rate of the steady load.
        concurrency: askers of the sustained load.
        overload: how many times the sustained rate is asked at last.
        seconds: of each of the three loads.
    """

    singles: int = 200
    steady_per_s: float = 60.0
    concurrency: int = 16
    overload: float = 5.0
    seconds: float = 20.0


def measure_service(run: RunDir, load: Load | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure a run's service.

    Args:
        run: a trained run.
        load: what to ask of it.
        seed: of the histories.

    Returns:
        ``bare`` (the forward pass alone), ``single``, ``steady``, ``sustained``, ``overload``:
        milliseconds and rates; ``overhead``: of a single request over the bare forward pass.

    Raises:
        RunError: the run is not trained.
        InputError: the server did not start.
    """
    load = load or Load()
    run.require("finetune")
    recommender = Recommender.load(run.path)
    histories = _histories(recommender, 512, seed)
    with tempfile.TemporaryDirectory() as folder, _server(run, Path(folder)) as port, _as_served():
        client = Client("127.0.0.1", port, [_request(recommender, row) for row in histories])
        return asyncio.run(_measured(recommender, histories, client, load))


async def _measured(
    recommender: Recommender, histories: list[list[int]], client: Client, load: Load
) -> dict[str, Any]:
    bare_s: list[float] = []
    single: list[Answer] = []
    with progress.task("Single requests", total=load.singles, unit="request") as task:
        for number in range(load.singles):
            bare_s.append(_bare(recommender, histories[number % len(histories)]))
            single.append(await client.ask())
            task.advance()
    progress.note(f"steady load, {load.steady_per_s:g} requests a second")
    steady = await client.open_loop(load.steady_per_s, load.seconds)
    progress.note(f"sustained load, {load.concurrency} askers")
    started_at_s = time.perf_counter()
    sustained = await client.closed_loop(load.concurrency, load.seconds)
    answered = sum(answer.status == 200 for answer in sustained)
    per_s = answered / (time.perf_counter() - started_at_s)
    progress.note(f"overload, {load.overload * per_s:.0f} requests a second")
    overload = await client.open_loop(load.overload * per_s, load.seconds)
    await client.close()
    bare_ms = float(np.median(bare_s)) * 1e3
    accepted, normal = figures(overload), figures(sustained)
    return {
        "history_items": HISTORY,
        "bare": {"p50_ms": round(bare_ms, 2)},
        "single": figures(single),
        "overhead": round(figures(single).get("p50_ms", np.nan) / bare_ms - 1, 3),
        "steady": {
            "per_s": load.steady_per_s,
            **figures(steady),
            "refused": _share(steady, REFUSED),
        },
        "sustained": {
            "per_s": round(per_s, 1),
            "concurrency": load.concurrency,
            **normal,
            "refused": _share(sustained, REFUSED),
        },
        "overload": {
            "per_s": round(load.overload * per_s, 1),
            **accepted,
            "refused": _share(overload, REFUSED),
            "other": sum(answer.status not in {200, REFUSED} for answer in overload),
            "p99_over_normal": round(
                accepted.get("p99_ms", np.nan) / normal.get("p99_ms", np.nan), 2
            ),
            "max_over_normal_p99": round(
                accepted.get("max_ms", np.nan) / normal.get("p99_ms", np.nan), 2
            ),
        },
    }


def _bare(recommender: Recommender, history: list[int]) -> float:
    """Seconds of one forward pass and its blend, as they are without a service."""
    interactions = Interactions.from_lists([history], len(recommender.dataset.items))
    started_at_s = time.perf_counter()
    recommender.scorer.score(np.array([-1], np.int32), interactions)
    return time.perf_counter() - started_at_s


def _histories(recommender: Recommender, count: int, seed: int) -> list[list[int]]:
    """Histories that differ, of items that were interacted with."""
    rng = np.random.default_rng(seed)
    had = np.flatnonzero(recommender.dataset.part("train").item_counts())
    size = min(HISTORY, len(had) // 2)
    return [rng.choice(had, size, replace=False).tolist() for _ in range(count)]


def _request(recommender: Recommender, history: list[int]) -> bytes:
    ids = recommender.dataset.items.ids(history)
    body = json.dumps({"histories": [ids], "k": 10}).encode()
    head = (
        "POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _share(answers: list[Answer], status: int) -> float:
    return round(sum(answer.status == status for answer in answers) / max(len(answers), 1), 4)


@contextmanager
def _as_served() -> Iterator[None]:
    """The bare pass on as many threads as the service's, and no collection counted as its time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(serving_threads())
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        torch.set_num_threads(threads)


@contextmanager
def _server(run: RunDir, scratch: Path) -> Iterator[int]:
    """The server in a process of its own; yields its port when it is ready."""
    program = "from cllm4rec.cli import main; main()"
    options = ["--run", str(run.path), "--port", "0", "--feedback", str(scratch / "feedback")]
    with (
        (scratch / "log").open("wb+") as log,
        subprocess.Popen([sys.executable, "-c", program, "serve", *options], stderr=log) as process,
    ):
        try:
            yield _ready_port(process, scratch / "log")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def _ready_port(process: subprocess.Popen[bytes], log: Path) -> int:
    with progress.task("Starting the server"):
        until_s = time.monotonic() + STARTUP_S
        while time.monotonic() < until_s and process.poll() is None:
            text = log.read_text(encoding="utf-8", errors="replace")
            found = re.search(r"listening on http://\S*?:(\d+)", text)
            if found is not None and "serving model" in text:
                return int(found[1])
            time.sleep(0.05)
    last = " ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:])
    raise InputError(f"the server did not start: {last or 'it said nothing'}")
