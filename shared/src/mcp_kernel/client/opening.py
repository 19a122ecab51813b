"""How a conversation is opened: ask, look at the answer, and do what the table in `negotiation` says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from mcp_kernel.client.conversation import Conversation, Notice, Profile
from mcp_kernel.client.failures import (
    CannotStart,
    ClientError,
    ConnectionLost,
    HttpRefused,
    InvalidAnswer,
    NotConnected,
    ServerRefused,
)
from mcp_kernel.client.link import Link
from mcp_kernel.client.negotiation import (
    Next,
    Verdict,
    judge_post,
    judge_probe,
    judge_refused_handshake,
    shakes_hands,
)
from mcp_kernel.client.session import Session
from mcp_kernel.client.stateless import Stateless
from mcp_kernel.protocol.jsonrpc import Failure, JsonObject, Response

Probe: TypeAlias = "asyncio.Future[tuple[Response | Failure, int]]"

_TRIES: Final = 2  # a server that names the revision it was asked in, and refuses it, contradicts itself
SILENCE: Final = 5.0  # seconds without an answer to the probe, after which the handshake is tried beside it


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms to open: who asks, in which revision where that is settled, how long to wait."""

    profile: Profile
    notice: Notice
    revision: str | None = None
    pinned: bool = False
    timeout: float | None = 60.0
    silence: float = SILENCE

    @property
    def wants_handshake(self) -> bool:
        """Whether it is settled that the server begins with a handshake."""
        return self.revision is not None and shakes_hands(self.revision)

    @property
    def handshake(self) -> str | None:
        """The revision that the handshake must agree on."""
        return self.revision if self.pinned and self.wants_handshake else None


class Ways(Protocol):
    """The links to a server over HTTP, each of which can be opened once."""

    def stateless(self) -> Link: ...
    def session(self) -> Link: ...
    def events(self) -> Link: ...


# --- on a pipe, or in memory ---


async def open_channel(dial: Callable[[], Link], terms: Terms) -> Conversation:
    """Open a conversation on a channel; raises `ClientError`, and leaves nothing behind then."""
    try:
        if terms.wants_handshake:
            return await _shake_hands(dial(), terms)
        link = dial()
        try:
            return await _probe(link, terms)
        except BaseException as error:
            await link.close()
            if not isinstance(error, ConnectionLost) or isinstance(error, NotConnected) or terms.pinned:
                raise
        return await _shake_hands(dial(), terms)  # some old servers end when they are asked what they do not know
    except NotConnected:
        raise
    except ConnectionLost as error:
        raise CannotStart(str(error)) from None


async def _probe(link: Link, terms: Terms) -> Conversation:
    stateless = Stateless(link, terms.profile, terms.notice)
    link.attach(stateless)
    await link.open()
    for _ in range(_TRIES):
        probe = asyncio.ensure_future(_discover(stateless, terms.timeout))
        try:
            await asyncio.wait({probe}, timeout=None if terms.pinned else terms.silence)
            if not probe.done():
                return await _shake_hands_beside(probe, stateless, terms)
        finally:
            probe.cancel()
        answer = _read_probe(probe)
        verdict = judge_probe(answer)
        if verdict.next is Next.ASK_AGAIN and verdict.revision is not None:
            stateless.revision = verdict.revision
            continue
        return await _follow(verdict, answer, stateless, terms)
    raise InvalidAnswer(f"The server refuses the revision {stateless.revision}, which it says it speaks.")


def _read_probe(probe: Probe) -> Response | Failure | None:
    """The answer to a probe that is done; None where it is no answer, or came to nothing."""
    try:
        return probe.result()[0]
    except InvalidAnswer:
        return None


async def _follow(
    verdict: Verdict, answer: Response | Failure | None, stateless: Stateless, terms: Terms
) -> Conversation:
    if verdict.next is Next.GO_ON and isinstance(answer, Response):
        return _settle(stateless, verdict, answer.result)
    if verdict.next is Next.SHAKE_HANDS and not terms.pinned:
        session = Session(stateless.link, terms.profile, terms.notice, stateless.calls)
        session.noise = stateless.noise
        stateless.link.attach(session)
        await session.shake_hands(None, terms.timeout)
        return session
    raise InvalidAnswer(f"No common revision: {verdict.reason}.")


