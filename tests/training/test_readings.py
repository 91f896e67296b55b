"""Losses that are read together are those that are read one by one, and as much is refused."""

import pytest
import torch

from cllm4rec.errors import ConfigError
from cllm4rec.models.losses import Loss
from cllm4rec.training import readings
from cllm4rec.training.loop import Pass, Position, fit
from cllm4rec.training.optim import adam
from cllm4rec.training.readings import TOGETHER, Diverged, Measured, Unread, read
from cllm4rec.training.world import ALONE
from support.one_value import OneValue


def measured(*losses: float, norm: float = 1.0) -> Measured:
    totals = {"likelihood": [torch.tensor(loss) for loss in losses]}
    return Measured(totals, {"likelihood": 4}, {"likelihood": 0.5}, torch.tensor(norm))


def test_steps_read_together_have_their_own_means():
    assert list(read([measured(1.0, 3.0), measured(), measured(6.0)])) == [
        {"loss": 0.5, "likelihood": 1.0},
        {"loss": 0.0, "likelihood": 0.0},
        {"loss": 0.75, "likelihood": 1.5},
    ]
    assert list(read([])) == []


@pytest.mark.parametrize(
    ("bad", "why"), [((float("nan"), 1.0), "loss"), ((1.0, float("inf")), "gradient")]
)
def test_the_steps_before_a_bad_one_are_told_and_it_is_named(bad, why):
    told = []
    unread = Unread(lambda row, documents: told.append((row, documents)), ALONE, together=True)
    unread.add(measured(2.0), {"step": 1}, 7)
    unread.add(measured(bad[0], norm=bad[1]), {"step": 2}, 7)
    unread.add(measured(2.0), {"step": 3}, 7)
    assert told == []
    with pytest.raises(Diverged, match=why) as raised:
        unread.read()
    assert raised.value.row == {"step": 2}
    assert told == [({"step": 1, "loss": 0.25, "likelihood": 0.5}, 7)]


def test_together_means_a_number_of_steps_or_a_second(monkeypatch):
    now, told = [0.0], []
    monkeypatch.setattr(readings.time, "monotonic", lambda: now[0])
    unread = Unread(lambda row, documents: told.append(row["step"]), ALONE, together=True)
    for step in range(TOGETHER):
        assert told == []
        unread.add(measured(1.0), {"step": step}, 1)
        unread.read_if_due()
    assert told == list(range(TOGETHER))
    unread.add(measured(1.0), {"step": 16}, 1)
    now[0] = 0.9
    unread.read_if_due()
    assert told == list(range(16))
    now[0] = 1.0
    unread.read_if_due()
    assert told == list(range(17))


class Exploding(OneValue):
    """Its third step has no finite loss."""

    seen = 0

    def losses(self, batch: int) -> dict[str, Loss]:
        self.seen += 1
        return {"likelihood": Loss(self.value.sum() / (self.seen != 3), 1)}


@pytest.mark.parametrize(("ahead", "seen"), [(False, 3), (True, 6)])
@pytest.mark.parametrize("each_step", [False, True])
def test_no_checkpoint_has_a_step_that_has_diverged(ahead, seen, each_step):
    objective, logged, saved = Exploding(), [], []
    with pytest.raises(ConfigError, match=r"the loss is not finite in step 3 of pass 0, at a"):
        fit(
            [Pass("only", 0, 6)],
            {"only": objective},
            {"only": adam(objective.parameters(), learning_rate=1.0, head_scale=1.0)},
            stage="finetune",
            position=Position(),
            log=lambda **row: logged.append(row["step"]),
            after_pass=lambda _: False,
            checkpoint=lambda at: saved.append((at.step, objective.value.isfinite().all())),
            checkpoint_seconds=0.0 if each_step else 60.0,
            ahead=ahead,
        )
    assert logged == [1, 2]
    assert saved == ([(1, True), (2, True)] if each_step else [])
    assert objective.seen == (3 if each_step else seen)
