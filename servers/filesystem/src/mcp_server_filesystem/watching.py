"""Watching what is subscribed to: the system tells that something happened, a look confirms what changed.

The look is what counts: it is taken when a subscription begins and after every tick, through the same confinement as a
read, so that nothing is missed between two watches, a write that comes in several events is one change, and nothing
outside is told of. It is taken in a thread: what is on a disk that does not answer is left out until it does.
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
from .crew import Crew
from .descriptors import LISTING, PATH_ONLY, scan, write_path
from .errand import Errand
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
_PATIENCE = 5.0  # seconds for a look; a directory of 100,000 names takes less than one
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
        self._crew = Crew()
        self._stuck: set[str] = set()

    async def changes(self) -> AsyncGenerator[list[str]]:
        """The URIs of what changed, each time that something did."""
        try:
            changed = await self._look(set(self._subscribed))
            while True:
                if changed:
                    yield await self._outwait(changed)
                wanted = set(self._subscribed)
                async with aclosing(_ticks(await self._find_folders())) as ticks:
                    async for something_happened in ticks:
                        wanted = set(self._subscribed)
                        if something_happened or wanted != self._watched.keys() | self._stuck & wanted:
                            break
                        self._since = time.time_ns() - _SLACK_NS
                changed = await self._look(wanted)
        finally:
            self._crew.close()

    async def _outwait(self, changed: list[str]) -> list[str]:
        """All that changes until nothing does: a write that takes a while is one change, as far as patience goes."""
        told, loop = dict.fromkeys(changed), asyncio.get_running_loop()
        until = loop.time() + _LONGEST_WRITE
        more = changed
        while more and loop.time() < until:
            await asyncio.sleep(_DEBOUNCE_MS / 1000)
            more = await self._look(set(self._subscribed))
            told.update(dict.fromkeys(more))
        return list(told)

    async def _find_folders(self) -> list[str]:
        """The directories to watch: those that are there, and answer."""
        folders = {each.folder for uri, each in self._watched.items() if each.folder and uri not in self._stuck}
        with suppress(TimeoutError, Refusal):
            async with asyncio.timeout(_PATIENCE):
                return await self._crew.run(lambda: [each for each in map(write_path, folders) if _is_folder(each)])
        return []

    async def _see_all(self, wanted: set[str]) -> dict[str, tuple[Sight, str | None, int]]:
        """What URIs look like, but for those that do not say in time."""
        seen: dict[str, tuple[Sight, str | None, int]] = {}
        while todo := wanted - seen.keys() - self._stuck:
            errand = Errand()

            def see(todo: set[str] = todo, errand: Errand = errand) -> None:
                for uri in todo:
                    errand.check()
                    self._stuck.add(uri)
                    try:
                        seen[uri] = self._see(uri)
                    finally:
                        self._stuck.discard(uri)

            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._crew.run(see)
            except TimeoutError:  # the one that it is at stays among the stuck until it answers
                errand.stop()
            except Refusal:
                break
        return seen

    async def _look(self, wanted: set[str]) -> list[str]:
        """Compare with the last look; a URI that is new is only taken note of.

        But what changed since the last tick may have changed after it was subscribed to, and so counts: better once
        too often than once too little.
        """
        for uri in self._watched.keys() - wanted:
            del self._watched[uri]
        changed: list[str] = []
        for uri, (sight, folder, newest) in (await self._see_all(wanted)).items():
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
    entries, latest = _see_entries(scope, path)
    return (*told, entries), real, max(newest, latest)


def _see_entries(scope: Scope, path: str) -> tuple[int, int]:
    """A number that changes with the names, sizes and times of what a directory holds; and the latest of the times."""
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
    return hash(tuple(sorted(seen))), max((each[2] for each in seen), default=0)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  # is_dir raises where it may not look


async def _ticks(there: list[str]) -> AsyncGenerator[bool]:
    """Tick now and then; True when something happened in one of these directories, or may have.

    Where the system tells of nothing - no directory is there, one may not be listed, no more can be watched, or
    something in one has a name that watchfiles cannot read - it is time for a look after a second.
    """
    if there:
        try:
            async with aclosing(_watch(there)) as watch:
                async for happened in watch:
                    yield happened
        except FileNotFoundError:  # it went in this very moment
            yield True
            return
        except (OSError, RuntimeError, UnicodeError, ExceptionGroup):  # the last of names that are not UTF-8
            pass
    await asyncio.sleep(_TICK_MS / 1000)
    yield False
    await asyncio.sleep(_LOOK)
    yield True


async def _watch(there: list[str]) -> AsyncGenerator[bool]:
    from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]  its stop_event names anyio's type

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    due = loop.time() + _LOOK
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
    finally:
        stop.set()
