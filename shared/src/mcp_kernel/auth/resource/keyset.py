"""The keys with which an issuer signs, fetched from where it publishes them, and how often it is asked.

Keys are kept for ten minutes, then fetched again beside the requests that go on with the old ones; one that the issuer
has withdrawn is good for as long. A token with a key that is not known makes the keys be fetched at once, but not more
often than every thirty seconds, whatever tokens come: anybody can make up a key's name. All who wait share one fetch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mcp_kernel.auth.metadata import server_metadata_urls, text_of
from mcp_kernel.auth.resource.settings import ALGORITHMS, Jwt
from mcp_kernel.auth.resource.tokens import Unavailable
from mcp_kernel.auth.web import Web
from mcp_kernel.errors import AuthorizationError

_LOG = logging.getLogger("mcp_kernel")

LIFE: Final = 600.0  # seconds that keys are used without asking again
QUIET: Final = 30.0  # seconds between two fetches because of a key that is not known
RETRY: Final = 5.0  # seconds between two fetches while the issuer does not answer
PATIENCE: Final = 8.0  # seconds that a request waits for the issuer
_MOST: Final = 100  # keys; issuers have two or three
_SHORTEST: Final = 2048  # bits of an RSA key (RFC 7518, section 3.3)
_NEVER: Final = float("-inf")

OpenWeb = Callable[[str], Web]
_FAMILIES: Final = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}
_PUBLIC: Final = ("kty", "kid", "n", "e", "crv", "x", "y")  # the rest of a key that was published by mistake is dropped
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


class KeySet:
    """The keys of one issuer, by their names; `clock` does not go backwards."""

    def __init__(self, settings: Jwt, open_web: OpenWeb = Web, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._open_web = open_web
        self._clock = clock
        self._keys: list[tuple[str, frozenset[str], jwt.PyJWK]] = []
        self._fetched = _NEVER  # when they came
        self._tried = _NEVER  # when they were asked for
        self._failed = False  # the last time
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, name: str | None, algorithm: str) -> list[jwt.PyJWK]:
        """The keys of a name, or all where a token names none, for an algorithm; raises `Unavailable`."""
        found = self._pick(name, algorithm)
        now = self._clock()
        if found:
            if now - self._fetched > LIFE and self._may_ask(now):
                self._ask()  # whoever asks now goes on with what there is
            return found
        if self._fetching is not None or self._may_ask(now):
            self._ask()
            await asyncio.wait([cast("asyncio.Task[None]", self._fetching)], timeout=PATIENCE)
            found = self._pick(name, algorithm)
        if not found and (self._failed or self._fetching is not None or self._fetched == _NEVER):
            raise Unavailable(int(RETRY))
        return found

    def _may_ask(self, now: float) -> bool:
        return now - self._tried >= (RETRY if self._failed else QUIET)

    def _pick(self, name: str | None, algorithm: str) -> list[jwt.PyJWK]:
        return [key for own, fits, key in self._keys if algorithm in fits and (name is None or own == name)]

    def _ask(self) -> None:
        """Have the keys fetched, once at a time."""
        if self._fetching is None or self._fetching.done():
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = True
            _LOG.error("The keys of %s could not be read", self._settings.issuer, exc_info=error)

    async def _fetch(self) -> None:
        issuer = self._settings.issuer
        try:
            async with self._open_web(issuer) as web:
                url = self._settings.jwks_url or await self._discover(web)
                reply = await web.get(url)
            listed = reply.document.get("keys")
            if not reply.succeeded or not isinstance(listed, list):
                raise AuthorizationError(f"The keys of {issuer} are not at {url} (status {reply.status})")
        except AuthorizationError as error:
            self._failed = True
            _LOG.warning("Tokens are checked with the keys that are known: %s", error)
            return
        self._keys = [read for item in cast("list[object]", listed)[:_MOST] if (read := _read_key(item)) is not None]
        self._fetched = self._clock()
        self._failed = False

    async def _discover(self, web: Web) -> str:
        """Where an issuer's own metadata says that its keys are (RFC 8414, OpenID Connect Discovery)."""
        issuer = self._settings.issuer
        for url in server_metadata_urls(issuer):
            reply = await web.get(url)
            if not reply.succeeded or not reply.document:
                continue
            if text_of(reply.document, "issuer") != issuer:  # letter by letter: RFC 8414, section 3.3
                raise AuthorizationError(f"The metadata at {url} is not that of {issuer}")
            if place := text_of(reply.document, "jwks_uri"):
                return place  # which `Web` asks only where it is safe
        raise AuthorizationError(f"{issuer} has no metadata with a jwks_uri")

    async def close(self) -> None:
        """Leave nothing behind."""
        if self._fetching is not None:
            task = self._fetching
            task.cancel()
            await asyncio.wait([task])


def _read_key(item: object) -> tuple[str, frozenset[str], jwt.PyJWK] | None:
    """A key's name, the algorithms it is for, and the key; None for one that checks no signature.

    Which algorithms a key is for, it says itself by its type and its curve, and never a token: one that is signed with
    a public key as if it were a shared secret finds no key.
    """
    if not isinstance(item, dict):
        return None
    document = cast("Mapping[str, object]", item)
    kind, curve, operations = document.get("kty"), document.get("crv"), document.get("key_ops")
    fits = _FAMILIES.get(kind, ()) if isinstance(kind, str) else ()
    if not fits or document.get("use", "sig") != "sig":
        return None
    if isinstance(operations, list) and "verify" not in operations:
        return None
    algorithms = {each for each in ALGORITHMS if each.startswith(fits)}
    if kind == "EC":
        algorithms &= {_CURVES.get(curve, "")} if isinstance(curve, str) else set()
    if (said := document.get("alg")) is not None:
        algorithms &= {said} if isinstance(said, str) else set()
    if not algorithms:
        return None
    try:
        key = jwt.PyJWK({name: text_of(document, name) for name in _PUBLIC if name in document}, min(algorithms))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        _LOG.warning("A key of the issuer cannot be read: %s", type(error).__name__)
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < _SHORTEST:
        _LOG.warning("A key of the issuer is not used: it has %d bits only", key.key.key_size)
        return None
    return text_of(document, "kid"), frozenset(algorithms), key
