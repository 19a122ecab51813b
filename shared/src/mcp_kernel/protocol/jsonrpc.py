"""JSON-RPC 2.0 envelopes: bytes to messages and back.

The four envelopes are the only place where the shape of JSON-RPC is known. Decoding is strict where the standard is
(ids, `jsonrpc`, result xor error) and silent about everything else: what a method's `params` must carry is a matter
of `shapes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, cast

from pydantic_core import PydanticSerializationError, SchemaSerializer, core_schema, from_json, to_json

from mcp_kernel.errors import INVALID_REQUEST, PARSE_ERROR, ProtocolError

_ABSENT: Final = object()

RequestId: TypeAlias = int | str
JsonObject: TypeAlias = dict[str, object]


class Request(NamedTuple):
    """A message with a method and an id; `params` is `{}` where the sender left it out.

    A tuple, because one is made for every call: it costs less than half of what a frozen dataclass does.
    """

    id: RequestId
    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class Notification:
    """A message with a method and no id, never answered."""

    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class Response:
    """A successful answer to the request of that id."""

    id: RequestId
    result: JsonObject


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that reports an error; `id` is None where the request's id could not be read.

    `status` is the HTTP status that fits; it never travels inside the message.
    """

    id: RequestId | None
    code: int
    message: str
    data: object = None
    status: int = 200


Message: TypeAlias = Request | Notification | Response | Failure


class Prepared:
    """A result that was encoded before: JSON bytes of an object, written into the envelope as they are.

    They may come in pieces, which are copied once, when the envelope is written around them.
    """

    __slots__ = ("pieces",)

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


class InvalidMessage(ProtocolError):
    """JSON that is no message (-32600); `id` is the request's, or None where none could be read.

    `answers` is the id that a broken answer carries: whoever waits for that answer must not wait for ever. A broken
    notification has a method and no id: it is a notification all the same, which nobody answers.
    """

    def __init__(
        self, reason: str, identifier: object = None, answers: object = None, *, is_notification: bool = False
    ) -> None:
        super().__init__(INVALID_REQUEST, f"Invalid message: {reason}", status=400)
        self.id = _read_id(identifier)
        self.answers = _read_id(answers)
        self.is_notification = is_notification


def _read_id(value: object) -> RequestId | None:
    return value if type(value) is int or type(value) is str else None


def decode(data: bytes | bytearray) -> Message | list[Message | InvalidMessage]:
    """Read one message, or the members of a batch, from UTF-8 JSON.

    Raises `ProtocolError` -32700 for what is no JSON and `InvalidMessage` for JSON that is no message; a bad member
    of a batch is returned in its place instead, since the others still count. NaN and Infinity, which the JSON
    grammar does not have, are refused; of duplicate keys the last one counts.
    """
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        value = _decode_halves(data)
        if value is None:
            raise ProtocolError(PARSE_ERROR, f"Not valid JSON in UTF-8: {error}", status=400) from None
    return to_message(value) if type(value) is dict else _to_members(value)  # pyright: ignore[reportUnknownArgumentType]  # a cast is a call, made for every message


