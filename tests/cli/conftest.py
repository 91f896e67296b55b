"""Commands with their stages replaced need no run; what `ready` refuses is in `test_lazy`."""

import sys
from types import SimpleNamespace

import pytest

from support.stages import OTHERS, TRAINING, Stages


@pytest.fixture(autouse=True)
def _any_run_is_ready(monkeypatch):
    monkeypatch.setattr("cllm4rec.cli.options.ready", lambda *_, **__: None)


@pytest.fixture
def stages(monkeypatch) -> Stages:
    stages = Stages()
    for name in (*TRAINING, *OTHERS):
        stand_in = SimpleNamespace(**{name: stages.named(name), "configure": stages.configure})
        monkeypatch.setitem(sys.modules, f"cllm4rec.stages.{name}", stand_in)
    return stages
