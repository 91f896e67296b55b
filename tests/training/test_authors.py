"""The authors' path and ours: the same losses on the same weights, however differently computed."""

import importlib.util
from pathlib import Path

import pytest
import torch

from cllm4rec import progress
from reference import authors_training as theirs
from support.planted import planted
from support.tiny_backbone import write_tiny_gpt2

__all__ = ["planted"]

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "authors.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("benchmark_authors", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def both(script, planted, tmp_path):
    backbone = write_tiny_gpt2(tmp_path / "gpt2", layers=2)
    given = ["backbone.dtype=float32", "threads=1"]
    with progress.quiet():
        ours = script.Ours(planted.dataset, backbone, tmp_path, given)
    return ours, {joint: script.Theirs(ours, backbone, joint=joint) for joint in (False, True)}


@pytest.mark.parametrize("joint", [False, True], ids=["heads apart", "joint head"])
@pytest.mark.parametrize("stage", ["content", "collaborative", "finetune"])
def test_both_paths_have_one_loss_and_one_gradient(script, both, stage, joint):
    ours, paths = both
    objective, path = ours.objectives[stage], paths[joint]
    drawn = script._drawn(ours, stage, 20)
    path.collaborative.eval()
    path.content.eval()
    loss = path.loss(stage, path.documents(stage, drawn))
    loss.backward()
    assert ours.loss(stage, drawn) == pytest.approx(float(loss.detach()), rel=1e-5)
    model = path.content if stage == "content" else path.collaborative
    expected = torch.cat([model.users.weight.grad, model.items.weight.grad])
    batches = objective.batches(drawn)
    counts = [objective.counts(batch) for batch in batches]
    for batch in batches:
        for name, part in objective.losses(batch).items():
            share = objective.weights[name] / sum(one[name] for one in counts)
            (share * part.total).backward(retain_graph=True)
    torch.testing.assert_close(
        objective.model.embedding.entities.grad, expected, rtol=1e-3, atol=1e-6
    )


def test_the_comparison_says_how_much_faster_and_that_both_agree(script, planted, tmp_path):
    backbone = write_tiny_gpt2(tmp_path / "gpt2", layers=1)
    with progress.quiet():
        result = script.compare(
            planted.dataset, backbone, tmp_path, batches=1, overrides=["threads=1"]
        )
    assert result["failed"] == []
    assert [row["stage"] for row in result["rows"]] == ["content", "collaborative", "finetune"]
    for row in result["rows"]:
        ratio = row["ours_users_per_s"] / row["authors_users_per_s"]
        assert row["times_authors"] == pytest.approx(ratio)


def test_their_padding_and_words_cost_time_but_no_loss(both):
    _, paths = both
    tokens, mask = theirs.pad([[5, 300], [7, 8, 301]])
    assert tokens.tolist() == [[5, 300, theirs.PADDING], [7, 8, 301]]
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    model, other = paths[False].collaborative, paths[False].content
    distance = 0.5 * (model.users.weight[:2] - other.users.weight[:2]).square().sum() / 2
    found = theirs.regulariser(model, other, tokens, mask)
    assert float(found.detach()) == pytest.approx(float(distance.detach()), rel=1e-5)