async def _shake_hands_beside(probe: Probe, stateless: Stateless, terms: Terms) -> Conversation:
    """The server is silent, or slow to start: whichever it answers first tells which it is."""
    link = stateless.link
    session = Session(link, terms.profile, terms.notice, stateless.calls)
    session.noise = stateless.noise
    link.attach(session)
    handshake = asyncio.ensure_future(session.shake_hands(None, terms.timeout))
    try:
        await asyncio.wait({probe, handshake}, return_when=asyncio.FIRST_COMPLETED)
        if probe.done() and (answer := _read_probe(probe)) is not None:
            verdict = judge_probe(answer)
            if verdict.next is Next.GO_ON and isinstance(answer, Response):
                link.attach(stateless)
                return _settle(stateless, verdict, answer.result)
        await handshake
        return session
    finally:
        handshake.cancel()
        with contextlib.suppress(asyncio.CancelledError, ClientError):
            await handshake


async def _shake_hands(link: Link, terms: Terms) -> Session:
    session = Session(link, terms.profile, terms.notice)
    link.attach(session)
    try:
        await link.open()
        await session.shake_hands(terms.handshake, terms.timeout)
    except BaseException:
        await session.close()
        raise
    return session


# --- over HTTP ---


async def open_http(ways: Ways, terms: Terms) -> Conversation:
    """Open a conversation over HTTP; raises `ClientError`, and leaves nothing behind then."""
    if not terms.wants_handshake:
        link = ways.stateless()
        try:
            conversation = await _post(link, terms)
        except BaseException:
            await link.close()
            raise
        if conversation is not None:
            return conversation
        await link.close()
    try:
        return await _shake_hands(ways.session(), terms)
    except (HttpRefused, ServerRefused) as error:
        answer = Failure(None, error.code, error.message, error.data) if isinstance(error, ServerRefused) else None
        if judge_refused_handshake(error.status, answer).next is not Next.OPEN_EVENTS:
            raise
        refused = error
    try:
        return await _shake_hands(ways.events(), terms)
    except HttpRefused:
        raise refused from None  # no such transport either: what the endpoint itself said tells more


async def _post(link: Link, terms: Terms) -> Conversation | None:
    """Ask for a discovery; None where the server wants a handshake."""
    stateless = Stateless(link, terms.profile, terms.notice)
    link.attach(stateless)
    for _ in range(_TRIES):
        try:
            answer, status = await _discover(stateless, terms.timeout)
            refused: HttpRefused | None = None
        except HttpRefused as error:
            answer, status, refused = None, error.status, error
        verdict = judge_post(status, answer)
        if verdict.next is Next.ASK_AGAIN and verdict.revision is not None:
            stateless.revision = verdict.revision
            continue
        if verdict.next is Next.GO_ON:
            return _settle(stateless, verdict, answer.result if isinstance(answer, Response) else {})
        if verdict.next is Next.SHAKE_HANDS and not terms.pinned:
            return None
        if verdict.next is Next.PASS_ON and isinstance(answer, Failure):
            raise ServerRefused(answer.code, answer.message, answer.data, status)
        raise refused or InvalidAnswer(f"No common revision: {verdict.reason}.")
    raise InvalidAnswer(f"The server refuses the revision {stateless.revision}, which it says it speaks.")


async def _discover(stateless: Stateless, timeout: float | None) -> tuple[Response | Failure, int]:
    """Ask what the server is; gives the answer and the HTTP status, an error among them."""
    try:
        return Response(0, await stateless.request("server/discover", timeout=timeout)), 200
    except ServerRefused as error:
        return Failure(None, error.code, error.message, error.data), error.status


def _settle(stateless: Stateless, verdict: Verdict, result: JsonObject) -> Stateless:
    if verdict.revision is not None:
        stateless.revision = verdict.revision
    stateless.describe(result)
    return stateless
