"""The sections of the settings, one frozen model per stage: type, meaning and unit.

What a model is trained with has no default here: its values stand in `presets`, all of them.
"""

import copy
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

Protocol = Literal["paper", "leave-last-out", "temporal", "new-users", "new-items"]
Share = Annotated[float, Field(ge=0, le=1)]
Depth = Annotated[
    PositiveInt | None,
    BeforeValidator(lambda value: None if value == "all" else value),
    PlainSerializer(lambda depth: "all" if depth is None else depth),
]

COLUMNS = ("user_id", "item_id", "timestamp", "position", "rating", "title", "text", "part")
"""The standard column names, which ``data.columns`` may map."""


class Settings(BaseModel):
    """Base of every section: immutable, unknown keys refused, docstrings become descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    def changed(self, **changes: Any) -> Self:
        """The same settings with other values, checked; of a section only the keys given change.

        Examples:
            >>> SETS.changed(seed=1, finetune={"epochs": 3})          # doctest: +SKIP

        Raises:
            pydantic.ValidationError: an unknown key, or a value out of range.
        """
        return self.model_validate(merged(self.model_dump(), changes))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables as one; where both give a value it is that of ``above``."""
    both = copy.deepcopy(dict(below))
    for key, value in above.items():
        nested = isinstance(value, Mapping) and isinstance(both.get(key), Mapping)
        both[key] = merged(both[key], value) if nested else copy.deepcopy(value)
    return both


class DataConfig(Settings):
    """How the input directory is read and split (``prepare``)."""

    columns: dict[str, str] = {}
    """Standard column name → name in the files, e.g. ``{user_id = "reviewerID"}``."""
    csv_separator: str = "auto"
    """Character between the columns of CSV files, ``tab`` for a tab; ``auto``: a comma, or where
    the header has none ``;``, a tab or ``|``."""
    csv_encoding: str = "auto"
    """Encoding of CSV files, such as ``cp1252``; ``auto``: UTF-8, or UTF-16 by its byte-order
    mark."""
    minimum_rating: float = 3.0
    """Ratings above this are positives; without a rating column every row is one."""
    minimum_interactions: PositiveInt = 5
    """Users with fewer positives are left out of a protocol's split; a split file is taken as it
    is."""
    catalogue: Literal["interactions", "all"] = "interactions"
    """Items to rank: those with a positive, or every row of ``items.*`` too."""
    memory_limit: Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")] = "1GB"
    """DuckDB's memory limit, such as ``512MB``; what does not fit spills to the run directory."""

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if name not in COLUMNS:
                raise ValueError(f"{name!r} is no standard column; there are {', '.join(COLUMNS)}")
        return columns

    @field_validator("csv_separator")
    @classmethod
    def _one_character(cls, separator: str) -> str:
        separator = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
        if separator != "auto" and (len(separator) != 1 or separator in '"\r\n'):
            raise ValueError("not auto, tab or one character other than a quote or a line break")
        return separator

    @field_validator("csv_encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            "".encode("utf-8" if encoding == "auto" else encoding)
        except (LookupError, ValueError):
            raise ValueError("not an encoding that Python knows, such as cp1252 or gbk") from None
        return encoding


class BackboneConfig(Settings):
    """The causal language model underneath."""

    name: str
    """``smollm2-135m``, a local folder, or a Hugging Face model name (``org/model@revision``)."""
    depth: Depth
    """Number of layers kept, from the first; ``"all"`` keeps all (``None`` in Python)."""
    mode: Literal["frozen", "lora", "full"]
    """What of the backbone is trained; ``lora`` needs the extra ``cllm4rec[lora]``."""
    weights: Literal["pretrained", "random"]
    """``random`` keeps the word embeddings and draws the transformer's weights anew. A preset's
    ``random`` holds for its own backbone and depth: where ``name`` or ``depth`` is given and
    ``weights`` is not, the weights are the pretrained ones."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """Compute dtype of backbone and heads; ``auto`` is bfloat16 where the processor has it. What
    is trained is kept in float32."""
    lora_rank: PositiveInt
    """Rank of the LoRA adapters."""


class CorpusConfig(Settings):
    """How documents are written."""

    order: Literal["random", "time"]
    """``random``: a history is a set, permuted anew every step (the paper); ``time``: oldest
    first. Given as ``random``, it makes ``auto`` choose the preset ``sets`` for any data."""
    max_items: PositiveInt
    """Longest history in one document, in items; a longer one is subsampled (``random``) or keeps
    its newest (``time``)."""
    max_words: PositiveInt
    """Longest main text of a content document, in word tokens."""
    max_feature_words: PositiveInt
    """Longest value of one feature column, in word tokens."""


class ModelConfig(Settings):
    """What is built around the backbone."""

    warm_start: Literal["none", "words", "factors"]
    """Initial token tables. ``none``: normal noise at a seventh of the word embeddings' scale (as
    the authors begin); ``words``: mean word embedding of the texts; ``factors``: the SVD of the
    training interactions and of the texts in orthogonal subspaces, their shares chosen on
    validation."""
    warm_start_content_share: Share
    """Share of the embedding's width given to the texts by ``factors``."""
    history_skip: bool
    """Add a trained map of the history's mean item embedding to the hidden state before the item
    head."""
    skip_decay: Annotated[float, Field(gt=0, le=1)]
    """Weight of an item in that mean relative to the item after it; 1 weighs all alike."""
    linear: bool
    """Blend the language model's scores with those of a linear model of interactions, order and
    texts (``ensemble/linear.py``); the share is chosen on validation, and both alone are rows of
    the results table."""
    projection: bool
    """Trained square projection between the backbone's hidden state and the heads."""
    content: bool
    """``false``: texts are not used at all: no content LLM, no regularisation, no texts in warm
    starts."""


