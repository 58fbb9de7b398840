"""Makes text that people write safe as a label value.

Prometheus accepts any text. Other readers do not: some end a line at more characters than a
newline, some refuse a target for one long value. Ids are never changed.
"""

import re
from hashlib import sha256
from typing import Annotated
from unicodedata import category

from pydantic import AfterValidator

LONGEST = 128
"""The most characters of a value; at most 512 bytes in UTF-8."""
ELLIPSIS = "…"
_MARK_DIGITS = 8
_MARKED = re.compile(f"{ELLIPSIS}[0-9a-f]{{{_MARK_DIGITS}}}$")
_BREAKING = frozenset({"Cc", "Zl", "Zp"})
"""Control characters, and what separates lines and paragraphs."""


def _in_one_line(text: str) -> str:
    """The text with a space in place of every control character and line separator."""
    if text.isprintable():
        return text
    return "".join(" " if category(character) in _BREAKING else character for character in text)


def as_name(text: str) -> str:
    """A name or title that stands beside an id: in one line, and cut where it is too long."""
    text = _in_one_line(text)
    return text if len(text) <= LONGEST else text[: LONGEST - len(ELLIPSIS)] + ELLIPSIS


def as_word(text: str) -> str:
    """A text that distinguishes series: like a name, but two texts never become equal.

    A changed text ends in an ellipsis and the first digits of its hash. So does an unchanged text
    that already ends like that.
    """
    fit = _in_one_line(text)
    if fit == text and len(text) <= LONGEST and not _MARKED.search(text):
        return text
    mark = ELLIPSIS + sha256(text.encode(errors="surrogatepass")).hexdigest()[:_MARK_DIGITS]
    return fit[: LONGEST - len(mark)] + mark


Name = Annotated[str, AfterValidator(as_name)]
"""A name or title of something that has an id."""

Word = Annotated[str, AfterValidator(as_word)]
"""A text that distinguishes series: a name without an id, a status, a category."""
