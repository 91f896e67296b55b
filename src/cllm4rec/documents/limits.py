"""Document lengths that a backbone with learned positions can read."""

import numpy as np

from cllm4rec.config import CorpusConfig
from cllm4rec.documents.prompts import Prompts, entity
from cllm4rec.errors import ConfigError


def refuse_too_long(
    config: CorpusConfig, prompts: Prompts, positions: int | None, backbone: str
) -> None:
    """Refuse settings that allow documents longer than the backbone reads.

    Args:
        config: caps of documents.
        prompts: encoded templates.
        positions: the longest document in tokens; None for no limit.
        backbone: its name, for the message.

    Raises:
        ConfigError: a cap is too high; names it and the highest that fits.
    """
    if positions is None:
        return
    one, none = entity(0), np.empty(0, np.int32)
    # Leave the slots that the setting limits empty.
    frames = {
        "max_items": [
            prompts.history.fill(user=one),
            prompts.recommendation.fill(user=one, items=none),
        ],
        "max_words": [
            prompts.review.fill(user=one, item=one),
            prompts.item_title.fill(item=one),
            prompts.item_description.fill(item=one),
            np.append(prompts.described.fill(words=none), one),
        ],
    }
    beside = {"max_items": config.history_words if config.words == "titles" else 0}
    for name, framed in frames.items():
        most = positions - max(map(len, framed)) - beside.get(name, 0)
        if getattr(config, name) > most:
            raise ConfigError(
                f"setting corpus.{name} = {getattr(config, name)}: backbone {backbone!r} reads "
                f"{positions} tokens at most, prompt included; set corpus.{name} to {most} or less"
            )
