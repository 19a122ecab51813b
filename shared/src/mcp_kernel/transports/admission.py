"""Who may talk to an HTTP server at all: the defence against DNS rebinding.

A page that a browser loaded from anywhere can make that browser send requests to this machine. Its requests carry the
name under which the browser found the server (`Host`) and the page's own origin (`Origin`); both are parsed and held
against lists, never compared as prefixes: `127.0.0.1:evil` and `127.0.0.1.evil.example` are not this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import ascii_letters, digits, hexdigits
from typing import Final

_PLAIN: Final = frozenset(f"{ascii_letters}{digits}.-_:/[]")
_ADDRESS: Final = frozenset(f"{hexdigits}:.")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_KNOWN: Final = 64  # pairs of Host and Origin that were admitted and are not taken apart again
_LONGEST_KNOWN: Final = 512  # characters of such a pair


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served: the HTTP status, and a sentence that names the option to set."""

    status: int
    reason: str


class Admission:
    """Decides by `Host` and `Origin`, before a body is read.

    `hosts` are names (`files.example`) or names with ports (`files.example:8443`), `origins` are whole
    (`https://app.example`); those of this machine are always allowed.
    """

    def __init__(self, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._hosts = frozenset(_spell(host) for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._known: set[tuple[str, str | None]] = set()  # pairs that were admitted: a client's are always the same

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        """Return why a request must not be served, or None."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if (host, origin) in self._known:
            return None
        if not self._allows_host(host):
            return Refusal(421, f"The Host {host!a} is not served here. To allow it: --allowed-host {_quote(host)}")
        if origin is not None and not self._allows_origin(origin):
            return Refusal(403, f"The Origin {origin!a} is not allowed. To allow it: --allowed-origin {_quote(origin)}")
        if len(self._known) < _MOST_KNOWN and len(host) + len(origin or "") < _LONGEST_KNOWN:
            self._known.add((host, origin))
        return None

    def shares_with(self, origin: str) -> bool:
        """Tell whether pages of an origin may read the answers: only those that were named."""
        return origin.lower() in self._origins

    def _allows_host(self, value: str) -> bool:
        name, port = _split(value)
        return name is not None and (name in _LOCAL or name in self._hosts or f"{name}:{port}" in self._hosts)

    def _allows_origin(self, value: str) -> bool:
        if value.lower() in self._origins:
            return True
        scheme, _, authority = value.lower().partition("://")
        return scheme in ("http", "https") and _split(authority)[0] in _LOCAL


def find_mistake(hosts: Iterable[str], origins: Iterable[str]) -> str | None:
    """Say what is wrong with hosts and origins that an operator allows: one that fits nothing would go unnoticed."""
    for host in hosts:
        is_ipv6 = set(host) <= _ADDRESS and host.count(":") > 1
        address = f"[{host}]" if is_ipv6 else host
        if not set(host) <= _PLAIN - {"/"} or _split(address)[0] is None:
            return f"--allowed-host {host!a} fits no client: write a name, or a name and a port, as files.example:8443"
    for origin in origins:
        scheme, colon, authority = origin.rstrip("/").partition("://")
        whole = scheme and colon and authority and "/" not in authority
        if origin != "null" and not (whole and set(origin) <= _PLAIN):
            return f"--allowed-origin {origin!a} fits no page: write scheme and host, as https://app.example"
    return None


def _split(authority: str) -> tuple[str | None, str]:
    """Split `host[:port]`; the host is None where the text is neither a name nor an address with a numeric port."""
    authority = authority.lower()
    if authority.startswith("["):
        name, bracket, rest = authority[1:].partition("]")
        port = rest.removeprefix(":")
        valid = bracket and ":" in name and rest == (f":{port}" if port else "")
    else:
        name, colon, port = authority.partition(":")
        valid = not colon or port
    if not valid or not name or (port and not (port.isascii() and port.isdigit())):
        return None, ""
    return name, port


def _spell(host: str) -> str:
    """A host that an operator named, as `_allows_host` spells it: an address of six has no brackets."""
    name, port = _split(host)
    return host.lower() if name is None else f"{name}:{port}" if port else name


def _quote(value: str) -> str:
    """What to write behind the option, where it is safe to print and to set: `null` is the origin of many pages."""
    return value if value and set(value) <= _PLAIN and value.lower() != "null" else "NAME"
