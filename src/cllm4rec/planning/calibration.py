"""About twenty seconds of real steps and lists on this machine, at two catalogue sizes each."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cllm4rec import progress
from cllm4rec.config import Config
from cllm4rec.data.interactions import Interactions
from cllm4rec.models.build import collaborative_llm
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.planning.size import TRAINED_SHARE, Model, Size
from cllm4rec.planning.stand_in import write_stand_in
from cllm4rec.planning.work import one_list, step
from cllm4rec.recommender.lists import ranked
from cllm4rec.recommender.requests import ListRequest
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.seeds import generator
from cllm4rec.stages.epochs import finetuning_optimizer
from cllm4rec.start.vectors import noise
from cllm4rec.tasks import task_for
from cllm4rec.training.loop import Pass, optimiser_step

ITEMS = (1_000, 16_000)
USERS, LISTED = 256, 128
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
    """

    step_per_flop: float
    step_per_byte: float
    list_per_flop: float
    list_per_item: float


def measure(
    model: Model,
    config: Config,
    history: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Time the program's own steps and lists on synthetic histories with random weights.

    Args:
        model: widths and depth.
        config: complete settings.
        history: items of a training history.
        clock: gives seconds; ``time.process_time`` where other programs take the processor's time.
    """
    with (
        tempfile.TemporaryDirectory(prefix="cllm4rec-plan-") as name,
        progress.task("Measuring this machine", total=2 * len(ITEMS), unit="measurement") as task,
    ):
        folder = Path(name)
        of = {"name": str(write_stand_in(folder / "lm", model)), "weights": "random"}
        settings = config.changed(
            device="cpu", backbone={**of, "depth": model.shape.depth}, model={"linear": False}
        )
        lm = LanguageModel.load(settings)
        rows = []
        for items in ITEMS:
            with progress.quiet():
                step_s, list_s = _timed(settings, lm, items, history, task.advance, clock)
            size = Size(USERS, items, round(USERS * history / TRAINED_SHARE))
            cost, passes = step(size, model, settings)
            rows.append((step_s, cost.flops, passes, list_s, one_list(size, model, settings).flops))
    (step_a, flops_a, bytes_a, list_a, scored_a), (step_b, flops_b, bytes_b, list_b, scored_b) = (
        rows
    )
    steps = _solved((flops_a, bytes_a, step_a), (flops_b, bytes_b, step_b))
    lists = _solved((scored_a, ITEMS[0], list_a), (scored_b, ITEMS[1], list_b))
    return Speed(*steps, *lists)


def _timed(
    config: Config,
    lm: LanguageModel,
    items: int,
    history: int,
    advance: Callable[[], None],
    clock: Callable[[], float],
) -> tuple[float, float]:
    """Seconds of a step, and of one list."""
    draw = generator(0, "plan", items)
    rows = [draw.choice(items, history, replace=False).tolist() for _ in range(USERS)]
    train = Interactions.from_lists(rows, items)
    task = task_for(config, lm, USERS, items)
    users, vectors = noise(task.space.num_users, lm.words, 0), noise(items, lm.words, 1)
    model = collaborative_llm(lm, config, users, vectors, dropout=config.finetune.dropout)
    task.standardise(model, train)
    objective = task.objective(model, train, None)
    optimizer = finetuning_optimizer(config.finetune, objective.parameters())
    steps = objective.steps(Pass("finetune", 0, len(objective.corpus)))
    step_s = _median(lambda at: optimiser_step(objective, optimizer, steps[at % len(steps)]), clock)
    advance()
    scorer = ModelScorer(model=model, task=task, trained_users=train.counts() > 0)
    asked = np.arange(LISTED, dtype=np.int32)
    request = ListRequest.of(asked, train.rows(asked), 100)
    list_s = _median(lambda _: ranked(scorer, request), clock) / LISTED
    advance()
    return step_s, list_s


def _median(call: Callable[[int], object], clock: Callable[[], float]) -> float:
    call(0)  # the first sets kernels up
    seconds: list[float] = []
    while sum(seconds) < LEAST_S or len(seconds) < 3:
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
