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
MEASURES = (*SPEEDS, "peak_mb", "state_mb")


def measure_processes(
    data: str,
    split: Path | None,
    overrides: Sequence[str],
    *,
    depth: int,
    profile: str,
    steps: int,
    processes: int,
    divided: bool,
    sharded: bool,
    turns: int,
) -> dict[str, Any]:
    """Medians of the turns, and their ratios to one process."""
    hows = [""] + [" divided"] * divided + [" sharded"] * sharded
    one = ["1", *["1 divided"] * divided]
    several = [f"{processes}{how}" for how in hows] if processes > 1 else []
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (*one, *several)}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        prepared, result = scratch / "prepared", scratch / "result.json"
        Dataset.load(input_folder(data, scratch), split=split, folder=prepared)
        given = [str(prepared), str(depth), profile, str(steps), *overrides]
        for _ in range(turns):
            for name, rows in found.items():
                number, _, how = name.partition(" ")
                rows.append(_measured(int(number), [str(result), how or "whole", *given], result))
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in MEASURES}
        for name, rows in found.items()
    }
    table: list[dict[str, Any]] = [
        {
            "processes": name,
            **{key: round(value, 1) for key, value in median.items()},
            **{f"{key}_of_one": round(median[key] / medians["1"][key], 2) for key in SPEEDS},
        }
        for name, median in medians.items()
    ]
    return {"depth": depth, "profile": profile, "steps": steps, "rows": table, "turns": found}


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
