"""API keys: 256 random bits each, of which the file has only the SHA-256.

A hash that is slow on purpose would protect what people choose; of what is random there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

from mcp_kernel.auth.resource.settings import Key

_MARK: Final = "mcp_"  # by which scanners of repositories find keys that were published by mistake


def make_key() -> str:
    """A new key; whoever holds it is whom the file says."""
    return _MARK + secrets.token_urlsafe(32)


def digest(key: bytes) -> bytes:
    """What the file keeps of a key."""
    return hashlib.sha256(key).digest()


class KeyRing:
    """The keys of the file."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    def __contains__(self, key: Key) -> bool:
        """Whether a key is in the file as it was: with the same hash, roles and end."""
        return key in self._keys

    def find(self, presented: bytes) -> Key | None:
        """The key that was presented, expired or not; takes equally long whichever it is, and if it is none."""
        found, wanted = None, digest(presented)
        for key in self._keys:
            if hmac.compare_digest(key.digest, wanted):
                found = key
        return found
