"""`mcp-kernel registry`: serve a catalogue of servers to hosts, and search one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit

from mcp_kernel.cli import count
from mcp_kernel.console.catalogue import Catalogue, Listed, parse_catalogue, read_catalogue
from mcp_kernel.console.terminal import Misuse, draw_table, line_width, show, show_json, tell

Work = Coroutine[object, object, int]

_FILE: Final = Path("registry.json")
_PATIENCE: Final = 30.0  # seconds for a page of another registry
_LARGEST: Final = 16 * 1024 * 1024  # bytes of one
_PAGES: Final = 100  # of another registry, at most


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Add `registry serve` and `registry search`."""
    text = "serve a catalogue of servers to hosts, or search one"
    parser = commands.add_parser("registry", help=text, description=text, allow_abbrev=False)
    inner = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    text = "answer the registry's API from a file, which is read again when it changes"
    parser = inner.add_parser("serve", help=text, description=text, allow_abbrev=False)
    add = parser.add_argument
    add("file", nargs="?", type=Path, default=_FILE, metavar="FILE", help="the catalogue (default: registry.json)")
    add("--host", default="127.0.0.1", metavar="H", help="the address to listen on (default: 127.0.0.1)")
    add("--port", type=count, default=8080, metavar="P", help="the port; 0 takes a free one (default: 8080)")
    add("--uds", metavar="PATH", help="listen on a Unix domain socket instead")
    add("--allowed-host", action="append", default=[], metavar="H", help="a name under which hosts may address it")
    add("--allowed-origin", action="append", default=[], metavar="O", help="an origin whose pages may read it")
    parser.set_defaults(run=serve, transport="http", path="/v0.1/servers", log_level="warning", drain=1.0)
    text = "find servers whose name or description has a word"
    parser = inner.add_parser("search", help=text, description=text, allow_abbrev=False)
    parser.add_argument("word", metavar="WORD")
    parser.add_argument(
        "--registry",
        default=str(_FILE),
        metavar="WHERE",
        help="a file, or the URL of a registry (default: registry.json)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for a program")
    parser.set_defaults(run=search)


def serve(arguments: argparse.Namespace) -> Work:
    """Serve until a signal comes."""
    from mcp_kernel.cli import end_when_told
    from mcp_kernel.console.registry_app import RegistryApp
    from mcp_kernel.serving import serve_app

    end_when_told()
    app = RegistryApp(arguments.file, [*arguments.allowed_host, arguments.host], arguments.allowed_origin)
    problem = serve_app(app, arguments, "the registry")
    if problem:
        raise Misuse(problem)
    return _finish(0)


def search(arguments: argparse.Namespace) -> Work:
    """Print what is found; the exit code is 1 where nothing is."""
    where: str = arguments.registry
    remote = where.startswith(("http://", "https://"))
    catalogue = _fetch(where, arguments.word) if remote else read_catalogue(Path(where))
    word = arguments.word.lower()
    found = [each for each in catalogue.servers if each.latest and (remote or word in _words(each))]
    if arguments.json:
        show_json({"servers": [each.to_json() for each in found], "metadata": {"count": len(found)}})
    elif found:
        rows = [(each.name, each.version, _package(each), str(each.entry.get("description", ""))) for each in found]
        show(draw_table(("SERVER", "VERSION", "PACKAGE", "WHAT IT DOES"), rows, line_width()))
    else:
        tell(f"no server has {arguments.word!r} in its name or its description")
    return _finish(0 if found else 1)


async def _finish(code: int) -> int:
    return code


def _words(listed: Listed) -> str:
    return " ".join(str(listed.entry.get(key, "")) for key in ("name", "title", "description")).lower()


def _package(listed: Listed) -> str:
    packages = listed.entry.get("packages")
    first = cast("list[object]", packages)[0] if isinstance(packages, list) and packages else None
    return str(cast("dict[str, object]", first).get("identifier", "")) if isinstance(first, dict) else ""


def _fetch(url: str, word: str) -> Catalogue:
    """Ask a registry, page by page; it searches names alone. Raises `Misuse`."""
    base = url.rstrip("/").removesuffix("/v0.1/servers").removesuffix("/v0.1")
    asked = {"search": word, "version": "latest", "limit": "100"}
    servers: list[object] = []
    for _ in range(_PAGES):
        page = _get(f"{base}/v0.1/servers?{urlencode(asked)}")
        listed, metadata = page.get("servers"), page.get("metadata")
        servers += cast("list[object]", listed) if isinstance(listed, list) else []
        cursor = cast("dict[str, object]", metadata).get("nextCursor") if isinstance(metadata, dict) else None
        if not cursor:
            break
        asked["cursor"] = str(cursor)
    try:
        return parse_catalogue({"servers": servers}, datetime.now(UTC))
    except ValueError as error:
        raise Misuse(f"{base} answers with what is no list of servers: {error}") from None


def _get(url: str) -> dict[str, object]:
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=_PATIENCE) as answer:  # noqa: S310  # http or https, as the caller has made sure
            value: object = json.loads(answer.read(_LARGEST))
    except (URLError, OSError, ValueError) as error:
        raise Misuse(f"{urlsplit(url).netloc} cannot be asked: {error}") from None
    if not isinstance(value, dict):
        raise Misuse(f"{urlsplit(url).netloc} answers with what is no list of servers")
    return cast("dict[str, object]", value)
