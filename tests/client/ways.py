"""Every way to one server, in every revision it has there."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Unpack

import pytest
from tests.client.options import Options
from tests.stage import LEGACY, MODERN

from mcp_kernel.client.client import Client
from mcp_kernel.client.target import Reach
from mcp_kernel.testing.eras import REVISIONS

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

    from mcp_kernel import Server

EVERYTHING = str(Path(sys.executable).with_name("mcp-server-everything"))

QUICK = {"stdio": ("2025-11-25", MODERN), "http": ("2025-11-25", MODERN), "sse": ("2024-11-05",)}
"""What is not left to the slow tests of the ways that cost a process, or sockets."""


def _case(way: str, revision: str) -> ParameterSet:
    slow = revision not in QUICK.get(way, REVISIONS)
    return pytest.param(way, revision, marks=[pytest.mark.slow] if slow else [], id=f"{way}-{revision}")


CASES = [_case(way, revision) for way in ("memory", "codec", "stdio", "http") for revision in REVISIONS]
in_every_way = pytest.mark.parametrize(("way", "revision"), [*CASES, *(_case("sse", revision) for revision in LEGACY)])


class Open(Protocol):
    """Opens a client of the everything server; options are the client's own."""

    def __call__(self, way: str, revision: str, **options: Unpack[Options]) -> AbstractAsyncContextManager[Client]: ...


@asynccontextmanager
async def in_memory(
    server: Server, revision: str, *, codec: bool, **options: Unpack[Options]
) -> AsyncGenerator[Client]:
    async with Client(server, revision=revision, reach=Reach(codec=codec), **options) as client:
        yield client
    await server.close()


Port = Callable[[str], int]
