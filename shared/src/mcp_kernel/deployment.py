"""What a server that several people use puts around its requests, as the command line says.

The order of the pipeline is decided here and nowhere else. Over HTTP a gate authenticates first, before a body is
read. Then, outermost first, the stages: what observes and what keeps the audit log see everything, refusals included;
what authorises comes before what limits, so that nobody uses up a budget with calls that he may not make; what answers
a repeated call from memory comes last, right before the handler. The time limit and the output budget are the
handler's own (`Server.timeout`, `Server.max_output_bytes`).

Everything is off by default and costs nothing then: what implements it is imported when it is asked for.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_kernel.auth.resource.document import Document
    from mcp_kernel.operations.rates import Buckets
    from mcp_kernel.operations.redis_link import RedisLink
    from mcp_kernel.server.pipeline import Stage
    from mcp_kernel.server.principal import Gate
    from mcp_kernel.server.server import Server


class Unfit(Exception):
    """The options cannot be served so; the text says what is wrong and what to do."""


def prepare(server: Server, arguments: argparse.Namespace) -> Gate | None:
    """Put the stages around a server, and return the gate before it; raises `Unfit`."""
    link = _share(server, arguments)
    stages = _observe(server, arguments)
    gate = None
    if arguments.auth:
        from mcp_kernel.server.access import Authorization

        gate = _open_gate(server, arguments)
        stages.append(Authorization())
    server.use([*stages, *_limit(arguments, link)])
    return gate


def _open_gate(server: Server, arguments: argparse.Namespace) -> Gate:
    """Read who is let in, and what they may use; both change with the file."""
    from mcp_kernel.auth.policy import read_policy
    from mcp_kernel.auth.resource.document import Mistaken
    from mcp_kernel.auth.resource.following import AuthFile
    from mcp_kernel.auth.resource.gate import ResourceGate
    from mcp_kernel.auth.resource.place import read_place

    def govern(document: Document) -> Callable[[], None]:
        policy = read_policy(document) if "roles" in document.table else None
        return lambda: server.govern(policy)

    if arguments.transport == "stdio":
        raise Unfit("--auth is for HTTP; on stdio whoever starts the server may use it: add --transport http")
    try:
        path = "/sse" if arguments.transport == "sse" else arguments.path
        place = read_place(path, arguments.public_url, arguments.trusted_proxy, arguments.allowed_host)
        gate = ResourceGate(place)
        gate.file = AuthFile(Path(arguments.auth), [gate.read, govern])
        gate.file.load()
    except (Mistaken, ValueError) as error:
        raise Unfit(str(error)) from None
    return gate


def _observe(server: Server, arguments: argparse.Namespace) -> list[Stage]:
    """What watches requests: spans outermost, so that lines of the log and figures belong to one."""
    stages: list[Stage] = []
    if arguments.trace:
        try:
            from mcp_kernel.operations.tracing import Tracing
        except ImportError:
            raise Unfit("--trace needs opentelemetry-api: install mcp-kernel[otel]") from None
        stages.append(Tracing())
    if arguments.log_format:
        from mcp_kernel.operations.correlation import Correlation
        from mcp_kernel.operations.logs import write_lines

        write_lines(as_json=arguments.log_format == "json")
        stages.append(Correlation())
    if arguments.metrics or arguments.metrics_port is not None:
        if arguments.transport == "stdio":
            raise Unfit("figures are shown over HTTP: add --transport http, or leave --metrics out")
        from mcp_kernel.operations.metrics import Metrics

        arguments.monitor = Metrics(server)
        stages.append(arguments.monitor)
    return stages


def _share(server: Server, arguments: argparse.Namespace) -> RedisLink | None:
    """Make the server one of several, where it is to be."""
    if arguments.workers > 1 and (arguments.metrics or arguments.metrics_port is not None):
        raise Unfit(
            "figures are of one process, and --workers starts several: start replicas of one each, or no --metrics"
        )
    from mcp_kernel.operations.sharing import share_as_asked

    try:
        return share_as_asked(server, arguments.store, arguments.workers, arguments.transport)
    except ValueError as error:
        raise Unfit(str(error)) from None


def _limit(arguments: argparse.Namespace, link: RedisLink | None) -> list[Stage]:
    """What holds each caller to the limits, where there are any."""
    if arguments.rate_limit is None:
        return []
    from mcp_kernel.operations.limits import Allowance, Limits, LimitStage
    from mcp_kernel.operations.rates import parse_rate

    try:
        rate = parse_rate(arguments.rate_limit)
    except ValueError as error:
        raise Unfit(f"--rate-limit {arguments.rate_limit}: {error}") from None
    return [LimitStage(Limits(everybody=Allowance(rate=rate)), _buckets(link))]


def _buckets(link: RedisLink | None) -> Buckets | None:
    """Where rates are counted: None is in this process."""
    if link is None:
        return None
    from mcp_kernel.operations.redis_buckets import RedisBuckets

    return RedisBuckets(link)
