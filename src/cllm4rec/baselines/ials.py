"""iALS: weighted matrix factorisation (Hu, Koren & Volinsky, ICDM 2008), by ``implicit``."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cllm4rec.baselines.base import Baseline, Context, Settings
from cllm4rec.data.interactions import Interactions
from cllm4rec.evaluation.scorer import Scorer
from cllm4rec.seeds import derived_seed


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
    """A small grid: a floor, better settings exist (Rendle et al., RecSys 2022)."""

    draws_at_random: ClassVar[bool] = True

    def grid(self, num_items: int) -> list[Settings]:
        """``factors`` × ``regularization`` × ``alpha``."""
        points = product((64, 128), (0.1, 3.0), (2.0, 10.0))
        return [
            {"factors": factors, "regularization": regularization, "alpha": alpha}
            for factors, regularization, alpha in points
        ]

    def candidates(
        self, train: Interactions, context: Context
    ) -> Iterator[tuple[Settings, Scorer]]:
        """One factorisation per point."""
        from implicit.cpu.als import AlternatingLeastSquares

        matrix = train.matrix()
        seed = derived_seed(context.seed, self.name) % 2**32
        for settings in self.grid(context.num_items):
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


def _one_blas_thread() -> threadpool_limits:
    """``implicit`` runs threads of its own, which BLAS threads inside them would only slow down."""
    return threadpool_limits(limits=1, user_api="blas")
