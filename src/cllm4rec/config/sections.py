"""Sections of the configuration, one frozen model per stage: type, meaning and unit.

Training settings have no defaults here: `presets` gives all their values. A setting that came after
a run was made has one, what the run did without it.
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
    PositiveInt,
    ValidationInfo,
    field_validator,
)

Protocol = Literal[
    "paper", "leave-last-out", "temporal", "new-users", "new-items", "new-items-last"
]
Measure = Literal["recall@10", "recall@20", "recall@40", "ndcg@10", "ndcg@100", "mrr"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Depth = Annotated[
    PositiveInt | None,
    BeforeValidator(lambda value: None if value == "all" else value),
    PlainSerializer(lambda depth: "all" if depth is None else depth),
]

COLUMNS = ("user_id", "item_id", "timestamp", "position", "rating", "title", "text", "part")
"""Standard column names, which ``data.columns`` can map."""


MOST = 2**63 - 1
"""Largest whole number of TOML."""


class Settings(BaseModel):
    """Base of every section: immutable, unknown keys refused, docstrings become descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if (
            isinstance(value, bool)
            and cls.model_fields[str(info.field_name)].annotation is not bool
        ):
            raise ValueError("neither true nor false can stand here")
        if isinstance(value, list) and any(isinstance(each, bool) for each in value):
            raise ValueError("neither true nor false can stand in this list")
        if isinstance(value, int) and abs(value) > MOST:
            raise ValueError(f"whole numbers end at {MOST}")
        return value

    def changed(self, **changes: Any) -> Self:
        """A validated copy with other values; in a section, only the given keys change.

        A setting that is a table, such as ``data.columns``, is replaced as a whole.

        Examples:
            >>> SETS.changed(seed=1, finetune={"epochs": 3})          # doctest: +SKIP

        Raises:
            pydantic.ValidationError: an unknown key, or a value out of range.
        """
        return self.model_validate(merged(self, changes))


def merged(below: Settings, above: Mapping[str, Any]) -> dict[str, Any]:
    """Values of settings, those of ``above`` in their place; sections are merged, tables are not.

    A setting that is a table would otherwise never lose a key.
    """
    both, parts = below.model_dump(), dict(below)
    for key, value in above.items():
        part = parts.get(key)
        if isinstance(part, Settings) and isinstance(value, Mapping):
            both[key] = merged(part, value)
        else:
            both[key] = copy.deepcopy(value)
    return both


