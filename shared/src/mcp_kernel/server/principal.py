"""Who asks, and the gate that says so, where a server has one.

A transport asks the gate before it reads a request's body. What a principal may do is decided later, in the pipeline
(`server/pipeline.py`), which knows what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

CERTIFICATE: Final = "mcp_kernel.certificate"
"""The key in an ASGI scope for the client's certificate, in DER."""
BODY: Final = "mcp_kernel.body"
"""The key for the body, where it came whole in the same read as its head: nobody has to wait for it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was authenticated.

    `name` is unique whatever the way of authentication; two principals of one name are the same, with a fresher
    token perhaps, so what they may do is asked of the request at hand and never of an earlier one. `roles` are names
    of a policy, `scopes` those of the token, `claims` what else it says. `metadata` is where a client learns who issues
    tokens (RFC 9728); empty where nobody does. `holds` tells whether he would be let in now, as he was, which a stream
    that is open asks from time to time; None: he would.
    """

    name: str
    roles: tuple[str, ...] = field(default=(), compare=False)
    scopes: frozenset[str] = field(default=frozenset(), compare=False)
    claims: Mapping[str, object] = field(default_factory=dict[str, object], compare=False, repr=False)
    metadata: str = field(default="", compare=False, repr=False)
    holds: Callable[[], bool] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.name


def ask_for_scopes(principal: Principal | None, scopes: Iterable[str]) -> Headers:
    """The headers of a refusal with status 403 that a client answers with a token of more scopes (step-up).

    `scopes` are all that the request takes, not only those that are missing (RFC 6750, section 3.1).
    """
    parts = ['error="insufficient_scope"', f'scope="{" ".join(scopes)}"']
    if principal is not None and principal.metadata:
        parts.append(f'resource_metadata="{principal.metadata}"')
    return ((b"www-authenticate", f"Bearer {', '.join(parts)}".encode("latin-1")),)


@dataclass(frozen=True, slots=True)
class Knock:
    """An HTTP request as far as a gate needs it: everything but its body.

    `headers` are as they came, names in lower case, doubled ones too; `certificate` is the client's, in DER, where
    the connection was opened with one; `client` is the address at the other end, None on a Unix socket.
    """

    method: str
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    scheme: str = "http"
    client: str | None = None
    certificate: bytes | None = None

    def values(self, name: bytes) -> list[bytes]:
        """The values of all headers of that name, which is in lower case."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in: the HTTP status, the text for its sender, the headers that go with it."""

    status: int
    reason: str
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A request that was refused before it was one in flight, for whoever keeps an account of such.

    `by` is admission (its Host or Origin), gate, policy (the figures), http (its path, verb, body or session) or
    protocol (JSON-RPC and the rules of its era). `status` is that of HTTP, `code` that of JSON-RPC, which leaves the
    status to its transport; `http` is verb and path, `method` the method that it calls. What is not known is None.
    """

    by: str
    reason: str
    principal: Principal | None
    address: str | None
    status: int | None = None
    code: int | None = None
    http: str | None = None
    method: str | None = None


class Gate(Protocol):
    """Authenticates HTTP requests."""

    async def admit(self, knock: Knock) -> Principal | Refusal:
        """Say who asks, or why nobody is let in."""
        ...

    def document(self, knock: Knock) -> bytes | None:
        """Return the JSON of an address that the gate itself answers to everybody, as RFC 9728 wants it."""
        ...

    async def close(self) -> None:
        """Leave nothing behind."""
        ...
