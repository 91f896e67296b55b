"""Seconds of the program's own steps, lists, validations and last works on synthetic histories."""

from collections.abc import Callable
from itertools import chain, count
from typing import NamedTuple

import numpy as np
import torch

from cllm4rec.config import Config
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.weight import reports_by_weight
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.text_space import TextSpace
from cllm4rec.models.build import collaborative_llm
from cllm4rec.models.items import ReadItems
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.planning.memory import text_dimensions
from cllm4rec.planning.size import Size
from cllm4rec.recommender.calibration import calibrated
from cllm4rec.recommender.lists import ranked
from cllm4rec.recommender.placing import ItemTexts
from cllm4rec.recommender.queries import Queries
from cllm4rec.recommender.requests import ListRequest
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.seeds import generator
from cllm4rec.stages.epochs import finetuning_optimizer
from cllm4rec.start.vectors import noise
from cllm4rec.tasks import task_for
from cllm4rec.training.average import Average
from cllm4rec.training.loop import Pass, optimiser_step

USERS = 1_000
"""As many as are scored at once, and as many as place items."""
WORDS = 40
"""Of all titles; a title has three, and a number."""
STD = 0.5
"""Of the logarithm of a history's length."""
RELEVANT = 3
"""Items of a validation user."""

Timed = Callable[[Callable[[int], object]], float]
"""Median seconds of a call, which is given how often it was called before."""


class Seconds(NamedTuple):
    """Of one unit each.

    Attributes:
        loaded: making the model ready, and what the first step takes longer.
        step: an optimiser step of finetuning.
        listed: a list.
        validated: a validation user, lists and metrics.
        placed: learning where texts place items, of all ``USERS``; once, since it is done once.
        indexed: indexing the words of all items.
    """

    loaded: float
    step: float
    listed: float
    validated: float
    placed: float
    indexed: float


def seconds_of(
    config: Config,
    lm: LanguageModel,
    items: int,
    history: int,
    timed: Timed,
    once: Timed,
) -> Seconds:
    """Time each part on ``USERS`` random histories, whose lengths are log-normal.

    Args:
        config: complete settings.
        lm: loaded.
        items: of the catalogue.
        history: items of a training history, on average.
        timed: the clock.
        once: the same, for a single call.
    """
    draw = generator(0, "plan", items)
    lengths = draw.lognormal(0.0, STD, USERS)
    lengths = np.clip(np.round(lengths * history / lengths.mean()), 2, items // 2).astype(int)
    rows = [draw.choice(items, length, replace=False).tolist() for length in lengths]
    train = Interactions.from_lists(rows, items)
    task = task_for(config, lm, USERS, items)
    users, vectors = noise(task.space.num_users, lm.words, 0), noise(items, lm.words, 1)
    training: list[Callable[[int], None]] = []
    models: list[CollaborativeLLM] = []

    def load(_: int) -> None:
        model = collaborative_llm(lm, config, users, vectors, dropout=config.finetune.dropout)
        if width := text_dimensions(Size(USERS, items, history * USERS), config):
            texts = torch.randn(items, width, generator=torch.Generator().manual_seed(2))
            model.embedding.items = ReadItems(model.embedding.items.all().detach(), texts)
        task.standardise(model, train)
        objective = task.objective(model, train, None)
        optimizer = finetuning_optimizer(config.finetune, objective.parameters(), len(train.items))
        # Pass after pass: each draws anew, and the first batch of a shape takes longer.
        passes = (
            objective.steps(Pass("finetune", number, len(objective.corpus))) for number in count()
        )
        first = next(passes)
        steps = chain(first, chain.from_iterable(passes))
        average = Average(objective.parameters(), config.finetune.average * len(first))

        def train_on(_: int) -> None:
            optimiser_step(objective, optimizer, next(steps))
            average.step()

        train_on(0)
        training.append(train_on)
        models.append(model)

    loaded_s = once(load)
    [model], [train_on] = models, training
    step_s = timed(train_on)
    scorer = ModelScorer.of(model, task, train)
    asked = np.arange(USERS, dtype=np.int32)
    request = ListRequest.of(asked, train, 100)
    list_s = timed(lambda _: ranked(scorer, request)) / USERS
    later = [draw.choice(items, RELEVANT, replace=False).tolist() for _ in range(USERS)]
    relevant = Interactions.from_lists(later, items)
    selection = Selection(asked, train, relevant, tuple(config.evaluate.selection))
    valid_s = timed(lambda _: reports_by_weight(scorer, selection)) / USERS

    words = draw.integers(WORDS, size=(items, 3))
    titles = [" ".join(f"word{w}" for w in row) + f" {at}" for at, row in enumerate(words)]
    texts = ItemTexts(TextSpace.fit(titles))
    placed_s = once(lambda _: calibrated(scorer, train, [texts], 0))
    indexed_s = once(lambda _: Queries.of(titles, None))
    loaded_s = max(0.0, loaded_s - step_s)
    return Seconds(loaded_s, step_s, list_s, valid_s, placed_s, indexed_s)
