"""The sandbox as it runs: the data, the servers, the front, the table; and nothing of them once it has ended."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from mcp_kernel.page.site import Listed, PageApp
from mcp_sandbox.children import Child, Failed, Family, Program
from mcp_sandbox.cluster import Cluster
from mcp_sandbox.demo import Demo, Lacking
from mcp_sandbox.front import Door, Front, Turns
from mcp_sandbox.members import ALONE, TITLES, Member, list_members, program_of, socket_of
from mcp_sandbox.serving import serve
from mcp_sandbox.store import start_store
from mcp_sandbox.table import Row, as_json, as_text

_LAST_SECONDS: Final = 5.0  # in which what was killed must have ended
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says of the one port, and whether the table is for programs."""

    host: str
    allowed_hosts: Sequence[str]
    allowed_origins: Sequence[str]
    as_json: bool = False
    replicas: int = 1


async def run(options: Options, listener: socket.socket) -> int:
    """Run the sandbox until a signal comes; returns the exit code. A second signal ends everything at once."""
    return await _until_told(_Sandbox(options, listener).live())


async def run_front(options: Options, listener: socket.socket, ways: Sequence[tuple[str, str]]) -> int:
    """Serve the page, and pass requests on to servers that run elsewhere.

    `ways` are their names and origins; replicas of one server have its name.
    """
    doors = {
        name: Turns(*(Door(httpx.URL(origin)) for each, origin in ways if each == name))
        for name in dict.fromkeys(name for name, _ in ways)
    }
    return await _until_told(_serve_front(options, listener, doors))


async def _serve_front(options: Options, listener: socket.socket, doors: Mapping[str, Turns]) -> None:
    async with _serve(options, listener, doors, {}):
        sys.stderr.write(f"sandbox serves http://{options.host}:{listener.getsockname()[1]}/\n")
        await asyncio.Event().wait()


async def _until_told(life: Coroutine[object, object, None]) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  a coroutine that runs is in one
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, task.cancel)
    try:
        await life
    except asyncio.CancelledError:
        return 0
    return 1


@dataclass(slots=True)
class _Sandbox:
    options: Options
    listener: socket.socket
    doors: dict[str, Turns] = field(default_factory=dict[str, Turns])
    absent: dict[str, str] = field(default_factory=dict[str, str])
    open: dict[str, Door] = field(default_factory=dict[str, Door])  # by the names of the processes
    store: str | None = None  # the URL of what replicas share

    async def live(self) -> None:
        """Start all, show the table, and wait."""
        folder = _make_folder()
        sys.stderr.write(f"sandbox: making its data in {folder}, and starting {len(TITLES)} servers and PostgreSQL.\n")
        folders = [folder]
        makers = ThreadPoolExecutor(thread_name_prefix="maker")
        asyncio.get_running_loop().set_default_executor(makers)
        try:
            demo = Demo(folder)
            demo.make_documents()
            async with Family(self._note_end) as family:
                if self.options.replicas > 1:
                    self.store = await start_store(family, folder)
                members = list_members(demo, lambda script: _start_cluster(family, script, folders))
                async with asyncio.TaskGroup() as starting:
                    for member in members:
                        starting.create_task(self._start(member, family, folder))
                async with _serve(self.options, self.listener, self.doors, self.absent):
                    self._show(members)
                    await asyncio.Event().wait()
        except Failed as failed:
            sys.stderr.write(f"sandbox: the store of the replicas does not run: {failed}\n")
        finally:
            self.listener.close()
            makers.shutdown()  # who makes data goes on when nobody waits for it any more, and would write after the end
            for each in folders:
                _take_away(each)

    async def _start(self, member: Member, family: Family, folder: Path) -> None:
        """Make a server's data and start it, or note why not."""
        hosts = [word for host in (self.options.host, *self.options.allowed_hosts) for word in ("--allowed-host", host)]
        origins = [word for origin in self.options.allowed_origins for word in ("--allowed-origin", origin)]
        try:
            given = [*await member.prepare(), *hosts, *origins]
            doors = [await self._start_one(family, each) for each in self._programs(member.name, given, folder)]
        except (Lacking, Failed) as problem:
            self.absent[member.name] = str(problem)
        except OSError as error:
            self.absent[member.name] = f"its data cannot be made: {error.strerror or error}"
        else:
            self.doors[member.name] = Turns(*doors)

    def _programs(self, name: str, arguments: Sequence[str], folder: Path) -> list[Program]:
        """The processes of a server: one, or replicas that share a store."""
        if self.store is None or name in ALONE:
            return [program_of(name, arguments, folder)]
        shared = [*arguments, "--store", self.store]
        return [program_of(name, shared, folder, number) for number in range(1, self.options.replicas + 1)]

    async def _start_one(self, family: Family, program: Program) -> Door:
        await family.start(program)
        door = self.open[program.name] = Door(socket_of(program.name, program.folder))
        return door

    def _show(self, members: Sequence[Member]) -> None:
        host = self.options.host
        name = f"[{host}]" if ":" in host else host
        base = f"http://{name}:{self.listener.getsockname()[1]}"
        rows = [
            Row(each.name, each.title, f"{base}/{each.name}/mcp", each.data, self.absent.get(each.name))
            for each in members
        ]
        sys.stdout.write(as_json(base, rows) if self.options.as_json else as_text(base, rows))
        sys.stdout.flush()

    def _note_end(self, child: Child) -> None:
        """Say that something has ended by itself; the rest goes on."""
        name = child.program.name
        if name in self.open:
            self.open[name].closed = child.end
        sys.stderr.write(f"sandbox: {name} does not run any more: {child.end}. The others go on.\n")


@asynccontextmanager
async def _serve(
    options: Options, listener: socket.socket, doors: Mapping[str, Turns], absent: Mapping[str, str]
) -> AsyncGenerator[None]:
    """Serve the page with the servers that there are, and what is behind it."""
    hosts, origins = [*options.allowed_hosts, options.host], options.allowed_origins
    names = sorted(doors, key=[*TITLES, *doors].index)
    shown = [Listed(name, TITLES.get(name, name), f"/{name}/mcp") for name in names]
    front = Front(doors, absent, hosts=hosts, origins=origins)
    async with serve(PageApp(shown, behind=front, hosts=hosts, origins=origins), listener):
        yield


def _make_folder() -> Path:
    """Make the folder of the data; its name has no links in it, which some servers would resolve and others not."""
    return Path(tempfile.mkdtemp(prefix="mcp-sandbox-")).resolve()


def _take_away(folder: Path) -> None:
    """Remove a folder; again, where a process that was killed has still written to it."""
    until = time.monotonic() + _LAST_SECONDS
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


async def _start_cluster(family: Family, script: Path, folders: list[Path]) -> Cluster:
    cluster = Cluster.place()
    folders.append(cluster.folder)
    await cluster.start(family, script)
    return cluster
