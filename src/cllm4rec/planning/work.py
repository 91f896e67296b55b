"""Operations and memory traffic of an epoch and of lists, by the formulas of `planning.flops`."""

from cllm4rec.config import Config
from cllm4rec.planning.flops import Cost, adam, backbone, head
from cllm4rec.planning.memory import NUMBER, tables, trained_bytes
from cllm4rec.planning.size import PROMPT_TOKENS, TRAINED_SHARE, Model, Size

ITEMSIZE = 2
"""Bytes of a number in products: bfloat16."""
TABLE_PASSES = 12
"""Passes over the item table in a step beside Adam's: the softmax's gradient is cleared, added to
and scaled, the looked-up rows' is cleared and added, both are summed, its norm is taken, and the
average is moved."""


def maps_of(config: Config) -> int:
    """Square maps of the item head."""
    return int(config.model.projection) + int(config.model.history_skip)


def step(size: Size, model: Model, config: Config) -> tuple[Cost, float]:
    """One optimiser step of finetuning: its products, and bytes of passes over what is trained.

    Every history has the mean length.
    """
    history = size.history(config, TRAINED_SHARE)
    trained = config.backbone.mode == "full"
    if config.finetune.target == "next":
        length = history + PROMPT_TOKENS // 2
        documents = max(1.0, config.finetune.batch_tokens / length)
        scored = documents * history
    else:
        kept = 1 - config.finetune.holdout / (2 if config.finetune.holdout_draw == "uniform" else 1)
        length = history * kept + PROMPT_TOKENS
        documents = scored = float(config.finetune.batch_users)
    whole = max(1, round(length))
    products = backbone(
        model.shape,
        [whole] * round(documents),
        ITEMSIZE,
        learning=True,
        trained=trained,
        last_only=config.finetune.target == "holdout",
    ) + head(
        round(scored), model.shape.size, size.items, ITEMSIZE, maps=maps_of(config), learning=True
    )
    numbers = trained_bytes(size, model, config) / NUMBER
    passes = TABLE_PASSES * tables(size, model, config)[0]
    return products, adam(round(numbers)).moved + passes


def steps_per_epoch(size: Size, config: Config) -> float:
    """Optimiser steps of a pass over the users."""
    if config.finetune.target == "next":
        length = size.history(config, TRAINED_SHARE) + PROMPT_TOKENS // 2
        return max(1.0, size.users * length / config.finetune.batch_tokens)
    return max(1.0, size.users / config.finetune.batch_users)


def one_list(size: Size, model: Model, config: Config) -> Cost:
    """Scores of the whole catalogue for one user of mean history."""
    length = max(1, round(size.history(config) + PROMPT_TOKENS))
    read = backbone(model.shape, [length], ITEMSIZE, learning=False, last_only=True)
    scored = head(1, model.shape.size, size.items, ITEMSIZE, maps=maps_of(config), learning=False)
    return read + scored
