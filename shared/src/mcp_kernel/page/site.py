"""An ASGI application that serves the page, its files, and the list of servers that it shows.

The page is static: everything that it does, it does in the browser, over the same HTTP that any client speaks. It is
public, and has nothing to hide: a token is typed into it, and stays in the browser's memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import Final, TypeAlias

from mcp_kernel.protocol.jsonrpc import JsonObject, to_bytes
from mcp_kernel.transports.admission import Admission
from mcp_kernel.transports.incoming import Incoming, Pairs, Receive, Scope, Send

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_INDEX: Final = "index.html"
_FOLDER: Final = "/page/"  # where the page's own files are
_LIST: Final = "/servers.json"
_TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_JSON: Final = b"application/json"
# Scripts and styles are files of ours. What a server sends becomes text, or a picture or a sound that it brought
# along. Nothing is fetched from elsewhere, so that a server learns nothing of who looks at what it wrote; a string
# can become neither markup nor script (trusted types), and the page cannot be framed by another.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_GUARDS: Final[Pairs] = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-cache"),  # asked for again each time, and answered with 304: never an old page
]


@dataclass(frozen=True, slots=True)
class Listed:
    """A server that the page shows: its short name, what people call it, and the path of its endpoint.

    The path is on the page's own origin, for example `/sqlite/mcp`.
    """

    name: str
    title: str
    path: str = "/mcp"


@dataclass(frozen=True, slots=True)
class _File:
    kind: bytes
    body: bytes

    @property
    def tag(self) -> str:
        return f'"{sha256(self.body).hexdigest()[:32]}"'


class PageApp:
    """The ASGI application: the page at `/`, its files below `/page/`, the list at `/servers.json`.

    app = PageApp([Listed("sqlite", "SQLite", "/sqlite/mcp"), Listed("git", "Git", "/git/mcp")], behind=endpoints)

    Args:
        servers: What the page shows, in this order.
        behind: The application that is asked for all other paths; without one they are not there (404).
        hosts: The names under which the page is found, besides this machine's own, as for `HttpOptions`.
        origins: As there.
    """

    def __init__(
        self,
        servers: Iterable[Listed],
        *,
        behind: App | None = None,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
    ) -> None:
        self._servers = [(each.name, each.title, each.path) for each in servers]
        self._behind = behind
        self._admission = Admission(hosts, origins)
        self._files = _read_files()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        if scope["type"] != "http":
            if self._behind is not None:
                await self._behind(scope, receive, send)
            return
        incoming = Incoming(scope, receive, send)
        file = self._find(incoming)
        if file is not None or self._behind is None:
            incoming.extra += _GUARDS
            await self._answer(incoming, file)
        else:
            await self._behind(scope, receive, send)

    def _find(self, incoming: Incoming) -> _File | None:
        """Return what is at a path; None where that is not the page's."""
        if incoming.path == _LIST:
            return self._list(incoming.root)
        return self._files.get(incoming.path or "/")

    def _list(self, root: str) -> _File:
        shown: list[JsonObject] = [
            {"name": name, "title": title, "path": root + path} for name, title, path in self._servers
        ]
        return _File(_JSON, to_bytes(shown))

    async def _answer(self, incoming: Incoming, file: _File | None) -> None:
        refusal = self._admission.refuse(incoming.headers)
        if refusal is not None:
            await incoming.refuse(refusal.status, refusal.reason)
        elif file is None:
            await incoming.refuse(404, f"There is nothing at {incoming.path}; the page is at /")
        elif incoming.method not in ("GET", "HEAD"):
            await incoming.refuse(405, f"{incoming.method} is not served here", ((b"allow", b"GET, HEAD"),))
        elif _is_known(incoming.headers.get("if-none-match", ""), file.tag):
            await incoming.respond_head(304, ((b"etag", file.tag.encode()),))
        else:  # for HEAD too: whoever serves the application leaves the body out
            await incoming.respond(200, file.body, ((b"content-type", file.kind), (b"etag", file.tag.encode())))


def _read_files() -> dict[str, _File]:
    """Read the page's files, by the paths at which they are served."""
    found: dict[str, _File] = {}
    for each in resources.files("mcp_kernel.page").joinpath("files").iterdir():
        dot = each.name.rfind(".")
        kind = _TYPES.get(each.name[dot:])
        if kind is not None:
            found["/" if each.name == _INDEX else _FOLDER + each.name] = _File(kind, each.read_bytes())
    return found


def _is_known(given: str, tag: str) -> bool:
    """Tell whether a browser holds this very file (RFC 9110, 13.1.2: compared weakly)."""
    tags = [each.strip().removeprefix("W/") for each in given.split(",")]
    return "*" in tags or tag in tags
