"""Commands with their stages replaced need no run; what `ready` refuses is in `test_lazy`."""

import pytest


@pytest.fixture(autouse=True)
def _any_run_is_ready(monkeypatch):
    monkeypatch.setattr("cllm4rec.cli.options.ready", lambda *_, **__: None)
