"""Limits: how often, how many at once, how long and how much, for each caller.

A caller is whoever is authenticated; where nobody is, the address that the connection comes from (of IPv6 its /64,
which is what one customer has), and over stdio or a Unix socket there is one caller. Behind a proxy all have one
address: authenticate there.

What runs a handler counts. A tool's refusal is told to the model, with `isError`; another request's is an error with
HTTP status 429. Both carry `Retry-After`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import TYPE_CHECKING, Final, TypeVar

from mcp_kernel.errors import ProtocolError, ToolError
from mcp_kernel.operations.rates import Buckets, MemoryBuckets, Rate
from mcp_kernel.operations.running import Full, MemoryRunning, Running
from mcp_kernel.operations.settings import Complain, Section

if TYPE_CHECKING:
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.pipeline import Answer, Proceed

T = TypeVar("T", int, float)

TOO_MANY: Final = -32000
"""The error code of a refusal: JSON-RPC leaves it to the server, and neither era gives it a meaning."""

_TOO_MANY_REQUESTS: Final = 429  # HTTP (RFC 6585, section 4)
_METERED: Final = frozenset({"tools/call", "resources/read", "resources/list", "prompts/get", "completion/complete"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What may be used; None is no limit.

    `rate` and `concurrent` are of each caller, `output_bytes` of one result, `timeout` in seconds of one call.
    """

    rate: Rate | None = None
    concurrent: int | None = None
    output_bytes: int | None = None
    timeout: float | None = None


_NO_LIMIT: Final = Allowance()
_EVERYONE: Final = "everyone"  # the role that nobody is given (`auth/policy.py`), so that no principal names it


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What everybody may use, what roles may instead, and what may be used of single tools besides.

    What a role says stands in the place of what is said for everybody, value by value, and of several roles the most
    generous counts. A tool's rate and concurrency are limits beside the caller's own; its other values come first.
    """

    everybody: Allowance = _NO_LIMIT
    roles: Mapping[str, Allowance] = field(default_factory=dict[str, Allowance])
    tools: Mapping[str, Allowance] = field(default_factory=dict[str, Allowance])


def read_limits(table: object, complain: Complain) -> Limits:
    """Read the table `[limits]` of the settings file; what is wrong in it goes to `complain`."""
    section = Section(table, ("limits",), complain)
    limits = Limits(
        everybody=_read_allowance(section),
        roles={name: _read_allowance(inner, last=True) for name, inner in section.sections("roles").items()},
        tools={name: _read_allowance(inner, last=True) for name, inner in section.sections("tools").items()},
    )
    if _EVERYONE in limits.roles:
        place = ("limits", "roles", _EVERYONE)
        complain(f"{'.'.join(place)} is not read: what everybody may use stands in [limits] itself", *place)
    section.close()
    return limits


def _read_allowance(section: Section, *, last: bool = False) -> Allowance:
    allowance = Allowance(
        rate=section.rate("rate"),
        concurrent=section.whole("concurrent"),
        output_bytes=section.whole("output_bytes"),
        timeout=section.seconds("timeout"),
    )
    if last:
        section.close()
    return allowance


class LimitStage:
    """Holds every caller to the limits.

    Args:
        everybody: What everybody may use, where the limits say nothing of it.
        buckets: Where it is kept how much everybody has used.
        clock: Seconds that never go back.
        running: Where it is kept how many calls run.
    """

    def __init__(
        self,
        everybody: Allowance = _NO_LIMIT,
        buckets: Buckets | None = None,
        clock: Callable[[], float] = time.monotonic,
        running: Running | None = None,
    ) -> None:
        self._everybody = everybody
        self._limits = Limits(everybody=everybody)
        self._buckets = buckets or MemoryBuckets()
        self._clock = clock
        self._running = running or MemoryRunning()

    def hold(self, limits: Limits) -> None:
        """Hold to other limits from now on; what is used up of the old ones stays so."""
        mine, theirs = self._everybody, limits.everybody
        everybody = Allowance(
            rate=theirs.rate or mine.rate,
            concurrent=theirs.concurrent or mine.concurrent,
            output_bytes=theirs.output_bytes or mine.output_bytes,
            timeout=theirs.timeout or mine.timeout,
        )
        self._limits = replace(limits, everybody=everybody)

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        """Let a request through within its limits; raises `ToolError` or `ProtocolError` beyond them."""
        if exchange.request.method not in _METERED:
            return await proceed(exchange)
        who, allowed = identify(exchange), self._allow(exchange)
        places = {who: allowed}
        if exchange.request.method == "tools/call":
            name = str(exchange.request.params.get("name"))
            tool = self._limits.tools.get(name)
            if tool is not None:
                places[f"{who}\n{name}"] = tool  # no caller's name has a line feed
            _fence(exchange, allowed, tool)
        caps = {key: allowed.concurrent for key, allowed in places.items() if allowed.concurrent is not None}
        if not caps:
            await self._charge(exchange, places)
            return await proceed(exchange)
        try:
            leave = await self._running.enter(caps)
        except Full as full:
            many = f"are {full.most} calls" if full.most > 1 else "is a call"
            raise _refuse(exchange, f"There {many} of yours in progress already", 1) from None
        try:
            await self._charge(exchange, places)
            return await proceed(exchange)
        finally:
            leave()

    def _allow(self, exchange: Exchange) -> Allowance:
        """What this caller may use of everything together."""
        everybody = self._limits.everybody
        roles = () if exchange.principal is None else exchange.principal.roles
        allowed = [self._limits.roles.get(role, _NO_LIMIT) for role in roles]
        if not self._limits.roles or not allowed:
            return everybody
        return Allowance(
            rate=_fastest([each.rate or everybody.rate for each in allowed]),
            concurrent=_most([each.concurrent or everybody.concurrent for each in allowed]),
            output_bytes=_most([each.output_bytes or everybody.output_bytes for each in allowed]),
            timeout=_most([each.timeout or everybody.timeout for each in allowed]),
        )

    async def _charge(self, exchange: Exchange, places: Mapping[str, Allowance]) -> None:
        """Take one call out of each bucket."""
        demands = {key: allowance.rate for key, allowance in places.items() if allowance.rate is not None}
        wait = await self._buckets.take(demands, self._clock()) if demands else 0.0
        if wait > 0:
            said = " and ".join(str(rate) for rate in demands.values())
            raise _refuse(exchange, f"Too many calls: at most {said} are allowed", max(ceil(wait), 1))


def identify(exchange: Exchange) -> str:
    """Return the caller whose calls are counted together, as a key: see the module."""
    if exchange.principal is not None:
        return f"principal:{exchange.principal.name}"
    if exchange.address is None:
        return "connection"
    return f"address:{_widen(exchange.address)}"


def _widen(address: str) -> str:
    try:
        read = ip_address(address)
    except ValueError:  # what a test or another ASGI server calls its clients
        return address
    if not isinstance(read, IPv6Address):
        return address
    return str(read.ipv4_mapped or ip_network((read, 64), strict=False))


def _fence(exchange: Exchange, allowed: Allowance, tool: Allowance | None) -> None:
    """Set the time and the size of a call; a tool's own come first."""
    tool = tool or _NO_LIMIT
    exchange.ruling = tool.timeout or allowed.timeout
    budget = tool.output_bytes or allowed.output_bytes
    if budget is not None:
        exchange.budget = min(budget, exchange.budget or budget)


def _refuse(exchange: Exchange, reason: str, seconds: int) -> ToolError | ProtocolError:
    exchange.refusal = "limit"
    exchange.headers = (*exchange.headers, (b"retry-after", b"%d" % seconds))
    text = f"{reason}. Try again in {seconds} second{'s' if seconds > 1 else ''}."
    if exchange.request.method == "tools/call":
        return ToolError(text)
    return ProtocolError(TOO_MANY, text, {"retryAfter": seconds}, status=_TOO_MANY_REQUESTS)


def _most(values: Sequence[T | None]) -> T | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _fastest(rates: Sequence[Rate | None]) -> Rate | None:
    known = [rate for rate in rates if rate is not None]
    return max(known, key=lambda rate: rate.count / rate.seconds) if len(known) == len(rates) else None
