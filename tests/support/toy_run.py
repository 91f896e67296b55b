"""Settings of a run that takes seconds."""

from pathlib import Path

from cllm4rec.config import Config, load_config


def toy_config(folder: Path, *overrides: str) -> Config:
    """Plain settings, all given; with ``corpus.order=auto`` the data decide those not named."""
    config = load_config(
        None,
        [
            f'backbone.name="{folder}"',
            "backbone.dtype=float32",
            "threads=1",
            "corpus.order=random",
            "pretrain.rounds=1",
            "finetune.epochs=2",
            "evaluate.bootstrap=50",
            "evaluate.baselines=['popularity', 'item-knn', 'ease', 'ease-text']",
            *overrides,
        ],
    )
    if config.corpus.order == "auto":
        return config
    return Config.model_validate(config.model_dump())
