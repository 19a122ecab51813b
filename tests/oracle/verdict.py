"""One message, judged: what `mcp-types` and the revision's JSON Schema say about it."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast, get_args

from mcp_types import methods
from mcp_types.jsonrpc import ErrorData, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError
from tests.oracle import schemas, tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

Sender = Literal["client", "server"]
Json = dict[str, Any]

BATCHES = "2025-03-26"
"""The only revision with batches."""


def decode(message: bytes | str | object) -> object:
    """JSON as RFC 8259 has it: UTF-8, no NaN or infinity, no member twice. Python values make the trip."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(members := dict(pairs)) != len(pairs):
            raise ValueError("a member stands twice")
        return members

    try:
        text = message.decode() if isinstance(message, bytes) else message
        text = text if isinstance(text, str) else json.dumps(text)
        return json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    except (ValueError, TypeError, RecursionError) as error:
        raise AssertionError(f"not JSON, {error}:\n{message!r}") from None


def validate(
    message: bytes | str | Mapping[str, object],
    *,
    revision: str,
    sender: Sender,
    answers: str | None = None,
) -> Json:
    """Raise AssertionError unless this is a message that the sender may send in that revision.

    Args:
        message: As it travels, or decoded.
        revision: The dated revision that the message is held to.
        sender: Who sent it.
        answers: The method of the request, when this is its response.

    Returns:
        The decoded message.
    """
    decoded = decode(message)
    judge(decoded, revision=revision, sender=sender, answers=answers)
    return cast("Json", decoded)


def judge(decoded: object, *, revision: str, sender: Sender, answers: str | None = None) -> None:
    """As `validate`, of a message that `decode` gave."""
    assert revision in KNOWN_PROTOCOL_VERSIONS, f"{revision!r} is no revision"
    if found := _reasons_again(json.dumps(_mask(decoded)), revision, sender, answers):
        listed = "\n".join(f"  - {reason}" for reason in found[:12])
        shown = json.dumps(decoded, indent=2)
        role = f"{sender}, {revision}" + (f", answering {answers}" if answers else "")
        raise AssertionError(f"refused ({role}):\n{listed}\n{shown[:6000]}")


# What tells messages of one kind apart, at the top or in the params: of each only the JSON type is ruled.
_COUNTED: dict[str, tuple[type, ...]] = {
    "id": (int, str),
    "requestId": (int, str),
    "progressToken": (int, str),
    "progress": (int, float),
}


def _mask(message: object) -> object:
    """The message with one id for all ids of a type, so that those which are alike but for it are judged once."""
    if not isinstance(message, dict):
        return message
    masked = {name: _mask_value(name, value) for name, value in cast("Json", message).items()}
    if isinstance(params := masked.get("params"), dict):
        params = {name: _mask_value(name, value) for name, value in cast("Json", params).items()}
        if isinstance(meta := params.get("_meta"), dict):
            params["_meta"] = {name: _mask_value(name, value) for name, value in cast("Json", meta).items()}
        masked["params"] = params
    return masked


def _mask_value(name: str, value: object) -> object:
    return type(value)() if type(value) in _COUNTED.get(name, ()) else value


@lru_cache(maxsize=4096)
def _reasons_again(text: str, revision: str, sender: Sender, answers: str | None) -> list[str]:
    """Judge a text once: the same handshakes and lists pass in hundreds of tests."""
    return _reasons(json.loads(text), revision, sender, answers)


def _reasons(message: object, revision: str, sender: Sender, answers: str | None) -> list[str]:
    if not isinstance(message, dict):
        return ["a message is an object"]
    body = cast("Json", message)
    kinds = [key for key in ("method", "result", "error") if key in body]
    if len(kinds) != 1:
        return [f"a message has one of method, result and error, this has {kinds}"]
    extra = body.keys() - {"jsonrpc", "id", "method", "params", "result", "error"}
    if extra:
        return [f"a message has no member {name!r}" for name in sorted(extra)]
    if kinds == ["error"]:
        return _judge_error(body, revision)
    if kinds == ["result"]:
        return _judge_result(body, revision, sender, answers)
    return _judge_call(body, revision, sender)


