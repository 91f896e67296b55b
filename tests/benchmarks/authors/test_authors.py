"""The authors' path and ours: the same losses on the same weights, however differently computed."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.authors import comparison, work
from benchmarks.authors.paths import STAGES, Ours, Theirs, first_documents
from cllm4rec import progress
from cllm4rec.planning.flops import Shape
from cllm4rec.training.loop import Pass
from reference import authors_training as theirs
from support.planted import planted
from support.tiny_backbone import write_tiny_gpt2

__all__ = ["planted"]


@pytest.fixture
def both(planted, tmp_path):
    backbone = write_tiny_gpt2(tmp_path / "gpt2", layers=2)
    given = ["backbone.dtype=float32", "threads=1"]
    with progress.quiet():
        ours = Ours(planted.dataset, backbone, tmp_path, given)
    return ours, {joint: Theirs(ours, backbone, joint=joint) for joint in (False, True)}


@pytest.mark.parametrize("joint", [False, True], ids=["heads apart", "joint head"])
@pytest.mark.parametrize("stage", ["content", "collaborative", "finetune"])
def test_both_paths_have_one_loss_and_one_gradient(both, stage, joint):
    ours, paths = both
    objective, path = ours.objectives[stage], paths[joint]
    drawn = first_documents(ours, stage, 20)
    path.collaborative.eval()
    path.content.eval()
    loss = path.loss(stage, path.documents(stage, drawn))
    loss.backward()
    assert ours.loss(stage, drawn) == pytest.approx(float(loss.detach()), rel=1e-5)
    model = path.content if stage == "content" else path.collaborative
    expected = torch.cat([model.users.weight.grad, model.items.weight.grad])
    batches = objective.batches(drawn)
    objective.model.backbone.dropout = False
    counts = [objective.counts(batch) for batch in batches]
    for batch in batches:
        for name, part in objective.losses(batch).items():
            share = objective.weights[name] / sum(one[name] for one in counts)
            (share * part.total).backward(retain_graph=True)
    embedding = objective.model.embedding
    found = torch.cat([embedding.users.grad, embedding.items.weight.grad])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_the_comparison_says_how_much_faster_and_that_both_agree(planted, tmp_path):
    backbone = write_tiny_gpt2(tmp_path / "gpt2", layers=1)
    with progress.quiet():
        result = comparison.compare(
            planted.dataset, backbone, tmp_path, batches=1, overrides=["threads=1"]
        )
    assert result["failed"] == []
    assert [row["stage"] for row in result["rows"]] == ["content", "collaborative", "finetune"]
    for row in result["rows"]:
        ratio = row["ours_users_per_s"] / row["authors_users_per_s"]
        assert row["times_authors"] == pytest.approx(ratio)
        per_s = row["ours_gflops_per_document"] * row["ours_users_per_s"]
        assert row["ours_mfu"] == pytest.approx(per_s / result["peak"]["gflops_per_s"], rel=0.01)
        # At the peak we were busy all the time, and nothing else about either would change.
        assert row["times_authors_at_peak"] * row["ours_mfu"] == pytest.approx(ratio)


@pytest.mark.parametrize("joint", [False, True], ids=["heads apart", "joint head"])
@pytest.mark.parametrize("stage", STAGES)
def test_their_operations_are_those_that_torch_counts(both, tmp_path, stage, joint):
    ours, paths = both
    drawn = first_documents(ours, stage, 27)  # a whole batch and a part of one
    documents = paths[joint].documents(stage, drawn)
    counter = FlopCounterMode(display=False)
    with counter:
        paths[joint].train(stage, documents[: theirs.BATCH])
        paths[joint].train(stage, documents[theirs.BATCH :])
    shape = Shape.read(tmp_path / "gpt2")
    counted = work.their_operations(paths[joint], stage, drawn, shape)
    assert counted * len(drawn) == pytest.approx(counter.get_total_flops(), rel=1e-6)


@pytest.mark.parametrize("stage", STAGES)
def test_what_we_compute_is_at_least_what_cannot_be_left_out(both, tmp_path, stage):
    """And not half as much again, so that the bound is no loose one."""
    ours, paths = both
    drawn = first_documents(ours, stage, 40)
    counter = FlopCounterMode(display=False)
    with counter:
        ours.train(stage, Pass(stage, 0, len(drawn)))
    shape = Shape.read(tmp_path / "gpt2")
    needed = len(drawn) * work.our_operations(ours, stage, drawn, shape)
    assert needed <= counter.get_total_flops() * (1 + 1e-9) < 1.5 * needed
    assert needed < len(drawn) * work.their_operations(paths[False], stage, drawn, shape)


def test_the_whole_training_takes_every_pass_of_every_stage(both):
    ours, _ = both
    sizes = [len(ours.objectives[stage].corpus) for stage in STAGES]
    rows = [
        {"stage": stage, "ours_users_per_s": rate}
        for stage, rate in zip(STAGES, (2.0, 4.0, 8.0), strict=True)
    ]
    hours = (260 * sizes[0] / 2 + 100 * sizes[1] / 4 + 150 * sizes[2] / 8) / 3600
    assert work.whole_training(ours, rows, "ours") == pytest.approx(hours)


def test_their_padding_and_words_cost_time_but_no_loss(both):
    _, paths = both
    tokens, mask = theirs.pad([[5, 300], [7, 8, 301]])
    assert tokens.tolist() == [[5, 300, theirs.PADDING], [7, 8, 301]]
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    model, other = paths[False].collaborative, paths[False].content
    squares = (model.users.weight[:2] - other.users.weight[:2]).square().sum()
    distance = squares * theirs.BATCH / 2  # two documents stand for a batch
    found = theirs.regulariser(model, other, tokens)
    assert float(found.detach()) == pytest.approx(float(distance.detach()), rel=1e-5)
