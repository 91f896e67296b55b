"""Ways to write one id that tables and keyboards leave behind: 1833 for 001833, u1 for U1."""

import re
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

_SMALL = "in small letters"
_PATTERNS = {
    "without blanks around them": (r"^[\s\pZ]+|[\s\pZ]+$", ""),
    "without .0 at the end": (r"\.0+$", ""),
    "without leading zeros": (r"^0+([0-9])", r"\1"),
}
"""What an id may have in one place alone → pattern and replacement (RE2) that take it away."""

SPELLINGS = ("without blanks around them", _SMALL, *list(_PATTERNS)[1:])
"""In the order in which several are taken: blanks hide what stands behind them."""


def spelled(spellings: Sequence[str], column: str) -> str:
    """SQL for ids in some spellings at once.

    Args:
        spellings: of `SPELLINGS`, in their order.
        column: of ids.
    """
    for spelling in spellings:
        if spelling == _SMALL:
            column = f"lower({column})"
        else:
            pattern, replacement = _PATTERNS[spelling]
            column = f"regexp_replace({column}, '{pattern}', '{replacement}', 'g')"
    return column


def bare(text: str) -> str:
    """One id without what spellings take away, but with its capitals."""
    text = text.strip()
    for pattern, replacement in list(_PATTERNS.values())[1:]:  # Python's patterns know no \pZ
        text = re.sub(pattern, replacement, text)
    return text


def alike(count: Callable[[Sequence[str]], int]) -> dict[str, int]:
    """How many ids are alike in each spelling in which some are, by its name.

    Where none is in a single one, those that it takes together are named as one: ``001000`` and
    ``1000.0``.

    Args:
        count: how many ids are alike in these spellings; called once where none are.
    """
    if not (together := count(SPELLINGS)):
        return {}
    if found := {each: number for each in SPELLINGS if (number := count([each]))}:
        return found
    needed = list(SPELLINGS)
    for each in SPELLINGS:
        fewer = [other for other in needed if other != each]
        if count(fewer) == together:
            needed = fewer
    return {" and ".join(needed): together}


def respelled(ids: Sequence[str], known: pa.LargeStringArray) -> int:
    """How many ids are one of the known but for the spelling.

    Args:
        ids: none of which is known as it is.
        known: others.
    """
    found = pc.is_in(_plain(pa.array(ids, pa.large_string())), value_set=_plain(known))
    return int(pc.sum(found).as_py() or 0)


def _plain(ids: pa.LargeStringArray) -> pa.LargeStringArray:
    """Ids in all spellings at once."""
    for spelling in SPELLINGS:
        if spelling == _SMALL:
            ids = pc.utf8_lower(ids)
        else:
            pattern, replacement = _PATTERNS[spelling]
            ids = pc.replace_substring_regex(ids, pattern, replacement)
    return ids
