import pytest

from cllm4rec.errors import InputError
from cllm4rec.run import place_among_processes


@pytest.mark.parametrize(
    ("rank", "world_size"), [("2", "2"), ("-1", "2"), ("x", "2"), ("0", "0"), ("1", None)]
)
def test_a_place_that_cannot_be_is_refused(monkeypatch, rank, world_size):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if world_size is not None:
        monkeypatch.setenv("WORLD_SIZE", world_size)
    with pytest.raises(InputError, match=f"RANK={rank} and WORLD_SIZE="):
        place_among_processes()


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert place_among_processes() == (0, 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert place_among_processes() == (1, 4)
