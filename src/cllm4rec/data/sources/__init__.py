"""Data sets that can be written in the input format: name → writer of a folder."""

from collections.abc import Callable
from pathlib import Path

from cllm4rec.data.sources.movielens import write_movielens_100k
from cllm4rec.data.sources.synthetic import write_planted_world

SOURCES: dict[str, Callable[[Path], object]] = {
    "movielens-100k": write_movielens_100k,
    "planted-world": write_planted_world,
}
"""What ``cllm4rec data NAME --to DIR`` knows."""
