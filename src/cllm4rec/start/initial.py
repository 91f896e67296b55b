"""Initial token vectors and item head (``model.warm_start``)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cllm4rec import progress
from cllm4rec.baselines import Context
from cllm4rec.config import Config
from cllm4rec.data.dataset import Dataset
from cllm4rec.evaluation.selection import Selection
from cllm4rec.linear.factors import TEXT_SHARE, item_factors
from cllm4rec.linear.text_vectors import item_text_vectors
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.seeds import derived_seed
from cllm4rec.start.search import FactorStart, as_chosen, search
from cllm4rec.start.vectors import history_means, noise, random_rotation, word_means

SELECTING_USERS = 4_000
"""Validation users that choose the factors: training moves them anyway, and a try takes long."""


@dataclass(frozen=True)
class Start:
    """Initial values.

    Attributes:
        collaborative: z^l of the items, ``[items, size]``.
        content: z^c of the items, ``[items, size]``.
        collaborative_users: z^l of the users, ``[users, size]``; no rows without user tokens.
        content_users: z^c of the users, same shape.
        bias: of the item head, ``[items]``.
        log_scale: of the item head.
        settings: chosen by the search; for the run's record.
    """

    collaborative: Tensor
    content: Tensor
    collaborative_users: Tensor
    content_users: Tensor
    bias: Tensor
    log_scale: float
    settings: dict[str, float]


def initial_values(
    dataset: Dataset,
    config: Config,
    lm: LanguageModel,
    num_users: int,
    chosen: Mapping[str, float] | None = None,
) -> Start:
    """Initial values for training.

    Args:
        dataset: the training part is factorised, the validation part selects.
        config: of the run.
        lm: its word embeddings give scale and width.
        num_users: number of users with vectors: all or 0.
        chosen: settings of the factors; None to search them on validation.
    """
    num_items, seed = len(dataset.items), config.seed
    no_bias = torch.zeros(num_items)
    if config.model.warm_start == "none":
        own, content = (
            noise(num_users + num_items, lm.words, derived_seed(seed, "warm start", side))
            for side in ("collaborative", "content")
        )
        users = own[:num_users], content[:num_users]
        return Start(own[num_users:], content[num_users:], *users, no_bias, 0.0, {})
    texts = _texts(dataset, config)
    if config.model.warm_start == "words":
        encoded = lm.tokenizer.encode(texts)
        items = word_means(encoded, lm.words, derived_seed(seed, "warm start"))
        return _same_on_both_sides(dataset, items, num_users, no_bias, 0.0, {})
    start = _factors(dataset, config, lm.size, texts, chosen)
    items = random_rotation(start.vectors, lm.words, derived_seed(seed, "rotation"))
    temperature = start.inverse_temperature
    # Scaling the vectors scales their products by the square; the head's scale compensates.
    scale = float(items.norm(dim=1).mean().square().reciprocal() * temperature)
    settings = {
        **start.settings,
        "selection": start.selection,
        "inverse_temperature": temperature,
    }
    bias = torch.from_numpy(start.bias) * temperature
    return _same_on_both_sides(dataset, items, num_users, bias, math.log(scale), settings)


def _same_on_both_sides(
    dataset: Dataset,
    items: Tensor,
    num_users: int,
    bias: Tensor,
    log_scale: float,
    settings: dict[str, float],
) -> Start:
    """Equal z^l and z^c, so regularisation starts at zero; users are history means."""
    train = dataset.part("train")
    users = history_means(items, train.offsets, train.items) if num_users else items[:0]
    return Start(items, items, users, users, bias, log_scale, settings)


def _texts(dataset: Dataset, config: Config) -> Sequence[str]:
    """One text per item; empty if texts are disabled."""
    return Context.of(dataset).words if config.model.content else [""] * len(dataset.items)


def _factors(
    dataset: Dataset,
    config: Config,
    size: int,
    texts: Sequence[str],
    chosen: Mapping[str, float] | None,
) -> FactorStart:
    seed = derived_seed(config.seed, "factors")
    text_size = int(size * TEXT_SHARE)
    with progress.task("Factorising the texts"):
        content = item_text_vectors(list(texts), dimensions=text_size, seed=seed)
    with progress.task("Factorising the interactions"):
        train = dataset.part("train")
        collaborative = item_factors(train, dimensions=size - content.shape[1], seed=seed)
    if chosen is not None:
        return as_chosen(dataset, collaborative, content, chosen)
    selected_by = Selection.of(dataset, config.evaluate.selection, seed, SELECTING_USERS)
    return search(dataset, collaborative, content, selected_by)
