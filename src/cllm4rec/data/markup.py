"""HTML in texts: shops' titles and descriptions are read as the text that it means.

`html.parser.HTMLParser` is not used: it takes 40 s for 100 kB of tags that are not closed, drops
what only looks like a tag, and differs between Python's releases. One reading has to give the
same data everywhere.
"""

import re
from html import unescape
from html.entities import html5

VERSION = 2
"""To be raised whenever `plain` reads a text otherwise: data prepared before are then others."""

_IN_A_LINE = (
    "a|abbr|acronym|b|bdi|bdo|big|blink|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|nobr|"
    "q|rb|rp|rt|rtc|ruby|s|samp|small|span|strike|strong|sub|sup|time|tt|u|var|wbr"
)
"""Elements that do not end a word: H<sub>2</sub>O is one."""
_OTHERS = (
    "address|applet|area|article|aside|audio|base|basefont|bgsound|blockquote|body|br|button|"
    "canvas|caption|center|col|colgroup|datalist|dd|details|dialog|dir|div|dl|dt|embed|fieldset|"
    "figcaption|figure|footer|form|frame|frameset|h1|h2|h3|h4|h5|h6|head|header|hgroup|hr|html|"
    "iframe|img|input|isindex|legend|li|link|listing|main|map|marquee|menu|menuitem|meta|meter|"
    "nav|noembed|noframes|noscript|object|ol|optgroup|option|output|p|param|picture|plaintext|"
    "pre|progress|script|search|section|select|slot|source|style|summary|table|tbody|td|template|"
    "textarea|tfoot|th|thead|title|tr|track|ul|video|xmp"
)
_ENDS_NO_WORD = frozenset(_IN_A_LINE.split("|"))
_NAMES = f"{_IN_A_LINE}|{_OTHERS}"
_ALONE = (
    "allowfullscreen|async|autoplay|checked|compact|controls|defer|disabled|hidden|itemscope|loop|"
    "multiple|muted|nohref|noshade|novalidate|nowrap|open|readonly|required|reversed|selected"
)
_QUOTED = "|".join(rf"{mark}(?:[^{mark}<]|<(?![a-z/!]))*+{mark}" for mark in "\"'")
_BARE = rf"(?:[\s/]++(?:{_ALONE}|[a-z]++(?:-[a-z0-9]++)++)(?=[\s/>]))*+"
# A tag ends before the next one begins, so that no text is scanned twice. Where attributes do not
# begin as such, words in it are words: a <b and c> d, a <b and c == d> e. A quote opens a value
# behind `=` alone: elsewhere it is an inch.
_TAG = re.compile(
    rf"</(?P<ended>{_NAMES})\s*+>|<!doctype\s[^<>]*+>|<(?P<begun>{_NAMES}){_BARE}"
    rf"(?:\s*+/?\s*+>|(?=[\s/]++[^\s<>=/\"']++\s*+=)(?:=\s*+(?:{_QUOTED})|[^<>])*+>)",
    re.IGNORECASE,
)
_HIDES = re.compile(r"<!--|<(script|style)(?:\s[^<>]*+)?>", re.IGNORECASE)
_SHOWS = {
    "": re.compile("-->"),
    "script": re.compile(r"</script[^<>]*+>", re.IGNORECASE),
    "style": re.compile(r"</style[^<>]*+>", re.IGNORECASE),
}
# Python refuses to read numbers of thousands of digits.
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_AS_SHOWN = {"\xa0": " ", "\xad": ""}
"""A space and a hyphen that only concern where a line breaks."""


def plain(text: str) -> str:
    """The text that HTML means; a text without HTML comes back as it is.

    HTML is a tag of one of HTML's elements, whole, a doctype, or a character reference with its
    semicolon.
    ``3 < 5 and 7 > 2``, ``AT&T``, ``vector<int>`` and unknown tags are none. Where there is a tag,
    comments and what scripts and styles hold go too, if they are closed; the end of a block and a
    line break are a space, and white space is one space. The result has none at its ends.

    References are read once: ``&amp;amp;`` becomes ``&amp;`` and ``&lt;b&gt;`` the text ``<b>``,
    which a second call would take for a tag. So calling it twice may differ from once.

    Takes time linear in the length and raises nothing.

    Returns:
        The text; empty if nothing is left.
    """
    if "<" not in text and "&" not in text:
        return text
    said, tagged = text, _TAG.search(text) is not None
    if tagged:
        said = _TAG.sub(_between, _without_hidden(text))
    said = _REFERENCE.sub(_character, said)
    if tagged:
        said = " ".join(said.split())
    return text if said == text else said.strip()


def _without_hidden(text: str) -> str:
    """Without comments, scripts and styles; one that is not closed hides nothing."""
    kept, at, unclosed = [], 0, set()
    for begin in _HIDES.finditer(text):
        kind = (begin[1] or "").lower()
        if begin.start() < at or kind in unclosed:
            continue
        end = _SHOWS[kind].search(text, begin.end())
        if end is None:
            unclosed.add(kind)
            continue
        kept += [text[at : begin.start()], " " if kind else ""]
        at = end.end()
    return "".join([*kept, text[at:]])


def _between(tag: re.Match[str]) -> str:
    return "" if (tag["ended"] or tag["begun"] or "").lower() in _ENDS_NO_WORD else " "


def _character(reference: re.Match[str]) -> str:
    said = reference[0]
    if said[1] != "#" and said[1:] not in html5:
        return said  # `unescape` would read its beginning: &notit; as ¬it;
    character = unescape(said)
    return _AS_SHOWN.get(character, character)
