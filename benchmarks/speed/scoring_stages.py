"""Scoring stages as workloads: validation, lists for many users, one request."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.speed.parts import Parts
from benchmarks.speed.workloads import Amount, Scoring, Workload, tokens_read
from cllm4rec.baselines import Context, baseline_named
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import NO_TOKENS, Document
from cllm4rec.ensemble.linear import LinearModel, as_chosen
from cllm4rec.ensemble.weight import reports_by_weight
from cllm4rec.evaluation.protocol import DEPTH
from cllm4rec.evaluation.selection import Selection
from cllm4rec.planning.flops import Cost, backbone
from cllm4rec.recommender.lists import ranked
from cllm4rec.recommender.requests import ListRequest
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.seeds import generator

LINEAR_SETTINGS = {"l2": 200.0, "alpha": 0.0, "windows": False, "decay": 1.0}
"""Of the linear model: its cost does not depend on them, so nothing is searched."""
USERS = 128
"""Users of one run of a scoring stage."""


class ScoringStages:
    """All stages score with one model.

    Args:
        parts: at one depth.
        linear: the linear model; None to leave it out.
        users: of one run, at most.
    """

    def __init__(self, parts: Parts, linear: LinearModel | None, users: int = USERS) -> None:
        self.parts, self.linear, self.users = parts, linear, users
        self._scorer: ModelScorer | None = None

    def workload(self, stage: str) -> Workload:
        """One of `SCORING`."""
        setup, dataset = self.parts.setup("holdout"), self.parts.dataset
        if self._scorer is None:
            self._scorer = ModelScorer(
                model=self.parts.recommender_llm("holdout"),
                task=setup.task,
                trained_users=dataset.part("train").counts() > 0,
                linear=self.linear,
                weight=0.5,
            )
        scorer, seed = self._scorer, setup.config.seed
        if stage == "evaluate":
            whole = Selection.of(dataset, setup.config.evaluate.selection, seed)
            rows = _some(len(whole.users), self.users, seed)
            some = replace(
                whole,
                users=whole.users[rows],
                known=whole.known.rows(rows),
                relevant=whole.relevant.rows(rows),
            )
            call: Callable[[], Any] = partial(reports_by_weight, scorer, some)
            return self._scored(stage, scorer, some.users, some.known, call)
        known = dataset.known("recommend")
        chosen = np.flatnonzero(known.counts())
        if stage == "recommend":
            users = chosen[_some(len(chosen), self.users, seed)].astype(np.int32)
            histories = known.rows(users)
            call = partial(ranked, scorer, ListRequest.of(users, histories, DEPTH))
            return self._scored(stage, scorer, users, histories, call)
        median = chosen[np.argsort(known.counts()[chosen], kind="stable")[len(chosen) // 2]]
        ids = dataset.items.ids(known.of(int(median)))
        recommender = Recommender(scorer, dataset, setup.lm)
        call = partial(recommender.recommend_for_history, ids, 10)
        history = known.rows(np.array([median]))
        return self._scored(stage, scorer, np.array([-1], np.int32), history, call)

    def _scored(
        self,
        stage: str,
        scorer: ModelScorer,
        users: np.ndarray,
        history: Interactions,
        call: Callable[[], Any],
    ) -> Workload:
        shape, itemsize = self.parts.shape(self.parts.setup("holdout"))
        documents: dict[int, Document] = {}
        padded, cost = 0, Cost()
        for rows, batch in scorer.batches(users, history):
            padded += tokens_read(scorer.model.backbone, batch)
            lengths = batch.lengths.tolist()
            cost += backbone(shape, lengths, itemsize, learning=False, last_only=True)
            cost += self.parts.head(scorer.model, len(rows), itemsize, learning=False)
            for row, tokens, length in zip(rows, batch.tokens, lengths, strict=True):
                documents[int(row)] = Document(tokens[:length].int().numpy(), NO_TOKENS)
        if scorer.linear is not None:
            kept = max(array.size for array in scorer.linear.arrays().values())
            products = len(history) * kept / scorer.num_items
            cost += Cost(2 * products, 4 * products)
        ordered = [documents[row] for row in range(len(users))]
        amount = Amount(len(users), sum(map(len, ordered)), padded, cost)
        return Scoring(stage, self.parts.depth, scorer, users, history, ordered, amount, call)


def fitted_linear(dataset: Dataset) -> LinearModel | None:
    """A linear model of fixed settings; None where the catalogue is too large for one."""
    context = Context.of(dataset, 0)
    if baseline_named("ease").unavailable(context):
        return None
    return as_chosen(dataset.part("train"), LINEAR_SETTINGS, context)


def _some(size: int, most: int, seed: int) -> np.ndarray:
    """At most ``most`` of so many rows, by chance, ascending."""
    chosen = generator(seed, "speed").permutation(size)[:most]
    return np.sort(chosen)
