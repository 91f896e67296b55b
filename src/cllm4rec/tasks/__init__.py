"""Training tasks: what a model learns from, its loss, and the prompt it answers."""

from cllm4rec.config import Config
from cllm4rec.data.texts import Texts
from cllm4rec.documents.item_words import ItemWords
from cllm4rec.documents.limits import refuse_too_long
from cllm4rec.documents.prompts import Prompts
from cllm4rec.errors import ConfigError
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.tasks.base import Task
from cllm4rec.tasks.held_out import HeldOut
from cllm4rec.tasks.next_item import NextItem
from cllm4rec.tokens.space import TokenSpace

__all__ = ["TASKS", "HeldOut", "NextItem", "Task", "reads_users", "task_for"]

TASKS: dict[str, type[Task]] = {"holdout": HeldOut, "next": NextItem}
"""Tasks by the value of ``finetune.target``."""


def task_for(
    config: Config, lm: LanguageModel, num_users: int, num_items: int, texts: Texts | None = None
) -> Task:
    """The task for finetuning and recommendation, with its token space.

    Args:
        config: of the run.
        lm: the language model, whose words come first in the token space.
        num_users: of the data; they get tokens only if some document uses them.
        num_items: of the catalogue.
        texts: of the items, whose titles may stand in documents; None: they do not.

    Raises:
        ConfigError: a document may be longer than the backbone can read, or titles are asked for
            where no item has a title or a text.
    """
    prompts = Prompts.build(lm.tokenizer)
    refuse_too_long(config.corpus, prompts, lm.backbone.positions, config.backbone.name)
    space = TokenSpace(lm.words.shape[0], num_users if reads_users(config) else 0, num_items)
    words = None
    if texts is not None and config.corpus.words == "titles":
        pairs = zip(texts.item_titles, texts.item_texts, strict=True)
        words = ItemWords.of([title or text for title, text in pairs], lm.tokenizer, config.corpus)
        if len(words.tokens) == 0:
            raise ConfigError(
                "setting corpus.words = titles: no item has a title or a text; give some in "
                "items.*, or set it to none"
            )
    return TASKS[config.finetune.target](config, space, prompts, words)


def reads_users(config: Config) -> bool:
    """Whether any document contains a user token; otherwise there is no user table."""
    return config.pretrain.enabled or config.finetune.user_token_dropout < 1
