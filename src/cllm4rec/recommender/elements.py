"""The elements of an attribute's value: what a filter finds beside the whole value."""

import re

# An element up to its comma: a text in quotes of one kind or the other, or what is bare. Numpy
# has no commas between texts: ['Action' 'Comedy'].
_ELEMENT = re.compile(
    r"""\s*+(?:('(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")\s*+(?:,|\Z|(?<=\s)(?=['"]))"""
    r"|([^,]*+)(?:,|\Z))",
    re.DOTALL,
)
_ESCAPE = re.compile(
    r"""(?:\\u[0-9a-fA-F]{4})+|\\x[0-9a-fA-F]{2}|\\U[0-9a-fA-F]{8}|\\['"\\/bfnrt]"""
)
"""What JSON and Python write in quotes for a character; two ``\\u`` may be one."""
_CODES = {"x": "latin-1", "u": "utf-16-be", "U": "utf-32-be"}
_BLANKS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NONE = {"", "None", "null", "nan", "NaN"}
"""Elements without quotes that are none."""
_CONSTANT = re.compile(r"None|nan|True|False|[+-]?[\d.]+(?:e[+-]?\d+)?", re.ASCII)
"""What Python writes without quotes in a tuple."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|[+-]?inf", re.ASCII)
"""What stands in an array of numpy's, which has blanks between its numbers."""
_BRACKET = re.compile(r"[][{}]")


def listed(value: str) -> list[str] | None:
    """The elements of a list written as text: ``["Action", "Film, noir"]``, ``[1, 2]``.

    None for other texts. JSON's, Python's and numpy's are read, and Python's tuples. In quotes a
    comma separates nothing; None and NaN are no elements; numbers stay as they are written. A list
    of lists or the like is one element, itself.
    """
    text = value.strip()
    if text[:1] not in ("[", "(") or text[-1] != {"[": "]", "(": ")"}[text[0]]:
        return None
    if text[0] == "[" and (numbers := _array(text[1:-1])):
        return [each for each in numbers if each not in _NONE]
    # Not by `json.loads` and `ast.literal_eval`: 1.50 would become 1.5, ['a' 'b'] one text, and
    # nan or a bare word refuse all.
    found = [(quoted, bare.strip()) for quoted, bare in _ELEMENT.findall(text[1:-1])]
    bare = [each for quoted, each in found if not quoted]
    if text[0] == "(" and not _is_tuple(text, bare):
        return None
    if bracket := _BRACKET.search(",".join(bare)):
        # [A], [B] is no list.
        return None if bracket[0] == "]" else [value]
    if any(each.count("(") != each.count(")") for each in bare):
        return [value]
    return [
        _unquoted(quoted) if quoted else each
        for quoted, each in found
        if quoted or each not in _NONE
    ]


def elements(value: str, separators: str) -> list[str]:
    """The elements of a value, without blanks around them and without empty ones.

    Args:
        value: a text.
        separators: characters that separate the elements of what is no list written as text.
    """
    found = listed(value)
    pieces = re.split(f"[{separators}]", value) if found is None else found
    return [piece for piece in map(str.strip, pieces) if piece]


def _array(inside: str) -> list[str]:
    """The numbers of numpy's ``[1.5  2.  nan]``; none where anything else stands between blanks."""
    parts = [] if "," in inside else inside.split()
    return parts if all(map(_NUMBER.fullmatch, parts)) else []


def _is_tuple(text: str, bare: list[str]) -> bool:
    """Whether Python wrote it: ``('a', 2)``, and neither ``(Action, Comedy)`` nor ``(1,234)``."""
    commas = ", " in text or text.endswith(",)") or text == "()"
    return commas and all(not each or _CONSTANT.fullmatch(each) for each in bare)


def _unquoted(quoted: str) -> str:
    inside = quoted[1:-1]
    return _ESCAPE.sub(_meant, inside) if "\\" in inside else inside


def _meant(escape: re.Match[str]) -> str:
    written, kind = escape[0], escape[0][1]
    if kind not in _CODES:
        return _BLANKS.get(kind, kind)
    try:
        return bytes.fromhex(written.replace(f"\\{kind}", "")).decode(_CODES[kind])
    except UnicodeDecodeError:  # half of a pair is no text
        return written