class PretrainConfig(Settings):
    """Mutually regularised pretraining of the content and the collaborative LLM."""

    enabled: bool
    """``false``: both token tables go to finetuning as they start."""
    content_warmup_epochs: NonNegativeFloat
    """Passes over the content documents before the alternation starts."""
    rounds: NonNegativeInt
    """Alternations; each is one collaborative pass (L-steps), then content steps (C-steps)."""
    content_epochs_per_round: PositiveFloat
    """Passes over the content documents in each round's C-steps."""
    learning_rate: PositiveFloat
    """Peak rate of Adam."""
    batch_tokens: PositiveInt
    """Tokens of one optimiser step, padding included."""
    head_learning_rate_scale: PositiveFloat
    """Learning rate of heads and backbone, as a multiple of ``learning_rate``, which is that of
    the token tables."""
    mutual_weight: NonNegativeFloat
    """λ of the mutual regularisation, per entity-token occurrence."""
    vocabulary: Literal["corpus", "full"]
    """Words the content LLM's softmax runs over: those of the corpus, or all of the backbone's."""
    weight_decay: NonNegativeFloat
    """Decoupled decay of the trained maps (λ_l of the paper when the tables are included)."""


class FinetuneConfig(Settings):
    """Recommendation-oriented finetuning with the multinomial item head."""

    target: Literal["holdout", "next"]
    """``holdout``: items masked from the history, asked for at its end (the paper); ``next``: at
    every position the item that comes next, for ``corpus.order = "time"``."""
    epochs: PositiveInt
    """Passes over the users."""
    patience: PositiveInt
    """Epochs without a better validation score before stopping early."""
    learning_rate: PositiveFloat
    """Peak rate of Adam."""
    batch_users: PositiveInt
    """Users of one optimiser step; not used with ``target = "next"``."""
    batch_tokens: PositiveInt
    """Tokens of one micro-batch, padding included: changes memory, not the result. With
    ``target = "next"`` those of one optimiser step."""
    head_learning_rate_scale: PositiveFloat
    """Learning rate of the heads, as a multiple of ``learning_rate``, which is that of the token
    tables."""
    backbone_learning_rate_scale: PositiveFloat
    """Learning rate of a trained backbone, as a multiple of ``learning_rate``."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """Probability that a number of an item's embedding or of the item head's query is dropped in
    training."""
    user_token_dropout: Share
    """Probability that a training prompt has no user token: what a bare history or a new user gets
    at recommendation time. 1: no user token is ever trained, nor used to recommend."""
    holdout: Annotated[float, Field(gt=0, le=1)]
    """Largest share of a history that is masked and becomes the target (p_m)."""
    mutual_weight: NonNegativeFloat
    """λ of the mutual regularisation with the frozen content tables; 0 without content."""
    weight_decay: NonNegativeFloat
    """Decoupled decay of the trained maps."""
    average: NonNegativeFloat
    """Epochs over whose steps the parameters are averaged for validation and result; 0: not."""


class EvaluateConfig(Settings):
    """The results table."""

    baselines: list[str] = [
        "popularity",
        "item-knn",
        "ease",
        "text-knn",
        "ease-text",
        "ials",
    ]
    """Baselines in the same table, tuned on the validation part; ``mult-vae`` and ``sasrec`` are
    trained networks and take minutes. Installed packages may bring others."""
    baseline_settings: dict[str, dict[str, Any]] = {}
    """Baseline → its settings, e.g. ``recency = {decays = [0.5, 0.9]}``; ours have none."""
    bootstrap: PositiveInt = 1000
    """Resamples of users behind each 95 % interval."""

    @field_validator("baseline_settings")
    @classmethod
    def _plain(cls, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, settings in given.items():
            for key, value in settings.items():
                if not is_plain(value):
                    raise ValueError(
                        f"{name}.{key} is {value!r}; give numbers, texts, true, false, or lists "
                        f"and tables of them"
                    )
        return given


def is_plain(value: Any) -> bool:
    """Whether a value is the same in TOML and in JSON: no date, no null, no infinite number."""
    if isinstance(value, list):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(each) for key, each in value.items())
    return isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value))
