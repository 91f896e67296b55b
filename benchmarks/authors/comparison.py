"""The authors' training path beside ours: the same documents, backbone and losses, in turns.

Both take a GPT-2 of 12 layers and 768 numbers with random weights, frozen, and no skip, projection
or linear model: the paper's model. Theirs is `tests/reference/authors_training.py`, ours what
``--config paper`` trains. First the losses of both must agree on the same weights, ours in float32;
then each stage's documents are trained on by either in turns, so that noise hits both alike.
Operations by formula, and the machine's best matrix product, say what we could gain at most.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.authors.paths import STAGES, Ours, Theirs, first_documents
from benchmarks.authors.work import our_operations, their_operations, whole_training
from benchmarks.speed.machine import Peak, describe
from cllm4rec import progress
from cllm4rec.cli import tables
from cllm4rec.data.dataset import Dataset
from cllm4rec.planning.flops import Shape
from cllm4rec.training.loop import Pass
from reference import authors_training as theirs

TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}
"""Largest relative distance of our loss from theirs, by our arithmetic."""
NAMES = ("ours", "authors", "joint")
"""``joint``: the authors' path with logits over words, users and items at every position."""


def compare(
    dataset: Dataset, backbone: Path, scratch: Path, *, batches: int, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Check the losses, then time both in turns.

    Args:
        dataset: prepared data.
        backbone: folder of a GPT-2.
        scratch: an empty folder.
        batches: of the authors' 20 documents.
        overrides: settings on top of ``paper``'s.
    """
    size = theirs.BATCH * batches
    exact = Ours(dataset, backbone, scratch, [*overrides, "backbone.dtype=float32"])
    ours = Ours(dataset, backbone, scratch, overrides)
    paths = {joint: Theirs(ours, backbone, joint=joint) for joint in (False, True)}
    drawn = {stage: first_documents(ours, stage, size) for stage in STAGES}
    rows = [_checked(stage, drawn[stage], exact, ours, paths) for stage in STAGES]
    del exact
    shape = Shape.read(backbone)
    peak = Peak({"square": (2048, 2048, 2048), "MLP": (2048, shape.size, shape.inner)})
    _time(rows, drawn, ours, paths, batches, peak)
    for row in rows:
        _count(row, drawn[row["stage"]], ours, paths, shape, peak.best)
    hours = {name: whole_training(ours, rows, name) for name in NAMES}
    return {
        "documents": size,
        "machine": describe(),
        "peak": peak.report(),
        "rows": rows,
        "whole_training": {
            **{f"{name}_hours": value for name, value in hours.items()},
            **{f"times_{name}": hours[name] / hours["ours"] for name in NAMES[1:]},
        },
        "failed": [row["stage"] for row in rows if row["check"] == "WRONG"],
    }


def _checked(
    stage: str, drawn: list[Any], exact: Ours, ours: Ours, paths: dict[bool, Theirs]
) -> dict[str, Any]:
    few = drawn[:: max(1, len(drawn) // 6)][:6]
    errors = {}
    for joint, path in paths.items():
        path.collaborative.eval()
        path.content.eval()
        with torch.no_grad():
            expected = float(path.loss(stage, path.documents(stage, few)))
        for kind, one in (("float32", exact), ("bfloat16", ours)):
            error = abs(one.loss(stage, few) - expected) / abs(expected)
            errors[f"{kind}{' joint' if joint else ''}"] = error
    wrong = [name for name, error in errors.items() if not error <= TOLERANCE[name.split()[0]]]
    return {"stage": stage, "check": "WRONG" if wrong else "equal", "errors": errors}


def _time(
    rows: list[dict[str, Any]],
    drawn: dict[str, list[Any]],
    ours: Ours,
    paths: dict[bool, Theirs],
    batches: int,
    peak: Peak,
) -> None:
    seconds: dict[tuple[str, str], list[list[float]]] = {}
    with progress.task("Comparing", total=len(STAGES) * (2 + 3 * batches), unit="run") as task:
        for stage in STAGES:
            size = len(drawn[stage])
            ours.train(stage, Pass(stage, 0, min(size, theirs.BATCH)))
            task.advance()
            for path in paths.values():
                path.train(stage, path.documents(stage, drawn[stage][:2]))
            task.advance()
        for number in range(batches):
            peak.turn()
            for stage in STAGES:
                size = len(drawn[stage])
                begun = _now()
                ours.train(stage, Pass(stage, 0, size))
                _note(seconds, stage, "ours", begun, size)
                task.advance()
                some = drawn[stage][number * theirs.BATCH : (number + 1) * theirs.BATCH]
                for joint, path in paths.items():
                    documents = path.documents(stage, some)
                    begun = _now()
                    path.train(stage, documents)
                    _note(seconds, stage, NAMES[1 + joint], begun, len(some))
                    task.advance()
    for row in rows:
        means = {
            name: [statistics.mean(kind) for kind in zip(*seconds[row["stage"], name], strict=True)]
            for name in NAMES
        }
        for name in NAMES:
            row[f"{name}_users_per_s"] = 1 / means[name][0]
        for name in NAMES[1:]:
            row[f"times_{name}"] = means[name][0] / means["ours"][0]
            # What other programs take from the machine is not in it.
            row[f"processor_times_{name}"] = means[name][1] / means["ours"][1]


def _count(
    row: dict[str, Any],
    drawn: list[Any],
    ours: Ours,
    paths: dict[bool, Theirs],
    shape: Shape,
    peak_gflops: float,
) -> None:
    """Operations of both, how busy both keep the machine, the ratio if ours were at its peak."""
    stage = row["stage"]
    operations = {"ours": our_operations(ours, stage, drawn, shape)}
    for joint, path in paths.items():
        operations[NAMES[1 + joint]] = their_operations(path, stage, drawn, shape)
    for name, count in operations.items():
        row[f"{name}_gflops_per_document"] = count / 1e9
        row[f"{name}_mfu"] = count / 1e9 * row[f"{name}_users_per_s"] / peak_gflops
    for name in NAMES[1:]:
        row[f"times_{name}_at_peak"] = row[f"times_{name}"] / row["ours_mfu"]


def _now() -> tuple[float, float]:
    """Wall clock and processor time, in seconds."""
    return time.perf_counter(), time.process_time()


def _note(
    seconds: dict[tuple[str, str], list[list[float]]],
    stage: str,
    name: str,
    begun: tuple[float, float],
    size: int,
) -> None:
    """Both times since then, per document."""
    spent = [(now - then) / size for now, then in zip(_now(), begun, strict=True)]
    seconds.setdefault((stage, name), []).append(spent)


def show(result: dict[str, Any]) -> None:
    """The result as tables."""
    rows = result["rows"]
    speed = [
        {
            "stage": row["stage"],
            **{f"{name}, users/s": row[f"{name}_users_per_s"] for name in NAMES},
            **{f"times {name}": row[f"times_{name}"] for name in NAMES[1:]},
            **{f"processor times {n}": row[f"processor_times_{n}"] for n in NAMES[1:]},
        }
        for row in rows
    ]
    work = [
        {
            "stage": row["stage"],
            **{f"{name}, GFLOP": row[f"{name}_gflops_per_document"] for name in NAMES},
            **{f"{name}, MFU %": 100 * row[f"{name}_mfu"] for name in NAMES},
            **{f"times {name} at the peak": row[f"times_{name}_at_peak"] for name in NAMES[1:]},
        }
        for row in rows
    ]
    errors = [{"stage": row["stage"], **row["errors"], "check": row["check"]} for row in rows]
    facts = {name: value for name, value in result.items() if name not in ("rows", "failed")}
    tables.show({**facts, "speed": speed, "work": work, "distance of the losses": errors})
