"""``--config paper``, whole, against the constants of the authors' code (LLM4Rec at d19ebd5)."""

from pathlib import Path
from typing import Any

import pytest

from cllm4rec.config import PAPER, PAPER_SMALL, SEQUENCES, SETS, Config, trained_as

DEVICES, DEVICE_BATCH = 8, 20  # scripts/run.sh; training.py and finetuning.py: batch_size
TRAINING = ("backbone", "corpus", "model", "pretrain", "finetune")

AUTHORS = {
    # training.py, finetuning.py: GPT2Model(_config) with the weights of gpt2, frozen, in float32
    "backbone.name": "openai-community/gpt2",
    "backbone.depth": "all",
    "backbone.mode": "frozen",
    "backbone.weights": "pretrained",
    "backbone.dtype": "float32",
    "backbone.dropout": 0.1,  # attn_pdrop, embd_pdrop, resid_pdrop
    "backbone.activation_checkpointing": False,
    # data.py: max_length=1024, prompts included; GPT-2's prompts have 9 and 8 tokens
    "corpus.max_items": 1024 - 9,
    "corpus.max_words": 1024 - 8,
    "corpus.words": "none",  # histories are item tokens alone
    # model.py: normal_(std=initializer_range); heads tied, bias=False; no other parameter
    "model.warm_start": "none",
    "model.history_skip": False,
    "model.projection": False,
    "model.bias": False,
    "model.linear": False,
    "model.content": True,
    "model.candidates": "all",  # item_head: nn.Linear(n_embd, num_items)
    "model.regulariser": "sum",  # lambda_V * MSELoss(reduction="sum")
    "model.item_texts": "none",  # item embeddings are free
    "model.softmax_items": 0,  # nn.CrossEntropy and log_softmax over all of them
    "model.prior_weight": 0.0,  # Adam without weight decay, no term of λ_l
    # training.py: num_pretrained_epochs, num_epochs, learning_rate; vocabulary: lm_head
    "pretrain.enabled": True,
    "pretrain.content_warmup_epochs": 10.0,
    "pretrain.rounds": 100,
    "pretrain.learning_rate": 1e-3,
    "pretrain.schedule": "constant",
    "pretrain.batch_documents": DEVICES * DEVICE_BATCH,
    "pretrain.mutual_weight": 1.0,  # run.sh: lambda_V=1
    "pretrain.vocabulary": "full",
    # finetuning.py: num_epochs, learning_rate; data.py: int(len * 0.2), at least one
    "finetune.epochs": 150,
    "finetune.least_steps": 0,
    "finetune.patience": 150,
    "finetune.content_steps": True,
    "finetune.learning_rate": 1e-4,
    "finetune.schedule": "constant",
    "finetune.batch_users": DEVICES * DEVICE_BATCH,
    "finetune.dropout": 0.0,
    "finetune.user_token_dropout": 0.0,
    "finetune.holdout": 0.2,
    "finetune.holdout_draw": "exact",
    "finetune.mutual_weight": 1.0,
    "finetune.text_prior_weight": 0.0,  # of items made of texts, which there are none of
    "finetune.average": 0.0,
}
PAPERS_OWN = {
    "corpus.order": "random",  # theirs: item numbers ascending in pretraining
    "finetune.target": "holdout",  # theirs: the whole history
}
"""What the paper says and their code does not do."""
NOT_READ = {
    "backbone.lora_rank",
    "model.skip_decay",
    "model.reading_depth",
    "corpus.title_words",
    "corpus.history_words",
    "pretrain.head_learning_rate_scale",
    "finetune.head_learning_rate_scale",
    "finetune.backbone_learning_rate_scale",
    "finetune.head_full_rate_interactions",
    "pretrain.batch_tokens",  # micro-batches: memory
    "finetune.batch_tokens",
}
"""Settings of parts that the paper's model has not."""

ONCE = {
    "backbone.name": "smollm2-135m",
    "backbone.dtype": "auto",
    "backbone.dropout": 0.0,
    "corpus.max_items": 256,
    "corpus.max_words": 64,
    "model.bias": True,
    "model.candidates": "trained",
    "model.regulariser": "mean",
    "pretrain.schedule": "cosine",
    "pretrain.batch_documents": 0,
    "finetune.schedule": "cosine",
    "finetune.batch_users": 64,
    "finetune.content_steps": False,
    "finetune.holdout_draw": "uniform",
}
"""What ``paper`` had until 2026-11-28, where it was not the paper's."""


def flat(config: Config) -> dict[str, Any]:
    """Every setting of training by its key."""
    values = config.model_dump(include=set(TRAINING))
    return {f"{name}.{key}": value for name in values for key, value in values[name].items()}


def differences(config: Config) -> set[str]:
    """Settings that are not the paper's."""
    wanted = {**AUTHORS, **PAPERS_OWN}
    return {
        key
        for key, value in flat(config).items()
        if key not in NOT_READ and value != wanted.get(key, "no such constant")
    }


def changed(key: str, value: Any) -> Config:
    section, name = key.split(".")
    return PAPER.changed(**{section: {name: value}})


def test_every_setting_is_the_authors_or_the_papers_own_or_read_by_nothing():
    assert differences(PAPER) == set()
    assert flat(PAPER).keys() == AUTHORS.keys() | PAPERS_OWN.keys() | NOT_READ
    assert not NOT_READ & (AUTHORS.keys() | PAPERS_OWN.keys())


@pytest.mark.parametrize("key", ONCE)
def test_what_the_preset_once_had_is_told(key):
    assert differences(changed(key, ONCE[key])) == {key}


def test_what_the_code_of_the_authors_does_otherwise_is_named_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "method.md").read_text(encoding="utf-8")
    [section] = [part for part in page.split("\n## ") if part.startswith("The preset paper,")]
    for key, value in PAPERS_OWN.items():
        assert f'`{key} = "{value}"`' in section
    assert f"`{PAPER.backbone.name}`" in section


def test_the_small_one_is_another_preset_and_says_so():
    assert PAPER_SMALL.preset == "paper-small"
    assert differences(PAPER_SMALL) == {
        "backbone.name",
        "backbone.depth",
        "backbone.dtype",
        "corpus.max_items",
        "corpus.max_words",
        "pretrain.content_warmup_epochs",
        "pretrain.rounds",
        "pretrain.batch_documents",
        "pretrain.vocabulary",
        "finetune.epochs",
        "finetune.patience",
        "finetune.batch_users",
    }
    for key in ("pretrain.rounds", "pretrain.batch_documents", "finetune.epochs"):
        assert flat(PAPER_SMALL)[key] * 10 == flat(PAPER)[key]


def test_a_changed_preset_is_not_called_by_its_name_alone():
    assert trained_as(PAPER) == trained_as(PAPER.changed(seed=4, device="cuda")) == "paper"
    assert trained_as(PAPER_SMALL) == "paper-small"
    assert trained_as(changed("backbone.depth", 2)) == "paper with another backbone.depth"


@pytest.mark.parametrize("preset", [SETS, SEQUENCES])
def test_the_other_presets_train_as_they_did(preset):
    for key in ONCE.keys() - {"finetune.batch_users"}:
        assert flat(preset)[key] == ONCE[key]
    assert preset.model.prior_weight == 0