def _decode_halves(data: bytes | bytearray) -> object:
    """Decode what only a lone surrogate spoils: a text that JavaScript cut in the middle of a character.

    Refused as no JSON, it would leave its sender without an answer; read, whoever gets the text can say what is wrong.
    Returns None for what is no JSON in any other way.
    """
    if b"\\ud" not in data and b"\\uD" not in data:
        return None
    import json  # which lets a lone surrogate pass, as the codec does not

    try:
        return json.loads(bytes(data).decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _to_members(value: object) -> list[Message | InvalidMessage]:
    if type(value) is not list:
        raise InvalidMessage("a message is an object")
    if not value:
        raise InvalidMessage("an empty batch")
    return [_to_member(item) for item in cast("list[object]", value)]


def _to_member(item: object) -> Message | InvalidMessage:
    if type(item) is not dict:
        return InvalidMessage("a message is an object")
    try:
        return to_message(cast("JsonObject", item))
    except InvalidMessage as error:
        return error


def to_message(value: JsonObject) -> Message:
    """Tell which of the four envelopes an object is; raises `InvalidMessage` when it is none."""
    method = value.get("method")
    if value.get("jsonrpc") != "2.0":
        raise InvalidMessage('"jsonrpc" must be "2.0"', value.get("id"))
    if method is None:
        return _to_answer(value)
    if type(method) is not str:
        raise InvalidMessage('"method" must be a string', value.get("id"))
    if "result" in value or "error" in value:
        raise InvalidMessage('a message has a "method" or an answer, not both')
    params = value.get("params", _ABSENT)
    if type(params) is not dict:
        if params is not _ABSENT:
            raise InvalidMessage('"params" must be an object', value.get("id"), is_notification="id" not in value)
        params = {}
    identifier = value.get("id", _ABSENT)
    # type() and not isinstance(): a bool is an int to Python, and no id to JSON-RPC.
    if type(identifier) is int or type(identifier) is str:
        return tuple.__new__(Request, (identifier, method, params))  # pyright: ignore[reportUnknownMemberType]  # as its own constructor does, with one call less
    if identifier is not _ABSENT:
        raise InvalidMessage('"id" must be a string or an integer')
    return Notification(method, cast("JsonObject", params))


def _to_answer(value: JsonObject) -> Message:
    identifier = value.get("id")
    has_id = type(identifier) is int or type(identifier) is str
    if "result" in value and "error" in value:
        raise InvalidMessage('an answer has "result" or "error", not both', answers=identifier)
    if "result" in value:
        result = value["result"]
        if not has_id or type(result) is not dict:
            raise InvalidMessage("a response needs the request's id and an object as its result", answers=identifier)
        return Response(cast("RequestId", identifier), cast("JsonObject", result))
    error = value.get("error")
    if type(error) is dict:
        fields = cast("JsonObject", error)
        code, text = fields.get("code"), fields.get("message")
        if type(code) is int and type(text) is str and (has_id or identifier is None):
            return Failure(cast("RequestId | None", identifier), code, text, fields.get("data"))
    if "error" in value:
        raise InvalidMessage("an error needs an integer code, a message and the request's id", answers=identifier)
    raise InvalidMessage('a message needs a "method", a "result" or an "error"', identifier)


# Compiled once it does what `to_json(value, inf_nan_mode="null")` does in two thirds of the time, and of a large value
# without growing its buffer again and again, since it remembers how much the last one took.
_write_json: Final = SchemaSerializer(core_schema.any_schema()).to_json


def to_bytes(value: object) -> bytes:
    """Encode a JSON value as one line of UTF-8.

    The only encoder of the kernel. What JSON cannot carry is made to fit: NaN and infinities become null, and lone
    surrogates (file names that are not UTF-8) are spelled out as `\\udcxx`, so that no answer is ever lost to them.
    """
    try:
        return _write_json(value)
    except (PydanticSerializationError, UnicodeEncodeError):
        return to_json(_without_surrogates(value), inf_nan_mode="null", fallback=str)


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        items = cast("dict[object, object]", value).items()
        return {str(_without_surrogates(key)): _without_surrogates(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in cast("list[object]", value)]
    return value


def encode_result(identifier: RequestId, result: JsonObject | Prepared) -> bytes:
    """Encode a response: in one pass, so that a large result is copied once."""
    if type(result) is not Prepared:
        envelope = {"jsonrpc": "2.0", "id": identifier, "result": result}
        try:
            return _write_json(envelope)
        except (PydanticSerializationError, UnicodeEncodeError):
            return to_bytes(envelope)
    # str() of an int is quicker than the codec, and exact for integers of any size.
    written = b"%d" % identifier if type(identifier) is int else to_bytes(identifier)
    return b"".join((b'{"jsonrpc":"2.0","id":', written, b',"result":', *result.pieces, b"}"))


def encode(message: Message) -> bytes:
    """Encode any message as one line of UTF-8 without its line feed."""
    if type(message) is Response:
        return encode_result(message.id, message.result)
    if type(message) is Failure:
        return to_bytes(_failure_object(message))
    envelope: JsonObject = {"jsonrpc": "2.0"}
    if type(message) is Request:
        envelope["id"] = message.id
    envelope["method"] = cast("Request | Notification", message).method
    params = cast("Request | Notification", message).params
    if params:
        envelope["params"] = params
    return to_bytes(envelope)


def _failure_object(failure: Failure) -> JsonObject:
    error: JsonObject = {"code": failure.code, "message": failure.message}
    if failure.data is not None:
        error["data"] = failure.data
    envelope: JsonObject = {"jsonrpc": "2.0"}
    if failure.id is not None:  # no schema allows `"id": null`
        envelope["id"] = failure.id
    envelope["error"] = error
    return envelope
