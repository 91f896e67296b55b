"""A toy run whose titles try to be HTML, and the service in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cllm4rec import progress, stages
from cllm4rec.rundir import RunDir
from support.input_folder import write_rows
from support.tiny_backbone import write_tiny_llama
from support.toy_run import toy_config

SCRIPT = "<script>alert('title')</script>"
QUOTES = "Tom & \"Jerry\" <b onclick='x'>'s"
GENRES = ["Comedy", "Comedy, Drama", "Drama", "Horror", "Drama, War"]
USERS, ITEMS, EACH = 24, 40, 12


def item_rows() -> list[dict[str, str | None]]:
    """Item ids ``i00`` on; two titles that are HTML, one that is missing."""
    titles: list[str | None] = [f"Film {number:02}" for number in range(ITEMS)]
    titles[:3] = [SCRIPT, QUOTES, None]
    return [
        {
            "item_id": f"i{number:02}",
            "title": titles[number],
            "text": f"A story in {number} parts, <i>told</i> slowly." if number % 2 else None,
            "genres": GENRES[number % len(GENRES)],
            "year": str(1980 + number),
        }
        for number in range(ITEMS)
    ]


def make_page_run(folder: Path) -> RunDir:
    """Prepare, train and evaluate; takes seconds."""
    source, run = folder / "source", RunDir(folder / "run")
    log = [
        {
            "user_id": f"u{user:02}",
            "item_id": f"i{(3 * user + place * (1 + user % 3)) % ITEMS:02}",
            "timestamp": 1000 * user + place,
        }
        for user in range(USERS)
        for place in range(EACH)
    ]
    write_rows(source, "interactions", log)
    write_rows(source, "items", item_rows())
    config = toy_config(
        write_tiny_llama(folder / "backbone"),
        "finetune.epochs=1",
        "evaluate.baselines=['popularity', 'ease']",
    )
    with progress.quiet():
        stages.prepare(source, run, split=None, protocol="paper", config=config)
        stages.train(run, config)
        stages.evaluate(run)
    return run


@contextmanager
def served(run: RunDir, log: Path, *options: str) -> Iterator[str]:
    """The address of ``cllm4rec serve`` in a process of its own, once it is ready."""
    program = "from cllm4rec.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", "--run", str(run.path), "--port", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with log.open("w") as written:
        process = subprocess.Popen([*command, *options], stderr=written, env=environment)
    try:
        address = _ready(process, log)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    until_s = time.monotonic() + 120
    while time.monotonic() < until_s and process.poll() is None:
        found = re.search(r"http://[\d.]+:\d+", log.read_text())
        if found and "serving model" in log.read_text():
            with urllib.request.urlopen(f"{found[0]}/readyz") as answer:
                assert answer.status == 200
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"the service did not start: {log.read_text()}")
