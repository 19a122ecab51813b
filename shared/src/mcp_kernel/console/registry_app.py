"""The registry's API for readers as an ASGI application: `GET /v0.1/servers` and the versions of one.

Source: the registry's `openapi.yaml` of 2025-12-01. What it lets a registry leave out, to publish and to delete, is
answered with 501, as it says.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from mcp_kernel.console.catalogue import Catalogue, Json, Listed, Wanted, read_catalogue
from mcp_kernel.console.terminal import Misuse
from mcp_kernel.transports.admission import Admission
from mcp_kernel.transports.incoming import JSON, Incoming, Receive, Scope, Send

_LOG = logging.getLogger("mcp_kernel")

_PATH: Final = re.compile(r"/v0\.1/servers(?:/(?P<name>[^/]+/[^/]+)/versions(?:/(?P<version>[^/]+))?)?")
_MOST: Final = 100  # servers of a page
_USUAL: Final = 30


class _Refused(Exception):
    """A request that is not answered with servers: the status, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class RegistryApp:
    """Serves one file, and reads it again whenever it changed."""

    def __init__(self, path: Path, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        """Raises `Misuse` for a file that is no catalogue."""
        self._path = path
        self._admission = Admission(hosts, origins)
        self._stamp = _stamp(path)
        self._catalogue = read_catalogue(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            return
        incoming = Incoming(scope, receive, send)
        try:
            status, body = 200, self._answer(incoming)
        except _Refused as refusal:
            status, body = refusal.status, {"error": str(refusal)}
        await incoming.respond(status, json.dumps(body).encode(), (JSON, (b"x-content-type-options", b"nosniff")))

    async def close(self, grace: float) -> None:
        """End: nothing is kept, and an answer is never waited for."""

    def _answer(self, incoming: Incoming) -> Json:
        # Pages of other sites may ask, and get to see nothing: only the name matters, against DNS rebinding.
        refusal = self._admission.refuse({"host": incoming.headers.get("host", "")})
        if refusal is not None:
            raise _Refused(refusal.status, refusal.reason)
        origin = incoming.headers.get("origin", "")
        if origin and self._admission.shares_with(origin):
            incoming.extra += [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"origin")]
        path = incoming.path.rstrip("/")
        if path == "/healthz":
            return {"status": "ok"}
        if incoming.method not in ("GET", "HEAD"):
            status = 501 if path == "/v0.1/publish" or incoming.method == "DELETE" else 405
            incoming.extra.append((b"allow", b"GET, HEAD"))
            raise _Refused(status, "This registry can only be read")
        found = _PATH.fullmatch(path)
        if found is None:
            raise _Refused(404, "There is nothing here; the list of servers is at /v0.1/servers")
        catalogue = self._read()
        if found["name"] is None:
            return _list(catalogue, dict(parse_qsl(incoming.query.decode("latin-1"))))
        return _look_up(catalogue, found["name"], found["version"])

    def _read(self) -> Catalogue:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._catalogue = read_catalogue(self._path)
            except Misuse as error:  # half written, perhaps; what was there before is still good
                _LOG.warning("%s", error)
        return self._catalogue


def _list(catalogue: Catalogue, asked: Mapping[str, str]) -> Json:
    limit = asked.get("limit", str(_USUAL))
    if not re.fullmatch(r"[0-9]{1,9}", limit) or not 1 <= int(limit) <= _MOST:
        raise _Refused(400, f"limit must be a whole number from 1 to {_MOST}")
    wanted = Wanted(asked.get("search", ""), asked.get("version", ""), _moment(asked.get("updated_since", "")))
    try:
        shown, following = catalogue.page(wanted, int(limit), asked.get("cursor", ""))
    except ValueError as error:
        raise _Refused(400, str(error)) from None
    return _to_json(shown, following)


def _look_up(catalogue: Catalogue, name: str, version: str | None) -> Json:
    if version is None:
        versions = catalogue.versions(name)
        if not versions:
            raise _Refused(404, "Server not found")
        return _to_json(versions, None)
    found = catalogue.find(name, version)
    if found is None:
        raise _Refused(404, "Server not found")
    return found.to_json()


def _to_json(servers: list[Listed], following: str | None) -> Json:
    metadata: Json = {"count": len(servers), **({"nextCursor": following} if following else {})}
    return {"servers": [each.to_json() for each in servers], "metadata": metadata}


def _moment(text: str) -> datetime | None:
    """Read a moment of RFC 3339; one without an offset is meant in UTC."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Refused(400, "updated_since must be a moment, as 2025-08-07T13:15:04.280Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size
