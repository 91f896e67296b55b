"""The presets: complete configurations, each known to be right for some kind of data."""

from cllm4rec.config.complete import Config
from cllm4rec.config.sections import (
    BackboneConfig,
    CorpusConfig,
    DataConfig,
    EvaluateConfig,
    FinetuneConfig,
    Measure,
    ModelConfig,
    PretrainConfig,
)


def reported_measures(*, newest_held_out: bool) -> list[Measure]:
    """What results tables report, and what selects, where each user's newest are held out or not.

    For sets the measures are those of the authors' code.
    """
    if newest_held_out:
        return ["recall@10", "ndcg@10"]
    return ["recall@20", "recall@40", "ndcg@100"]


SETS = Config(
    preset="sets",
    seed=0,
    threads=0,
    device="cpu",
    data=DataConfig(),
    backbone=BackboneConfig(
        name="smollm2-135m",
        depth=2,
        mode="full",
        weights="random",
        dtype="auto",
        lora_rank=8,
    ),
    corpus=CorpusConfig(
        order="random",
        max_items=256,
        max_words=64,
    ),
    model=ModelConfig(
        warm_start="factors",
        history_skip=True,
        skip_decay=1.0,
        linear=True,
        projection=True,
        content=True,
    ),
    pretrain=PretrainConfig(
        enabled=False,
        content_warmup_epochs=0.5,
        rounds=1,
        content_epochs_per_round=0.5,
        learning_rate=1e-3,
        batch_tokens=4096,
        head_learning_rate_scale=0.1,
        mutual_weight=1.0,
        vocabulary="corpus",
        weight_decay=0.0,
    ),
    finetune=FinetuneConfig(
        target="holdout",
        epochs=20,
        patience=20,
        learning_rate=2e-4,
        batch_users=64,
        batch_tokens=4096,
        head_learning_rate_scale=0.3,
        backbone_learning_rate_scale=0.1,
        dropout=0.3,
        user_token_dropout=1.0,
        holdout=0.6,
        mutual_weight=0.1,
        weight_decay=0.0,
        average=1.0,
    ),
    evaluate=EvaluateConfig(selection=reported_measures(newest_held_out=False)),
)
"""For interactions held out at random (docs/decisions/0007, 0009, 0011, 0013).

Validation drops first and recovers after about half the schedule, so early stopping is off.
"""

SEQUENCES = SETS.changed(
    preset="sequences",
    backbone={"weights": "pretrained"},
    corpus={"order": "time"},
    model={"skip_decay": 0.8},
    finetune={
        "target": "next",
        "epochs": 10,
        "patience": 3,
        "learning_rate": 3e-3,
        "backbone_learning_rate_scale": 0.03,
        "holdout": 0.5,
        "mutual_weight": 0.0,
        "average": 0.0,
    },
    evaluate={"selection": reported_measures(newest_held_out=True)},
)
"""For each user's newest interactions held out (docs/decisions/0004)."""

PAPER = SETS.changed(
    preset="paper",
    backbone={"mode": "frozen", "depth": "all", "weights": "pretrained"},
    model={"warm_start": "none", "history_skip": False, "linear": False, "projection": False},
    pretrain={
        "enabled": True,
        "rounds": 100,
        "content_warmup_epochs": 10.0,
        "vocabulary": "full",
        "head_learning_rate_scale": 1.0,
    },
    finetune={
        "epochs": 150,
        "patience": 150,
        "learning_rate": 1e-4,
        "head_learning_rate_scale": 1.0,
        "dropout": 0.0,
        "user_token_dropout": 0.0,
        "holdout": 0.2,
        "mutual_weight": 1.0,
        "average": 0.0,
    },
)
"""The paper's method with the authors' settings where they are known: about a day of two cores.

Differences that remain are listed in docs/method.md.
"""

PRESETS: dict[str, Config] = {"sets": SETS, "sequences": SEQUENCES, "paper": PAPER}
