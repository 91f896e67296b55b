"""A task: the corpus to learn from, the loss, and the question a trained model is asked."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.config import Config
from cllm4rec.data.interactions import Interactions
from cllm4rec.documents.document import Document
from cllm4rec.documents.prompts import Prompt, Prompts
from cllm4rec.documents.rows import TokenRows, filled_rows, prediction_histories
from cllm4rec.errors import InputError
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.llms import CollaborativeLLM
from cllm4rec.seeds import derived_seed
from cllm4rec.tokens.space import TokenSpace
from cllm4rec.training.loop import Objective

SAMPLE = 128
"""Documents whose hidden states give the item head's mean and standard deviation."""
BLOCK = 16
"""Documents of one forward pass over them."""


class Task(ABC):
    """One way to learn from histories; the class attributes say what it asks.

    Args:
        config: of the run.
        space: layout of the token ids.
        prompts: encoded templates.
    """

    placeholder: ClassVar[int]
    """Token of a user without a vector."""
    extends: ClassVar[bool]
    """Whether a longer history's question begins with the shorter's, so that it can be extended."""

    def __init__(self, config: Config, space: TokenSpace, prompts: Prompts) -> None:
        self.config = config
        self.space = space
        self.prompts = prompts
        self.seed = derived_seed(config.seed, "finetune")
        """Of masks, order, batches and dropout."""

    @property
    @abstractmethod
    def question(self) -> Prompt:
        """Template of what is asked, with slots ``user`` and ``items``."""

    @abstractmethod
    def objective(
        self, model: CollaborativeLLM, histories: Interactions, content: TokenEmbedding | None
    ) -> Objective:
        """What finetuning minimises.

        Args:
            model: is trained.
            histories: training interactions of all users.
            content: z^c, fixed; None for no mutual regularisation.
        """

    @abstractmethod
    def sample(self, histories: Interactions) -> Sequence[Document]:
        """At most ``SAMPLE`` documents of the first epoch."""

    @abstractmethod
    def sample_states(
        self, model: CollaborativeLLM, documents: Sequence[Document]
    ) -> Float[Tensor, "scored size"]:
        """Hidden states that the head is asked about in these documents."""

    def questions(self, user_tokens: NDArray[np.int32], histories: Interactions) -> TokenRows:
        """What is asked about every user, in the order given (paper section 3.5).

        Args:
            user_tokens: ``[rows]``; the placeholder for a user without a vector.
            histories: known items, one row per user, oldest first; may be empty.

        Raises:
            ValueError: an item number out of range.
        """
        seed = derived_seed(self.config.seed, "prediction")
        items = prediction_histories(histories, self.config.corpus, seed)
        return filled_rows(self.question, user_tokens, items, self.space)

    def standardise(self, model: CollaborativeLLM, histories: Interactions) -> None:
        """Set the head's mean and standard deviation from the hidden states of some documents.

        Raises:
            InputError: there is no document to learn from.
        """
        documents = self.sample(histories)
        if not documents:
            raise InputError(
                "no user has enough training items to learn from (finetune.target = 'holdout' "
                "needs two of one user, 'next' one); give longer histories, or a split that holds "
                "out less"
            )
        model.eval()  # dropout would make the statistics a matter of chance
        with torch.no_grad():
            blocks = [documents[at : at + BLOCK] for at in range(0, len(documents), BLOCK)]
            model.head.standardise(torch.cat([self.sample_states(model, b) for b in blocks]))


def without_training_items(histories: Interactions, device: torch.device) -> Tensor:
    """Bias ``float32 [items]``: −inf for an item without a training interaction, else 0.

    Such an item is no alternative that was passed over, and learning to score it down would only
    spoil what its texts say.
    """
    counts = torch.from_numpy(np.asarray(histories.item_counts()))
    return torch.where(counts > 0, 0.0, -torch.inf).to(device)
