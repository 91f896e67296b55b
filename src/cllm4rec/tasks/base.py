"""The base class of tasks: corpus, loss and prompt."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.config import Config
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.item_words import ItemWords
from cllm4rec.documents.prompts import Prompt, Prompts
from cllm4rec.documents.rows import TokenRows, filled_rows, prediction_histories
from cllm4rec.errors import InputError
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.seeds import derived_seed
from cllm4rec.tasks.mutual import Mutual
from cllm4rec.tokens.batch import Batch, collate
from cllm4rec.tokens.space import TokenSpace
from cllm4rec.training.loop import Objective

SAMPLE = 128
"""Documents from which the item head's mean and standard deviation are estimated."""
BLOCK = 16
"""Documents per forward pass for that."""


States = Callable[[Batch], Float[Tensor, "scored size"]]
"""Hidden states of a batch that the item head is asked about."""


class Task(ABC):
    """One way to learn from histories and to ask for recommendations.

    Args:
        config: of the run.
        space: layout of the token ids.
        prompts: encoded templates.
        words: stand behind the items of every history; None for items alone.
    """

    placeholder: ClassVar[int]
    """Token for users without a vector."""
    extends: ClassVar[bool]
    """Whether appending an item only appends tokens to the prompt, so a KV cache can be used."""

    def __init__(
        self,
        config: Config,
        space: TokenSpace,
        prompts: Prompts,
        words: ItemWords | None = None,
    ) -> None:
        self.config = config
        self.space = space
        self.prompts = prompts
        self.words = words
        self.seed = derived_seed(config.seed, "finetune")
        """Seed of masks, order, batches and dropout."""

    @property
    @abstractmethod
    def question(self) -> Prompt:
        """The prompt that asks for a recommendation, with slots ``user`` and ``items``."""

    @abstractmethod
    def objective(
        self, model: CollaborativeLLM, histories: Interactions, content: TokenEmbedding | None
    ) -> Objective:
        """The objective of finetuning.

        Args:
            model: to train.
            histories: training interactions of all users.
            content: z^c, fixed within a step; None without mutual regularisation.
        """

    def mutual(self, model: CollaborativeLLM, content: TokenEmbedding | None) -> Mutual:
        """The regularisation of finetuning.

        Args:
            model: whose z^l is regularised.
            content: z^c; None without texts.
        """
        return Mutual.of(
            self.config.model,
            model.embedding,
            content,
            self.config.finetune.mutual_weight,
            is_collaborative=True,
            text_prior_weight=self.config.finetune.text_prior_weight,
        )

    @abstractmethod
    def sample(self, histories: Interactions) -> Sequence[Document]:
        """At most ``SAMPLE`` documents of the first epoch."""

    @abstractmethod
    def sample_states(self, model: CollaborativeLLM) -> States:
        """The hidden states that the head scores in these documents."""

    def questions(self, user_tokens: NDArray[np.int32], histories: Interactions) -> TokenRows:
        """The recommendation prompts of users, in the order given (paper section 3.5).

        Args:
            user_tokens: ``[rows]``; the placeholder for users without a vector.
            histories: known items, one row per user, oldest first; may be empty.

        Raises:
            ValueError: an item number out of range.
        """
        seed = derived_seed(self.config.seed, "prediction")
        items = prediction_histories(histories, self.config.corpus, seed)
        rows = filled_rows(self.question, user_tokens, items, self.space)
        return rows if self.words is None else self.words.beside(rows, self.space)

    def standardise(self, model: CollaborativeLLM, histories: Interactions) -> None:
        """Estimate the head's mean and standard deviation from sample documents.

        Raises:
            InputError: there is no training document.
        """
        documents = self.sample(histories)
        if not documents:
            raise InputError(
                "no user has enough training items to learn from (finetune.target = 'holdout' "
                "needs two of one user, 'next' one); give longer histories, or a split that holds "
                "out less"
            )
        standardise(model, documents, self.sample_states(model))


def standardise(model: CollaborativeLLM, documents: Sequence[Document], states: States) -> None:
    """Estimate the head's mean and standard deviation from hidden states.

    Args:
        model: whose head it is.
        documents: at least one.
        states: hidden states of a batch that the head is asked about.
    """
    model.eval()  # no dropout: the statistics must be deterministic
    with torch.no_grad():
        blocks = [documents[at : at + BLOCK] for at in range(0, len(documents), BLOCK)]
        hidden = [states(collate(block).to(model.device)) for block in blocks]
        model.head.standardise(torch.cat(hidden))
