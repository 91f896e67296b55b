"""How much the linear prior counts beside the language model, chosen on validation."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cllm4rec import progress
from cllm4rec.data.interactions import Interactions
from cllm4rec.ensemble.formula import blended
from cllm4rec.ensemble.linear import LinearPrior
from cllm4rec.evaluation.protocol import DEPTH, SELECTION, Report, Sample, evaluate
from cllm4rec.ranking import RankedItems, top_k
from cllm4rec.seeds import generator

RESAMPLES = 200
"""Samples of the validation users that choose a share."""
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The prior's share: 0 is the language model alone, 1 the prior alone."""
BATCH_USERS = 256


class BlendedScorer(Protocol):
    """A scorer that blends, and gives its halves."""

    prior: LinearPrior | None

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``[users, items]``."""
        ...

    def parts(
        self, users: NDArray[np.int32], history: Interactions
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores of the language model alone and of the linear model alone."""
        ...


def ranked_under(
    shares: Sequence[float],
    scorer: BlendedScorer,
    users: NDArray[np.int32],
    history: Interactions,
    label: str,
) -> dict[float, RankedItems]:
    """The lists of `DEPTH` items under each share of the prior; every user is scored once.

    Args:
        shares: 0 alone where the model has no prior.
        scorer: of the model as it stands; its own share does not matter.
        users: numbers ``[U]``.
        history: what is known of each, one row per user; left out of the lists.
        label: what the progress line says.
    """
    ranked = {share: RankedItems.empty(users, DEPTH) for share in shares}
    with progress.task(label, total=len(users), unit="user") as task:
        for start in range(0, len(users), BATCH_USERS):
            rows = np.arange(start, min(start + BATCH_USERS, len(users)))
            known = history.rows(rows)
            if scorer.prior is None:
                llm = prior = scorer.score(users[rows], known)
            else:
                llm, prior = scorer.parts(users[rows], known)
            for share, lists in ranked.items():
                found = top_k(blended(llm, prior, share), known, DEPTH)
                lists.items[rows], lists.scores[rows] = found
            task.advance(len(rows))
    return ranked


def blend_reports(scorer: BlendedScorer, sample: Sample) -> dict[float, Report]:
    """How the validation part is ranked under each share of the prior.

    Args:
        scorer: of the model as it stands.
        sample: the users who decide.

    Returns:
        Share → report; share 0 alone where the model has no prior.
    """
    shares = (0.0,) if scorer.prior is None else SHARES
    ranked = ranked_under(shares, scorer, sample.users, sample.known, "Validating")
    rows, num_items = np.arange(len(sample.users), dtype=np.int32), sample.known.num_items
    return {
        share: evaluate(
            RankedItems(rows, lists.items, lists.scores), sample.relevant, num_items=num_items
        )
        for share, lists in ranked.items()
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
