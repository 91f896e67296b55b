"""How many examples hypothesis draws: a test's own number, fewer in `make quick`."""

from hypothesis import settings

QUICK = 6
"""Most examples of a test in `make quick`; `make test` draws each test's own number."""


def examples(number: int) -> settings:
    """A decorator like ``settings(max_examples=number)``."""
    most = settings().max_examples
    return settings(max_examples=min(number, most) if most == QUICK else number)
