"""Every stage checked, then timed in turns: ``python benchmarks/speed`` as a function."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.entry import input_folder
from benchmarks.speed.building import build
from benchmarks.speed.check import SlowBackbone
from benchmarks.speed.clock import seconds_of
from benchmarks.speed.machine import Peak, describe, products
from benchmarks.speed.measuring import RUNS, Measured, measure, watch
from benchmarks.speed.plot import check_ending, draw
from benchmarks.speed.scoring_stages import fitted_linear
from benchmarks.speed.settings import STAGES, profile_config
from benchmarks.speed.workloads import Workload
from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.ensemble.linear import LinearModel
from cllm4rec.errors import InputError
from cllm4rec.experiments.process import peak_mb
from cllm4rec.models.device import compute_dtype
from cllm4rec.models.pretrained import find_backbone
from cllm4rec.planning.flops import Shape

DEFAULT_DATA = "movielens-100k"
DEFAULT_DEPTHS = (2, 4, 8)
LIMIT_S = 170.0
"""Where no depths are asked for, those that take longer than this together are left out."""


def measure_speed(
    data: str = DEFAULT_DATA,
    *,
    split: Path | None = None,
    depths: Sequence[int] | None = None,
    stages: Sequence[str] = STAGES,
    overrides: Sequence[str] = (),
    seconds: float = 100.0,
    plot: Path | None = None,
) -> dict[str, Any]:
    """Check every stage against the slow path, then time it; all in one process.

    Args:
        data: a known data set's name, or an input directory.
        split: split file to keep to.
        depths: layers kept; if not given, as many of `DEFAULT_DEPTHS` as fit into three minutes.
        stages: of `STAGES`.
        overrides: settings, ``stage.key=value``.
        seconds: of measuring; another round begins only if it will fit.
        plot: file for the roofline, whose ending says the format; none if not given.

    Returns:
        ``machine``, ``peak``, ``rows``, ``failed``: the rows that are wrong, and ``left_out``: the
        depths for which there was no time.

    Raises:
        InputError: an unknown stage, or data or a backbone that cannot be had.
        ConfigError: an override that does not fit.
    """
    for stage in stages:
        if stage not in STAGES:
            raise InputError(f"no stage {stage!r}; there are {', '.join(STAGES)}")
    if plot is not None:
        check_ending(plot)
    end_s = time.monotonic() + (LIMIT_S if depths is None else float("inf"))
    depths = DEFAULT_DEPTHS if depths is None else depths
    config = profile_config("holdout", depths[0], overrides)
    dtype = compute_dtype(config.backbone.dtype)
    with tempfile.TemporaryDirectory(prefix="cllm4rec-speed-") as folder:
        scratch = Path(folder)
        source = input_folder(data, scratch)
        dataset = Dataset.load(source, split=split, seed=config.seed, folder=scratch / "data")
        measured, left_out = _built(dataset, depths, stages, overrides, scratch, end_s)
        shape = Shape.read(find_backbone(config.backbone.name))
        peak = Peak(products(shape, len(dataset.items)))
        rounds = measure(measured, peak, min(seconds, end_s - time.monotonic()))
    rows = [one.row(peak.best, dtype) for one in measured]
    rows.sort(key=lambda row: (stages.index(row["stage"]), row["depth"]))
    result = {
        "data": str(data),
        "users": len(dataset.users),
        "items": len(dataset.items),
        "backbone": config.backbone.name,
        "arithmetic": str(dtype).removeprefix("torch."),
        "rounds": rounds,
        "machine": {**describe(), "process_peak_mb": round(peak_mb())},
        "peak": peak.report(),
        "rows": rows,
        "left_out": left_out,
        "failed": [f"{r['stage']} at depth {r['depth']}" for r in rows if r["check"] == "WRONG"],
    }
    if plot is not None:
        draw(result, plot)
    return result


def _built(
    dataset: Dataset,
    depths: Sequence[int],
    stages: Sequence[str],
    overrides: Sequence[str],
    scratch: Path,
    end_s: float,
) -> tuple[list[Measured], list[int]]:
    """Every workload, checked before anything is trained and its memory watched.

    Returns:
        The workloads, and the depths that would not have been done by ``end_s``.
    """
    measured: list[Measured] = []
    config = profile_config("frozen", depths[0], overrides)
    folder = find_backbone(config.backbone.name)
    rounds = compute_dtype(config.backbone.dtype) != torch.float32
    total = (len(depths) + rounds) * len(stages)
    with progress.task("Checking against the slow path", total=total, unit="stage") as task:

        def checked(
            depth: int, given: Sequence[str], linear: LinearModel | None
        ) -> Iterator[tuple[Workload, dict[str, float]]]:
            slow = SlowBackbone(folder, depth)
            for workload in build(stages, dataset, depth, given, scratch, linear):
                with progress.quiet():
                    errors = workload.errors(slow)
                task.advance()
                yield workload, errors

        exact: dict[str, dict[str, float]] = {}
        if rounds:
            # What is computed does not depend on the depth, so one shows whether it is right.
            given = [*overrides, "backbone.dtype=float32"]
            exact = {one.stage: errors for one, errors in checked(depths[0], given, None)}
        linear = fitted_linear(dataset)
        # A layer takes as long in a depth that is to come as in the last one.
        one_run_s = last_s = last_run_s = 0.0
        for index, depth in enumerate(depths):
            began_s = time.monotonic()
            more = depth / depths[index - 1] if index else 0.0
            coming_s = RUNS * (one_run_s + more * last_run_s) + more * last_s
            if index and began_s + coming_s > end_s:
                return measured, list(depths[index:])
            built = [
                Measured(workload, errors, exact.get(workload.stage, {}))
                for workload, errors in checked(depth, overrides, linear)
            ]
            last_run_s = seconds_of(partial(watch, built))
            one_run_s, last_s = one_run_s + last_run_s, time.monotonic() - began_s
            measured += built
    return measured, []