def _judge_call(message: Json, revision: str, sender: Sender) -> list[str]:
    """A request or a notification."""
    kind = "Request" if "id" in message else "Notification"
    surface = cast("Mapping[tuple[str, str], Any]", getattr(methods, f"{sender}_{kind}s".upper()))
    if revision in MODERN_PROTOCOL_VERSIONS and tasks.is_call(message, sender):
        envelope = JSONRPCRequest if kind == "Request" else JSONRPCNotification
        found = _misfits(envelope, message) + tasks.judge_call(message, sender)
        return found + _judge_outcome(message.get("params"), revision)
    method = message["method"]
    model = surface.get((method, revision)) if isinstance(method, str) else None
    if model is None:
        return [f"{revision} has no {kind.lower()} {method!r} from a {sender}"]
    envelope = JSONRPCRequest if kind == "Request" else JSONRPCNotification
    found = _misfits(envelope, message) + _misfits(model, message)
    if schemas.why_no_schemas(revision) is None:
        definition = schemas.definition_of(revision, sender, kind, method)
        found += schemas.reasons(message, revision, schemas.envelope_of(message, revision))
        found += (
            schemas.reasons(message, revision, definition)
            if definition
            else [f"schema {revision}: a {sender} sends no {kind.lower()} {method!r}"]
        )
    return found


def _judge_result(message: Json, revision: str, sender: Sender, answers: str | None) -> list[str]:
    if answers is None:
        return ["a result that answers no known request"]
    if revision in MODERN_PROTOCOL_VERSIONS and sender == "server" and tasks.is_result(message["result"], answers):
        found = _misfits(JSONRPCResponse, message) + tasks.judge_result(message["result"], answers)
        return found + _judge_outcome(message["result"], revision)
    surface = methods.SERVER_RESULTS if sender == "server" else methods.CLIENT_RESULTS
    models = surface.get((answers, revision))
    if models is None:
        return [f"{revision} has no result of {answers!r} from a {sender}"]
    result = message["result"]
    asks = methods.is_input_required(result)
    found = _misfits(JSONRPCResponse, message) + _judge_result_type(result, revision, answers)
    # The union itself says little: what asks for input has one required member, which any result has.
    arms = cast("tuple[type, ...]", get_args(models) or (models,))
    arms = tuple(arm for arm in arms if (arm.__name__ == "InputRequiredResult") == asks)
    found += [reason for arm in arms for reason in _misfits(arm, result)]
    if schemas.why_no_schemas(revision) is None:
        asker: Sender = "client" if sender == "server" else "server"
        request = schemas.definition_of(revision, asker, "Request", answers) or ""
        definition = "InputRequiredResult" if asks else schemas.result_of(revision, request)
        found += schemas.reasons(message, revision, schemas.envelope_of(message, revision))
        found += schemas.reasons(result, revision, definition)
    return found


def _judge_outcome(task: object, revision: str) -> list[str]:
    """The result inside a finished task is that of the call, judged as if it had been its answer."""
    inner = cast("Json", task).get("result") if isinstance(task, dict) else None
    if inner is None:
        return []
    return _judge_result({"jsonrpc": "2.0", "id": 0, "result": inner}, revision, "server", "tools/call")


def _judge_result_type(result: object, revision: str, answers: str) -> list[str]:
    """What the specification says in words about `resultType`; the models only ask for a string."""
    if not isinstance(result, dict):
        return ["a result is an object"]
    body = cast("Json", result)
    if revision not in MODERN_PROTOCOL_VERSIONS:
        return ["resultType is of 2026-07-28"] if "resultType" in body else []
    kind = body.get("resultType")
    if kind == "complete":
        return []
    if kind != "input_required":
        return [f"resultType {kind!r} is neither complete nor input_required"]
    found: list[str] = []
    if answers not in methods.INPUT_REQUIRED_METHODS:
        found.append(f"{answers} may not ask for input")
    if not {"inputRequests", "requestState"} & body.keys():
        found.append("input_required carries inputRequests or requestState")
    if {"ttlMs", "cacheScope"} & body.keys():
        found.append("input_required is not cached")
    return found


def _judge_error(message: Json, revision: str) -> list[str]:
    """An error without `id` answers what could not be read; one with `id: null` is of no schema."""
    # Schemas before 2025-11-25 require an id, and so does JSONRPCError of mcp-types: there is none to give.
    full = message if "id" in message else {**message, "id": 0}
    error: object = message["error"]
    found = _misfits(ErrorData, error) + _misfits(JSONRPCResponse, {**full, "result": {}})
    if schemas.why_no_schemas(revision) is None:
        found += schemas.reasons(full, revision, schemas.envelope_of(message, revision))
        code = cast("Json", error).get("code") if isinstance(error, dict) else None
        special = schemas.error_of(revision, code) if isinstance(code, int) else None
        found += schemas.reasons(full, revision, special) if special else []
    return found


def _misfits(model: object, value: object) -> list[str]:
    """What a model of mcp-types has against a value, read strictly: a number is not taken for text."""
    try:
        _adapter(model).validate_json(json.dumps(value), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        name = getattr(model, "__name__", str(model))
        return [
            f"mcp-types {name}: {'.'.join(map(str, item['loc'])) or '(all)'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    return []


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)
