import pytest


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """Notes, as they are made."""
    lines: list[str] = []
    monkeypatch.setattr("cllm4rec.progress.note", lines.append)
    return lines
