from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from cllm4rec.corpora.collaborative import CollaborativeCorpus
from cllm4rec.models.losses import Loss
from cllm4rec.training.checkpoint import Checkpoint
from cllm4rec.training.language import LanguageObjective
from cllm4rec.training.loop import Pass, Position, fit, optimiser_step, schedule
from cllm4rec.training.optim import adam
from support import tiny_models as tiny

PLAN = [
    Pass("content", 0, 3),
    Pass("collaborative", 0, 6),
    Pass("content", 3, 2),
    Pass("collaborative", 6, 6),
]


class Interrupted(Exception):
    """Stands for a kill between two steps."""


class Training:
    """Two mutually regularised LLMs, their optimisers and their checkpoint."""

    def __init__(self, folder: Path) -> None:
        collaborative = tiny.collaborative_llm()
        content = tiny.content_llm(tiny.TextCorpus.vocabulary())
        histories = CollaborativeCorpus(
            tiny.interactions(), tiny.SPACE, tiny.prompts(), tiny.CORPUS, seed=0
        )
        settings = {"mutual_weight": 1.0, "batch_tokens": 30, "seed": 0}
        self.objectives = {
            "collaborative": LanguageObjective(
                collaborative, histories, content.embedding.entities, **settings
            ),
            "content": LanguageObjective(
                content, tiny.TextCorpus(), collaborative.embedding.entities, **settings
            ),
        }
        self.parameters = {name: o.parameters() for name, o in self.objectives.items()}
        self.optimizers = {
            name: adam(named, learning_rate=1e-2, maps_rate=0.1, weight_decay=0.01)
            for name, named in self.parameters.items()
        }
        self.checkpoint = Checkpoint(folder, "same", self.parameters, self.optimizers)
        self.rows: list[dict] = []

    def run(self, position: Position, stop_after: int | None = None) -> None:
        def log(**row) -> None:
            if stop_after is not None and len(self.rows) == stop_after:
                raise Interrupted
            self.rows.append(row)

        fit(
            PLAN,
            self.objectives,
            self.optimizers,
            stage="pretrain",
            position=position,
            log=log,
            after_pass=lambda _: False,
            checkpoint=lambda at: self.checkpoint.save(at, {}, {}),
            checkpoint_seconds=0.0,
        )

    def tensors(self) -> dict[str, Tensor]:
        return {
            f"{objective}/{name}": p.detach().clone()
            for objective, named in self.parameters.items()
            for name, p in named.items()
        }


def num_steps(folder: Path) -> int:
    training = Training(folder)
    return sum(len(training.objectives[part.objective].steps(part)) for part in PLAN)


def test_a_run_resumed_after_any_step_is_the_uninterrupted_run(tmp_path):
    uninterrupted = Training(tmp_path / "whole")
    uninterrupted.run(Position())
    for stop_after in range(num_steps(tmp_path)):
        folder = tmp_path / f"stopped-{stop_after}"
        with pytest.raises(Interrupted):
            Training(folder).run(Position(), stop_after)
        resumed = Training(folder)
        found = resumed.checkpoint.resume()
        assert (found is None) == (stop_after == 0)
        resumed.run(found[0] if found else Position())
        for name, tensor in uninterrupted.tensors().items():
            assert torch.equal(tensor, resumed.tensors()[name]), (stop_after, name)


def test_every_pass_is_run_and_logged_in_order(tmp_path):
    training = Training(tmp_path)
    training.run(Position())
    parts = [
        part
        for i, row in enumerate(training.rows)
        for part in [row["part"]]
        if i == 0 or (part != training.rows[i - 1]["part"])
    ]
    assert parts == ["content", "collaborative", "content", "collaborative"]
    assert len(training.rows) == num_steps(tmp_path)
    assert all(row["loss"] > 0 for row in training.rows)


def test_training_lowers_the_loss(tmp_path):
    training = Training(tmp_path)
    objective = training.objectives["collaborative"]
    whole = Pass("collaborative", 0, 6)

    def loss() -> float:
        batches = [b for step in objective.steps(whole) for b in objective.batches(step)]
        with torch.no_grad():
            return sum(float(objective.losses(b)["likelihood"].total) for b in batches)

    before = loss()
    for _ in range(10):
        for step in objective.steps(whole):
            optimiser_step(objective, training.optimizers["collaborative"], step)
    assert loss() < 0.8 * before


class Exploding:
    """An objective whose gradient is infinite."""

    weights = {"likelihood": 1.0}  # noqa: RUF012

    def __init__(self) -> None:
        self.value = nn.Parameter(torch.ones(2))

    def parameters(self) -> dict[str, nn.Parameter]:
        return {"value": self.value}

    def steps(self, part: Pass) -> list[list[int]]:
        return [[0]]

    def batches(self, step: list[int]) -> list[int]:
        return step

    def counts(self, batch: int) -> dict[str, int]:
        return {"likelihood": 1}

    def losses(self, batch: int) -> dict[str, Loss]:
        return {"likelihood": Loss((self.value / 0).sum(), 1)}


def test_a_gradient_that_is_not_finite_changes_nothing():
    objective = Exploding()
    optimizer = adam(objective.parameters(), learning_rate=1.0, maps_rate=1.0, weight_decay=0.1)
    with pytest.raises(FloatingPointError, match="learning_rate"):
        optimiser_step(objective, optimizer, [0])
    assert objective.value.tolist() == [1.0, 1.0]


@given(st.floats(0, 1))
def test_the_schedule_stays_between_nothing_and_the_peak(done):
    assert 0 < schedule(done) <= 1


def test_the_schedule_rises_then_falls():
    assert schedule(0.0) < schedule(0.02) < schedule(0.05) == pytest.approx(1.0)
    assert schedule(0.05) > schedule(0.5) > schedule(1.0) == pytest.approx(0.05)
