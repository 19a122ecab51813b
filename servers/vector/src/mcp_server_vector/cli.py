"""The command line: arguments to a store, the store to a server."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from mcp_kernel.cli import CommandLine

from . import __version__
from .embedders import DEFAULT, Choice, choose
from .folders import Folder
from .settings import Settings

PROGRAM = "mcp-server-vector"
MAX_OUTPUT_BYTES = 100_000  # hosts cut a tool's answer near 25,000 tokens
_HEAD_START = 0.5  # seconds in which a client gets its first answers, before the imports take the processor


def folder(text: str) -> Folder:
    """Read `[COLLECTION=]DIR`; a directory that exists under the whole text is meant by it."""
    named = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]{1,60}[A-Za-z0-9])=(.+)", text)
    collection, path = (named[1], named[2]) if named and not Path(text).exists() else (None, text)
    place = Path(path).expanduser()  # shells leave the tilde of NAME=~/notes as it is, and hosts have none
    if not place.is_dir():
        raise argparse.ArgumentTypeError(f"{path!r} is no directory")
    return Folder(place.resolve(), collection)


def address(text: str) -> str:
    """Read a URL without a path of its own."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        more = "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment
    except ValueError:
        good, more = False, ""
    if not good:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL such as http://127.0.0.1:8000")
    if more:  # which is not shown: it may be a password
        raise argparse.ArgumentTypeError("write scheme, host and port alone, as http://127.0.0.1:8000")
    return text


def embedder(text: str) -> Choice:
    """Read the name of an embedder."""
    try:
        return choose(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def directory(text: str) -> Path:
    """Read a directory that need not exist."""
    if not text or "\x00" in text:
        raise argparse.ArgumentTypeError("an empty path names no directory")
    return Path(text).expanduser().absolute()


def command_line() -> CommandLine:
    """Declare the options."""
    about = "Searches documents by meaning and by words, offline from the first second."
    line = CommandLine(PROGRAM, __version__, about, MAX_OUTPUT_BYTES, "Vector search")
    add = line.add_argument_group("options of this server").add_argument
    add(
        "--data-dir",
        type=directory,
        metavar="DIR",
        help="where the collections are kept (environment: CHROMA_DB_PATH; default: a directory of the user's)",
    )
    add("--chroma-url", type=address, metavar="URL", help="a Chroma server instead; --data-dir keeps the keyword index")
    add(
        "--embedder",
        type=embedder,
        default=choose(DEFAULT),
        metavar="NAME",
        help="what makes vectors: wordllama, onnx, sentence-transformers:MODEL, openai:MODEL or ollama:MODEL"
        " (default: wordllama)",
    )
    add("--embedder-url", type=address, metavar="URL", help="the base URL of openai or ollama")
    add(
        "--files",
        type=folder,
        nargs="+",
        action="extend",
        metavar="DIR",
        help="directories whose files index_files may read",
    )
    add(
        "--watch",
        type=folder,
        nargs="+",
        action="extend",
        metavar="[COLLECTION=]DIR",
        help="directories whose files are indexed, and kept in step as they change",
    )
    add("--read-only", action="store_true", help="offer nothing that changes a collection")
    line.add_variable("CHROMA_DB_PATH", "where the collections are kept, where --data-dir is not given", path=True)
    line.add_variable("OPENAI_API_KEY", "the key for --embedder openai:MODEL", secret=True)
    return line


def main() -> None:
    """Start the server with the arguments of this process."""
    line = command_line()
    arguments = line.parse_args()
    files: Sequence[Folder] = arguments.files or ()
    watched: Sequence[Folder] = arguments.watch or ()
    if arguments.data_dir is None and os.environ.get("CHROMA_DB_PATH"):
        arguments.data_dir = directory(os.environ["CHROMA_DB_PATH"])
    if arguments.read_only and watched:
        line.error("--watch writes to the collections and --read-only forbids it: leave out one of them")
    if arguments.embedder_url and arguments.embedder.kind not in ("openai", "ollama"):
        line.error(f"--embedder-url is for openai and ollama, not for {arguments.embedder}")
    if arguments.print_config:
        line.print_config(arguments)
        return
    settings = _settings(arguments)
    for each in watched:
        place = each.place(settings.folder.resolve())
        if place is not None and not any(part.startswith(".") for part in place.split("/")):
            line.error(f"the data directory {settings.folder} lies in the watched {each.path}: take another")
    from .server import build
    from .store import Store

    store = Store(settings)
    store.engine.preparation.start_after(_HEAD_START)
    line.serve(build(store, files, watched), arguments, arguments.chroma_url or str(settings.folder))


def _settings(arguments: argparse.Namespace) -> Settings:
    chosen: Choice = arguments.embedder
    place: Path | None = arguments.data_dir
    if place is None:
        place = _own_folder() / (_slug(arguments.chroma_url) if arguments.chroma_url else "chroma")
    return Settings(
        folder=place,
        embedder=Choice(chosen.kind, chosen.model, arguments.embedder_url),
        url=arguments.chroma_url,
        read_only=arguments.read_only,
    )


def _own_folder() -> Path:
    """Where programs of this user keep their data."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / PROGRAM
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / PROGRAM
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / PROGRAM


def _slug(url: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", urlsplit(url).netloc.rpartition("@")[2])
