"""Hot paths, timed where asked for and compared with slow versions always.

    python -m pytest tests/benchmarks/test_*_paths.py --benchmark-enable --benchmark-group-by=name

Without ``--benchmark-enable`` each runs once at toy size. Times are never asserted.
"""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def hot(benchmark) -> Callable[..., tuple[Any, Any]]:
    """Time a function on real sizes if times are wanted; give its result and inputs at toy size."""

    def run(function: Callable[..., Any], inputs: Callable[..., tuple[Any, ...]], **sizes: Any):
        toy = {name: small for name, (small, _) in sizes.items()}
        if benchmark.enabled:
            given = inputs(**{name: real for name, (_, real) in sizes.items()})
            benchmark(function, *given)
        else:
            benchmark(function, *inputs(**toy))
        given = inputs(**toy)
        return function(*given), given

    return run
