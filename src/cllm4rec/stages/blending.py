"""How much the closed-form prior counts beside the language model, chosen on validation."""

import numpy as np

from cllm4rec import progress
from cllm4rec.data.dataset import Dataset
from cllm4rec.evaluation.protocol import DEPTH, Report, evaluate, evaluated_users
from cllm4rec.ranking import RankedItems, top_k
from cllm4rec.recommender import ModelScorer

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""The prior's share: 0 is the language model alone, 1 the prior alone."""
BATCH_USERS = 256


def blend_reports(scorer: ModelScorer, dataset: Dataset) -> dict[float, Report]:
    """How the validation part is ranked under each share of the prior.

    Args:
        scorer: of the model as it stands; scored once for all shares.
        dataset: its validation part decides.

    Returns:
        Share → report; share 0 alone where the model has no prior.
    """
    shares = SHARES if scorer.model.prior is not None else (0.0,)
    known, users = dataset.known("valid"), evaluated_users(dataset, "valid")
    ranked: dict[float, list[RankedItems]] = {share: [] for share in shares}
    with progress.task("Validating", total=len(users), unit="user") as task:
        for start in range(0, len(users), BATCH_USERS):
            block = users[start : start + BATCH_USERS]
            history = known.rows(block)
            llm, prior = scorer.parts(block, history)
            for share in shares:
                found = top_k((1 - share) * llm + share * prior, history, DEPTH)
                ranked[share].append(RankedItems(block, *found))
            task.advance(len(block))
    relevant, num_items = dataset.part("valid"), len(dataset.items)
    return {
        share: evaluate(_joined(parts), relevant, num_items=num_items)
        for share, parts in ranked.items()
    }


def _joined(parts: list[RankedItems]) -> RankedItems:
    return RankedItems(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
