"""What every scorer must do: baselines and the model inherit this suite."""

import numpy as np
import pytest

from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer, rank_all


class ScorerConformance:
    """Inherit, and give the fixtures ``scorer`` (fitted) and ``known`` (one row per user).

    ``known`` should have at least two users with different histories and one without any.
    """

    tolerance = 1e-5
    """How far a batch's scores may lie from those of one user alone."""

    @pytest.fixture
    def users(self, known: Interactions) -> np.ndarray:
        return np.arange(known.num_users, dtype=np.int32)

    def test_every_item_gets_a_finite_score(self, scorer: Scorer, known, users):
        scores = scorer.score(users, known)
        assert scores.shape == (known.num_users, known.num_items)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_seen_items_are_never_recommended(self, scorer: Scorer, known, users):
        ranked = rank_all(scorer, users, known, known.num_items)
        for user, items in zip(users, ranked.items, strict=True):
            assert not set(items.tolist()) & set(known.of(user).tolist())
            assert len(items[items >= 0]) == known.num_items - len(known.of(user))

    def test_batch_equals_one_by_one(self, scorer: Scorer, known, users):
        together = scorer.score(users, known)
        for user in users:
            alone = scorer.score(users[user : user + 1], known.rows([user]))
            np.testing.assert_allclose(alone[0], together[user], rtol=0, atol=self.tolerance)

    def test_order_of_the_batch_does_not_matter(self, scorer: Scorer, known, users):
        turned = users[::-1].copy()
        forwards, backwards = scorer.score(users, known), scorer.score(turned, known.rows(turned))
        np.testing.assert_allclose(forwards, backwards[::-1], rtol=0, atol=self.tolerance)

    def test_scoring_twice_gives_the_same_bytes(self, scorer: Scorer, known, users):
        assert scorer.score(users, known).tobytes() == scorer.score(users, known).tobytes()

    def test_an_empty_history_can_be_scored(self, scorer: Scorer, known, users):
        nothing = Interactions.from_lists([[]], known.num_items)
        assert np.isfinite(scorer.score(users[:1], nothing)).all()
