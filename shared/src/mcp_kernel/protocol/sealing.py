"""`requestState`: what a stateless request remembers of itself, signed so that only this server can write it.

The state travels through the client (basic/patterns/mrtr, "Server Requirements"), so it is attacker-controlled input:
it is signed with HMAC-SHA-256 and bound to an expiry, the principal and the request it belongs to. It is not encrypted
and therefore holds nothing that the client does not know: the answers it gave itself, and digests of the questions.
It does not promise single use.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from mcp_kernel.errors import INVALID_PARAMS, ProtocolError
from mcp_kernel.protocol.jsonrpc import JsonObject

MAX_AGE: Final = 3600.0  # seconds; a person may have to be found to answer


@dataclass(frozen=True, slots=True)
class Binding:
    """What a state belongs to: the principal who asked, and the digest of what was asked."""

    principal: str
    request: str


@dataclass(slots=True)
class Progress:
    """What is known so far: the digest of each question asked, and the answers that came, both by key."""

    questions: dict[str, str] = field(default_factory=dict[str, str])
    answers: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])


def digest(*parts: object) -> str:
    """Digest JSON values so that the order of an object's keys does not count."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def bind(principal: str | None, method: str, params: JsonObject) -> Binding:
    """Bind to a principal and to the salient params of a request: all but `_meta` and the retry's own fields."""
    own = {"_meta", "inputResponses", "requestState"}
    return Binding(principal or "", digest(method, {k: v for k, v in params.items() if k not in own}))


def seal(progress: Progress, binding: Binding, *, key: bytes, now: float) -> str:
    """Write a state that `unseal` will accept for `MAX_AGE` seconds; `now` is seconds since the epoch."""
    payload = json.dumps(
        {
            "expires": now + MAX_AGE,
            "principal": digest(binding.principal),
            "request": binding.request,
            "questions": progress.questions,
            "answers": progress.answers,
        },
        separators=(",", ":"),
    )
    text = _to_text(payload.encode())
    return f"{text}.{_sign(text, key)}"


def unseal(state: str, binding: Binding, *, key: bytes, now: float) -> Progress:
    """Verify a state and return what it holds.

    Raises `ProtocolError` -32602 for a state that is forged, expired, or brought by another principal or on another
    request. The message names the reason and nothing of the content.
    """
    payload = _verify(state, key)
    if not now < cast("float", payload["expires"]):
        raise _refused("it has expired; send the request again without it")
    if payload["principal"] != digest(binding.principal):
        raise _refused("it belongs to another principal")
    if payload["request"] != binding.request:
        raise _refused("it belongs to another request")
    return Progress(cast("dict[str, str]", payload["questions"]), cast("dict[str, JsonObject]", payload["answers"]))


def _verify(state: str, key: bytes) -> Mapping[str, object]:
    text, _, signature = state.partition(".")
    # The text is signed and not the bytes that it spells, since base64 has several spellings of the same bytes.
    if not hmac.compare_digest(_sign(text, key).encode(), signature.encode("utf-8", "replace")):
        raise _refused("it is not one of this server's")
    return cast("Mapping[str, object]", json.loads(_from_text(text)))


def _sign(text: str, key: bytes) -> str:
    return _to_text(hmac.digest(key, b"mcp-kernel/request-state/1\0" + text.encode("utf-8", "replace"), "sha256"))


def _to_text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_text(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _refused(reason: str) -> ProtocolError:
    return ProtocolError(INVALID_PARAMS, f"requestState is refused: {reason}")
