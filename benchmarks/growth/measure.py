"""Processor seconds and peak memory of every stage on growing worlds, each in its own process."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth.world import write_world
from cllm4rec import progress
from cllm4rec.errors import InputError
from cllm4rec.planning.stand_in import stand_in, write_stand_in
from cllm4rec.run import RunDir, read_json, write_json

STAGES = ("prepare", "start", "epoch", "evaluate", "lists")
EACH = 20
"""Interactions of a user."""
SETTINGS = {
    "threads": 1,
    "backbone.depth": 2,
    "data.minimum_rating": 0,
    "finetune.epochs": 1,
    "evaluate.baselines": '["popularity"]',
}


def measure_growth(sizes: Sequence[tuple[int, int]], out: Path) -> list[dict[str, Any]]:
    """Measure the sizes that are not in ``out`` yet; rows are added as they are done.

    A model of two layers, 192 wide, with random weights: how time grows does not depend on it.

    Args:
        sizes: users and items.
        out: JSON file of the rows.

    Returns:
        Rows of ``users, items, stage, cpu_s`` (of all threads, without the imports: wall-clock
        time would be that of the machine's other jobs too) and ``peak_mb``.
    """
    rows: list[dict[str, Any]] = read_json(out) if out.exists() else []
    done = {(row["users"], row["items"]) for row in rows}
    for users, items in sizes:
        if (users, items) in done:
            continue
        with tempfile.TemporaryDirectory(prefix="cllm4rec-growth-") as name:
            rows += _stages(Path(name), users, items)
        write_json(out, rows)
    return rows


def _stages(folder: Path, users: int, items: int) -> list[dict[str, Any]]:
    data, run = folder / "data", RunDir(folder / "run")
    write_world(data, users=users, items=items, interactions=EACH * users)
    settings = {**SETTINGS, "backbone.name": write_stand_in(folder / "lm", stand_in(2, heads=3))}
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    lists = ["recommend", "--all", "--k", "100", "--out", str(folder / "lists")]
    commands = {
        "prepare": ["prepare", "--data", str(data), *given],
        "start": ["initialise"],
        "epoch": ["finetune"],
        "evaluate": ["evaluate"],
        "lists": lists,
    }
    rows = []
    with progress.task(f"{users:,} users, {items:,} items", total=len(STAGES), unit="stage") as bar:
        for stage in STAGES:
            taken = measured([*commands[stage], "--run", str(run.path)])
            rows.append({"users": users, "items": items, "stage": stage, **taken})
            bar.advance()
    return rows


def measured(arguments: Sequence[str]) -> dict[str, float]:
    """Run a command of the program in a process of its own.

    Not forked from one that has loaded the libraries: that has 110 MB less of them in memory.

    Returns:
        ``cpu_s``, processor seconds of all its threads, and ``peak_mb``.

    Raises:
        InputError: it failed; with the last line that it said.
    """
    with tempfile.TemporaryDirectory(prefix="cllm4rec-growth-") as name:
        facts = Path(name) / "facts.json"
        command = [sys.executable, str(Path(__file__).with_name("child.py")), str(facts)]
        done = subprocess.run([*command, *arguments, "--json"], capture_output=True, text=True)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            raise InputError(f"{arguments[0]} ended with {done.returncode}: {' '.join(last)}")
        found: dict[str, float] = json.loads(facts.read_text())
    return found
