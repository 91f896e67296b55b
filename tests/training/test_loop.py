import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cllm4rec import progress
from cllm4rec.errors import ConfigError
from cllm4rec.models.losses import Loss
from cllm4rec.training.loop import SCHEDULES, Pass, Position, cosine, fit, optimiser_step
from cllm4rec.training.optim import adam
from support.a_training import PLAN, Interrupted, Training, num_steps
from support.one_value import OneValue


@pytest.mark.slow  # a training for every step it has
@pytest.mark.parametrize("lazily", [False, True])
def test_a_run_resumed_after_any_step_is_the_uninterrupted_run(tmp_path, lazily):
    dropout = 0.5  # what is drawn goes on too
    uninterrupted = Training(tmp_path / "whole", dropout, lazily=lazily)
    uninterrupted.run(Position(), checkpoint_seconds=1e9)
    for stop_after in range(num_steps(tmp_path)):
        folder = tmp_path / f"stopped-{stop_after}"
        with pytest.raises(Interrupted):
            Training(folder, dropout, lazily=lazily).run(Position(), stop_after)
        torch.rand(stop_after)  # Whatever else was drawn in between plays no part.
        resumed = Training(folder, dropout, lazily=lazily)
        found = resumed.checkpoint.resume()
        assert (found is None) == (stop_after == 0)
        resumed.run(found[0] if found else Position())
        for name, tensor in uninterrupted.tensors().items():
            assert torch.equal(tensor, resumed.tensors()[name]), (stop_after, name)


def test_a_resumed_training_says_so(tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(progress, "note", said.append)
    with pytest.raises(Interrupted):
        Training(tmp_path, 0.0).run(Position(), 1)
    assert said == []
    again = Training(tmp_path, 0.0)
    found = again.checkpoint.resume()
    assert found is not None
    number = found[0].pass_number + 1  # before the position moves on
    again.run(found[0])
    assert said == [f"pretrain goes on where it stopped: pass {number} of {len(PLAN)}"]


def test_the_bar_names_the_losses_of_trainings_that_alternate(tmp_path, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(progress.Task, "advance", lambda *_, **values: shown.extend(values))
    Training(tmp_path).run(Position())
    assert set(shown) == {"content loss", "collaborative loss"}
    shown.clear()
    draws()
    assert set(shown) == {"loss"}


def test_what_is_dropped_is_a_function_of_the_seed(tmp_path):
    losses = []
    for dropout, seed in ((0.5, 0), (0.5, 0), (0.5, 1), (0.0, 0), (0.0, 1)):
        training = Training(tmp_path / str(len(losses)), dropout, seed)
        training.run(Position())
        losses.append([row["loss"] for row in training.rows])
    first, again, other, none, none_other = losses
    assert first == again
    # The content model is asked first and has no dropout; every step of the other one has.
    assert none == none_other
    assert all(len({*values}) == 1 for values in zip(first[:1], other[:1], none[:1], strict=True))
    assert first != other
    assert first != none


class Drawing(OneValue):
    """Notes what torch draws in each of its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[tuple[float, ...]] = []

    def losses(self, batch: int) -> dict[str, Loss]:
        self.draws.append(tuple(torch.rand(4).tolist()))
        return {"likelihood": Loss(self.value.square().sum(), 1)}


def draws(seed: int = 0, stage: str = "pretrain", start: Position | None = None) -> list:
    objective = Drawing()
    fit(
        [Pass("only", 0, 3), Pass("only", 3, 3)],
        {"only": objective},
        {"only": adam(objective.parameters(), learning_rate=0.1, head_scale=1.0)},
        stage=stage,
        seed=seed,
        position=start or Position(),
        log=lambda **_: None,
        after_pass=lambda _: False,
        checkpoint=lambda _: None,
    )
    return objective.draws


def test_every_step_of_every_pass_and_stage_draws_its_own_masks():
    drawn = [*draws(), *draws(seed=1), *draws(stage="finetune")]
    assert len(drawn) == len(set(drawn)) == 18


def test_a_step_draws_the_same_wherever_training_began():
    assert draws(start=Position(1, 1)) == draws()[4:]


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


def test_the_rate_follows_the_schedule_over_the_passes_of_its_own_objective():
    def by_hand(done: float) -> float:
        if done == 0:
            return 0.001 / 0.051
        return 0.05 + 0.95 * (1 + math.cos(math.pi * (done - 0.05) / 0.95)) / 2

    plan = [Pass("one", 0, 3), Pass("other", 0, 1), Pass("one", 3, 2), Pass("other", 1, 3)]
    objectives = {name: Drawing() for name in ("one", "other")}
    rows: list[dict] = []
    fit(
        plan,
        objectives,
        {
            name: adam(each.parameters(), learning_rate=0.1, head_scale=1.0)
            for name, each in objectives.items()
        },
        stage="pretrain",
        position=Position(),
        log=lambda **row: rows.append(row),
        after_pass=lambda _: False,
        checkpoint=lambda _: None,
    )
    for name, done in (("one", [0, 0.2, 0.4, 0.6, 0.8]), ("other", [0, 0.25, 0.5, 0.75])):
        rates = [row["rate"] for row in rows if row["part"] == name]
        assert rates == pytest.approx([0.1 * by_hand(each) for each in done])


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


class Exploding(OneValue):
    """Its gradient is infinite."""

    def losses(self, batch: int) -> dict[str, Loss]:
        return {"likelihood": Loss((self.value / 0).sum(), 1)}


def test_a_gradient_that_is_not_finite_changes_nothing():
    objective = Exploding()
    optimizer = adam(objective.parameters(), learning_rate=1.0, head_scale=1.0)
    with pytest.raises(FloatingPointError, match="learning_rate"):
        optimiser_step(objective, optimizer, [0])
    assert objective.value.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_a_diverged_training_names_the_setting_that_mends_it(stage):
    objective = Exploding()
    rates = {"learning_rate": 1e30, "head_scale": 1.0}
    with pytest.raises(ConfigError) as refused:
        fit(
            [Pass("only", 0, 1)],
            {"only": objective},
            {"only": adam(objective.parameters(), **rates)},
            stage=stage,
            position=Position(),
            log=lambda **_: None,
            after_pass=lambda _: False,
            checkpoint=lambda _: None,
        )
    assert str(refused.value) == (
        f"{stage} has diverged: the loss is not finite in step 1 of pass 0, "
        f"at a rate of up to 1e+30; lower {stage}.learning_rate"
    )
    assert objective.value.tolist() == [1.0, 1.0]


@given(st.floats(0, 1))
def test_the_schedule_stays_between_nothing_and_the_peak(done):
    assert 0 < cosine(done) <= 1


def test_the_schedule_rises_then_falls():
    assert cosine(0.0) < cosine(0.02) < cosine(0.05) == pytest.approx(1.0)
    assert cosine(0.05) > cosine(0.5) > cosine(1.0) == pytest.approx(0.05)


@given(st.floats(0, 1))
def test_a_constant_rate_is_the_peak_from_the_first_step_on(done):
    assert SCHEDULES["constant"](done) == 1
    assert SCHEDULES["cosine"] is cosine
