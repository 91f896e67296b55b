"""One process and several, each started anew in every turn."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.entry import input_folder
from cllm4rec.data.dataset import Dataset

SPEEDS = ("users_per_s", "users_per_cpu_s")


def measure_processes(
    data: str,
    split: Path | None,
    overrides: Sequence[str],
    *,
    depth: int,
    profile: str,
    steps: int,
    processes: int,
    turns: int,
) -> dict[str, Any]:
    """Medians of the turns, and their ratios to one process."""
    found: dict[int, list[dict[str, float]]] = {1: [], processes: []}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        prepared, result = scratch / "prepared", scratch / "result.json"
        Dataset.load(input_folder(data, scratch), split=split, folder=prepared)
        given = [str(prepared), str(depth), profile, str(steps), *overrides]
        for _ in range(turns):
            for number, rows in found.items():
                rows.append(_measured(number, [str(result), *given], result))
    medians = {
        number: {speed: statistics.median(row[speed] for row in rows) for speed in SPEEDS}
        for number, rows in found.items()
    }
    rows = [
        {
            "processes": number,
            **{speed: round(value, 1) for speed, value in median.items()},
            **{f"{speed}_of_one": round(median[speed] / medians[1][speed], 2) for speed in SPEEDS},
        }
        for number, median in medians.items()
    ]
    return {"depth": depth, "profile": profile, "steps": steps, "rows": rows, "turns": found}


def _measured(number: int, arguments: list[str], result: Path) -> dict[str, float]:
    torchrun = Path(sys.executable).with_name("torchrun")
    starter = [torchrun, "--nproc-per-node", str(number)] if number > 1 else [sys.executable]
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")]),
    }
    command = [*starter, "-m", "benchmarks.processes.worker", *arguments]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    measured: dict[str, float] = json.loads(result.read_text(encoding="utf-8"))
    return measured
