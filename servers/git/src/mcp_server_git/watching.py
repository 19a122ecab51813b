"""Watching a repository's HEAD and index: which of the subscribed resources have changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from .files import INDEX, identify
from .refusals import Refusal

if TYPE_CHECKING:
    from .repository import Repository

TICK_MS: Final = 1_000
WATCHED: Final = ("HEAD", "index", "packed-refs")


@dataclass(frozen=True, slots=True)
class _State:
    """What tells without reading it whether HEAD or a ref, and whether the index, is as it was."""

    refs: object
    index: object


async def follow(repository: Repository, wanted: Callable[[], list[str]]) -> AsyncGenerator[str, None]:
    """Yield the address of each wanted resource whose content has become another.

    The state of HEAD, the refs and the index is looked at whenever the file system tells of something, and once a
    second besides, since network file systems tell nothing. Only when it differs are the resources compared. One that
    is wanted since the last look, or the one before, may have changed after it was, and counts as changed: better once
    too often than once too little.
    """
    known: dict[str, str | None] = {}
    unsure: set[str] = set()
    state: _State | None = None
    async for _ in _wake(repository):
        uris = wanted()
        now = await asyncio.to_thread(_read_state, repository)
        fresh = {uri for uri in uris if uri not in known}
        known = {uri: value for uri, value in known.items() if uri in uris}
        for uri in fresh if now == state else uris:
            value = await _identify(repository, uri)
            may_have = state is not None and uri in unsure | fresh and _touch(uri, state) != _touch(uri, now)
            if may_have or known.get(uri, value) != value:
                yield uri
            known[uri] = value
        state, unsure = now, fresh


def _touch(uri: str, state: _State) -> object:
    """The part of the state on which the content at an address depends."""
    return state.index if _split(uri)[0] == INDEX else state.refs


async def _identify(repository: Repository, uri: str) -> str | None:
    try:
        return await identify(repository, *_split(uri))
    except (Refusal, OSError):
        return None


def _split(uri: str) -> tuple[str, str]:
    """The revision and the path of an address."""
    _, _, rest = uri.removeprefix("git://").partition("/")
    revision, _, path = rest.partition("/")
    return unquote(revision), unquote(path)


def _read_state(repository: Repository) -> _State:
    """Look at what differs after every commit, checkout and change of the index."""
    layout = repository.layout
    places = [layout.git_dir / "HEAD", layout.common_dir / "packed-refs"]
    for directory, inner, files in os.walk(layout.common_dir / "refs"):
        inner.sort()
        places += [Path(directory, name) for name in sorted(files)]
    return _State(list(map(_see, places)), _see(layout.git_dir / "index"))


def _see(place: Path) -> tuple[str, int, int, int]:
    try:
        status = place.stat()
    except OSError:
        return str(place), 0, 0, 0
    return str(place), status.st_mtime_ns, status.st_size, status.st_ino


async def _wake(repository: Repository) -> AsyncGenerator[None, None]:
    """Yield at once, then whenever something may have changed, and every second."""
    from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]  its stop_event names anyio's type

    yield
    layout = repository.layout
    refs = str(layout.common_dir / "refs")
    stop = asyncio.Event()
    try:
        while True:
            places = {str(layout.git_dir), str(layout.common_dir), *(each for each, _, _ in os.walk(refs))}
            # Where it went, or the system has no more watches to give, there is a look every second all the same.
            with suppress(OSError, RuntimeError, UnicodeError, ExceptionGroup):  # the last of names that are not UTF-8
                async for _ in awatch(
                    *sorted(places),
                    watch_filter=lambda _change, name: Path(name).name in WATCHED or name.startswith(refs),
                    debounce=100,
                    step=20,
                    stop_event=stop,
                    rust_timeout=TICK_MS,
                    yield_on_timeout=True,
                    recursive=False,
                ):
                    yield
            await asyncio.sleep(TICK_MS / 1000)
            yield
    finally:
        stop.set()
