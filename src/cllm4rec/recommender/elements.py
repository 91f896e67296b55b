"""The elements of an attribute's value: what a filter finds beside the whole value."""

import re

_LIST = re.compile(r"\s*\[(.*)\]\s*", re.DOTALL)
"""A list written as text, as JSON, Python or `to_csv` has it."""
# A text in quotes of one kind or the other.
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_ESCAPED = re.compile(r"\\(['\"\\])")


def listed(value: str) -> list[str] | None:
    """The elements of a list written as text: ``["Action", "Film, noir"]``, ``[1, 2]``.

    None for other texts. In quotes a comma separates nothing.
    """
    found = _LIST.fullmatch(value)
    if found is None:
        return None
    if found[1].lstrip().startswith(("'", '"')):
        quoted = ("".join(either) for either in _QUOTED.findall(found[1]))
        return [_ESCAPED.sub(r"\1", each) for each in quoted]
    return found[1].split(",")


def elements(value: str, separators: str) -> list[str]:
    """The elements of a value, without blanks around them and without empty ones.

    Args:
        value: a text.
        separators: characters that separate the elements of what is no list written as text.
    """
    found = listed(value)
    pieces = re.split(f"[{separators}]", value) if found is None else found
    return [piece for piece in map(str.strip, pieces) if piece]
