"""The batch bench at toy size: what it says fits together, and it leaves nothing."""

import tempfile

import pytest

from benchmarks.batch.scoring import measure_batch
from cllm4rec import progress


@pytest.mark.parametrize("linear", [False, True])
def test_both_sides_are_timed_on_the_same_users(linear, monkeypatch, tmp_path):
    # No backbone in this cache: random weights in its shape stand in, and nothing is fetched.
    monkeypatch.setenv("CLLM4REC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with progress.quiet():
        result = measure_batch(users=90, items=400, history_items=5, k=7, depth=1, linear=linear)
    assert (result["users"], result["items"], result["linear"]) == (90, 400, linear)
    assert result["ratio_lowest"] <= result["ratio_highest"]
    assert result["ratio_last_positions"] > 0
    assert result["ratio"] == pytest.approx(
        result["users_per_s"] / result["backbone_users_per_s"], rel=0.01
    )
    assert result["tokens_per_s"] > result["users_per_s"]
    assert list(tmp_path.glob("cllm4rec-bench-*")) == []
