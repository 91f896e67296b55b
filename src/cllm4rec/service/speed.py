"""How long a forward pass takes, learned from those that were done."""

SMALL, LARGE = 64.0, 1024.0
"""Tokens of the two passes that are assumed before anything was measured."""
_ASSUMED_S = {SMALL: 0.02, LARGE: 0.1}
_FORGETTING = 0.97
_ASSUMED_WEIGHT = 0.05


class Speed:
    """A straight line through recent passes: so much for each, and so much for every token of it.

    A rate alone would not do: a pass of one document is four times slower per token than a full
    one, and a service that was asked little would refuse the first ones of many.
    """

    def __init__(self) -> None:
        # Decayed sums of weight, tokens, seconds, tokens², tokens · seconds.
        self._sums = [0.0] * 5

    def learn(self, tokens: int, seconds: float) -> None:
        """Take one pass into account."""
        terms = (1.0, tokens, seconds, tokens * tokens, tokens * seconds)
        self._sums = [
            _FORGETTING * total + term for total, term in zip(self._sums, terms, strict=True)
        ]

    def seconds(self, tokens: float, largest: float) -> float:
        """Expected duration of passes over ``tokens``, none of more than ``largest``."""
        if tokens <= 0:
            return 0.0
        fixed, per_token = self._line()
        return fixed * -(-tokens // largest) + per_token * tokens

    def tokens_per_s(self, tokens: float) -> float:
        """Rate of passes of this size."""
        return tokens / max(self.seconds(tokens, tokens), 1e-9)

    def _line(self) -> tuple[float, float]:
        weight, x, y, xx, xy = self._sums
        # What is assumed keeps the slope where all recent passes had one size.
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
        """Seconds of ``passes`` passes of ``tokens`` in all, by what is assumed."""
        slope = (_ASSUMED_S[LARGE] - _ASSUMED_S[SMALL]) / (LARGE - SMALL)
        return passes * (_ASSUMED_S[SMALL] - slope * SMALL) + slope * tokens
