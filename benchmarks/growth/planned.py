"""The plan beside real runs: memory of every stage, and processor seconds of an epoch."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth.measure import EACH, SETTINGS, measured
from benchmarks.growth.world import write_world
from cllm4rec.config import Request, resolve
from cllm4rec.planning import Size, memory
from cllm4rec.planning.calibration import measure
from cllm4rec.planning.size import TRAINED_SHARE
from cllm4rec.planning.stand_in import stand_in, write_stand_in
from cllm4rec.planning.work import one_list, step, steps_per_epoch

FURTHER = 2
"""Epochs more of a second training; the difference is theirs alone, a validation each."""
VALIDATED = 4_000
"""Users of a validation at most."""
_PLAIN = {"model.linear": "false", "model.warm_start": '"none"', "data.catalogue": '"all"'}


def compare(sizes: Sequence[tuple[int, int]], *, timed: bool = True) -> list[dict[str, Any]]:
    """Planned and measured, by size.

    Without a linear model and with random initial vectors, so that an epoch is most of a run.

    Args:
        sizes: users and items.
        timed: whether to measure the machine and compare time too.
    """
    model = stand_in(2, heads=3)
    changes: dict[str, Any] = {"threads": 1, "model": {"linear": False, "warm_start": "none"}}
    changes["finetune"] = {"epochs": 1}
    config = resolve(Request("sets", changes), newest_held_out=False)
    history = round(EACH * TRAINED_SHARE)
    speed = measure(model, config, history, time.process_time) if timed else None
    rows = []
    for users, items in sizes:
        size = Size(users, items, EACH * users)
        taken = _run(users, items, timed)
        row: dict[str, Any] = {"users": users, "items": items}
        planned = {
            "initialise": memory.start(size, model, config),
            "finetune": memory.finetuning(size, model, config),
            "recommend": memory.lists(size, model, config),
        }
        for stage, parts in planned.items():
            row[f"{stage}_planned_mb"] = round(sum(parts.values()) / 1e6)
            row[f"{stage}_mb"] = round(taken[stage]["peak_mb"])
        if speed is not None:
            cost, passes = step(size, model, config)
            epoch_s = steps_per_epoch(size, config) * (
                speed.step_per_flop * cost.flops + speed.step_per_byte * passes
            )
            list_s = speed.list_per_flop * one_list(size, model, config).flops
            list_s += speed.list_per_item * items
            validated = min(users, VALIDATED)
            row["epoch_planned_s"] = round(epoch_s + validated * list_s, 1)
            further = taken["further"]["cpu_s"] - taken["finetune"]["cpu_s"]
            row["epoch_s"] = round(further / FURTHER, 1)
        rows.append(row)
    return rows


def _run(users: int, items: int, timed: bool) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="cllm4rec-planned-") as name:
        folder = Path(name)
        write_world(folder / "data", users=users, items=items, interactions=EACH * users)
        lm = write_stand_in(folder / "lm", stand_in(2, heads=3))
        settings = {**SETTINGS, **_PLAIN, "backbone.name": lm}
        given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        run = ["--run", str(folder / "run")]
        measured(["prepare", "--data", str(folder / "data"), *run, *given])
        out = ["--all", "--k", "100", "--out", str(folder / "lists")]
        taken = {
            "initialise": measured(["initialise", *run]),
            "finetune": measured(["finetune", *run]),
            "recommend": measured(["recommend", *run, *out]),
        }
        if timed:
            more = ["--set", f"finetune.epochs={1 + FURTHER}"]
            taken["further"] = measured(["finetune", *run, *more])
        return taken
