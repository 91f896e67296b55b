"""Where the words of a text are, in any script."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

_INDIC_TO_KHMER = (*range(0x0900, 0x1100), *range(0x1780, 0x1800))
_SIGNS = "".join(chr(at) for at in _INDIC_TO_KHMER if unicodedata.category(chr(at)) in ("Mn", "Mc"))
"""Vowel signs and the like: parts of words, and no letters to ``re``."""
_WORD = re.compile(rf"[\w{_SIGNS}]+")
_UNSPACED = re.compile(
    "["
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9d"  # kana
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u0e01-\u0e4e\u0e81-\u0ece\u1000-\u109f\u1780-\u17d3"  # Thai, Lao, Burmese, Khmer
    "]+"
)
"""Scripts that put no spaces between words."""
CUT = 2
"""Version of the cut, kept with words: 1 took all between two spaces or vowel signs for a word."""
_CUT_ANEW = re.compile(rf"{_UNSPACED.pattern}|[{_SIGNS}]")
"""In words that version 1 cut otherwise, or hid in longer ones."""


def words_of(text: str, least: int = 2) -> list[str]:
    """The words of a text, in order, as they stand there.

    Scripts without spaces are cut into every two neighbouring characters, as search engines do
    where they have no dictionary.

    Args:
        text: any.
        least: characters of a word; one that stands alone in a script without spaces always counts.
    """
    if not _UNSPACED.search(text):
        return [word for word in _WORD.findall(text) if len(word) >= least]
    found: list[str] = []
    for run in _WORD.findall(text):
        at = 0
        for unspaced in _UNSPACED.finditer(run):
            found += _at_least(run[at : unspaced.start()], least)
            characters = unspaced.group()
            found += [a + b for a, b in pairwise(characters)] or [characters]
            at = unspaced.end()
        found += _at_least(run[at:], least)
    return found


def cut_otherwise(text: str, terms: Iterable[str], cut: int) -> bool:
    """Whether terms may hide a text's words, as an earlier version cut them: they share letters.

    Args:
        text: in the form of the terms.
        terms: words of items.
        cut: version that cut them, as `CUT`.
    """
    if cut >= CUT:
        return False
    letters = set("".join(word for word in words_of(text) if _CUT_ANEW.search(word)))
    return bool(letters) and any(not letters.isdisjoint(term) for term in terms)


def _at_least(word: str, least: int) -> list[str]:
    return [word] if word and len(word) >= least else []
