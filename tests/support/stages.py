"""Stand-ins for the stages that commands hand their arguments to."""

from collections.abc import Callable
from typing import Any

import pytest

from cllm4rec.cli import main
from cllm4rec.config import Request, request_of
from cllm4rec.run import RunDir

TRAINING = ("initialise", "pretrain", "finetune", "train")
OTHERS = ("prepare", "evaluate", "recommend", "recommend_all", "similar", "demo")


class Stages:
    """Stands in for the modules of ``cllm4rec.stages``: notes calls, prints, returns ``result``."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.result: dict[str, Any] = {"seconds": 1.5}

    @staticmethod
    def configure(_run: RunDir, config: str | None, overrides: tuple[str, ...]) -> Request:
        """What is asked for; what it means for a run is the business of the stages."""
        return request_of(config, overrides)

    def named(self, name: str) -> Callable[..., dict[str, Any]]:
        def stage(*arguments: Any, **options: Any) -> dict[str, Any]:
            self.calls.append((name, arguments, options))
            print("a library's chatter")
            return self.result

        return stage


def code_of(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def the_call(stages: Stages) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    ((name, arguments, options),) = stages.calls
    return name, tuple(a.path if isinstance(a, RunDir) else a for a in arguments), options
