"""A trained model as a scorer: the whole catalogue in one forward pass."""

import numpy as np
import torch

from cllm4rec import seeds
from cllm4rec.assembly import Assembly
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.recommendation import prediction_document
from cllm4rec.ensemble.formula import blendable, blended
from cllm4rec.ensemble.linear import LinearPrior
from cllm4rec.models.llms import RecLLM
from cllm4rec.tokens.batch import collate, length_buckets

SCORING_TOKENS = 8192
"""Tokens of one forward pass, padding included."""


class ModelScorer:
    """Scores the whole catalogue in one forward pass per user (paper section 3.5).

    Args:
        model: the recommendation-oriented LLM.
        assembly: token space, prompts and settings of its run.
        prior: a linear model whose scores are blended in; None for none.
        share: the prior's share in the blend.
        anonymous: ask for everyone by history alone, without their user token.
    """

    def __init__(
        self,
        model: RecLLM,
        assembly: Assembly,
        *,
        prior: LinearPrior | None = None,
        share: float = 0.0,
        anonymous: bool = False,
    ) -> None:
        self.model = model
        self.assembly = assembly
        self.prior = prior
        self.share = share
        self.anonymous = anonymous or assembly.config.finetune.user_token_dropout == 1
        self.is_trained = assembly.dataset.part("train").counts() > 0

    def score(self, users: np.ndarray, history: Interactions) -> np.ndarray:
        """Scores ``float32 [users, items]``: logits, or where there is a prior their blend.

        Args:
            users: numbers; a negative one, or a user without training interactions, has no token.
            history: known items, one row per entry of ``users``.
        """
        if self.prior is None:
            return self.llm_logits(users, history)
        return blended(*self.parts(users, history), self.share)

    def parts(self, users: np.ndarray, history: Interactions) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the language model alone and of the prior alone, as they are blended."""
        assert self.prior is not None
        llm = blendable(self.llm_logits(users, history))
        return llm, self.prior.score(users, history)

    def llm_logits(self, users: np.ndarray, history: Interactions) -> np.ndarray:
        """Logits ``float32 [users, items]`` of the language model alone."""
        documents = [
            prediction_document(
                self._token_user(int(user)),
                history.of(row),
                self.assembly.space,
                self.assembly.prompts,
                self.assembly.config.corpus,
                seeds.derived_seed(self.assembly.config.seed, "prediction"),
                target=self.assembly.config.finetune.target,
            )
            for row, user in enumerate(users)
        ]
        lengths = np.array([len(document) for document in documents])
        buckets = length_buckets(lengths, max_tokens=SCORING_TOKENS, max_rows=None, rng=None)
        scores = np.empty((len(users), self.assembly.space.num_items), dtype=np.float32)
        self.model.eval()
        with torch.inference_mode():
            for bucket in buckets:
                batch = collate([documents[i] for i in bucket]).to(self.model.device)
                scores[bucket] = self.model(batch).cpu().numpy()
        return scores

    def _token_user(self, user: int) -> int | None:
        """The user whose token to use; one that was never trained says nothing."""
        if self.anonymous or user < 0 or not self.is_trained[user]:
            return None
        return user
