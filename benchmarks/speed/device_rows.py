"""One stage on a device at one depth: compared with the slow path, then timed, then freed."""

import gc
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.building import build
from benchmarks.speed.check import SlowBackbone
from benchmarks.speed.clock import Clock
from benchmarks.speed.machine import growth_mb
from benchmarks.speed.measuring import kept_mb, within
from benchmarks.speed.settings import TRAINING, profile_config
from benchmarks.speed.windows import seconds_a_step, shares_of, window_of
from benchmarks.speed.workloads import Scoring, Training
from cllm4rec import progress
from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset
from cllm4rec.planning.size import Size
from cllm4rec.planning.work import document_tokens
from cllm4rec.training.memory import NoMemory, is_out_of_memory

WINDOWS = 3
MOST_STEPS = 32
"""Of a window."""


@dataclass(frozen=True)
class Bench:
    """What all rows share.

    Attributes:
        clock: of the device.
        dataset: prepared.
        scratch: where the content corpus will be.
        overrides: settings, the device's and the backbone's among them.
        dtype: of the products.
        users: that a scoring stage scores in one call.
    """

    clock: Clock
    dataset: Dataset
    scratch: Path
    overrides: tuple[str, ...]
    dtype: torch.dtype
    users: int

    def check(self, stage: str, depth: int, tokens: int, folder: Path) -> dict[str, Any]:
        """Distances from the slow path, in the compute dtype and in float32.

        Args:
            stage: to check.
            depth: layers; what is computed does not depend on it.
            tokens: of a training step; see `row`.
            folder: of the backbone.
        """
        dtype = self.dtype
        errors = self._errors(stage, depth, tokens, folder)
        exact: dict[str, float] = {}
        if dtype != torch.float32:
            exact = self._errors(stage, depth, tokens, folder, "backbone.dtype=float32")
        return {
            "stage": stage,
            "depth": depth,
            **errors,
            **{f"float32 {name}": error for name, error in exact.items()},
            "check": "equal" if within(errors, exact, dtype) else "WRONG",
        }

    def _errors(
        self, stage: str, depth: int, tokens: int, folder: Path, *more: str
    ) -> dict[str, float]:
        self._free()
        workload, _ = self._workload(stage, depth, tokens, (*self.overrides, *more))
        with progress.quiet():
            return workload.errors(SlowBackbone(folder, depth))

    def row(self, stage: str, depth: int, tokens: int, seconds: float) -> dict[str, Any]:
        """Rates, memory and parts of one stage.

        Args:
            stage: to measure.
            depth: layers.
            tokens: about how many a training step has; 0: as the settings have it.
            seconds: for its windows.
        """
        name: dict[str, Any] = {"stage": stage, "depth": depth}
        self._free()
        try:
            return name | self._measured(stage, depth, tokens, seconds)
        except Exception as error:
            return name | {"not_measured": _why(error), "asked_tokens": tokens}

    def _measured(self, stage: str, depth: int, tokens: int, seconds: float) -> dict[str, Any]:
        clock = self.clock
        workload, config = self._workload(stage, depth, tokens, self.overrides)
        average = config.finetune.average if stage.startswith("finetune") else 0.0
        window = window_of(workload, clock, average=average, most_tokens=config.device_tokens)
        each_s = seconds_a_step(window, clock, seconds, WINDOWS, MOST_STEPS)
        most_mb = clock.peak_mb()
        if most_mb is None:
            most_mb = kept_mb(workload) + growth_mb(window.warm_up)
        shares = shares_of(window, clock)
        work, step_s = window.work(), statistics.median(each_s)
        amount, steps = work.amount, window.steps
        return {
            "tokens_per_step": amount.tokens / steps,
            "documents_per_step": amount.users / steps,
            "steps": steps,
            "tokens_per_s": amount.tokens / steps / step_s,
            "documents_per_s": amount.users / steps / step_s,
            "ms": 1e3 * step_s,
            "ms_low": 1e3 * min(each_s),
            "ms_high": 1e3 * max(each_s),
            "gflops_per_s": 1e-9 * amount.cost.flops / steps / step_s,
            "flops_per_token": amount.cost.flops / amount.tokens,
            "padding": 1 - amount.tokens / amount.padded,
            "peak_mb": most_mb,
            "making_ms": None if work.making_s is None else 1e3 * work.making_s / steps,
            "shares": shares,
        }

    def _workload(
        self, stage: str, depth: int, tokens: int, overrides: Sequence[str]
    ) -> tuple[Training | Scoring, Config]:
        """The workload, and the settings that it was built with."""
        profile = TRAINING.get(stage, "holdout")
        if tokens:
            each = document_tokens(self._size, profile_config(profile, depth, overrides))
            step = [f"{part}.batch_tokens={tokens}" for part in ("pretrain", "finetune")]
            step.append(f"finetune.batch_users={max(1, round(tokens / each))}")
            overrides = [*step, *overrides]  # what was asked for comes last and counts
        with progress.quiet():
            [workload] = build(
                [stage], self.dataset, depth, overrides, self.scratch, None, self.users
            )
        assert isinstance(workload, Training | Scoring)
        return workload, profile_config(profile, depth, overrides)

    @property
    def _size(self) -> Size:
        dataset = self.dataset
        rows = sum(len(dataset.part(name)) for name in ("train", "valid", "test"))
        return Size(len(dataset.users), len(dataset.items), rows)

    def _free(self) -> None:
        """Nothing of a stage before stays on the device."""
        gc.collect()
        self.clock.forget_peak()


def _why(error: Exception) -> str:
    """Why a row has no figures; what is none of these reasons is raised again."""
    if isinstance(error, NoMemory) or is_out_of_memory(error):
        return "no memory"
    if isinstance(error, FloatingPointError):
        return "not finite"
    raise error
