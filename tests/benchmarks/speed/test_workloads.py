"""Every stage equals the slow path, and one that does not is found."""

import numpy as np
import pytest
import torch

from benchmarks.speed.building import build
from benchmarks.speed.check import SlowBackbone
from benchmarks.speed.measuring import Measured
from benchmarks.speed.settings import SCORING, STAGES, TRAINING, profile_config
from benchmarks.speed.stopwatch import Stopwatch
from cllm4rec.errors import ConfigError
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.tasks.language import LanguageObjective

each_stage = pytest.mark.parametrize("stage", STAGES)


@each_stage
def test_a_stage_equals_the_slow_path(built, slow, stage):
    [workload] = built([stage])
    errors = workload.errors(slow)
    assert set(errors) == ({"loss", "gradient"} if stage in TRAINING else {"scores"})
    assert not Measured(workload, errors).wrong(torch.float32)


@each_stage
def test_a_broken_embedding_is_found(built, slow, stage, monkeypatch):
    [workload] = built([stage])
    right = TokenEmbedding.forward

    def wrong(self, tokens):
        embedded = right(self, tokens)
        return torch.cat([embedded[:, :2], embedded[:, 2:] * 1.05], dim=1)

    monkeypatch.setattr(TokenEmbedding, "forward", wrong)
    assert Measured(workload, workload.errors(slow)).wrong(torch.float32)


@pytest.mark.parametrize("weights", ["random", "pretrained"])
def test_whatever_weights_the_backbone_has_are_the_slow_path_s_too(
    planted, overrides, tmp_path, slow, weights
):
    given = [*overrides, f"backbone.weights={weights}"]
    for workload in build(STAGES, planted.dataset, 2, given, tmp_path, None):
        assert not Measured(workload, workload.errors(slow)).wrong(torch.float32), workload.stage


def test_a_backbone_of_another_depth_is_found(built, backbone):
    for workload in built(STAGES):
        errors = workload.errors(SlowBackbone(backbone, 1))
        assert Measured(workload, errors).wrong(torch.float32), workload.stage


def test_a_number_that_is_none_is_wrong(built):
    [workload] = built(["request"])
    assert Measured(workload, {"scores": float("nan")}).wrong(torch.bfloat16)
    assert not Measured(workload, {"scores": 0.0}).wrong(torch.float32)


def test_what_rounding_would_hide_is_found_in_float32(built):
    [workload] = built(["request"])
    assert not Measured(workload, {"scores": 0.01}, {"scores": 1e-6}).wrong(torch.bfloat16)
    assert Measured(workload, {"scores": 0.01}, {"scores": 0.01}).wrong(torch.bfloat16)


@each_stage
def test_real_tokens_are_counted_without_padding(built, stage):
    [workload] = built([stage])
    amount = workload.amount
    assert 0 < amount.tokens <= amount.padded
    assert amount.users > 0
    assert amount.cost.flops > 0
    if stage not in TRAINING:
        lengths = [len(document) for document in workload.documents]
        assert amount.tokens == sum(lengths)
        assert amount.users == len(lengths)


def test_the_documents_that_are_counted_are_those_that_are_scored(built, monkeypatch):
    from cllm4rec.models.llms import CollaborativeLLM

    for workload in built(SCORING):
        seen = []

        def last_queries(model, batch, seen=seen, right=CollaborativeLLM.last_queries):
            rows = zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)
            seen.extend(row[:length] for row, length in rows)
            return right(model, batch)

        with monkeypatch.context() as patch:
            patch.setattr(CollaborativeLLM, "last_queries", last_queries)
            workload.run()
        assert sorted(seen) == sorted(document.prompt.tolist() for document in workload.documents)


def test_a_language_step_is_of_middling_length_and_its_users_are_of_mean_length(built):
    [workload] = built(["finetune-next"])
    assert isinstance(workload.objective, LanguageObjective)
    lengths = workload.objective.corpus.lengths()
    assert workload.amount.users == pytest.approx(workload.amount.tokens / lengths.mean())
    own = [lengths[d.index] for d in workload.step]
    assert lengths.min() <= np.mean(own) <= lengths.max()
    assert np.quantile(lengths, 0.1) <= max(own)


@each_stage
def test_the_stopwatch_sees_every_part_and_leaves_nothing_behind(built, stage):
    [workload] = built([stage])
    watch = Stopwatch()
    functions = workload.timed()
    before = [vars(one.owner).get(one.name) for one in functions]
    with watch.running(functions):
        workload.run()
    assert [vars(one.owner).get(one.name) for one in functions] == before
    parts = {"data", "embedding", "backbone", "head and loss", "other"}
    if stage in TRAINING:
        parts |= {"backward", "optimiser"}
    assert parts <= set(watch.shares())
    assert sum(watch.shares().values()) == pytest.approx(1)


def test_profiles_are_those_of_the_data(overrides):
    frozen, holdout, following = (
        profile_config(name, 2, overrides) for name in ("frozen", "holdout", "next")
    )
    assert (frozen.backbone.mode, holdout.backbone.mode) == ("frozen", "full")
    assert (holdout.finetune.target, following.finetune.target) == ("holdout", "next")
    assert following.finetune.mutual_weight == 0
    assert all(c.finetune.batch_users == 8 for c in (frozen, holdout, following))


def test_an_order_is_refused_since_both_are_measured(overrides):
    with pytest.raises(ConfigError, match=r"corpus\.order"):
        profile_config("next", 2, [*overrides, "corpus.order=time"])
