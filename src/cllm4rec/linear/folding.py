"""Texts as people type them: one form for titles, texts and queries."""

import unicodedata

from cllm4rec.linear.text_space import WORD

_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})
"""Letters that Unicode does not take apart into a plain one and a mark."""

_KANA_VOICING = 8
"""Combining class of the marks that make か another letter, が: they are no diacritics."""


def folded(text: str) -> str:
    """Lower case without diacritics, ligatures and wide letters: ``Łódź`` → ``lodz``."""
    apart = unicodedata.normalize("NFKD", text.casefold()).casefold()
    kept = (each for each in apart if unicodedata.combining(each) in (0, _KANA_VOICING))
    return "".join(kept).translate(_LETTERS)


def composed(text: str) -> str:
    """A folded text with Hangul in whole syllables, as language models read it."""
    return unicodedata.normalize("NFC", folded(text))


def folded_words(text: str) -> list[str]:
    """The words of two letters or more of a text in this form, in order."""
    return WORD.findall(composed(text))
