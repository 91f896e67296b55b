"""Texts as people type them: one form for titles, texts and queries."""

import unicodedata

from cllm4rec.linear.words import words_of

_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})
"""Letters that Unicode does not take apart into a plain one and a mark."""

_LETTERS_OWN = frozenset({0, 8, 9, 84, 91, 103, 107, 118, 122, 129, 130, 132})
"""Combining classes of marks that make another word, as voicing does of か, が: no diacritics.

Voiced kana, virama (क् is not क), vowel signs and tones of Telugu, Thai, Lao and Tibetan.
"""


def folded(text: str) -> str:
    """Lower case without diacritics, ligatures and wide letters: ``Łódź`` → ``lodz``."""
    apart = unicodedata.normalize("NFKD", text.casefold()).casefold()
    kept = (each for each in apart if unicodedata.combining(each) in _LETTERS_OWN)
    return "".join(kept).translate(_LETTERS)


def composed(text: str) -> str:
    """A folded text with Hangul in whole syllables, as language models read it."""
    return unicodedata.normalize("NFC", folded(text))


def folded_words(text: str, least: int = 1) -> list[str]:
    """The words of a text in this form, in order.

    Args:
        text: any.
        least: characters of a word, as of `words_of`.
    """
    return words_of(composed(text), least)
