"""The wording of every prompt (method.md items 2 and 6), and its encoding, done once."""

import string
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cllm4rec.tokens.tokenizer import WordTokenizer

HISTORY = "{user} has interacted with"
RECOMMENDATION = "{user} has interacted with {items}, {user} will interact with"
REVIEW = "{user} writes the following review for {item}:"
ITEM_TITLE = "{item} has the title:"
ITEM_DESCRIPTION = "{item} has the following description:"
ITEM_FEATURE = "{item} has the following {column}:"
USER_FEATURE = "{user} has the following {column}:"
DESCRIBED = "{words} describes"


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A template: encoded words, and named slots for the tokens that vary between documents."""

    parts: tuple[str | NDArray[np.int32], ...]
    """Slot names and runs of word tokens, in reading order."""

    @classmethod
    def encode(cls, template: str, tokenizer: WordTokenizer) -> "Prompt":
        """Encode the words of a template such as ``"{user} has interacted with"``."""
        parts: list[str | NDArray[np.int32]] = []
        for words, slot, _, _ in string.Formatter().parse(template):
            # No space before a slot: an entity token stands for a word with its space.
            if words.strip():
                [tokens] = tokenizer.encode([words.rstrip()])
                parts.append(np.array(tokens, np.int32))
            if slot:
                parts.append(slot)
        return cls(tuple(parts))

    def fill(self, **slots: NDArray[np.int32]) -> NDArray[np.int32]:
        """The prompt's tokens, with every slot replaced by the given tokens."""
        return np.concatenate([
            slots[part] if isinstance(part, str) else part for part in self.parts
        ])


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """All prompts, encoded by one tokenizer."""

    history: Prompt
    recommendation: Prompt
    review: Prompt
    item_title: Prompt
    item_description: Prompt
    item_feature: Prompt
    user_feature: Prompt
    described: Prompt

    @classmethod
    def build(cls, tokenizer: WordTokenizer) -> "Prompts":
        """Encode every template."""
        return cls(
            history=Prompt.encode(HISTORY, tokenizer),
            recommendation=Prompt.encode(RECOMMENDATION, tokenizer),
            review=Prompt.encode(REVIEW, tokenizer),
            item_title=Prompt.encode(ITEM_TITLE, tokenizer),
            item_description=Prompt.encode(ITEM_DESCRIPTION, tokenizer),
            item_feature=Prompt.encode(ITEM_FEATURE, tokenizer),
            user_feature=Prompt.encode(USER_FEATURE, tokenizer),
            described=Prompt.encode(DESCRIBED, tokenizer),
        )


def entity(token: int) -> NDArray[np.int32]:
    """One user or item token, as `Prompt.fill` takes it."""
    return np.array([token], np.int32)
