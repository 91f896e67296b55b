"""Build the models from a language model, the settings and initial token vectors."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cllm4rec.config import Config
from cllm4rec.models.embedding import TokenEmbedding
from cllm4rec.models.heads import ItemHead, WordHead
from cllm4rec.models.language_model import LanguageModel
from cllm4rec.models.llms import CollaborativeLLM, ContentLLM


def collaborative_llm(
    lm: LanguageModel, config: Config, users: Tensor, items: Tensor, *, dropout: float = 0.0
) -> CollaborativeLLM:
    """The model for L-steps, finetuning and recommendation, on the language model's device.

    Args:
        lm: its backbone is shared, not copied.
        config: settings of the head.
        users: initial user vectors ``[users, size]``; no rows where the task reads no user token.
        items: initial item vectors ``[items, size]``.
        dropout: see `CollaborativeLLM`.
    """
    model = config.model
    head = ItemHead(
        len(items),
        lm.size,
        projection=model.projection,
        skip=model.history_skip,
        bias=model.bias,
    )
    return CollaborativeLLM(
        lm.backbone,
        TokenEmbedding.of_tables(lm.words, users, items),
        head,
        skip_decay=model.skip_decay,
        dropout=dropout,
        dtype=lm.dtype,
    ).to(lm.device)


def content_llm(
    lm: LanguageModel,
    config: Config,
    users: Tensor,
    items: Tensor,
    vocabulary: NDArray[np.integer],
) -> ContentLLM:
    """The model for C-steps; its backbone is never trained.

    Args:
        lm: its backbone as it was before training.
        config: settings of the head, and whether all words are candidates.
        users: initial z^c of the users, ``[users, size]``.
        items: initial z^c of the items, ``[items, size]``.
        vocabulary: words of the corpus, as token ids.
    """
    if config.pretrain.vocabulary == "full":
        vocabulary = np.arange(lm.words.shape[0])
    words = torch.from_numpy(np.asarray(vocabulary, dtype=np.int64))
    return ContentLLM(
        lm.frozen,
        TokenEmbedding.of_tables(lm.words, users, items),
        WordHead(
            lm.words,
            words,
            projection=config.model.projection,
            bias=config.model.bias,
            scale=lm.backbone.word_scale,
        ),
        dtype=lm.dtype,
    ).to(lm.device)
