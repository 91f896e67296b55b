"""Settings of a run that takes seconds."""

from pathlib import Path

from cllm4rec.config import SETS, Config, Request, request_of, resolve

PLAIN = SETS.changed(
    backbone={"mode": "frozen", "weights": "pretrained"},
    pretrain={"enabled": True},
    finetune={
        "epochs": 2,
        "patience": 3,
        "learning_rate": 1e-3,
        "head_learning_rate_scale": 0.1,
        "dropout": 0.0,
        "user_token_dropout": 0.2,
        "holdout": 0.5,
        "average": 0.0,
    },
)
"""Every part is used, briefly: both stages of training, user tokens, a frozen backbone."""


def toy_config(folder: Path, *overrides: str) -> Config:
    """The plain settings, with some changed, around a toy backbone."""
    return resolve(request_of(PLAIN, [*toy(folder), *overrides]), newest_held_out=False)


def toy_request(folder: Path, *overrides: str) -> Request:
    """What the data decide, around a toy backbone."""
    return request_of("auto", [*toy(folder), *overrides])


def toy(folder: Path) -> list[str]:
    """Overrides that make any settings a matter of seconds."""
    return [
        f'backbone.name="{folder}"',
        "backbone.dtype=float32",
        "threads=1",
        "device=cpu",  # so that tests are the same on every machine
        "evaluate.bootstrap=50",
        "evaluate.baselines=['popularity', 'item-knn', 'ease', 'ease-text']",
    ]
