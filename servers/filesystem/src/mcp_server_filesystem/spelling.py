"""One name in several spellings: what a file system that makes no difference of case takes for the same."""

from __future__ import annotations

import re

# Characters without a shape: HFS+ leaves some of them out when it compares names, Linux' folders without case all.
_SHAPELESS = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)


def fold(text: str) -> str:
    """A name or path as it is compared where the file system may make no difference of case.

    Upper and lower case are one, and so are a letter with its accent and both written after each other; characters
    without a shape do not count (Default_Ignorable_Code_Point of Unicode).
    """
    if text.isascii():
        return text.lower()
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", _SHAPELESS.sub("", text)).casefold())
