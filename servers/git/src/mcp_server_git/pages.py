"""Cursors: where a long answer goes on, written so that a later call finds the place or says that it is gone."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import NamedTuple, cast

from .refusals import Refusal


class Place(NamedTuple):
    """Where to go on: an offset into what a call with the same arguments gives, and the digest that it must have."""

    offset: int
    digest: str


def digest(*parts: str | bytes | None) -> str:
    """Give a short fingerprint of what must not have changed between two pages."""
    found = hashlib.sha256()
    for part in parts:
        data = b"\0none" if part is None else part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "big") + data)
    return found.hexdigest()[:16]


def write_cursor(place: Place) -> str:
    """Write a place as text."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> Place:
    """Read what `write_cursor` wrote; None is the beginning. Raises `Refusal`."""
    if text is None:
        return Place(0, "")
    try:
        found = json.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        offset, fingerprint = cast("list[object]", found)
    except (ValueError, TypeError, RecursionError):
        raise _unknown() from None
    if (
        not isinstance(offset, int)
        or isinstance(offset, bool)
        or not 0 < offset < 1 << 50
        or not isinstance(fingerprint, str)
    ):
        raise _unknown()
    return Place(offset, fingerprint)


def _unknown() -> Refusal:
    return Refusal("This cursor was not written by this server. Use next_cursor of the last answer, or none.")


def check(place: Place, fingerprint: str) -> None:
    """Raise `Refusal` if what the cursor leads into has changed since."""
    if place.offset and place.digest != fingerprint:
        raise Refusal(
            "The cursor belongs to another call, or what it leads into has changed since. Call again without a cursor, "
            "with the same other arguments."
        )
