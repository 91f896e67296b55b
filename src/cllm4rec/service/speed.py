"""Linear cost model of forward passes, fitted to past ones."""

SMALL, LARGE = 64.0, 1024.0
"""Tokens of the two assumed passes that initialise the model."""
_ASSUMED_S = {SMALL: 0.02, LARGE: 0.1}
_FORGETTING = 0.97
_ASSUMED_WEIGHT = 0.05


class Speed:
    """Cost model of recent passes: a fixed cost per pass plus a cost per token.

    A rate in tokens per second is not enough: a pass of one document is four times slower per token
    than a full one, so a service after a quiet time would refuse the first of many requests.
    """

    def __init__(self) -> None:
        # Decayed sums of weight, tokens, seconds, tokens², tokens · seconds.
        self._sums = [0.0] * 5

    def learn(self, tokens: int, seconds: float) -> None:
        """Update the fit with one pass."""
        terms = (1.0, tokens, seconds, tokens * tokens, tokens * seconds)
        self._sums = [
            _FORGETTING * total + term for total, term in zip(self._sums, terms, strict=True)
        ]

    def seconds(self, tokens: float, largest: float) -> float:
        """Expected duration of scoring ``tokens`` in passes of at most ``largest`` tokens."""
        if tokens <= 0:
            return 0.0
        fixed, per_token = self._line()
        return fixed * -(-tokens // largest) + per_token * tokens

    def tokens_per_s(self, tokens: float) -> float:
        """Throughput of passes of this size."""
        return tokens / max(self.seconds(tokens, tokens), 1e-9)

    def _line(self) -> tuple[float, float]:
        weight, x, y, xx, xy = self._sums
        # The assumed passes fix the slope when all recent passes have the same size.
        scale = y / self._assumed(x, weight) if weight else 1.0
        for tokens, seconds in _ASSUMED_S.items():
            weight += _ASSUMED_WEIGHT
            x += _ASSUMED_WEIGHT * tokens
            y += _ASSUMED_WEIGHT * seconds * scale
            xx += _ASSUMED_WEIGHT * tokens * tokens
            xy += _ASSUMED_WEIGHT * tokens * seconds * scale
        slope = max(0.0, (weight * xy - x * y) / (weight * xx - x * x))
        return max(0.0, (y - slope * x) / weight), slope

    @staticmethod
    def _assumed(tokens: float, passes: float) -> float:
        """Assumed seconds of ``passes`` passes with ``tokens`` in total."""
        slope = (_ASSUMED_S[LARGE] - _ASSUMED_S[SMALL]) / (LARGE - SMALL)
        return passes * (_ASSUMED_S[SMALL] - slope * SMALL) + slope * tokens
