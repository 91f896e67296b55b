"""iALS: weighted matrix factorisation (Hu, Koren & Volinsky, ICDM 2008), by ``implicit``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cllm4rec.baselines.base import Baseline, Context, Refinement, Settings
from cllm4rec.data.interactions import Interactions
from cllm4rec.ranking import Scorer
from cllm4rec.seeds import derived_seed

FACTORS = 64
"""Of the search; four times as many are tried once, at the end."""
ALPHAS = (2.5, 10.0, 40.0, 160.0)
RATIOS = (2.0, 5.0)
"""Of the regularisation to alpha."""


@dataclass(frozen=True, slots=True, eq=False)
class FactorsScorer:
    """Users are folded in from their history, so that it may have grown since the fit.

    Attributes:
        model: a fitted ``implicit`` model.
    """

    model: Any

    def score(self, users: NDArray[np.int32], history: Interactions) -> NDArray[np.float32]:
        """Scores ``float32 [batch, items]``; the user's number plays no part."""
        rows = np.arange(history.num_users)
        with _one_blas_thread():
            factors = self.model.recalculate_user(rows, history.matrix())
        return np.asarray(factors @ self.model.item_factors.T, dtype=np.float32)


class IAls(Baseline):
    """A search from coarse to fine; what counts most is much more regularisation than usual.

    Confidence ``alpha`` and ``regularization`` rise together: their ratio is between 2 and 5 on the
    five random splits of docs/results.md, at an ``alpha`` between 10 and 160 (docs/decisions/0043;
    Rendle et al., RecSys 2022, on how far iALS is from its best without a search).
    """

    draws_at_random = True

    def grid(self, num_items: int) -> list[Settings]:
        """``alpha`` × ``regularization`` in units of it, of 64 factors."""
        return [_settings(FACTORS, alpha, by * alpha) for alpha in ALPHAS for by in RATIOS]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """One factorisation per point."""
        return self._fitted(self.points(context), train, context)

    def refinements(
        self, train: Interactions, context: Context, users: int
    ) -> Sequence[Refinement]:
        """Half and twice the best, two rounds; then four times the factors."""

        def finer(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            alpha, regularization = float(best["alpha"]), float(best["regularization"])
            points = [
                _settings(FACTORS, alpha * of_both, regularization * of_both * of_one)
                for of_both, of_one in ((1, 0.5), (1, 2), (0.5, 1), (2, 1))
            ]
            return self._fitted(points, train, context)

        def more_factors(best: Settings) -> Iterator[tuple[Settings, Scorer]]:
            wide = context.num_items > FACTORS
            return self._fitted([{**best, "factors": 4 * FACTORS}] * wide, train, context)

        return [finer, finer, more_factors]

    def refitted(self, chosen: Mapping[str, Any], train: Interactions, context: Context) -> Scorer:
        """One factorisation."""
        settings = {name: chosen[name] for name in ("factors", "regularization", "alpha")}
        return next(self._fitted([settings], train, context))[1]

    def _fitted(
        self, points: Sequence[Settings], train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        from implicit.cpu.als import AlternatingLeastSquares

        matrix = train.matrix()
        seed = derived_seed(context.seed, self.name) % 2**32
        for settings in points:
            with _one_blas_thread():
                model = AlternatingLeastSquares(**settings, random_state=seed)
                model.fit(matrix, show_progress=False)
            yield settings, FactorsScorer(model)

    def unavailable(self, context: Context) -> str | None:
        """The package is an optional extra."""
        if find_spec("implicit") is not None:
            return None
        return (
            "package implicit is not installed; in the checkout: "
            "pip install '.[ials]' -c constraints.txt"
        )


def _settings(factors: int, alpha: float, regularization: float) -> Settings:
    return {"factors": factors, "regularization": regularization, "alpha": alpha}


def _one_blas_thread() -> threadpool_limits:
    """``implicit`` runs threads of its own, which BLAS threads inside them would only slow down."""
    return threadpool_limits(limits=1, user_api="blas")
