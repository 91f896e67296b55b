"""Words that hold a query together and say nothing of what is asked for."""

import re
from collections.abc import Collection, Sequence

from cllm4rec.linear.words import words_of

_ENGLISH = """
    a an the this that these those there
    and or nor but if because while although though whether either neither than as so such
    however therefore thus hence whereas moreover nevertheless perhaps namely etc
    of in on at by for with from to into onto upon about during per via de
    among amongst between within until toward towards
    i me my myself you your yours yourself yourselves he him his himself she her hers herself
    its itself we our ours ourselves they them their theirs themselves
    what which whose whom when where why how
    is are was were be been being has have had having do does did doing
    could would should shall
    some any very too also
"""
FUNCTION_WORDS = frozenset(_ENGLISH.split())
"""Few on purpose: what is also a name, an object or a quality is none of them (can, may, will,
bill, fire, it and IT, us and US, who and WHO, am, over, under, no, not, all, one)."""

_LETTERS = frozenset("aeikosuvwyzавикосуя")  # noqa: RUF001
"""Words of one letter in English, Romance and Slavic languages."""
_BETWEEN = re.compile(r"[\s,;:!?()\[\]{}\"“”„«»…]+")
_CLITIC = re.compile(
    r"(?<=\w)['’](?:s|t|d|m|n|ll|re|ve)\b"  # noqa: RUF001 - children's, rock'n'roll
    r"|\b[^\W\d_]['’](?=\w)"  # noqa: RUF001 - l'amour
)


def content_words(text: str, function_words: Collection[str] = FUNCTION_WORDS) -> list[str]:
    """The distinct words of a query, in order; function words only where there is nothing else.

    Joined to another word one is part of a name (AT&T, A-Team, in-ear), and so is a single letter
    after a word that says something (vitamin A, Henry I), where no article stands.

    Args:
        text: folded, as `cllm4rec.linear.folding.composed`.
        function_words: likewise.
    """
    found: list[str] = []
    said = False
    for part in _BETWEEN.split(_CLITIC.sub(" ", text)):
        words = words_of(part, least=1)
        if words:
            named = len(words) > 1 or (said and len(words[0]) == 1)
            said = named or words[0] not in function_words
            found += words if said else []
    return list(dict.fromkeys(found or words_of(text, least=1)))


def demanded(words: Sequence[str]) -> list[str]:
    """The words of a query that an item must have for its every word.

    A letter that is a word in some language (guerra y paz) is not among them, but at the end: it
    counts where it is found (vitamin E oil).

    Args:
        words: as `content_words` gives them.
    """
    last = len(words) - 1
    return [word for at, word in enumerate(words) if at == last or word not in _LETTERS]
