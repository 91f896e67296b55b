"""Schemas of requests and answers; validation happens here only, and refuses unknown fields."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from cllm4rec.data.timestamps import MAX_TIMESTAMP, are_seconds
from cllm4rec.recommender.queries import MAX_CHARACTERS, MOST_WEIGHT
from cllm4rec.recommender.similar import By
from cllm4rec.service.settings import MAX_ADDED, MAX_ASKED, MAX_HISTORY, MAX_K

Id = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""An external id: text, as in the input files."""
History = Annotated[list[Id], Field(min_length=1, max_length=MAX_HISTORY)]
"""Item ids, oldest first."""
Name = Annotated[str, StringConstraints(max_length=1000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Named = Name | int | Finite
"""Of a property of a user, or of an item's attribute."""
Value = str | int | Finite | bool | list[str]
"""Of an attribute."""
MAX_CONDITIONS = 16
"""On attributes, in one request."""
Conditions = Annotated[
    Annotated[dict[Name, Named], Field(max_length=MAX_CONDITIONS), Tag("object")]
    | Annotated[list[Name], Field(max_length=MAX_CONDITIONS), Tag("list")],
    Discriminator(
        lambda given: {dict: "object", list: "list"}.get(type(given)),
        custom_error_type="where",
        custom_error_message='give an object, such as {"genres": "Comedy"}, or a list of '
        'conditions, such as ["price<20"]',
    ),
]
"""Attribute → its value, or conditions as the command line takes them."""
Filter = Annotated[list[Id], Field(max_length=100_000)]

_KINDS = {"users": "array", "histories": "array", "profile": "object"}
"""Whom to recommend for: one of these, or nobody with a query alone."""
_NONE: dict[str, Any] = {name: {"type": "null"} for name in _KINDS}
_ONE_OF: dict[str, Any] = {
    "oneOf": [
        *(
            {"required": [given], "properties": {**_NONE, given: {"type": kind}}}
            for given, kind in _KINDS.items()
        ),
        {"required": ["query"], "properties": {**_NONE, "query": {"type": "string"}}},
    ]
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class RecommendRequest(_Strict):
    """Whom to recommend for, and what may be recommended."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF)

    users: Annotated[list[Id], Field(min_length=1, max_length=MAX_ASKED)] | None = None
    """Known users; either these, ``histories``, a ``profile``, or a ``query`` alone."""
    histories: Annotated[list[History], Field(min_length=1, max_length=MAX_ASKED)] | None = None
    """Item ids of people the run need not know, each oldest first."""
    profile: Annotated[dict[Name, Named], Field(min_length=1, max_length=64)] | None = None
    """Properties of somebody without a history, as columns of ``users.*``: ``{"age": 34}``."""
    query: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)] | None = None
    """What is asked for, in words; with users or histories it is weighed against their taste."""
    query_weight: Annotated[Finite, Field(gt=0, le=MOST_WEIGHT)] | None = None
    """Of the words beside taste or, for a query alone, popularity: 0.25 if not given."""
    k: Annotated[int, Field(ge=1, le=MAX_K)] = 10
    """Length of each list."""
    include: Filter | None = None
    """Only these items may be recommended."""
    exclude: Filter | None = None
    """These items may not be recommended."""
    where: Conditions | None = None
    """Only items whose attributes (columns of ``items.*``) have these values, or meet all of these
    conditions: ``["genres=Comedy", "price<20", "year!=1990"]``; ``<``, ``<=``, ``>`` and ``>=`` are
    for numbers and ISO dates."""
    seen: bool = False
    """Whether what a user has had may be recommended: items of the history, and others."""
    explain: bool = False
    """Whether to measure, for each recommended item, which items of the history speak for it."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "RecommendRequest":
        given = sum(getattr(self, name) is not None for name in _KINDS)
        if given > 1 or (given == 0 and self.query is None):
            raise ValueError("give exactly one of users, histories and profile, or a query")
        return self


def _said(user_id: str) -> str:
    if not user_id.strip():
        raise ValueError("blanks alone are no id")
    return user_id


class NewItem(_Strict):
    """An item that the run was not trained with."""

    item_id: Annotated[Id, AfterValidator(_said)]
    """Its id, which no other item has."""
    title: str | None = None
    """Its title; an item needs this or ``text``."""
    text: str | None = None
    """Its description."""
    attributes: Annotated[dict[Name, Value], Field(max_length=64)] = {}
    """Further columns, as in ``items.*``; those that the run does not know are left out."""

    @model_validator(mode="after")
    def _no_standard_column(self) -> "NewItem":
        if named := {"item_id", "title", "text"} & self.attributes.keys():
            raise ValueError(f"{min(named)} is no attribute")
        return self

    def row(self) -> dict[str, Any]:
        """A line of ``items.jsonl``."""
        standard = {"item_id": self.item_id, "title": self.title, "text": self.text}
        return {**standard, **self.attributes}


class AddItemsRequest(_Strict):
    """Items for the catalogue."""

    items: Annotated[list[NewItem], Field(min_length=1, max_length=MAX_ADDED)]
    """The items; all are added or none."""
    skip: bool = False
    """Whether to leave out items that cannot be added, and add the rest."""


class RemoveItemsRequest(_Strict):
    """Items that were added and are to be removed."""

    items: Annotated[list[Id], Field(min_length=1, max_length=MAX_ADDED)] | None
    """Their ids; null for all that were added."""


def _seconds(timestamp: int) -> int:
    if not are_seconds(timestamp):
        raise ValueError(
            "a date written as a number, such as 20240131 or 202401311200, is no unix time; "
            "give the seconds since 1970"
        )
    return timestamp


class Interaction(_Strict):
    """Something that happened."""

    user_id: Annotated[Id, AfterValidator(_said)]
    """Need not be known; blanks alone are no id."""
    item_id: Annotated[Id, AfterValidator(_said)]
    """Need not be known either: it counts as soon as it is in the catalogue."""
    timestamp: Annotated[int, Field(ge=0, le=MAX_TIMESTAMP), AfterValidator(_seconds)] | None = None
    """Unix seconds, and no number that ``prepare`` reads as a date, such as 202401311200; the time
    of arrival if not given."""


class FeedbackRequest(_Strict):
    """Interactions to keep for the next training."""

    interactions: Annotated[list[Interaction], Field(min_length=1, max_length=1000)]


class _Query(BaseModel):
    # Not strict: what stands in an address is text.
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class SimilarQuery(_Query):
    """Which item, and how many like it."""

    item_id: Annotated[str, Field(max_length=512)]
    by: By = "model"
    """The model's embeddings, texts (``content``), who had the items (``collaboration``), or the
    mean of these two."""
    k: Annotated[int, Field(ge=1, le=MAX_K)] = 10


class ItemsQuery(_Query):
    """Words of a title."""

    query: Annotated[str, Field(max_length=200)]
    limit: Annotated[int, Field(ge=1, le=1000)] = 20


class UsersQuery(_Query):
    """The beginning of a user id."""

    query: Annotated[str, Field(max_length=200)] = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 20


class Model(BaseModel):
    """The model that answered."""

    version: str
    """Changes when the model does."""


class Reason(BaseModel):
    """An item of the history that speaks for a recommendation."""

    item_id: str
    title: str | None
    effect: float
    """How far the score falls when this item is left out of the history."""


class RecommendedItem(BaseModel):
    """One item of a list."""

    item_id: str
    title: str | None
    score: float
    rank: int
    """1 is best."""
    reasons: list[Reason] | None
    """Strongest first; null where none were asked for."""


class Result(BaseModel):
    """One list, best first."""

    user_id: str | None
    items: list[RecommendedItem]


class RecommendResponse(BaseModel):
    """One result per user or history, in their order."""

    model: Model
    results: list[Result]
    note: str | None = None
    """What of the request is not known, and why lists are empty; not there if there is nothing."""


class SimilarItem(BaseModel):
    """An item near another."""

    item_id: str
    title: str | None
    score: float
    """Cosine of the two items' embeddings, or of what else is compared."""


class SimilarResponse(BaseModel):
    """Nearest items, nearest first."""

    model: Model
    item_id: str
    items: list[SimilarItem]


class NamedItem(BaseModel):
    """An item's id and title."""

    item_id: str
    title: str | None


class ItemsResponse(BaseModel):
    """Items found or had."""

    items: list[NamedItem]


class ItemResponse(NamedItem):
    """All that is known of an item."""

    text: str | None
    attributes: dict[str, str | None]
    interactions: int
    """Training interactions."""


class UsersResponse(BaseModel):
    """Ids of known users."""

    users: list[str]


class AcceptedResponse(BaseModel):
    """Feedback that is on the disk."""

    accepted: int
    note: str | None = None
    """How many are of items that the model does not know; not there if it knows all."""


class CatalogueResponse(BaseModel):
    """The catalogue from now on."""

    model: Model
    added: int = 0
    """Items that were added."""
    removed: int = 0
    """Items that were removed."""
    skipped: dict[str, int] = {}
    """Items that were left out, by reason."""
    same_text: int = 0
    """Items whose text the run has under another id: they get that item's scores."""
    unread_columns: list[str] = []
    """Attributes that the run's items do not have."""
    notes: list[str] = []
    """What of the items is likely a slip."""
    items_added: int
    """All that were added so far."""
    items: int
    """All items."""


class ReloadResponse(BaseModel):
    """The model that answers from now on."""

    model: Model


class StatusResponse(BaseModel):
    """How the service is."""

    status: str
