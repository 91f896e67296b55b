"""Operations and memory traffic of an epoch and of lists, by the formulas of `planning.flops`."""

import math

from cllm4rec.baselines.taken_for_new import USERS as PLACED_USERS
from cllm4rec.config import Config
from cllm4rec.evaluation.selection import MAX_USERS
from cllm4rec.models.device import room_for
from cllm4rec.planning.flops import Cost, adam, backbone, head, product
from cllm4rec.planning.memory import NUMBER, tables, text_dimensions, trained_bytes
from cllm4rec.planning.size import PROMPT_TOKENS, TRAINED_SHARE, Model, Size
from cllm4rec.recommender.calibration import MOST_SCORES, MOST_TAKEN
from cllm4rec.stages.epochs import epochs_of

ITEMSIZE = 2
"""Bytes of a number in products: bfloat16."""
TABLE_PASSES = 12
"""Passes over the item table in a step beside Adam's: the softmax's gradient is cleared, added to
and scaled, the looked-up rows' is cleared and added, both are summed, its norm is taken, and the
average is moved."""


def maps_of(config: Config) -> int:
    """Square maps of the item head."""
    return int(config.model.projection) + int(config.model.history_skip)


def softmax_items(size: Size, config: Config) -> int:
    """Candidates in the training softmax of a micro-batch: all items, or about so many."""
    return min(size.items, config.model.softmax_items or size.items)


def document_tokens(size: Size, config: Config) -> float:
    """Mean tokens of a document of finetuning."""
    history, given = size.history(config, TRAINED_SHARE), config.finetune
    if given.target == "next":
        return history + PROMPT_TOKENS // 2
    kept = 1 - given.holdout / (2 if given.holdout_draw == "uniform" else 1)
    return history * kept + PROMPT_TOKENS


def step(size: Size, model: Model, config: Config, *, lazy: bool = False) -> tuple[Cost, float]:
    """One optimiser step of finetuning: its products, and bytes of passes over what is trained.

    Every history has the mean length.

    Args:
        size: of the problem.
        model: widths.
        config: complete settings.
        lazy: whether the user table is (`training.lazy`); nothing passes over it then.
    """
    length = document_tokens(size, config)
    trained = config.backbone.mode == "full"
    if config.finetune.target == "next":
        documents = max(1.0, config.finetune.batch_tokens / length)
        scored = documents * size.history(config, TRAINED_SHARE)
    else:
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
        round(scored),
        model.shape.size,
        softmax_items(size, config),
        ITEMSIZE,
        maps=maps_of(config),
        learning=True,
    )
    if texts := text_dimensions(size, config):
        # The items' vectors from their texts, and the gradient of the map that makes them.
        products += product(size.items, texts, model.shape.size, NUMBER) * 2
    items, users = tables(size, model, config)
    numbers = (trained_bytes(size, model, config) - (users if lazy else 0)) / NUMBER
    passes = TABLE_PASSES * items
    return products, adam(round(numbers)).moved + passes


def tokens_at_once(size: Size, model: Model, config: Config, memory: float | None) -> float:
    """Tokens of a micro-batch of finetuning: on a GPU all of a step, where it has room.

    Args:
        size: of the problem.
        model: widths.
        config: complete settings.
        memory: of the GPU, in bytes; None for a processor.
    """
    most = float(config.finetune.batch_tokens)
    if memory is not None and config.finetune.target != "next":  # there it is a step's size
        whole = config.finetune.batch_users * document_tokens(size, config)
        room = room_for(memory, model.shape.depth, model.shape.size)
        most = max(most, min(whole, float(room)))
    return min(most, config.device_tokens or most)


def steps_per_epoch(size: Size, config: Config) -> float:
    """Optimiser steps of a pass over the users."""
    if config.finetune.target == "next":
        length = document_tokens(size, config)
        return max(1.0, size.users * length / config.finetune.batch_tokens)
    return max(1.0, size.users / config.finetune.batch_users)


def epochs(size: Size, config: Config) -> int:
    """Passes over the users, more than ``finetune.epochs`` where these have few steps."""
    return epochs_of(config.finetune, math.ceil(steps_per_epoch(size, config)))


def validated(size: Size, config: Config) -> int:
    """Users of all validations: one before finetuning, one after each epoch."""
    return (1 + epochs(size, config)) * min(size.users, MAX_USERS)


def placing(size: Size) -> tuple[int, int, float]:
    """Users, scores and pairs of texts of `recommender.calibration`.

    A tenth of the items with interactions, which are drawn evenly here, is compared with the rest.
    """
    users = min(size.users, PLACED_USERS, max(1, MOST_SCORES // size.items))
    known = size.items * -math.expm1(-TRAINED_SHARE * size.interactions / size.items)
    taken = min(known / 10, MOST_TAKEN)
    return users, users * size.items, taken * (known - taken)


def one_list(size: Size, model: Model, config: Config, share: float = 1.0) -> Cost:
    """Scores of the whole catalogue for one user, ``share`` of whose mean history is known."""
    length = max(1, round(size.history(config, share) + PROMPT_TOKENS))
    read = backbone(model.shape, [length], ITEMSIZE, learning=False, last_only=True)
    scored = head(1, model.shape.size, size.items, ITEMSIZE, maps=maps_of(config), learning=False)
    return read + scored
