"""Figures of a server, kept while it serves and shown at `/metrics`: one stage, and one ear at the door.

Every label comes from a set that is bounded: methods that are served, tools that are declared, words of this project.
A tool that a client made up is counted as `unknown`. Each process counts for itself, and workers of one parent show
what all of them have counted (`operations/gathering.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.operations.exposition import KIND, Family, Histogram
from mcp_kernel.operations.figures import Figures, Report, add_up
from mcp_kernel.operations.outcomes import Outcome, of_answer, of_error

if TYPE_CHECKING:
    from collections.abc import Collection, MutableMapping

    from mcp_kernel.operations.gathering import Reporter
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.monitor import Receive, Send
    from mcp_kernel.server.pipeline import Answer, Proceed
    from mcp_kernel.server.server import Server

_STREAM: Final = b"text/event-stream"
_REFUSED: Final = {"unauthenticated": "401", "forbidden": "403", "limited": "429", "unavailable": "503"}


class Metrics:
    """A stage, and a `Monitor`; `reporter` is the way to the parent, where this is one of several workers."""

    kind = KIND

    def __init__(
        self, server: Server, clock: Callable[[], float] = perf_counter, reporter: Reporter | None = None
    ) -> None:
        self._server = server
        self._clock = clock
        self._reporter = reporter
        about = self._about = Family("mcp_server_info", "What is served.", "gauge", ("name", "version"))
        about.add(1.0, str(server.info["name"]), str(server.info["version"]))
        per_call = ("method", "tool")
        self._requests = Family("mcp_requests_total", "Requests by how they ended.", "counter", (*per_call, "outcome"))
        self._errors = Family("mcp_errors_total", "Requests that failed, by the kind of failure.", "counter", ("kind",))
        self._seconds = Histogram("mcp_request_duration_seconds", "Seconds from arrival to end.", per_call)
        self._in_flight = Family("mcp_requests_in_flight", "Requests that are being served.", "gauge")
        self._refusals = Family(
            "mcp_refusals_total", "Requests refused before their handler ran.", "counter", ("by", "status")
        )
        self._responses = Family("mcp_http_responses_total", "HTTP responses begun.", "counter", ("status",))
        self._received = Family("mcp_http_received_bytes_total", "Bytes of request bodies.", "counter")
        self._sent = Family("mcp_http_sent_bytes_total", "Bytes of response bodies.", "counter")
        self._streams = Family("mcp_http_streams", "Streams of events that are open.", "gauge")
        self._sessions = Family("mcp_sessions", "Sessions that are open.", "gauge")
        self._workers = Family("mcp_workers", "Workers whose figures are of now, or of before.", "gauge", ("state",))
        self._functions: dict[str, Callable[[], Collection[str]]] = {}
        self._lasting = (self._requests, self._errors, self._seconds, self._refusals)
        self._lasting = (*self._lasting, self._responses, self._received, self._sent)
        self._passing = (self._in_flight, self._streams)

    # --- the stage ---

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        """See `Stage.run`."""
        began = self._clock()
        self._in_flight.add(1.0)
        try:
            answer = await proceed(exchange)
        except BaseException as error:
            self._count(exchange, of_error(exchange, error), began)
            raise
        self._count(exchange, of_answer(exchange, answer), began)
        return answer

    def _count(self, exchange: Exchange, outcome: Outcome, began: float) -> None:
        method, tool = exchange.request.method, ""
        if method == "tools/call":
            name = str(exchange.request.params.get("name"))
            tool = name if self._server.tools.get(name) is not None else "unknown"
        self._in_flight.add(-1.0)
        self._requests.add(1.0, method, tool, outcome.word)
        self._seconds.observe(self._clock() - began, method, tool)
        if outcome.is_failure:
            self._errors.add(1.0, outcome.kind)
        if outcome.kind in _REFUSED:
            self._refusals.add(1.0, "pipeline", _REFUSED[outcome.kind])

    # --- the door ---

    async def open(self) -> None:
        """See `Monitor.open`."""
        if self._reporter is not None:
            await self._reporter.open(self.report)

    def report(self) -> Report:
        """What this process alone has counted."""
        lasting, passing = ({each.name: each.series for each in some} for some in (self._lasting, self._passing))
        return Report(lasting, passing, {name: [*function()] for name, function in self._functions.items()})

    async def page(self) -> bytes | None:
        """See `Monitor.page`."""
        if self._reporter is None:
            return self._write(add_up([self.report()]))
        total = await self._reporter.total()
        if total is None:
            return None
        states = {(("heard",), 1): [float(total.heard)], (("silent",), 1): [float(total.silent)]}
        return self._write({**total.figures, self._workers.name: states})

    def _write(self, figures: Figures) -> bytes:
        shown = [self._about, *self._lasting, *self._passing, self._sessions]
        if self._workers.name in figures:
            shown.append(self._workers)
        figures[self._about.name] = self._about.series
        lines = (line for each in shown for line in each.lines(figures.get(each.name, {})))
        return "".join(f"{line}\n" for line in lines).encode()

    def refuse(self, who: str, status: int) -> None:
        """See `Monitor.refuse`."""
        self._refusals.add(1.0, who, str(status))

    def watch(self, name: str, function: Callable[[], Collection[str]]) -> None:
        """See `Monitor.watch`."""
        self._functions[name] = function

    @contextmanager
    def visit(self, receive: Receive, send: Send) -> Generator[tuple[Receive, Send]]:
        """See `Monitor.visit`."""
        streams = 0.0

        async def hear() -> MutableMapping[str, object]:
            message = await receive()
            self._received.add(len(cast("bytes", message.get("body", b""))))
            return message

        async def say(message: MutableMapping[str, object]) -> None:
            nonlocal streams
            if message["type"] == "http.response.start":
                self._responses.add(1.0, str(message["status"]))
                if not streams and (b"content-type", _STREAM) in cast("list[tuple[bytes, bytes]]", message["headers"]):
                    streams = 1.0
                    self._streams.add(streams)
            self._sent.add(len(cast("bytes", message.get("body", b""))))
            await send(message)

        try:
            yield hear, say
        finally:
            self._streams.add(-streams)
