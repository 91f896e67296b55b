"""The example in the export serves where torch cannot be imported."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cllm4rec.recommender.saved import Recommender

NO_TORCH = """
import runpy, sys


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "cllm4rec"}:
            raise ImportError(f"{name} is not to be had here")


sys.meta_path.insert(0, Refuse())
try:
    import torch
except ImportError:
    pass
else:
    raise SystemExit("torch was imported")
script, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = script
runpy.run_path(script, run_name="__main__")
"""


def ran(exported: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", NO_TORCH, exported / "serve_without_torch.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=exported.parent,
    )


def served(exported: Path, *arguments: str) -> list[tuple[str, float]]:
    done = ran(exported, *arguments)
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return [(item_id, float(score)) for item_id, score in lines]


@pytest.mark.parametrize("k", [4, 1000])
def test_it_lists_what_the_language_model_lists(exported, recommender, k):
    scorer, dataset = recommender.scorer, recommender.dataset
    alone = scorer.language_model_alone()
    user_id = dataset.users.id(17)
    wanted = Recommender(alone, dataset, recommender.lm).recommend([user_id], k)
    found = served(exported, user_id, str(k))
    listed = wanted.items[0] >= 0
    assert [item for item, _ in found] == dataset.items.ids(wanted.items[0][listed])
    scores = [score for _, score in found]
    np.testing.assert_allclose(scores, wanted.scores[0][listed], rtol=0, atol=1e-4)


@pytest.mark.parametrize("arguments", [["nobody", "4"], []])
def test_an_unknown_user_is_refused_in_one_line(exported, arguments):
    done = ran(exported, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    said = "".join(arguments[:1])
    assert line == f"USER_ID {said!r} is nobody in users.parquet; give one of its user_id"


def test_it_stays_an_example():
    path = Path(__file__).parents[2] / "src" / "cllm4rec" / "export" / "serve_without_torch.py"
    assert len(path.read_text().splitlines()) <= 34
