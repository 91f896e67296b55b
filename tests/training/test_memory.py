"""Steps in parts are the same steps; a device without memory is a line, and training goes on."""

import json
from unittest import mock

import numpy as np
import pytest
import torch

from cllm4rec import progress
from cllm4rec.cli.app import main
from cllm4rec.data.sources.synthetic import write_planted_world
from cllm4rec.models.backbone import Backbone
from cllm4rec.run import RunDir
from cllm4rec.stages.prepare import prepare
from cllm4rec.stages.train import train
from cllm4rec.tasks import regularised
from cllm4rec.training.loop import Pass, optimiser_step
from cllm4rec.training.memory import NoMemory, memory_for, pieces
from cllm4rec.training.optim import adam
from support import tiny_objectives
from support.toy_run import toy_config


def test_parts_have_every_document_once_and_few_tokens():
    lengths = np.random.default_rng(0).integers(1, 30, 50).tolist()
    assert pieces(lengths, 0) == [list(range(50))]
    for most in (1, 29, 64):
        parts = pieces(lengths, most)
        assert sorted(index for part in parts for index in part) == list(range(50))
        for part in parts:
            assert len(part) == 1 or len(part) * max(lengths[index] for index in part) <= most


@pytest.mark.parametrize("name", ["collaborative", "content", "held-out", "next-item"])
def test_a_step_in_parts_is_the_step(name):
    found = []
    for most in (0, 16):
        objective = tiny_objectives.every()[name]
        optimizer = adam(objective.parameters(), learning_rate=1e-2, head_scale=0.5)
        step = objective.steps(Pass(name, 0, len(objective.corpus)))[0]
        values = [optimiser_step(objective, optimizer, step, most_tokens=most) for _ in range(2)]
        vectors = {n: p.detach().clone() for n, p in objective.parameters().items()}
        found.append((values, vectors))
    (whole, vectors), (parts, others) = found
    for one, other in zip(whole, parts, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    for parameter, vector in vectors.items():
        torch.testing.assert_close(others[parameter], vector, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["content", "held-out"])
def test_where_there_is_room_a_step_is_read_at_once(monkeypatch, name):
    objective = tiny_objectives.every()[name]
    objective.batch_tokens = 16
    objective.batch_documents = 8  # of texts; users have a number of their own
    step = objective.steps(Pass(name, 0, len(objective.corpus)))[0]
    parts = objective.batches(step)
    monkeypatch.setattr(regularised, "tokens_at_once", lambda tokens, *_: 100 * tokens)
    [whole] = objective.batches(step)
    assert len(parts) > 1
    assert sum(map(documents, parts)) == documents(whole) == len(step)


@pytest.mark.parametrize(
    ("kind", "packs", "batches"), [("cpu", True, 3), ("meta", True, 2), ("meta", False, 3)]
)
def test_padding_counts_where_documents_are_not_packed(monkeypatch, kind, packs, batches):
    objective = tiny_objectives.every()["held-out"]
    objective.batch_tokens = 16
    monkeypatch.setattr(type(objective.model), "device", torch.device(kind))
    monkeypatch.setattr(regularised, "is_packed", lambda config: packs)
    found = objective.micro_batches(np.array([8, 1, 1, 7, 7, 7]), None)
    assert len(found) == batches


def documents(batch) -> int:
    return len(getattr(batch, "prompts", batch).lengths)


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("shapes differ"), False),
    ],
)
def test_only_errors_about_memory_are_that(error, is_memory):
    with pytest.raises(NoMemory if is_memory else RuntimeError), memory_for([]):
        raise error


def test_training_goes_on_from_its_checkpoint_with_fewer_tokens(
    tmp_path, backbone, monkeypatch, capsys
):
    """A device whose memory shrinks, as when another process takes a part, after the first pass."""
    run, room = RunDir(tmp_path / "run"), 200
    config = toy_config(backbone, "pretrain.enabled=false", "finetune.epochs=3")
    write_planted_world(tmp_path / "in", users=60, items=40, genres=4)
    with progress.quiet():
        prepare(tmp_path / "in", run, split=None, protocol="paper", config=config)
    own = Backbone.last

    def last(self, embedded, lengths):
        shrunk = run.file("checkpoints", "finetune").is_dir()
        if shrunk and torch.is_grad_enabled() and embedded.shape[:2].numel() > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return own(self, embedded, lengths)

    monkeypatch.setattr(Backbone, "last", last)

    def trained(*options: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            main(["train", "--run", str(run.path), *options, "--json"])
        return end.value.code, capsys.readouterr().err

    code, said = trained()
    error = said.strip().splitlines()[-1]
    assert code == 2
    assert "finetune: the device has no memory for " in error
    assert "set device_tokens (now without a limit) to " in error
    assert not run.is_done("finetune")
    before = json.loads(run.file("checkpoints", "finetune", "state.json").read_text())
    assert before["position"]["pass_number"] == 1
    code, said = trained("--set", f"device_tokens={room}")
    assert code == 0, said
    assert "finetune goes on where it stopped: pass 2 of " in said
    assert run.is_done("finetune")


def test_one_token_at_once_trains_the_same_model(tmp_path, backbone):
    """No document is that short: each is read alone."""
    write_planted_world(tmp_path / "in", users=60, items=40, genres=4)
    rows: dict[int, list[dict]] = {}
    read: dict[int, int] = {}
    own = Backbone.last
    for most in (0, 1):
        settings = "pretrain.enabled=false", "finetune.epochs=1", f"device_tokens={most}"
        run, config = RunDir(tmp_path / str(most)), toy_config(backbone, *settings)
        largest: list[int] = []

        def last(self, embedded, lengths, largest=largest):
            if torch.is_grad_enabled():
                largest.append(len(embedded))
            return own(self, embedded, lengths)

        with progress.quiet(), mock.patch.object(Backbone, "last", last):
            prepare(tmp_path / "in", run, split=None, protocol="paper", config=config)
            train(run, config)
        rows[most] = [row for row in run.metrics() if "loss" in row]
        read[most] = max(largest)
    assert read[0] > read[1] == 1
    assert len(rows[1]) == len(rows[0]) > 0
    for one, all_at_once in zip(rows[1], rows[0], strict=True):
        assert one["loss"] == pytest.approx(all_at_once["loss"], rel=1e-4)
