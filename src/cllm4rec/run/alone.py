"""Stages that change a run: one at a time."""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def alone(stage: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The stage, refused while another process is at work in its ``run`` (`RunDir.held`)."""
    signature = inspect.signature(stage)

    @functools.wraps(stage)
    def held(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        with signature.bind(*args, **options).arguments["run"].held():
            return stage(*args, **options)

    return held
