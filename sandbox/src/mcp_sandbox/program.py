"""The sandbox as it runs: the data, the servers, the front, the table; and nothing of them once it has ended."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from mcp_kernel.page.site import Listed, PageApp
from mcp_sandbox.children import Child, Failed, Family
from mcp_sandbox.cluster import Cluster
from mcp_sandbox.demo import Demo, Lacking
from mcp_sandbox.front import Door, Front
from mcp_sandbox.members import TITLES, Member, list_members, program_of, socket_of
from mcp_sandbox.serving import serve
from mcp_sandbox.table import Row, as_json, as_text

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says of the one port, and whether the table is for programs."""

    host: str
    allowed_hosts: Sequence[str]
    allowed_origins: Sequence[str]
    as_json: bool = False


async def run(options: Options, listener: socket.socket) -> int:
    """Run the sandbox until a signal comes; returns the exit code. A second signal ends everything at once."""
    return await _until_told(_Sandbox(options, listener).live())


async def run_front(options: Options, listener: socket.socket, ways: Mapping[str, str]) -> int:
    """Serve the page, and pass requests on to servers that run elsewhere; `ways` are their origins by name."""
    doors = {name: Door(httpx.URL(origin)) for name, origin in ways.items()}
    return await _until_told(_serve_front(options, listener, doors))


async def _serve_front(options: Options, listener: socket.socket, doors: Mapping[str, Door]) -> None:
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
    doors: dict[str, Door] = field(default_factory=dict[str, Door])
    absent: dict[str, str] = field(default_factory=dict[str, str])

    async def live(self) -> None:
        """Start all, show the table, and wait."""
        folder = _make_folder()
        sys.stderr.write(f"sandbox: making its data in {folder}, and starting {len(TITLES)} servers and PostgreSQL.\n")
        folders = [folder]
        try:
            demo = Demo(folder)
            demo.make_documents()
            async with Family(self._note_end) as family:
                members = list_members(demo, lambda script: _start_cluster(family, script, folders))
                async with asyncio.TaskGroup() as starting:
                    for member in members:
                        starting.create_task(self._start(member, family, folder))
                async with _serve(self.options, self.listener, self.doors, self.absent):
                    self._show(members)
                    await asyncio.Event().wait()
        finally:
            self.listener.close()
            for each in folders:
                shutil.rmtree(each, ignore_errors=True)

    async def _start(self, member: Member, family: Family, folder: Path) -> None:
        """Make a server's data and start it, or note why not."""
        hosts = [word for host in (self.options.host, *self.options.allowed_hosts) for word in ("--allowed-host", host)]
        origins = [word for origin in self.options.allowed_origins for word in ("--allowed-origin", origin)]
        try:
            program = program_of(member.name, await member.prepare(), [*hosts, *origins], folder)
            await family.start(program)
        except (Lacking, Failed) as problem:
            self.absent[member.name] = str(problem)
        except OSError as error:
            self.absent[member.name] = f"its data cannot be made: {error.strerror or error}"
        else:
            self.doors[member.name] = Door(socket_of(member.name, folder))

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
        if name in self.doors:
            self.doors[name].closed = child.end
        sys.stderr.write(f"sandbox: {name} does not run any more: {child.end}. The others go on.\n")


@asynccontextmanager
async def _serve(
    options: Options, listener: socket.socket, doors: Mapping[str, Door], absent: Mapping[str, str]
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


async def _start_cluster(family: Family, script: Path, folders: list[Path]) -> Cluster:
    cluster = Cluster.place()
    folders.append(cluster.folder)
    await cluster.start(family, script)
    return cluster
