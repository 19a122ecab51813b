"""What a server that several people use puts around its requests, as the command line says.

The order of the pipeline is decided here and nowhere else. Over HTTP a gate authenticates first, before a body is
read. Then, outermost first, the stages: what observes and what keeps the audit log see everything, refusals included;
what authorises comes before what limits, so that nobody uses up a budget with calls that he may not make. What answers
a repeated call with the first one's answer, the time limit and the output budget are a tool's own, right before its
handler (`server/repeats.py`, `Server.timeout`, `Server.max_output_bytes`).

Everything is off by default and costs nothing then: what implements it is imported when it is asked for.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcp_kernel.auth.resource.binding import Proofs
    from mcp_kernel.auth.resource.document import Document
    from mcp_kernel.auth.resource.following import Part
    from mcp_kernel.operations.audit import AuditStage
    from mcp_kernel.operations.limits import LimitStage
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
    audit, limit = _keep_audit(server, arguments), _limit(arguments, link)
    if audit is not None:
        stages.append(audit)
    if link is not None:
        from mcp_kernel.operations.redis_answers import RedisAnswers
        from mcp_kernel.server.repeats import LIFETIME

        server.answers = RedisAnswers(link, arguments.idempotency_lifetime or LIFETIME)
    elif arguments.idempotency_lifetime:
        from mcp_kernel.server.repeats import MemoryAnswers

        server.answers = MemoryAnswers(arguments.idempotency_lifetime)
    gate = None
    if arguments.auth:
        from mcp_kernel.server.access import Authorization

        gate = _open_gate(server, arguments, [_regulate(limit), _redact(audit, arguments.audit_log)], link)
        stages.append(Authorization())
    elif arguments.public_url or arguments.trusted_proxy:
        raise Unfit("--public-url and --trusted-proxy say whose tokens are taken: add --auth FILE, or leave them out")
    server.use([*stages, *([limit] if limit else [])])
    return gate


def _keep_audit(server: Server, arguments: argparse.Namespace) -> AuditStage | None:
    """What keeps the audit log, where there is one."""
    if not arguments.audit_log:
        if arguments.audit_required:
            raise Unfit("--audit-required needs the log that is required: add --audit-log FILE")
        return None
    path = Path(arguments.audit_log)
    if arguments.workers > 1:
        if arguments.seat is None:  # the parent serves nobody
            return None
        path = path.with_stem(
            f"{path.stem}-{arguments.seat.place}"
        )  # a chain each; who takes a dead one's place goes on with its
    from mcp_kernel.operations.audit import AuditStage
    from mcp_kernel.operations.audit_file import AuditFile, Unusable
    from mcp_kernel.operations.audit_refusals import Refusals
    from mcp_kernel.operations.audit_writer import AuditWriter

    try:
        writer = AuditWriter(AuditFile(path, time.time()))
    except Unusable as error:
        raise Unfit(f"--audit-log: {error}") from None
    server.refusals = Refusals(writer)
    server.on_close(server.refusals.close)
    server.on_close(writer.close)
    return AuditStage(writer, required=arguments.audit_required)


def _limit(arguments: argparse.Namespace, link: RedisLink | None) -> LimitStage | None:
    """What holds each caller to the limits, where there may be any."""
    if arguments.rate_limit is None and not arguments.auth:
        return None
    from mcp_kernel.operations.limits import Allowance, LimitStage
    from mcp_kernel.operations.rates import parse_rate

    try:
        rate = None if arguments.rate_limit is None else parse_rate(arguments.rate_limit)
    except ValueError as error:
        raise Unfit(f"--rate-limit {arguments.rate_limit}: {error}") from None
    if link is None:
        return LimitStage(Allowance(rate=rate))
    from mcp_kernel.operations.redis_buckets import RedisBuckets
    from mcp_kernel.operations.redis_running import RedisRunning

    return LimitStage(Allowance(rate=rate), RedisBuckets(link), running=RedisRunning(link))


def _regulate(stage: LimitStage | None) -> Part:
    """What reads `[limits]` of the file."""
    from mcp_kernel.operations.limits import read_limits

    def read(document: Document) -> Callable[[], None]:
        limits = read_limits(document.table.get("limits", {}), document.complain)
        return lambda: stage.hold(limits) if stage else None

    return read


def _redact(stage: AuditStage | None, path: str | None) -> Part:
    """What reads `[audit]` of the file; of workers the parent has a path and writes nothing."""
    from mcp_kernel.operations.redaction import read_redaction

    def read(document: Document) -> Callable[[], None]:
        redaction = read_redaction(document.table.get("audit", {}), document.complain)
        if not path and "audit" in document.table:
            document.complain("audit is about a log that there is not: add --audit-log FILE", "audit")
        return lambda: stage.redact(redaction) if stage else None

    return read


def _open_gate(server: Server, arguments: argparse.Namespace, parts: Iterable[Part], link: RedisLink | None) -> Gate:
    """Read who is let in, and what they may use; both change with the file, and so do the other parts."""
    from mcp_kernel.auth.policy import read_policy
    from mcp_kernel.auth.resource.document import Mistaken
    from mcp_kernel.auth.resource.following import AuthFile
    from mcp_kernel.auth.resource.gate import ResourceGate
    from mcp_kernel.auth.resource.place import read_place
    from mcp_kernel.auth.unknown import tell_unknown

    def govern(document: Document) -> Callable[[], None]:
        policy = read_policy(document)
        tell_unknown(document, policy, server)
        return lambda: server.govern(policy)

    if arguments.transport == "stdio":
        raise Unfit("--auth is for HTTP; on stdio whoever starts the server may use it: add --transport http")
    try:
        path = "/sse" if arguments.transport == "sse" else arguments.path
        place = read_place(path, arguments.public_url, arguments.trusted_proxy, arguments.allowed_host)
        gate = ResourceGate(place, proofs=_keep_proofs(link))
        gate.file = AuthFile(Path(arguments.auth), [gate.read, govern, *parts])
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
            from mcp_kernel.operations.tracing_messages import MessageTracing
        except ImportError:
            raise Unfit("--trace needs opentelemetry-api: install mcp-kernel[otel]") from None
        stages.append(Tracing())
        server.tracer = MessageTracing()
    if arguments.log_format == "json":
        from mcp_kernel.operations.logs import write_lines

        write_lines(as_json=True)
    if arguments.metrics or arguments.metrics_port is not None:
        if arguments.transport == "stdio":
            raise Unfit("figures are shown over HTTP: add --transport http, or leave --metrics out")
        stages += _keep_figures(server, arguments)
    return stages


def _keep_figures(server: Server, arguments: argparse.Namespace) -> list[Stage]:
    """What counts requests; of workers each counts its own, and their parent knows of all."""
    from mcp_kernel.operations.metrics import Metrics

    reporter = None
    if arguments.workers > 1:
        if arguments.seat is None:  # the parent serves nobody
            return []
        from mcp_kernel.operations.gathering import Reporter

        reporter = Reporter(arguments.seat.figures)
        server.on_close(reporter.close)
    arguments.monitor = Metrics(server, reporter=reporter)
    return [arguments.monitor]


def _share(server: Server, arguments: argparse.Namespace) -> RedisLink | None:
    """Make the server one of several, where it is to be."""
    from mcp_kernel.operations.sharing import share_as_asked

    try:
        return share_as_asked(server, arguments.store, arguments.workers, arguments.transport)
    except ValueError as error:
        raise Unfit(str(error)) from None


def _keep_proofs(link: RedisLink | None) -> Proofs | None:
    """Where it is kept which proofs of keys were used: None is in this process."""
    if link is None:
        return None
    from mcp_kernel.operations.redis_proofs import RedisProofs

    return RedisProofs(link)
