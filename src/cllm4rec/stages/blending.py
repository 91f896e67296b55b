"""How much the linear prior counts beside the language model, chosen on validation."""

from collections.abc import Mapping

import numpy as np

from cllm4rec import progress
from cllm4rec.evaluation.protocol import DEPTH, SELECTION, Report, Sample, evaluate
from cllm4rec.ranking import RankedItems, top_k
from cllm4rec.recommender import ModelScorer, blended
from cllm4rec.seeds import generator

RESAMPLES = 200
"""Samples of the validation users that choose a share."""
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The prior's share: 0 is the language model alone, 1 the prior alone."""
BATCH_USERS = 256


def blend_reports(scorer: ModelScorer, sample: Sample) -> dict[float, Report]:
    """How the validation part is ranked under each share of the prior.

    Args:
        scorer: of the model as it stands; every user is scored once for all shares.
        sample: the users who decide.

    Returns:
        Share → report; share 0 alone where the model has no prior.
    """
    shares = (0.0,) if scorer.prior is None else SHARES
    size, num_items = len(sample.users), sample.known.num_items
    items = {share: np.empty((size, DEPTH), np.int32) for share in shares}
    scores = {share: np.empty((size, DEPTH), np.float32) for share in shares}
    with progress.task("Validating", total=size, unit="user") as task:
        for start in range(0, size, BATCH_USERS):
            rows = np.arange(start, min(start + BATCH_USERS, size))
            users, history = sample.users[rows], sample.known.rows(rows)
            if scorer.prior is None:
                llm = prior = scorer.score(users, history)
            else:
                llm, prior = scorer.parts(users, history)
            for share in shares:
                found = top_k(blended(llm, prior, share), history, DEPTH)
                items[share][rows], scores[share][rows] = found
            task.advance(len(rows))
    numbers = np.arange(size, dtype=np.int32)
    return {
        share: evaluate(
            RankedItems(numbers, items[share], scores[share]), sample.relevant, num_items=num_items
        )
        for share in shares
    }


def settled_share(reports: Mapping[float, Report], seed: int) -> float:
    """The share to blend with: near the mean of those that resamples of the users would choose.

    The best share of a few hundred users is one of many that are nearly as good, and lies at times
    far from the middle of them; their mean (bagging) does not.

    Args:
        reports: share → how the validation part is ranked under it.
        seed: of the resamples.
    """
    shares = np.array(list(reports))
    selection = np.stack([
        sum(report.per_user[name] for name in SELECTION) for report in reports.values()
    ])
    size = selection.shape[1]
    times = generator(seed, "blend").multinomial(size, np.full(size, 1 / size), RESAMPLES)
    chosen = shares[(selection @ times.T).argmax(axis=0)].mean()
    return float(shares[np.abs(shares - chosen).argmin()])
