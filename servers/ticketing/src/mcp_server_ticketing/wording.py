"""Texts as they are stored: checked once, on their way in."""

import re

from .refusals import Refusal
from .tickets import LONGEST_ADDRESS, LONGEST_SUBJECT, LONGEST_TEXT

ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"
"""An address as people have them, after the living standard of HTML: no quotes, and a domain of two labels or more."""


def read_address(text: str) -> str:
    """Return an e-mail address as it is stored, in small letters; raises `Refusal` for what is none."""
    if len(text) > LONGEST_ADDRESS or not re.fullmatch(ADDRESS, text):
        raise Refusal("customer must be one e-mail address, as in alice@example.com.")
    return text.lower()


def read_line(what: str, text: str) -> str:
    """Return a text as one line without spaces around it; raises `Refusal` for an empty or a long one."""
    return _check(what, " ".join(text.split()), LONGEST_SUBJECT)


def read_text(what: str, text: str) -> str:
    """Return a text without spaces around it; raises `Refusal` for an empty or a long one."""
    return _check(what, text.strip(), LONGEST_TEXT)


def _check(what: str, text: str, most: int) -> str:
    if not text:
        raise Refusal(f"{what} is empty: say something.")
    if len(text) > most:
        raise Refusal(f"{what} has {len(text)} characters, and {most} are the most. Shorten it.")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Refusal(f"{what} holds a NUL character or half a character (a lone surrogate). Send it without.")
    return text
