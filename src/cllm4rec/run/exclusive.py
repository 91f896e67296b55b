"""Decorator that locks a run while a stage changes it."""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def exclusive(stage: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Hold the run's lock during the stage; refused if another process has it (`RunDir.lock`)."""
    signature = inspect.signature(stage)

    @functools.wraps(stage)
    def locked(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        with signature.bind(*args, **options).arguments["run"].lock():
            return stage(*args, **options)

    return locked
