"""Ways to write one id that tables of numbers leave behind: 1833 for 001833, and 1833.0."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

SPELLINGS = {
    "without .0 at the end": (r"\.0+$", ""),
    "without leading zeros": (r"^0+([0-9])", r"\1"),
}
"""What an id may have in one place alone → pattern and replacement (RE2) that take it away."""


def spelled(spelling: str, column: str) -> str:
    """SQL for ids in a spelling.

    Args:
        spelling: one of `SPELLINGS`.
        column: of ids.
    """
    pattern, replacement = SPELLINGS[spelling]
    return f"regexp_replace({column}, '{pattern}', '{replacement}')"


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
    for pattern, replacement in SPELLINGS.values():
        ids = pc.replace_substring_regex(ids, pattern, replacement)
    return ids
