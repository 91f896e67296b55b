"""Every stage on a device, as a share of its best product: ``python benchmarks/speed --device``."""

import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.backbones import backbone_here
from benchmarks.speed.clock import Clock
from benchmarks.speed.device_rows import Bench
from benchmarks.speed.machine import SQUARE, Peak, describe, products
from benchmarks.speed.settings import STAGES, TRAINING, profile_config
from benchmarks.speed.world import QUICK, WHOLE, Sizes, write_texts_and_histories
from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError
from cllm4rec.models.backbone import num_layers
from cllm4rec.models.device import PROCESSOR, compute_dtype, device_of
from cllm4rec.models.pretrained import find_backbone
from cllm4rec.planning.flops import Shape

ON_A_DEVICE = ("content", "collaborative", "finetune-holdout", "finetune-next", "recommend")
"""Stages where none are asked for."""
SHALLOW = 2
"""Layers of the first depth; the other has all."""
SECONDS, QUICK_SECONDS = 200.0, 20.0
"""Of all windows together, where nobody says."""
LARGE, QUICK_TOKENS = 32_768, 512
"""Tokens of a step: beside the settings' own on a GPU, which waits for the host at those; and with
``--quick``."""
USERS, QUICK_USERS = 2048, 64
"""Scored in one call."""
GPU_SQUARE, GPU_REPEATS = 8192, 20
"""Of the square product, and products of a turn, where 2048 and one are done at once."""
LAYERS = 30
"""Of the backbone of random weights: SmolLM2-135M's."""


def measure_device(
    name: str,
    *,
    quick: bool = False,
    depths: Sequence[int] | None = None,
    stages: Sequence[str] = ON_A_DEVICE,
    tokens: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
    seconds: float | None = None,
) -> dict[str, Any]:
    """Check every stage against the slow path, then time it on synthetic data; no download.

    Args:
        name: of the device, as the setting ``device`` has it.
        quick: small data and steps, for a processor.
        depths: layers kept; two and all, if not given.
        stages: of `STAGES`.
        tokens: about how many a training step has; if not given, what the settings say, and on
            a GPU `LARGE` too.
        overrides: settings, ``stage.key=value``.
        seconds: of all timed windows together.

    Returns:
        Facts of device and data, ``peak``, ``checks``, ``rows``, and ``failed``: the stages that
        differ from the slow path.

    Raises:
        InputError: an unknown stage, or a backbone that cannot be had.
        ConfigError: an override that does not fit, or a device that is not there.
    """
    for stage in stages:
        if stage not in STAGES:
            raise InputError(f"no stage {stage!r}; there are {', '.join(STAGES)}")
    clock, sizes = Clock(device_of(name)), QUICK if quick else WHOLE
    fast = clock.device.type == "cuda"
    if tokens is None:
        tokens = (QUICK_TOKENS,) if quick else (0, LARGE) if fast else (0,)
    if seconds is None:
        seconds = QUICK_SECONDS if quick else SECONDS
    with tempfile.TemporaryDirectory(prefix="cllm4rec-speed-") as folder:
        scratch = Path(folder)
        given = (f'device="{name}"', *_backbone(overrides, scratch, sizes), *overrides)
        config = profile_config("holdout", SHALLOW, given)
        lm = find_backbone(config.backbone.name)
        depths = (SHALLOW, num_layers(lm)) if depths is None else depths
        dtype = compute_dtype(config.backbone.dtype, clock.device)
        dataset = _dataset(scratch, sizes, lm / "tokenizer.json", config.seed)
        bench = Bench(clock, dataset, scratch, given, dtype, QUICK_USERS if quick else USERS)
        shapes = products(Shape.read(lm), sizes.items, GPU_SQUARE if fast else SQUARE)
        peak = Peak(shapes, (dtype,), clock, GPU_REPEATS if fast else 1)
        plan = [
            (stage, depth, wanted)
            for stage in stages
            for depth in dict.fromkeys(depths)
            for wanted in (tokens if stage in TRAINING else tokens[:1])
        ]
        with progress.task("Checking against the slow path", total=len(stages)) as task:
            checks = []
            for stage in stages:
                checks.append(bench.check(stage, depths[0], tokens[0], lm))
                task.advance()
        with progress.task("Measuring", total=len(plan), unit="row") as task:
            rows = []
            for stage, depth, wanted in plan:
                peak.turn()
                rows.append(bench.row(stage, depth, wanted, seconds / len(plan)))
                task.advance()
        named = config.backbone.name
        random = Path(named).is_relative_to(scratch)
    for row in rows:
        if "gflops_per_s" in row:
            row["mfu"] = row["gflops_per_s"] / peak.best_of(dtype)
    return {
        **facts(clock.device, dtype),
        "backbone": "random weights, SmolLM2-135M's widths" if random else named,
        "settings": "presets sets and sequences",
        "data": "synthetic: " + ", ".join(f"{n:,} {kind}" for kind, n in sizes.report().items()),
        "peak": peak.report(),
        "checks": checks,
        "rows": rows,
        "failed": [check["stage"] for check in checks if check["check"] == "WRONG"],
    }


def facts(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Device, versions and arithmetic, to stand beside any figure."""
    found: dict[str, Any] = {"device": str(device), "card": describe()["processor"]}
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found |= {"card": card.name, "memory_gb": round(card.total_memory / 1e9, 1)}
        found |= {"cuda": torch.version.cuda}
    elif device != PROCESSOR:
        found["card"] = device.type
    threads = torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    return {
        **found,
        "threads": threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "dtype": str(dtype).removeprefix("torch."),
        "tf32": "off" if precision == "highest" else f"on ({precision})",
    }


def _backbone(overrides: Sequence[str], scratch: Path, sizes: Sizes) -> list[str]:
    """A setting, where none of the overrides is it."""
    if any(override.startswith("backbone.name") for override in overrides):
        return []
    return [f'backbone.name="{backbone_here(scratch / "lm", LAYERS, sizes.words)}"']


def _dataset(scratch: Path, sizes: Sizes, tokenizer: Path, seed: int) -> Dataset:
    source = scratch / "source"
    with progress.task("Writing histories and texts"), progress.quiet():
        write_texts_and_histories(source, sizes, tokenizer)
        return Dataset.load(source, seed=seed, folder=scratch / "data")
