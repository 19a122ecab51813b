"""What a client can be pointed at: a URL, a command, a server in this process, a transport of the host's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from mcp_kernel.client.channel import ChannelLink, Dial
from mcp_kernel.client.conversation import Conversation
from mcp_kernel.client.failures import CannotStart
from mcp_kernel.client.link import Link
from mcp_kernel.client.memory import Host, MemoryLink
from mcp_kernel.client.opening import Terms, open_channel, open_http
from mcp_kernel.client.stdio import Command, StdioLink

if TYPE_CHECKING:
    from ssl import SSLContext

    from mcp_kernel.client.http import Auth

Opener: TypeAlias = Callable[[Terms], Awaitable[Conversation]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How to get there: what goes along to a command, to a URL, or to a server in memory.

    `tls` is how a URL of https is opened: whose certificates are trusted, and which certificate is shown to a server
    that asks for one (`ssl.create_default_context(cafile=…)`, and its `load_cert_chain`). Left out, the usual
    authorities are trusted and none is shown. It holds for the server alone, not for those who issue tokens.
    """

    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    cwd: str | Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    auth: Auth | None = field(default=None, repr=False)
    tls: SSLContext | None = None
    codec: bool = False


def find_way(target: str | Sequence[str] | Host | Dial, reach: Reach) -> tuple[str, Opener]:
    """Say what a target is called in messages, and how a conversation with it is opened; raises `ValueError`."""
    if isinstance(target, str):
        if not target.startswith(("http://", "https://")):
            raise ValueError(f'{target!r} is no URL; a command is a list of words, as ["uvx", "mcp-server-git"]')
        return _name(target), lambda terms: open_http(_WebWays(target, reach), terms)
    if isinstance(target, Sequence):
        command = Command(tuple(cast("Sequence[str]", target)), reach.env, reach.cwd)
        return " ".join(command.words), lambda terms: open_channel(lambda: StdioLink(command), terms)
    if not hasattr(target, "admit"):
        dial = cast("Dial", target)
        return "the server", lambda terms: open_channel(lambda: ChannelLink(dial), terms)
    host = cast("Host", target)
    return "the server", lambda terms: open_channel(lambda: MemoryLink(host, codec=reach.codec), terms)


def identify(target: str | Sequence[str] | Host | Dial) -> str:
    """What tells this server from others in a cache."""
    if isinstance(target, str):
        return target
    return "\0".join(cast("Sequence[str]", target)) if isinstance(target, Sequence) else f"memory:{id(target)}"


def _name(url: str) -> str:
    """A URL without what may be secret in it."""
    head, _, _ = url.partition("?")
    scheme, _, rest = head.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def explain_missing(error: ModuleNotFoundError) -> CannotStart:
    """Say what to install; raises the error itself where it is no package that is left out on purpose."""
    if error.name != "httpx":
        raise error
    return CannotStart("A server at a URL needs httpx, which is not installed: pip install 'mcp-kernel[client]'.")


class _WebWays:
    """The three shapes that a server over HTTP may have; httpx is imported with the first of them."""

    def __init__(self, url: str, reach: Reach) -> None:
        try:
            from mcp_kernel.client.http import Web
        except ModuleNotFoundError as error:
            raise explain_missing(error) from None
        self._open = lambda: Web(url, headers=reach.headers, auth=reach.auth, tls=reach.tls)

    def stateless(self) -> Link:
        from mcp_kernel.client.http_stateless import StatelessHttp

        return StatelessHttp(self._open())

    def session(self) -> Link:
        from mcp_kernel.client.http_session import SessionHttp

        return SessionHttp(self._open())

    def events(self) -> Link:
        from mcp_kernel.client.http_events import EventPair

        return EventPair(self._open())
