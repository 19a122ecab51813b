"""Which era a server speaks, told from its first answers: a decision table, without a clock or a socket.

A client opens as if the server were modern and looks at what comes back (basic/versioning, "Backward Compatibility";
basic/transports/stdio and streamable-http, the same heading). A *recognised modern error* proves a modern server, and
so does a discovery result; other errors, and silence, are a server that waits for a handshake.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, cast

from mcp_kernel.errors import HEADER_MISMATCH, METHOD_NOT_FOUND, MISSING_CAPABILITY, UNSUPPORTED_REVISION
from mcp_kernel.protocol.jsonrpc import Failure, JsonObject, Response
from mcp_kernel.protocol.revisions import LEGACY, MODERN

_FALLS_BACK: Final = frozenset({400, 404, 405})  # HTTP statuses with which older servers meet a modern request
_MODERN_ERRORS: Final = frozenset({HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_REVISION})


class Next(Enum):
    """What a client does after an answer."""

    GO_ON = auto()  # without a handshake, in the revision given
    ASK_AGAIN = auto()  # in the revision given
    SHAKE_HANDS = auto()  # initialize
    OPEN_EVENTS = auto()  # the HTTP+SSE transport of 2024-11-05, then initialize
    GIVE_UP = auto()  # for want of a revision
    PASS_ON = auto()  # give up, and tell what the server said: it is about something else


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do next, in which revision where that was decided, and why."""

    next: Next
    revision: str | None = None
    reason: str = ""


def judge_probe(answer: Response | Failure | None) -> Verdict:
    """Judge the answer to `server/discover` on a pipe; None stands for silence, or for the end of the process."""
    if answer is None:
        return Verdict(Next.SHAKE_HANDS, reason="no answer to server/discover")
    if isinstance(answer, Response):
        return _judge_discovery(answer.result)
    if answer.code == UNSUPPORTED_REVISION:
        return _choose(_supported(answer.data))
    if answer.code in _MODERN_ERRORS:
        return Verdict(Next.GIVE_UP, reason=answer.message)
    return Verdict(Next.SHAKE_HANDS, reason=f"server/discover was refused: {answer.message}")


def judge_post(status: int, answer: Response | Failure | None) -> Verdict:
    """Judge the answer to `server/discover` over HTTP; None where the body was no JSON-RPC answer."""
    if isinstance(answer, Response):
        return _judge_discovery(answer.result)
    if answer is not None and (answer.code in _MODERN_ERRORS or (status, answer.code) == (404, METHOD_NOT_FOUND)):
        if answer.code == METHOD_NOT_FOUND:  # modern without discovery: the next request will tell
            return Verdict(Next.GO_ON, next(iter(MODERN)), reason="server/discover is not there")
        return judge_probe(answer)
    if status in _FALLS_BACK or (answer is not None and status < 300):
        return Verdict(Next.SHAKE_HANDS, reason=f"status {status} to a modern request")
    return Verdict(Next.PASS_ON, reason=f"status {status}")


def judge_refused_handshake(status: int, answer: Response | Failure | None) -> Verdict:
    """Judge the status with which `initialize` was refused over HTTP."""
    if status in _FALLS_BACK and (
        answer is None or (isinstance(answer, Failure) and answer.code not in _MODERN_ERRORS)
    ):
        return Verdict(Next.OPEN_EVENTS, reason=f"status {status} to initialize")
    return Verdict(Next.GIVE_UP, reason=f"status {status} to initialize")


def judge_handshake(result: JsonObject, pinned: str | None) -> Verdict:
    """Judge the result of `initialize`: a revision that is spoken here, and the pinned one where one is."""
    revision = result.get("protocolVersion")
    if not isinstance(revision, str) or revision not in LEGACY:
        spoken = ", ".join(LEGACY)
        return Verdict(Next.GIVE_UP, reason=f"the server answered the handshake with {revision!r}; known are {spoken}")
    if pinned is not None and revision != pinned:
        return Verdict(Next.GIVE_UP, revision, f"the server speaks {revision}, and the client is pinned to {pinned}")
    return Verdict(Next.GO_ON, revision)


def shakes_hands(revision: str) -> bool:
    """Tell whether a pinned or remembered revision begins with a handshake; raises `ValueError` for an unknown one."""
    if revision not in LEGACY and revision not in MODERN:
        raise ValueError(f"unknown revision {revision!r}; known are {', '.join((*LEGACY, *MODERN))}")
    return revision in LEGACY


def _judge_discovery(result: JsonObject) -> Verdict:
    if not isinstance(result.get("supportedVersions"), list):  # an older server that answers whatever it is asked
        return Verdict(Next.SHAKE_HANDS, reason="the answer to server/discover names no versions")
    verdict = _choose(_strings(result["supportedVersions"]))
    return Verdict(Next.GO_ON, verdict.revision) if verdict.next is Next.ASK_AGAIN else verdict


def _choose(supported: Sequence[str]) -> Verdict:
    """The newest revision that both speak; a server that says it speaks only older ones is taken at its word."""
    shared = _newest(MODERN, supported)
    if shared is not None:
        return Verdict(Next.ASK_AGAIN, shared)
    if _newest(LEGACY, supported) is not None:
        return Verdict(Next.SHAKE_HANDS, reason=f"the server speaks {', '.join(supported)}")
    return Verdict(Next.GIVE_UP, reason=f"the server speaks {', '.join(supported) or 'nothing'}, none of it known here")


def _newest(known: Collection[str], supported: Sequence[str]) -> str | None:
    return max((each for each in known if each in supported), default=None)


def _supported(data: object) -> list[str]:
    return _strings(cast("JsonObject", data).get("supported")) if isinstance(data, dict) else []


def _strings(value: object) -> list[str]:
    return [each for each in cast("list[object]", value) if isinstance(each, str)] if isinstance(value, list) else []
