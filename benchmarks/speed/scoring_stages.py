"""Scoring stages as workloads: validation, lists for many users, one request."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.speed.flops import Cost, backbone
from benchmarks.speed.parts import Parts
from benchmarks.speed.workloads import Amount, Scoring, Workload
from cllm4rec.baselines import BASELINES, Context
from cllm4rec.data.dataset import Dataset
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.recommendation import prediction_document
from cllm4rec.ensemble import linear as linear_prior
from cllm4rec.ensemble.linear import LinearPrior
from cllm4rec.ensemble.weight import blend_reports
from cllm4rec.evaluation.protocol import DEPTH, Sample, validation_sample
from cllm4rec.ranking import rank_all
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.scorer import SCORING_TOKENS, ModelScorer
from cllm4rec.seeds import derived_seed, generator
from cllm4rec.tokens.batch import length_buckets

PRIOR_SETTINGS = {"l2": 200.0, "alpha": 0.0, "windows": False, "decay": 1.0}
"""Of the linear prior: its cost does not depend on them, so nothing is searched."""
USERS = 128
"""Users of one run of a scoring stage."""


class ScoringStages:
    """All stages score with one model.

    Args:
        parts: at one depth.
        prior: of the linear prior; None to leave it out.
    """

    def __init__(self, parts: Parts, prior: LinearPrior | None) -> None:
        self.parts, self.prior = parts, prior
        self._scorer: ModelScorer | None = None

    def workload(self, stage: str) -> Workload:
        """One of `SCORING`."""
        assembly = self.parts.assembly("holdout")
        if self._scorer is None:
            self._scorer = ModelScorer(
                self.parts.rec_llm(assembly), assembly, prior=self.prior, share=0.5
            )
        scorer = self._scorer
        if stage == "evaluate":
            whole = validation_sample(self.parts.dataset, assembly.config.seed)
            rows = _some(len(whole.users), assembly.config.seed)
            sample = Sample(whole.users[rows], whole.known.rows(rows), whole.relevant.rows(rows))
            call: Callable[[], Any] = partial(blend_reports, scorer, sample)
            return self._scored(stage, scorer, sample.users, sample.known, call)
        known = self.parts.dataset.known("recommend")
        chosen = np.flatnonzero(known.counts())
        if stage == "recommend":
            users = chosen[_some(len(chosen), assembly.config.seed)].astype(np.int32)
            call = partial(rank_all, scorer, users, known, DEPTH)
            return self._scored(stage, scorer, users, known.rows(users), call)
        median = chosen[np.argsort(known.counts()[chosen], kind="stable")[len(chosen) // 2]]
        ids = self.parts.dataset.items.ids(known.of(int(median)))
        call = partial(Recommender(scorer).recommend_for_history, ids, 10)
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
        assembly = scorer.assembly
        shape, itemsize = self.parts.shape(assembly)
        documents = [self._question(scorer, int(u), history.of(row)) for row, u in enumerate(users)]
        lengths = np.array([len(document) for document in documents])
        padded, cost = 0, Cost()
        for rows in length_buckets(lengths, max_tokens=SCORING_TOKENS, max_rows=None, rng=None):
            padded += len(rows) * int(lengths[rows].max())
            some = lengths[rows].tolist()
            cost += backbone(shape, some, itemsize, learning=False, last_only=True)
            cost += self.parts.head(assembly, scorer.model, len(rows), itemsize, learning=False)
        if scorer.prior is not None:
            kept = max(array.size for array in scorer.prior.arrays().values())
            products = len(history) * kept / assembly.space.num_items
            cost += Cost(2 * products, 4 * products)
        amount = Amount(len(users), int(lengths.sum()), padded, cost)
        return Scoring(stage, self.parts.depth, scorer, users, history, documents, amount, call)

    def _question(self, scorer: ModelScorer, user: int, history: np.ndarray) -> Document:
        config = scorer.assembly.config
        named = not (scorer.anonymous or user < 0 or not scorer.is_trained[user])
        return prediction_document(
            user if named else None,
            history,
            scorer.assembly.space,
            scorer.assembly.prompts,
            config.corpus,
            derived_seed(config.seed, "prediction"),
            target=config.finetune.target,
        )


def fitted_prior(dataset: Dataset) -> LinearPrior | None:
    """A linear prior of fixed settings; None where the catalogue is too large for one."""
    context = Context.of(dataset, 0)
    if BASELINES["ease"].unavailable(context):
        return None
    return linear_prior.fit(dataset, PRIOR_SETTINGS, context)


def _some(size: int, seed: int) -> np.ndarray:
    """At most `USERS` of so many rows, by chance, ascending."""
    chosen = generator(seed, "speed").permutation(size)[:USERS]
    return np.sort(chosen)
