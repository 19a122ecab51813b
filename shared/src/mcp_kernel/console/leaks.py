"""Secrets on a command line or in a URL, where every program of the machine, and many a log, can read them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from mcp_kernel.operations.hiding import SHAPES

_KNOWN: Final = {what: re.compile(shape) for what, shape in SHAPES.items()}
# What follows such a name is a secret unless it is plainly none; after the others only what looks like chance is.
_SURE: Final = re.compile(r"(api[-_]?key|access[-_]?key|secret|passw(or)?d|passphrase|private[-_]?key)$", re.IGNORECASE)
_LIKELY: Final = re.compile(
    r"(token|key|auth|authorization|bearer|credentials?|pat|pwd|pass|sig|signature)$", re.IGNORECASE
)
_WORD: Final = re.compile(r"(?P<name>-{0,2}[A-Za-z][\w.-]*)[=:](?P<value>.+)", re.DOTALL)
_PLAIN: Final = re.compile(r"[\d.,]+|true|false|yes|no|none|null|[./~].*|[A-Za-z]:[\\/].*|\$.*|<.*>", re.IGNORECASE)
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_RANDOM: Final = (16, 3.0)  # characters, and bits for each of them, from which on a word looks like chance


@dataclass(frozen=True, slots=True)
class Leak:
    """Where a secret stands, and what it looks like; `value` is for taking it out of other texts, never for showing."""

    where: str
    value: str = field(repr=False)


def find_leaks(arguments: Sequence[str], url: str | None = None) -> list[Leak]:
    """Find what looks like a secret in the arguments of a command, and in a URL."""
    found: list[Leak] = []
    before = ""
    for number, word in enumerate(arguments, 1):
        found += _look_at(word, before, f"argument {number}")
        before = word
    if url is not None:
        found += _look_into_url(url, "the URL") or _look_for_known(url, "the URL")
    return found


def _look_at(word: str, before: str, where: str) -> list[Leak]:
    known = _look_for_known(word, where)
    if known:
        return known
    if before.startswith("-") and "=" not in before and not word.startswith("-"):
        secret = _secret_of(before, word)
        if secret is not None:
            return [Leak(f"{where}, the value of {before}", secret)]
    pair = _WORD.fullmatch(word)
    if pair is not None and not pair["value"].startswith("//"):
        secret = _secret_of(pair["name"], pair["value"])
        if secret is not None:
            return [Leak(f"{where}, the value of {pair['name']}", secret)]
    return [leak for match in _URL.finditer(word) for leak in _look_into_url(match[0], where)]


def _look_for_known(text: str, where: str) -> list[Leak]:
    matches = ((what, match[0]) for what, pattern in _KNOWN.items() for match in pattern.finditer(text))
    return [Leak(f"{where}, which looks like {what}", value) for what, value in matches]


def _look_into_url(url: str, where: str) -> list[Leak]:
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return []
    return list(_leaks_of_url(password, parts.query, where))


def _leaks_of_url(password: str | None, query: str, where: str) -> Iterator[Leak]:
    if password and not _PLAIN.fullmatch(password):
        yield Leak(f"{where}, the password before the host", unquote(password))
    for name, value in parse_qsl(query):
        secret = _secret_of(name, value)
        if secret is not None:
            yield Leak(f"{where}, the parameter {name}", secret)


def _secret_of(name: str, value: str) -> str | None:
    """What of a value is secret, by the name that it has."""
    bare = value.strip().removeprefix("Bearer ").strip()
    if not bare or _PLAIN.fullmatch(bare):
        return None
    is_secret = _SURE.search(name) or (_LIKELY.search(name) and _looks_random(bare))
    return bare if is_secret else None


def _looks_random(text: str) -> bool:
    longest, least = _RANDOM
    counts = Counter(text).values()
    bits = -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
    return len(text) >= longest and bits >= least and not any(character.isspace() for character in text)


def is_secret_name(name: str) -> bool:
    """Tell whether what has this name is meant to be secret."""
    return bool(_SURE.search(name) or _LIKELY.search(name))
