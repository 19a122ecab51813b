"""Watching what is subscribed to: the system tells that something happened, a look confirms what changed.

The look is what counts: it is taken when a subscription begins and after every tick, through the same confinement as a
read, so that nothing is missed between two watches, a write that comes in several events is one change, and nothing
outside is told of.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import stat
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from .addresses import read_uri
from .confinement import Scope
from .descriptors import LISTING, PATH_ONLY, scan, write_path
from .refusals import Refusal
from .sandbox import Sandbox

_TICK_MS = 50
_LOOK = 1.0  # seconds between two looks that nothing called for: a network file system tells of nothing
_DEBOUNCE_MS = 60
_LONGEST_WRITE = 1.0  # seconds after which a write that still goes on is told of: a log never ends
_SLACK_NS = (
    10_000_000  # a subscription is answered a moment before it is looked at, and file systems' clocks are coarse
)
_STEP_MS = 20
_MOST_NAMES = 100_000
Sight = tuple[object, ...]
_NOTHING: Sight = ()
_UNSEEN: Sight = ("unseen",)


@dataclass(slots=True)
class _Watched:
    """What a URI looked like, and the directory in which a change of it shows."""

    sight: Sight
    folder: str | None


class Watch:
    """Follows the paths of URIs, which may come and go meanwhile."""

    def __init__(self, sandbox: Sandbox, subscribed: Iterable[str]) -> None:
        self._sandbox = sandbox
        self._subscribed = subscribed
        self._watched: dict[str, _Watched] = {}
        self._since = time.time_ns() - _SLACK_NS

    async def changes(self) -> AsyncGenerator[list[str]]:
        """The URIs of what changed, each time that something did."""
        changed = self._look(set(self._subscribed))  # here and now: what is written from this moment on counts
        while True:
            if changed:
                yield await self._outwait(changed)
            wanted = set(self._subscribed)
            async with aclosing(_ticks({each.folder for each in self._watched.values() if each.folder})) as ticks:
                async for something_happened in ticks:
                    wanted = set(self._subscribed)
                    if something_happened or wanted != self._watched.keys():
                        break
                    self._since = time.time_ns() - _SLACK_NS
            changed = await asyncio.to_thread(self._look, wanted)

    async def _outwait(self, changed: list[str]) -> list[str]:
        """All that changes until nothing does: a write that takes a while is one change, as far as patience goes."""
        told, loop = dict.fromkeys(changed), asyncio.get_running_loop()
        until = loop.time() + _LONGEST_WRITE
        more = changed
        while more and loop.time() < until:
            await asyncio.sleep(_DEBOUNCE_MS / 1000)
            more = await asyncio.to_thread(self._look, set(self._subscribed))
            told.update(dict.fromkeys(more))
        return list(told)

    def _look(self, wanted: set[str]) -> list[str]:
        """Compare with the last look; a URI that is new is only taken note of.

        But what changed since the last tick may have changed after it was subscribed to, and so counts: better once
        too often than once too little.
        """
        for uri in self._watched.keys() - wanted:
            del self._watched[uri]
        changed: list[str] = []
        for uri in wanted:
            sight, folder, newest = self._see(uri)
            watched = self._watched.get(uri)
            if watched is None:
                watched = self._watched[uri] = _Watched(_UNSEEN if newest > self._since else sight, folder)
            watched.folder = folder or watched.folder
            if sight != watched.sight:
                watched.sight = sight
                changed.append(uri)
        return changed

    def _see(self, uri: str) -> tuple[Sight, str | None, int]:
        """What a URI looks like now, the directory in which a change of it shows, and when it last changed."""
        path = read_uri(uri)
        if path is None:
            return _NOTHING, None, 0
        try:
            with self._sandbox.scope() as scope:
                return _see(scope, path)
        except (Refusal, OSError):
            return _NOTHING, None, 0


def _see(scope: Scope, path: str) -> tuple[Sight, str | None, int]:
    try:
        with scope.open(path, PATH_ONLY) as opened:
            if scope.is_denied(opened.real):
                return _NOTHING, None, 0
            status = os.fstat(opened.fd)
            told: Sight = (status.st_dev, status.st_ino)
            real = opened.real
    except Refusal:
        with scope.spot(path) as spot:  # not there, or not any more: its directory tells when it comes, or when it went
            return _NOTHING, spot.folder.real, os.fstat(spot.folder.fd).st_mtime_ns
    newest = max(status.st_mtime_ns, status.st_ctime_ns)
    if not stat.S_ISDIR(status.st_mode):
        return (*told, status.st_size, status.st_mtime_ns), posixpath.dirname(real), newest
    return (*told, _see_entries(scope, path)), real, newest


def _see_entries(scope: Scope, path: str) -> int:
    """A number that changes with the names, sizes and times of what a directory holds."""
    seen: list[tuple[str, int, int]] = []
    with scope.open(path, LISTING) as opened, scan(opened.fd) as found:
        for entry in found:
            if len(seen) >= _MOST_NAMES:
                break
            if entry.name.endswith(".tmp") and entry.name.startswith("."):
                continue  # a write on its way
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                seen.append((entry.name, status.st_size, status.st_mtime_ns))
    return hash(tuple(sorted(seen)))


async def _ticks(folders: set[str]) -> AsyncGenerator[bool]:
    """Tick now and then; True when something happened in one of these directories, or may have."""
    from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]  its stop_event names anyio's type

    there = [folder for folder in map(write_path, folders) if os.path.isdir(folder)]  # noqa: ASYNC240, PTH112  # a moment's work
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    due = loop.time() + _LOOK
    if not there:
        await asyncio.sleep(_TICK_MS / 1000)
        yield False
        await asyncio.sleep(_LOOK)
        yield True
        return
    try:
        async for events in awatch(
            *there,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            stop_event=stop,
            rust_timeout=_TICK_MS,
            yield_on_timeout=True,
            recursive=False,
        ):
            yield bool(events) or loop.time() > due
    except FileNotFoundError:  # it went in this very moment
        yield True
    finally:
        stop.set()
