"""Operations of whole workloads against torch's own counter, which sees every product made."""

import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed import scoring_stages, training_stages
from benchmarks.speed.building import build
from benchmarks.speed.settings import TRAINING
from cllm4rec import progress
from cllm4rec.models import backbone
from cllm4rec.planning import flops
from support.tiny_backbone import SIZE


@pytest.fixture
def all_is_multiplied(monkeypatch):
    """The library's eager layers, which multiply every pair of places; counted as they do it."""
    monkeypatch.setattr(backbone.Backbone, "_own_layers_pay", lambda _self, _embedded: False)
    monkeypatch.setattr(backbone, "_attention", lambda _config: {"attn_implementation": "eager"})

    def all_pairs(shape, lengths, itemsize, *, last_only, **given):
        assert isinstance(last_only, bool)
        return flops.backbone(shape, lengths, itemsize, causal=False, **given)

    for stages in (training_stages, scoring_stages):
        monkeypatch.setattr(stages, "backbone", all_pairs)


def means(stage: str, batches) -> int:
    """Of the means of histories, which the formula leaves out: a product and, in training, one
    gradient. At every place of a document, or at its end; texts have none."""
    products = 0
    for batch in batches:
        tokens = getattr(batch, "prompts", batch).tokens
        at_every_place = stage in ("collaborative", "finetune-next")
        products += tokens.numel() * (tokens.shape[1] if at_every_place else 1)
    return 0 if stage == "content" else 2 * SIZE * products * (1 + (stage in TRAINING))


@pytest.mark.parametrize("stage", TRAINING)
def test_a_training_step_is_what_torch_counts(built, stage, all_is_multiplied):
    """Forward and backward of a few documents, each a batch of its own: nothing is padded."""
    [workload] = built([stage])
    objective = workload.objective
    batches = [batch for drawn in workload.step[:3] for batch in objective.batches([drawn])]
    with FlopCounterMode(display=False) as counter:
        for batch in batches:
            sum(loss.total for loss in objective.losses(batch).values()).backward()
    amount = workload.amount_of(batches)
    assert amount.cost.flops + means(stage, batches) == counter.get_total_flops()
    assert amount.tokens == amount.padded
    assert amount.users == len(batches)


@pytest.mark.parametrize("stage", ["recommend", "request"])
def test_a_list_is_what_torch_counts(planted, overrides, tmp_path, stage, all_is_multiplied):
    with progress.quiet():
        [workload] = build([stage], planted.dataset, 2, overrides, tmp_path, None, users=1)
    with FlopCounterMode(display=False) as counter:
        workload.run()
    batches = [batch for _, batch in workload.scorer.batches(workload.users, workload.history)]
    asked = workload.amount.cost.flops + means(stage, batches)
    assert asked == counter.get_total_flops()
