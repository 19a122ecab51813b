"""Fixtures of the client's tests: a client of the everything server, over whatever way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import Unpack

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.client.options import Options
from tests.client.ways import EVERYTHING, Open, Port, in_memory
from tests.transports.listening import Listening

from mcp_kernel.client.client import Client


@pytest.fixture(scope="session")
def port_of() -> Iterator[Port]:
    """The port of a server process over HTTP or HTTP+SSE, started when it is first asked for."""
    with ExitStack() as stack:
        ports: dict[str, int] = {}

        def find(transport: str) -> int:
            if transport not in ports:
                listening = stack.enter_context(Listening("--transport", transport, command=[EVERYTHING]))
                ports[transport] = int(listening.address[1])
            return ports[transport]

        yield find


@pytest.fixture
def reach(port_of: Port) -> Open:
    """Open a client."""

    def begin(way: str, revision: str, **options: Unpack[Options]) -> AbstractAsyncContextManager[Client]:
        if way == "stdio":
            return Client([EVERYTHING], revision=revision, **options)
        if way in ("http", "sse"):
            path = "/sse" if way == "sse" else "/mcp"
            return Client(f"http://127.0.0.1:{port_of(way)}{path}", revision=revision, **options)
        from mcp_server_everything.server import build

        return in_memory(build(), revision, codec=way == "codec", **options)

    return begin


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What the process's provider of spans has recorded, by OpenTelemetry's own SDK."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter
