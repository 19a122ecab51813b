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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_kernel.server.pipeline import Stage
    from mcp_kernel.server.principal import Gate
    from mcp_kernel.server.server import Server


class Unfit(Exception):
    """The options cannot be served so; the text says what is wrong and what to do."""


def prepare(server: Server, arguments: argparse.Namespace) -> Gate | None:
    """Put the stages around a server, and return the gate before it; raises `Unfit`."""
    stages: list[Stage] = [*_limit(arguments)]
    server.use(stages)
    return None


def _limit(arguments: argparse.Namespace) -> list[Stage]:
    """What holds each caller to the limits, where there are any."""
    if arguments.rate_limit is None:
        return []
    from mcp_kernel.operations.limits import Allowance, Limits, LimitStage
    from mcp_kernel.operations.rates import parse_rate

    try:
        rate = parse_rate(arguments.rate_limit)
    except ValueError as error:
        raise Unfit(f"--rate-limit {arguments.rate_limit}: {error}") from None
    return [LimitStage(Limits(everybody=Allowance(rate=rate)))]
