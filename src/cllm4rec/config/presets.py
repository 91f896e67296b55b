"""The presets: complete configurations, each known to be right for some kind of data."""

from cllm4rec.config.complete import Config
from cllm4rec.config.sections import (
    BackboneConfig,
    CorpusConfig,
    DataConfig,
    EvaluateConfig,
    Measure,
    ModelConfig,
)
from cllm4rec.config.training import FinetuneConfig, PretrainConfig


def reported_measures(*, newest_held_out: bool, new_items: bool = False) -> list[Measure]:
    """What results tables report, and what selects.

    For sets the measures are those of the authors' code.

    Args:
        newest_held_out: whether the held-out interactions are each user's newest.
        new_items: whether they are those of items that training has not seen.
    """
    if new_items:
        return ["recall@20"]
    if newest_held_out:
        return ["recall@10", "ndcg@10"]
    return ["recall@20", "recall@40", "ndcg@100"]


SETS = Config(
    preset="sets",
    seed=0,
    threads=0,
    device="auto",
    device_tokens=0,
    data=DataConfig(),
    backbone=BackboneConfig(
        name="smollm2-135m",
        depth=2,
        mode="full",
        weights="random",
        dtype="auto",
        lora_rank=8,
        dropout=0.0,
    ),
    corpus=CorpusConfig(
        order="random",
        max_items=256,
        max_words=64,
        words="none",
        title_words=16,
        history_words=256,
    ),
    model=ModelConfig(
        warm_start="factors",
        history_skip=True,
        skip_decay=1.0,
        linear=True,
        reading_depth=8,
        item_texts="none",
        projection=True,
        bias=True,
        candidates="trained",
        softmax_items=0,
        regulariser="mean",
        prior_weight=0.0,
        content=True,
    ),
    pretrain=PretrainConfig(
        enabled=False,
        content_warmup_epochs=0.5,
        rounds=1,
        learning_rate=1e-3,
        schedule="cosine",
        batch_documents=0,
        batch_tokens=4096,
        head_learning_rate_scale=0.1,
        mutual_weight=1.0,
        vocabulary="corpus",
    ),
    finetune=FinetuneConfig(
        target="holdout",
        epochs=20,
        least_steps=0,
        patience=20,
        content_steps=False,
        learning_rate=2e-4,
        schedule="cosine",
        batch_users=64,
        batch_tokens=4096,
        head_learning_rate_scale=0.3,
        head_full_rate_interactions=0,
        backbone_learning_rate_scale=0.1,
        dropout=0.3,
        user_token_dropout=1.0,
        holdout=0.6,
        holdout_draw="uniform",
        mutual_weight=0.1,
        text_prior_weight=0.0,
        average=1.0,
    ),
    evaluate=EvaluateConfig(selection=reported_measures(newest_held_out=False)),
)
"""For interactions held out at random (docs/decisions/0007, 0009, 0011, 0013).

Validation drops first and recovers after about half the schedule, so early stopping is off.
"""

SEQUENCES = SETS.changed(
    preset="sequences",
    corpus={"order": "time"},
    model={"skip_decay": 0.8, "item_texts": "auto"},
    finetune={
        "target": "next",
        "epochs": 8,
        "least_steps": 250,
        "patience": 20,
        "learning_rate": 3e-3,
        "head_learning_rate_scale": 0.03,
        "head_full_rate_interactions": 20_000,
        "dropout": 0.5,
        "backbone_learning_rate_scale": 0.03,
        "holdout": 0.5,
        "mutual_weight": 0.0,
        "average": 0.0,
    },
    evaluate={"selection": reported_measures(newest_held_out=True)},
)
"""For each user's newest held out (docs/decisions/0004, 0009, 0025, 0036, 0038, 0040)."""

PAPER = SETS.changed(
    preset="paper",
    backbone={
        "name": "openai-community/gpt2",
        "depth": "all",
        "mode": "frozen",
        "weights": "pretrained",
        "dtype": "float32",
        "dropout": 0.1,
    },
    corpus={"max_items": 1015, "max_words": 1016},
    model={
        "warm_start": "none",
        "history_skip": False,
        "linear": False,
        "projection": False,
        "bias": False,
        "candidates": "all",
        "regulariser": "sum",
    },
    pretrain={
        "enabled": True,
        "content_warmup_epochs": 10.0,
        "rounds": 100,
        "schedule": "constant",
        "batch_documents": 160,
        "vocabulary": "full",
    },
    finetune={
        "epochs": 150,
        "patience": 150,
        "content_steps": True,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "batch_users": 160,
        "dropout": 0.0,
        "user_token_dropout": 0.0,
        "holdout": 0.2,
        "holdout_draw": "exact",
        "mutual_weight": 1.0,
        "average": 0.0,
    },
)
"""The paper, with the values of the authors' code; docs/method.md names what differs, and why.

With GPT-2's words, 1,015 items or 1,016 words and their prompts are documents of 1,024 tokens.
"""

PAPER_SMALL = PAPER.changed(
    preset="paper-small",
    backbone={"name": "smollm2-135m", "depth": 2, "dtype": "auto"},
    corpus={"max_items": 256, "max_words": 64},
    pretrain={
        "content_warmup_epochs": 1.0,
        "rounds": 10,
        "batch_documents": 16,
        "vocabulary": "corpus",
    },
    finetune={"epochs": 15, "patience": 15, "batch_users": 16},
)
"""The paper's method for processors: two layers and a tenth of its passes. Never the paper itself.

Steps have a tenth of the documents, so there are as many of them as in the paper's schedule.
"""

PRESETS: dict[str, Config] = {
    "sets": SETS,
    "sequences": SEQUENCES,
    "paper": PAPER,
    "paper-small": PAPER_SMALL,
}

TRAINING = ("backbone", "corpus", "model", "pretrain", "finetune")
"""Sections that decide what is trained."""


def trained_as(config: Config) -> str:
    """The preset by name, with the settings of training that are not its own: for tables and cards.

    Examples:
        >>> trained_as(PAPER.changed(backbone={"depth": 2}))  # doctest: +SKIP
        'paper with another backbone.depth'
    """
    own, preset = config.model_dump(), PRESETS[config.preset].model_dump()
    changed = [
        f"{section}.{key}"
        for section in TRAINING
        for key, value in own[section].items()
        if value != preset[section][key]
    ]
    return f"{config.preset} with another {', '.join(changed)}" if changed else config.preset
