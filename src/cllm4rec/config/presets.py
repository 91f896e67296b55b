"""Settings that go together: the paper's, and those of each kind of data.

Plain values, as a TOML file would give them; `config` checks them and says when they are used.
"""

from typing import Any

PAPER: dict[str, Any] = {
    "backbone": {"mode": "frozen", "depth": "all"},
    "corpus": {"order": "random"},
    "model": {
        "warm_start": "none",
        "history_skip": False,
        "prior": False,
        "projection": False,
    },
    "pretrain": {
        "rounds": 100,
        "content_warmup_epochs": 10.0,
        "vocabulary": "full",
        "maps_rate": 1.0,
    },
    "finetune": {
        "epochs": 150,
        "patience": 150,
        "learning_rate": 1e-4,
        "holdout": 0.2,
        "mutual_weight": 1.0,
        "user_token_dropout": 0.0,
        "maps_rate": 1.0,
    },
}
"""The paper's method with the authors' settings, nothing added: about a day of two cores."""

SETS: dict[str, Any] = {
    "backbone": {"mode": "full", "weights": "random"},
    "corpus": {"order": "random"},
    "pretrain": {"enabled": False},
    "finetune": {
        "epochs": 20,
        "patience": 20,
        "learning_rate": 2e-4,
        "maps_rate": 0.3,
        "user_token_dropout": 1.0,
        "dropout": 0.3,
        "holdout": 0.6,
        "average": 1.0,
    },
}
"""Where interactions held out at random are what is to be predicted.

Training begins with a fall that takes half of it to make up for: it is not stopped there.

Why these: docs/decisions/0007, 0009, 0011, 0013.
"""

SEQUENCES: dict[str, Any] = {
    "backbone": {"mode": "full"},
    "corpus": {"order": "time"},
    "model": {"skip_decay": 0.8},
    "pretrain": {"enabled": False},
    "finetune": {
        "target": "next",
        "epochs": 10,
        "learning_rate": 3e-3,
        "maps_rate": 0.3,
        "backbone_rate": 0.03,
        "user_token_dropout": 1.0,
        "dropout": 0.3,
        "mutual_weight": 0.0,
    },
}
"""Where the newest interactions are what is to be predicted (docs/decisions/0004)."""
