"""Hypothesis strategies: what users may hand in, and the values passed between the packages."""

from typing import Any, get_args

import numpy as np
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from cllm4rec.config import BUILT_IN, Config, Measure, Settings
from cllm4rec.config.sections import COLUMNS
from cllm4rec.documents.document import Document
from cllm4rec.tokens.space import TokenSpace

NASTY_TEXTS = [
    "",
    " ",
    "\n\t\u00a0",
    "<user_3>",
    "<item_5>",
    "item_5 user_3",
    "<|endoftext|>",
    "good<|endoftext|>bad<|im_start|>",
    "[PAD]",
    "\x00",
    "\u202e\ufeff\ufffd",
    "👩‍👩‍👧‍👦 家族 семья",
    "a" * 10_000,
]


def any_texts() -> st.SearchStrategy[str]:
    """Text of any kind, with spellings of tokens and odd characters among it."""
    pieces = st.one_of(st.text(), st.sampled_from(NASTY_TEXTS))
    return st.lists(pieces, max_size=3).map("".join)


def token_spaces(max_count: int = 1000) -> st.SearchStrategy[TokenSpace]:
    """Token spaces with at least one word, user and item."""
    counts = st.integers(1, max_count)
    return st.builds(TokenSpace, num_words=counts, num_users=counts, num_items=counts)


@st.composite
def histories(
    draw: st.DrawFn, num_items: int = 30, max_users: int = 6, max_size: int = 20
) -> list[list[int]]:
    """Distinct items of each user, in time order; users without any among them."""
    item = st.integers(0, num_items - 1)
    one = st.lists(item, unique=True, max_size=max_size)
    return draw(st.lists(one, min_size=1, max_size=max_users))


def documents(max_token: int = 50) -> st.SearchStrategy[Document]:
    """Documents of a few tokens; prompts and main texts may be empty."""
    tokens = st.lists(st.integers(-1, max_token), max_size=6).map(lambda t: np.array(t, np.int32))
    return st.builds(Document, prompt=tokens, main=tokens)


def configs() -> st.SearchStrategy[Config]:
    """Complete configurations with any values that the settings allow."""
    return _values(Config).map(_of_a_kind).map(Config.model_validate)


def _values(section: type[Settings]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({
        name: _SPECIAL[name] if name in _SPECIAL else _value(field)
        for name, field in section.model_fields.items()
    })


def _value(field: FieldInfo) -> st.SearchStrategy[Any]:
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, Settings):
        return _values(kind)
    bounds = {
        sign: getattr(metadata, sign)
        for metadata in field.metadata
        for sign in ("gt", "ge", "lt", "le")
        if hasattr(metadata, sign)
    }
    if kind is int:
        lowest = bounds.get("ge", bounds.get("gt", 0) + 1)
        return st.integers(lowest, bounds.get("le", bounds.get("lt", 2**31) - 1))
    if kind is float:
        return st.floats(
            bounds.get("ge", bounds.get("gt")),
            bounds.get("le", bounds.get("lt")),
            exclude_min="gt" in bounds,
            exclude_max="lt" in bounds,
            allow_infinity=False,
            allow_nan=False,
        )
    if kind is str:
        return _LINES
    return st.from_type(kind)


def _of_a_kind(values: dict[str, Any]) -> dict[str, Any]:
    """A random order has no next item; words go both ways in pretraining alone."""
    if values["finetune"]["target"] == "next":
        values["corpus"]["order"] = "time"
    if values["corpus"]["words"] == "both-ways":
        values["pretrain"]["enabled"] = True
    return values


_LINES = st.text(st.characters(exclude_categories=["Cs"]))
_PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _LINES,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(_LINES, values, max_size=3),
    max_leaves=5,
)
_SPECIAL = {
    "columns": st.dictionaries(st.sampled_from(COLUMNS), _LINES),
    "memory_limit": st.from_regex(r"[0-9]+(\.[0-9]+)? ?[KMGT]i?B", fullmatch=True),
    "csv_separator": st.just("auto")
    | st.characters(exclude_categories=["Cs"], exclude_characters='"\r\n'),
    "csv_encoding": st.sampled_from(["auto", "utf-8", "cp1252", "gbk"]),
    "depth": st.just("all") | st.integers(1, 99),
    "selection": st.lists(st.sampled_from(get_args(Measure)), min_size=1, unique=True),
    "baselines": st.lists(st.sampled_from(list(BUILT_IN))),
    "baseline_settings": st.dictionaries(
        st.sampled_from(list(BUILT_IN)), st.dictionaries(_LINES, _PLAIN, max_size=3), max_size=2
    ),
}
