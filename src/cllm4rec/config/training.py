"""Sections of the configuration for the two trainings; `presets` gives their values."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from cllm4rec.config.sections import Fraction, Settings


class PretrainConfig(Settings):
    """Mutually regularised pretraining of the content and the collaborative LLM."""

    enabled: bool
    """``false``: finetuning starts from the initial token tables."""
    content_warmup_epochs: NonNegativeFloat
    """Passes over the content documents before the rounds, without regularisation."""
    rounds: NonNegativeInt
    """Rounds of a pass over the histories (L-steps), then one over the texts (C-steps)."""
    learning_rate: PositiveFloat
    """Peak rate of Adam."""
    schedule: Literal["cosine", "constant"]
    """Learning rate over time: ``cosine``, a warm-up and then a cosine decay; ``constant``."""
    batch_documents: NonNegativeInt
    """Documents per optimiser step; 0: as many of similar length as ``batch_tokens`` hold."""
    batch_tokens: PositiveInt
    """As ``finetune.batch_tokens``; without ``batch_documents``, tokens per optimiser step."""
    head_learning_rate_scale: PositiveFloat
    """Learning rate of heads and backbone as a multiple of ``learning_rate``, which is for the
    token tables."""
    mutual_weight: NonNegativeFloat
    """λ_c of the mutual regularisation (``model.regulariser`` says at which scale)."""
    vocabulary: Literal["corpus", "full"]
    """Words in the content LLM's softmax: those of the corpus, or all of the backbone's."""


class FinetuneConfig(Settings):
    """Recommendation-oriented finetuning with the multinomial item head."""

    target: Literal["holdout", "next"]
    """``holdout``: predict items masked from the history at its end (the paper); ``next``: predict
    the next item at every position, for ``corpus.order = "time"``."""
    epochs: PositiveInt
    """Passes over the users."""
    least_steps: NonNegativeInt
    """Optimiser steps of the whole schedule, at least: where ``epochs`` have fewer, there are more
    epochs, up to five times as many."""
    patience: PositiveInt
    """Epochs without a better validation score before stopping early."""
    content_steps: bool
    """After each epoch a pass over the texts (C-steps), as in pretraining; ``false``: z^c stays."""
    learning_rate: PositiveFloat
    """Peak rate of Adam."""
    schedule: Literal["cosine", "constant"]
    """As ``pretrain.schedule``."""
    batch_users: PositiveInt
    """Users, or texts, per optimiser step; unused with ``target = "next"``."""
    batch_tokens: PositiveInt
    """Tokens per micro-batch, with padding; a GPU reads as many of a step as it has room for, at
    most ``device_tokens``. Affects memory, and the result only through dropout masks. With
    ``target = "next"``, tokens per optimiser step."""
    head_learning_rate_scale: PositiveFloat
    """Learning rate of the heads as a multiple of ``learning_rate``, which is for the token
    tables."""
    head_full_rate_interactions: NonNegativeInt = 0
    """Training interactions from which on the heads have that learning rate; with fewer they have
    proportionally less, since a step on a square matrix changes every score. `refit` counts its
    own, which are more. 0: that rate whatever their number."""
    backbone_learning_rate_scale: PositiveFloat
    """Learning rate of a trained backbone as a multiple of ``learning_rate``."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """Dropout on item embeddings and on the item head's query during training."""
    user_token_dropout: Fraction
    """Probability that a training prompt has no user token, as for new users at recommendation
    time. 1: user tokens are neither trained nor used."""
    holdout: Annotated[float, Field(gt=0, le=1)]
    """Fraction of a history that is masked and becomes the target (p_m)."""
    holdout_draw: Literal["uniform", "exact"]
    """``uniform``: each history's fraction is drawn from (0, ``holdout``]; ``exact``: it is
    ``holdout``, rounded down, and at least one item (the paper)."""
    mutual_weight: NonNegativeFloat
    """λ_c of the mutual regularisation with the content tables."""
    text_prior_weight: NonNegativeFloat = 0.0
    """λ_c where items are made of their texts (``model.item_texts``): the content token is what the
    trained map makes of the text, and the free part of an item's vector is pulled to zero. The map
    then begins at a regression on the initial vectors, not at zero. Without such items it does
    nothing."""
    average: NonNegativeFloat
    """Span, in epochs, of the moving average of the parameters that is validated and kept; 0 for
    none."""
