"""What the machine can do at most, measured in this process: products, memory, threads."""

import ctypes
import os
import platform
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.clock import Clock
from cllm4rec.experiments.process import peak_mb
from cllm4rec.planning.flops import Shape

SQUARE = 2048
"""Rows and columns of the square product that is tried beside the model's own."""
ROWS = 4096
"""Tokens of a batch, in the products that are tried for the peak."""
SCORED = 128
"""Users whose items are scored, in the same."""
COPIED = 1 << 25
"""Numbers of the copy that measures memory: 128 MB, beyond any cache."""

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """The fastest matrix product; one turn of every candidate per round, so that noise is alike.

    Args:
        shapes: name → rows, inner width, columns.
        dtypes: kinds of numbers that are tried.
        clock: of the device that multiplies.
        repeats: products of a turn, one behind the other; a device of its own would be waited for
            longer than a single one takes.
    """

    shapes: dict[str, tuple[int, int, int]]
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16)
    clock: Clock = field(default_factory=Clock)
    repeats: int = 1
    seconds: dict[tuple[str, torch.dtype], list[float]] = field(default_factory=dict)
    copies_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._operands: dict[tuple[str, torch.dtype], tuple[torch.Tensor, torch.Tensor]] = {}
        for name, (rows, inner, columns) in self.shapes.items():
            for dtype in self.dtypes:
                left, right = self._random(rows, inner), self._random(columns, inner)
                self._operands[name, dtype] = left.to(dtype), right.to(dtype).T
                _ = left.to(dtype) @ right.to(dtype).T  # the first call sets kernels up
        self._source, self._target = (torch.ones(COPIED, device=self.clock.device) for _ in "12")

    def turn(self) -> None:
        """Time every product and the copy once more."""
        for key, (left, right) in self._operands.items():
            seconds = self._seconds(partial(torch.matmul, left, right))
            self.seconds.setdefault(key, []).append(seconds)
        self.copies_s.append(self._seconds(lambda: self._target.copy_(self._source)))

    def _random(self, rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, device=self.clock.device)

    def _seconds(self, call: Callable[[], Any]) -> float:
        def repeated() -> None:
            for _ in range(self.repeats):
                call()

        return self.clock.seconds_of(repeated) / self.repeats

    def gflops(self, name: str, dtype: torch.dtype) -> float:
        """10⁹ operations a second of one product, by its median time."""
        rows, inner, columns = self.shapes[name]
        return 2e-9 * rows * inner * columns / statistics.median(self.seconds[name, dtype])

    @property
    def best(self) -> float:
        """10⁹ operations a second of the best product of any kind."""
        return max(map(self.best_of, self.dtypes))

    def best_of(self, dtype: torch.dtype) -> float:
        """10⁹ operations a second of the best product of one kind of numbers."""
        return max(self.gflops(name, dtype) for name in self.shapes)

    @property
    def bandwidth(self) -> float:
        """10⁹ bytes a second, read and written, of a large copy."""
        return 8e-9 * COPIED / statistics.median(self.copies_s)

    def report(self) -> dict[str, Any]:
        """Every measured product, the best of them, and the copy."""
        products: list[dict[str, Any]] = []
        for name, shape in self.shapes.items():
            row: dict[str, Any] = {"product": name, "shape": " x ".join(map(str, shape))}
            for dtype in self.dtypes:
                kind = str(dtype).removeprefix("torch.")
                row[f"{kind}_gflops_per_s"] = round(self.gflops(name, dtype), 1)
            products.append(row)
        return {
            "gflops_per_s": round(self.best, 1),
            "memory_gb_per_s": round(self.bandwidth, 2),
            "products": products,
        }


def products(
    shape: Shape, num_items: int, square: int = SQUARE, rows: int = ROWS
) -> dict[str, tuple[int, int, int]]:
    """Products to look for the peak with: a square one, and the model's own.

    Args:
        shape: of the backbone.
        num_items: of the catalogue.
        square: rows and columns of the square one.
        rows: tokens of a batch.
    """
    return {
        "square": (square, square, square),
        "MLP in": (rows, shape.size, shape.inner),
        "MLP out": (rows, shape.inner, shape.size),
        "queries": (rows, shape.size, shape.queries),
        "item scores": (SCORED, shape.size, num_items),
    }


def growth_mb(call: Callable[[], Any]) -> float:
    """How far resident memory rises above its present level within one call, in MB (10⁶ bytes).

    Zero where the system has no way to begin the peak anew (it is Linux's).
    """
    give_back()
    before = resident_mb()
    try:
        _CLEAR.write_text("5")
    except OSError:
        return 0.0
    call()
    return max(0.0, peak_mb() - before)


def resident_mb() -> float:
    """Resident memory of this process, in MB (10⁶ bytes); 0 where the system does not say."""
    if not _STATUS.exists():
        return 0.0
    found = re.search(r"^VmRSS:\s+(\d+) kB$", _STATUS.read_text(), re.M)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def give_back() -> None:
    """Return freed memory to the system, which glibc keeps otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def describe() -> dict[str, Any]:
    """Processor, cores, threads in use, load and versions."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": None if load is None else round(load, 2),
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": torch.cpu._is_avx512_bf16_supported(),
        "tiles": torch.cpu._is_amx_tile_supported(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.M) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
