"""Foreign text within a card: shown as it is, and never read as Markdown, HTML or a link.

A card's `detail` is GitHub-flavoured Markdown, which lets HTML through, and the CDS Hooks Sandbox shows that HTML: a display
text of `<img src=…>` became a live image that reported to its server. So whatever comes from FHIR or from a YAML goes
through `escaped` before it stands in a `detail`, and through `plain` before it stands in a summary or a label.
"""

import re
import unicodedata
from functools import lru_cache

LONGEST = 300
"""Characters of one foreign text that are shown."""
_BREAK = "\u200b"
_ESCAPES = str.maketrans(
    {mark: f"\\{mark}" for mark in "`*_{}[]#~!$^"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "|": "&#124;", "\\": "&#92;"}
)
# Renderers look for addresses in the text as it reads when all escapes are undone, so that these must be broken up.
_ADDRESSES = re.compile(r"/(?=/)|@|www(?=\.|$)|\.(?=[^\W\d_])", re.IGNORECASE)
_JOINERS = "\u200c\u200d"
"""Format characters that words of some languages need; all others, such as those that turn the direction, are left out."""


@lru_cache(maxsize=4096)
def escaped(text: str) -> str:
    """Return a text that any Markdown renderer shows as written, in a paragraph as in the cell of a table.

    White space becomes one blank, what is invisible is left out, and what is longer than `LONGEST` is cut. Addresses, which
    GFM links without being asked, are broken up by zero-width spaces.
    """
    return _ADDRESSES.sub(_broken, one_line(text)).translate(_ESCAPES)


def plain(text: str, longest: int = LONGEST) -> str:
    """Return a text for what is no Markdown: one line, and nothing that could be taken for a tag."""
    return one_line(text, longest).replace("<", "‹").replace(">", "›")


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return a text in one line of at most so many UTF-16 units, as JavaScript counts; an ellipsis says that it was cut."""
    if not text.isprintable():
        text = "".join(map(_visible, text))
    text = " ".join(text.split())
    if _units(text) <= longest:
        return text
    text = text[: longest - 1]
    while _units(text) >= longest:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _visible(mark: str) -> str:
    kind = unicodedata.category(mark)
    if kind == "Cs":  # half of a pair: no UTF-8 can hold it
        return "\ufffd"
    if kind == "Cf":
        return mark if mark in _JOINERS else ""
    return " " if kind[0] == "Z" or kind == "Cc" else mark


def _broken(match: re.Match[str]) -> str:
    found = match.group()
    if found == "/" or found.lower() == "www":
        return found + _BREAK
    return f"{_BREAK}{found}{_BREAK}"
