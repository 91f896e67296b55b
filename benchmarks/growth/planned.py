"""The plan beside real runs: memory of every stage, processor seconds of finetuning and lists."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth.measure import EACH, SETTINGS, measured
from benchmarks.growth.world import write_world
from cllm4rec.config import Request, resolve
from cllm4rec.planning import Size, memory
from cllm4rec.planning.calibration import LEAST_S, measure
from cllm4rec.planning.size import TRAINED_SHARE
from cllm4rec.planning.stand_in import stand_in, write_stand_in
from cllm4rec.planning.work import epochs, steps_per_epoch, validated

_PLAIN = {"model.linear": "false", "model.warm_start": '"none"', "data.catalogue": '"all"'}


def compare(sizes: Sequence[tuple[int, int]], least_s: float = LEAST_S) -> list[dict[str, Any]]:
    """Planned and measured, by size.

    Without a linear model, whose time is not planned.

    Args:
        sizes: users and items.
        least_s: each measurement of the machine takes at least so long.
    """
    model = stand_in(2, heads=3)
    changes: dict[str, Any] = {"threads": 1, "model": {"linear": False, "warm_start": "none"}}
    changes["finetune"] = {"epochs": 1}
    config = resolve(Request("sets", changes), newest_held_out=False)
    history = round(EACH * TRAINED_SHARE)
    speed = measure(model, config, history, time.process_time, least_s)
    rows = []
    for users, items in sizes:
        size = Size(users, items, EACH * users)
        taken = _run(users, items)
        row: dict[str, Any] = {"users": users, "items": items}
        planned = {
            "initialise": memory.start(size, model, config),
            "finetune": memory.finetuning(size, model, config),
            "recommend": memory.lists(size, model, config),
        }
        for stage, parts in planned.items():
            row[f"{stage}_planned_mb"] = round(sum(parts.values()) / 1e6)
            row[f"{stage}_mb"] = round(taken[stage]["peak_mb"])
        given = size, model, config
        steps = epochs(size, config) * steps_per_epoch(size, config)
        planned_s = {
            "finetune": steps * speed.of_step(*given)
            + validated(size, config) * speed.of_validation(*given)
            + speed.of_both_ends(*given),
            "recommend": users * speed.of_list(*given),
        }
        for stage, seconds in planned_s.items():
            row[f"{stage}_planned_s"] = round(seconds, 1)
            row[f"{stage}_s"] = taken[stage]["cpu_s"]
        rows.append(row)
    return rows


def _run(users: int, items: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="cllm4rec-planned-") as name:
        folder = Path(name)
        write_world(folder / "data", users=users, items=items, interactions=EACH * users)
        lm = write_stand_in(folder / "lm", stand_in(2, heads=3))
        settings = {**SETTINGS, **_PLAIN, "backbone.name": lm}
        given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        run = ["--run", str(folder / "run")]
        measured(["prepare", "--data", str(folder / "data"), *run, *given])
        out = ["--all", "--k", "100", "--out", str(folder / "lists")]
        return {
            "initialise": measured(["initialise", *run]),
            "finetune": measured(["finetune", *run]),
            "recommend": measured(["recommend", *run, *out]),
        }
