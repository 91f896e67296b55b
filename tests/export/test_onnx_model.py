"""The ONNX model computes what torch computes, for any batch of any length."""

import json
import shutil
import sys

import numpy as np
import onnxruntime
import pytest
import torch

from cllm4rec import progress
from cllm4rec.config import Config
from cllm4rec.errors import InputError, IntegrityError
from cllm4rec.export import onnx_model
from cllm4rec.export.onnx_model import UserVector, in_float32, write_onnx
from cllm4rec.models.build import collaborative_llm
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.recommender.audience import Audience
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.scorer import ModelScorer
from cllm4rec.tasks import task_for
from cllm4rec.tokens.space import ANONYMOUS, NOBODY
from support.tiny_backbone import write_tiny_gpt2, write_tiny_llama

VARIANTS = {
    "llama": {},
    "bfloat16": {"backbone": {"dtype": "bfloat16"}},
    "trained in bfloat16": {"backbone": {"mode": "full", "dtype": "bfloat16"}},
    "next, adapters": {
        "backbone": {"mode": "lora", "lora_rank": 2},
        "corpus": {"order": "time"},
        "finetune": {"target": "next"},
        "model": {"skip_decay": 0.8},
    },
    "the paper's, gpt2": {"model": {"projection": False, "history_skip": False}},
}
"""An export takes some six seconds, so two of them vary backbone and head at once."""


def scorer_of(recommender: Recommender, tmp_path, name: str) -> ModelScorer:
    """The toy run's data under other settings, every weight drawn at random."""
    write = write_tiny_gpt2 if "gpt2" in name else write_tiny_llama
    # An export takes as long as there are layers; the plain Llama has two.
    layers = 2 if name == "llama" else 1
    values = recommender.config.model_dump()
    for section, changes in VARIANTS[name].items():
        values[section] |= changes
    values["backbone"]["name"] = str(write(tmp_path / "backbone", layers=layers))
    values["backbone"]["depth"] = layers
    config, dataset = Config.model_validate(values), recommender.dataset
    lm = LanguageModel.load(config)
    task = task_for(config, lm, len(dataset.users), len(dataset.items))
    space, generator = task.space, torch.Generator().manual_seed(1)
    rows = space.num_users + space.num_items
    table = torch.randn(rows, lm.size, generator=generator) * 0.1
    model = collaborative_llm(lm, config, table[: space.num_users], table[space.num_users :])
    with torch.no_grad():
        for parameter in (*model.head.parameters(), *model.backbone.parameters()):
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator) * 0.2
                parameter.add_(noise.to(parameter.dtype))
    trained = np.ones(len(dataset.users), bool)
    return ModelScorer(model=model.eval(), task=task, trained_users=trained)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_vectors_are_torchs(recommender, tmp_path, name, monkeypatch):
    scorer = scorer_of(recommender, tmp_path, name)
    if "gpt2" in name:  # as where protobuf's 2 GB would not do
        monkeypatch.setattr(onnx_model, "ONE_FILE_BYTES", 0)
    audience = Audience.of_run(recommender.dataset)
    with progress.quiet():
        checked = write_onnx(scorer, audience, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx.data").exists() == ("gpt2" in name)
    assert checked["documents"] == len(audience)
    assert checked["max_abs_difference"] <= checked["tolerance"]
    coarse = "bfloat16" in name
    assert (checked["max_abs_difference_from_run"] > checked["tolerance"]) == coarse
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert [(x.name, x.shape) for x in session.get_inputs()] == [
        ("tokens", ["batch", "length"]),
        ("lengths", ["batch"]),
    ]
    model = UserVector(in_float32(scorer.model))
    space = scorer.task.space
    rng = np.random.default_rng(0)
    for rows, length in ((1, 1), (1, 9), (5, 2), (3, 40)):
        tokens = rng.integers(0, space.size, (rows, length))
        tokens[:, 0] = rng.choice([ANONYMOUS, NOBODY, 0], rows)
        lengths = rng.integers(1, length + 1, rows)
        tokens[np.arange(length) >= lengths[:, None]] = 0
        (found,) = session.run(None, {"tokens": tokens, "lengths": lengths})
        with torch.no_grad():
            wanted = model(torch.from_numpy(tokens), torch.from_numpy(lengths))
        np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["llama", "next, adapters", "the paper's, gpt2"])
def test_the_exported_module_is_the_models_query(recommender, tmp_path, name):
    scorer = scorer_of(recommender, tmp_path, name)
    model = UserVector(scorer.model)
    audience = Audience.of_run(recommender.dataset)
    for _, batch in scorer.batches(audience.numbers, audience.histories):
        with torch.no_grad():
            found, wanted = model(batch.tokens, batch.lengths), scorer.model.last_queries(batch)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_model_that_computes_something_else_is_refused(
    exported, recommender, tmp_path, monkeypatch
):
    """An export gone wrong: here, another model's."""
    scorer = scorer_of(recommender, tmp_path, "llama")
    other = exported / "user_vector.onnx"
    monkeypatch.setattr(
        onnx_model, "_export", lambda _model, _batch, path: shutil.copy(other, path)
    )
    with progress.quiet(), pytest.raises(IntegrityError, match=r"more than .*--no-onnx"):
        write_onnx(scorer, Audience.of_run(recommender.dataset), tmp_path / "m.onnx")


def test_documents_can_be_written_from_the_manifest(exported, recommender):
    """Without this package: tokens of a known user's history, as the manifest tells."""
    prompt = json.loads((exported / "manifest.json").read_text())["prompt"]
    dataset = recommender.dataset
    session = onnxruntime.InferenceSession(exported / "user_vector.onnx")
    history = dataset.known("recommend").of(4)
    tokens = []
    for part in prompt["template"]:
        if part == "items":
            tokens += [prompt["first_item"] + int(item) for item in history]
        else:
            tokens.append(prompt["first_user"] + 4 if part == "user" else part)
    given = {"tokens": np.array([tokens]), "lengths": np.array([len(tokens)])}
    (vector,) = session.run(None, given)
    assert prompt["user_tokens"]
    assert prompt["order"] == "random"
    user = np.array([4], np.int32)
    [(_, own)] = recommender.scorer.queries(user, dataset.known("recommend").rows(user))
    # The order of a set is drawn; another order is the same question, not the same document.
    assert np.corrcoef(vector[0], own[0].numpy())[0, 1] > 0.9


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_a_library_that_is_missing_is_named(recommender, tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf"needs {library}; .*'\.\[export\]' -c constraints\.txt"):
        write_onnx(
            recommender.scorer,
            Audience.of_run(recommender.dataset),
            tmp_path / "m.onnx",
        )
