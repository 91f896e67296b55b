"""Training tasks: what a model learns from, its loss, and the prompt it answers."""

from cllm4rec.config import Config
from cllm4rec.documents.limits import refuse_too_long
from cllm4rec.documents.prompts import Prompts
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.tasks.base import Task
from cllm4rec.tasks.held_out import HeldOut
from cllm4rec.tasks.next_item import NextItem
from cllm4rec.tokens.space import TokenSpace

__all__ = ["TASKS", "HeldOut", "NextItem", "Task", "reads_users", "task_for"]

TASKS: dict[str, type[Task]] = {"holdout": HeldOut, "next": NextItem}
"""Tasks by the value of ``finetune.target``."""


def task_for(config: Config, lm: LanguageModel, num_users: int, num_items: int) -> Task:
    """The task for finetuning and recommendation, with its token space.

    Args:
        config: of the run.
        lm: the language model, whose words come first in the token space.
        num_users: of the data; they get tokens only if some document uses them.
        num_items: of the catalogue.

    Raises:
        ConfigError: a document may be longer than the backbone can read.
    """
    prompts = Prompts.build(lm.tokenizer)
    refuse_too_long(config.corpus, prompts, lm.backbone.positions, config.backbone.name)
    space = TokenSpace(lm.words.shape[0], num_users if reads_users(config) else 0, num_items)
    return TASKS[config.finetune.target](config, space, prompts)


def reads_users(config: Config) -> bool:
    """Whether any document contains a user token; otherwise there is no user table."""
    return config.pretrain.enabled or config.finetune.user_token_dropout < 1