class DataConfig(Settings):
    """How the input directory is read and split (``prepare``)."""

    columns: dict[str, str] = {}
    """Standard column name → name in the files, e.g. ``{user_id = "reviewerID"}``."""
    csv_separator: str = "auto"
    """Column separator of CSV files, ``tab`` for a tab; ``auto``: a comma, or if the header has
    none, ``;``, a tab or ``|``."""
    csv_encoding: str = "auto"
    """Encoding of CSV files, such as ``cp1252``; ``auto``: UTF-8, or UTF-16 by its byte-order
    mark."""
    csv_quotes: bool = True
    """Whether double quotes in CSV files enclose values; ``false``: a quote is a letter, as in many
    files separated by tabs."""
    minimum_rating: float = 3.0
    """Ratings above this are positives; without a rating column every row is one."""
    minimum_interactions: PositiveInt = 5
    """Users with fewer positives are left out by the protocols; a split file is used as it is."""
    catalogue: Literal["interactions", "all"] = "interactions"
    """Items to rank: those that users who are kept have, or also every row of ``items.*``."""
    memory_limit: Annotated[str, Field(pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")] = "1GB"
    """DuckDB's memory limit, such as ``512MB``; the rest spills to the run directory."""

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
    """The causal language model under the tokens."""

    name: str
    """``smollm2-135m``, a local folder, or a Hugging Face model name (``org/model@revision``)."""
    depth: Depth
    """Number of layers kept, from the first; ``"all"`` keeps all (``None`` in Python)."""
    mode: Literal["frozen", "lora", "full"]
    """Which part of the backbone is trained; ``lora`` needs the extra ``lora``."""
    weights: Literal["pretrained", "random"]
    """``random`` keeps the word embeddings and re-initialises the transformer. A preset's
    ``random`` applies only to its own backbone and depth: if you give ``name`` or ``depth`` but
    not ``weights``, the weights are pretrained."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """Compute dtype of the backbone and of the next-item and word heads; ``auto`` is bfloat16 if
    the hardware supports it. Trained parameters, and the head of held-out items, are float32."""
    lora_rank: PositiveInt
    """Rank of the LoRA adapters."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """Dropout inside the backbone during training, wherever its family has some: GPT-2 on
    embeddings, attention weights and both halves of a layer, Llama on attention weights."""
    activation_checkpointing: bool = False
    """In training, keep of each layer its input alone and compute the layer again for its gradient:
    the memory of one layer instead of all, for a third more work. For a deep backbone on a GPU; on
    a processor the library's layers are trained then, not our faster ones."""


class CorpusConfig(Settings):
    """How histories and texts become documents."""

    order: Literal["random", "time"]
    """``random``: a history is a set, permuted in every epoch (the paper); ``time``: oldest first.
    Setting it to ``random`` makes ``auto`` choose the preset ``sets`` for any data."""
    max_items: PositiveInt
    """Longest history in a document, in items; longer ones are subsampled (``random``) or cut to
    the newest items (``time``)."""
    max_words: PositiveInt
    """Longest main text of a content document, in word tokens."""
    words: Literal["none", "titles", "both-ways"]
    """``titles``: words of its title (of its text where there is no title) stand behind each item
    of a history. ``both-ways``: pretraining also reads every content document of a candidate
    (``model.candidates``) backwards, its words first, and predicts the item."""
    title_words: PositiveInt
    """Most words of one title in a history, in tokens."""
    history_words: PositiveInt
    """Most words of all titles of a document; the newest items' are kept. Items never make room for
    words."""


class ModelConfig(Settings):
    """Token tables, heads and linear model around the backbone."""

    warm_start: Literal["none", "words", "factors"]
    """Initial token tables. ``none``: normal noise with a seventh of the word embeddings' std (as
    in the authors' code); ``words``: mean word embedding of the texts; ``factors``: SVD factors of
    interactions and texts in orthogonal subspaces, weighted on validation."""
    history_skip: bool
    """Add a trained projection of the history's mean item embedding to the item head's query."""
    skip_decay: Annotated[float, Field(gt=0, le=1)]
    """Weight of an item in that mean relative to the item after it; 1 for equal weights."""
    linear: bool
    """Blend with a linear model of interactions, order and texts (``ensemble/linear.py``). The
    blend weight is chosen on validation; the results table also shows both halves."""
    reading_depth: NonNegativeInt
    """Layers of the backbone, at most all, with pretrained weights, that read the items' texts,
    where their TF-IDF helps the linear model: for that, for items' vectors (``item_texts``), for
    new and added items and for queries in words; 0: TF-IDF alone."""
    item_texts: Literal["none", "words", "read", "auto"]
    """What of an item's text its vector is made of in finetuning, through a trained linear map and
    beside a free part: TF-IDF (``words``), or that beside what ``reading_depth`` layers read
    (``read``); ``auto``: ``read``, unless texts do not help the linear model on validation or there
    are more than 25,000 items; also ``read`` without a linear model."""
    projection: bool
    """Trained square projection between the backbone's hidden state and the heads."""
    bias: bool
    """Train a bias of each item and word in the heads, and the item head's scale."""
    candidates: Literal["trained", "all"]
    """Items in the training softmax: ``trained``, those with a training interaction, while the
    others stay at their content vectors; ``all``, the whole catalogue (the paper)."""
    softmax_items: NonNegativeInt = 0
    """Candidates in the training softmax: where there are more, each micro-batch draws about so
    many, by the root of their frequency and corrected for it (log-q); 0: always all."""
    regulariser: Literal["mean", "sum"]
    """Scale of λ. ``mean``: a mean over user and item tokens beside a mean likelihood per scored
    token, whatever the batch; ``sum``: a sum over 20 documents beside it (the authors' code)."""
    prior_weight: NonNegativeFloat
    """λ_l of the prior on z^l, ``½ ‖z^l‖²`` at the same scale as the mutual regularisation."""
    content: bool
    """``false``: do not use texts: no content LLM, no regularisation, no texts in warm starts, in
    the linear model or in items' vectors."""


class EvaluateConfig(Settings):
    """The results table, and what is chosen for it."""

    selection: Annotated[list[Measure], Field(min_length=1)]
    """Measures whose sum on validation chooses everything that is chosen: baselines' settings, the
    linear model, initial vectors, the best epoch and the blend weight. Unless given, those that
    are reported: Recall@20 where a protocol holds out items that training has not seen, Recall@10
    and NDCG@10 where each user's newest are held out, elsewhere Recall@20, Recall@40 and
    NDCG@100."""
    baselines: list[str] = [
        "popularity",
        "item-knn",
        "ease",
        "text-knn",
        "ease-text",
        "ease-text-order",
        "ials",
    ]
    """Baselines in the table, tuned on the validation part; ``mult-vae``, ``lightgcn``, ``sasrec``,
    ``sasrec-text`` (whose items have texts), ``sasrec-hybrid`` (with our start and linear model)
    and ``sasrec-hybrid-text`` (with all three) are neural networks and take minutes. ``ease-lm``,
    ``lm-knn`` and ``ease-new-items`` read the items' texts with a language model; the last two are
    for items without interactions. Installed packages may add others."""
    baseline_settings: dict[str, dict[str, Any]] = {}
    """Settings by baseline, e.g. ``sasrec = {dims = [64, 128], losses = ["full", "gbce"]}``. Of
    ours ``sasrec``, ``sasrec-text``, ``sasrec-hybrid`` and ``sasrec-hybrid-text`` take what their
    search tries (``dims, dropouts, layers, learning_rates, losses``), as does ``lightgcn`` (``dims,
    layers, learning_rates, losses``); ``ease-lm``, ``lm-knn`` and ``ease-new-items`` how they read
    (``backbone, depth, max_words, echo, weights, permuted``) and whether they train that (``train,
    train_layers, epochs``), ``ease-new-items`` whether each user's scores have a unit of their own
    (``per_user``; validation chooses ``train`` unless given), ``sasrec-hybrid`` and
    ``sasrec-hybrid-text`` how their linear model does (``reader``, a table of these);
    ``ease``, ``ease-text`` and ``ease-text-order`` how many nearest items are in each item's
    regression (``neighbours``)."""
    bootstrap: PositiveInt = 1000
    """Bootstrap samples of users for each 95 % interval."""

    @field_validator("selection")
    @classmethod
    def _each_once(cls, given: list[Measure]) -> list[Measure]:
        if len(set(given)) < len(given):
            raise ValueError("a measure stands twice; name each once")
        return given

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
