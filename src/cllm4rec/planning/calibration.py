"""About thirty seconds of the program's own work on this machine, at two catalogue sizes each."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cllm4rec import progress
from cllm4rec.config import Config
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.planning.size import TRAINED_SHARE, Model, Size
from cllm4rec.planning.stand_in import write_stand_in
from cllm4rec.planning.timed import USERS, seconds_of
from cllm4rec.planning.work import one_list, placing, step

ITEMS = (1_000, 16_000)
LEAST_S = 3.0
"""Each of the measurements takes at least so long."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds of a step are ``per_flop`` times its operations and ``per_byte`` times its passes.

    Attributes:
        step_per_flop: seconds per operation of finetuning.
        step_per_byte: seconds per byte that a step's passes over the tables move.
        list_per_flop: seconds per operation of lists.
        list_per_item: seconds per user and item of the catalogue, for finding the best.
        valid_per_flop: seconds per operation of a validation user's list.
        valid_per_item: seconds per validation user and item.
        placed_per_score: seconds per score of the calibration that places items by their texts.
        placed_per_pair: seconds per pair of texts that it compares.
        indexed_per_item: seconds to index an item's words.
        loaded: seconds until a process that has its libraries trains.
    """

    step_per_flop: float
    step_per_byte: float
    list_per_flop: float
    list_per_item: float
    valid_per_flop: float = 0.0
    valid_per_item: float = 0.0
    placed_per_score: float = 0.0
    placed_per_pair: float = 0.0
    indexed_per_item: float = 0.0
    loaded: float = 0.0

    def of_step(self, size: Size, model: Model, config: Config, *, lazy: bool = False) -> float:
        """Seconds of an optimiser step of finetuning."""
        cost, passes = step(size, model, config, lazy=lazy)
        return self.step_per_flop * cost.flops + self.step_per_byte * passes

    def of_list(self, size: Size, model: Model, config: Config) -> float:
        """Seconds of one list."""
        flops = one_list(size, model, config).flops
        return self.list_per_flop * flops + self.list_per_item * size.items

    def of_validation(self, size: Size, model: Model, config: Config) -> float:
        """Seconds of a validation user: the list and its metrics."""
        flops = one_list(size, model, config, TRAINED_SHARE).flops
        return self.valid_per_flop * flops + self.valid_per_item * size.items

    def of_both_ends(self, size: Size, model: Model, config: Config) -> float:
        """Seconds of loading before finetuning; of placing items and indexing words after it."""
        if not config.model.content:
            return self.loaded
        users, scores, pairs = placing(size)
        return (
            self.loaded
            + users * self.of_list(size, model, config)
            + self.placed_per_score * scores
            + self.placed_per_pair * pairs
            + self.indexed_per_item * size.items
        )


def measure(
    model: Model,
    config: Config,
    history: int,
    clock: Callable[[], float] = time.perf_counter,
    least_s: float = LEAST_S,
) -> Speed:
    """Time the program's own work on synthetic histories with random weights.

    Args:
        model: widths and depth.
        config: complete settings.
        history: items of a training history.
        clock: gives seconds; ``time.process_time`` where other programs take the processor's time.
        least_s: each of the measurements takes at least so long.
    """
    total = 6 * len(ITEMS)
    with (
        tempfile.TemporaryDirectory(prefix="cllm4rec-plan-") as name,
        progress.task("Measuring this machine", total=total, unit="measurement") as task,
    ):
        folder = Path(name)
        of = {"name": str(write_stand_in(folder / "lm", model)), "weights": "random"}
        settings = config.changed(
            device="cpu", backbone={**of, "depth": model.shape.depth}, model={"linear": False}
        )
        began_s = clock()
        lm = LanguageModel.load(settings)
        loaded_s = clock() - began_s

        def timed(call: Callable[[int], object]) -> float:
            with progress.quiet():
                seconds = _median(call, clock, least_s)
            task.advance()
            return seconds

        def once(call: Callable[[int], object]) -> float:
            started_s = clock()
            with progress.quiet():
                call(0)
            task.advance()
            return clock() - started_s

        found = [seconds_of(settings, lm, items, history, timed, once) for items in ITEMS]
    sizes = [Size(USERS, items, round(USERS * history / TRAINED_SHARE)) for items in ITEMS]
    steps, lists, valid, placed = [], [], [], []
    for size, seconds in zip(sizes, found, strict=True):
        cost, passes = step(size, model, settings)
        steps.append((cost.flops, passes, seconds.step))
        flops = one_list(size, model, settings, TRAINED_SHARE).flops
        lists.append((flops, size.items, seconds.listed))
        valid.append((flops, size.items, seconds.validated))
        users, scores, pairs = placing(size)
        placed.append((scores, pairs, max(0.0, seconds.placed - users * seconds.listed)))
    loaded_s += found[0].loaded
    indexed = found[-1].indexed / ITEMS[-1]
    return Speed(
        *_solved(*steps), *_solved(*lists), *_solved(*valid), *_solved(*placed), indexed, loaded_s
    )


def _median(call: Callable[[int], object], clock: Callable[[], float], least_s: float) -> float:
    call(0)  # the first sets kernels up
    seconds: list[float] = []
    while sum(seconds) < least_s or len(seconds) < 3:
        started_s = clock()
        call(len(seconds) + 1)
        seconds.append(clock() - started_s)
    return float(np.median(seconds))


def _solved(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float]:
    """The two prices, none negative, of two amounts that cost what was measured."""
    amounts = np.array([first[:2], second[:2]])
    spent = np.array([first[2], second[2]])
    a, b = np.linalg.lstsq(amounts, spent, rcond=None)[0]
    if b < 0:
        return float(spent @ amounts[:, 0] / (amounts[:, 0] @ amounts[:, 0])), 0.0
    if a < 0:
        return 0.0, float(spent @ amounts[:, 1] / (amounts[:, 1] @ amounts[:, 1]))
    return float(a), float(b)
