"""Tools, their calls and their results in the formats of the APIs of language models, without any vendor's package.

What goes in and comes out are plain mappings, as the wire has them; of a vendor's own objects give the mapping that
they dump (`model_dump()`, `to_json_dict()`). Each format has the same three verbs: `declare` tools to the model, `read`
a call that it made, `answer` it with the result.

Written from the public documentation: Anthropic "Messages" and "Tool use"; OpenAI "Function calling", with the
references of "Responses" and "Chat Completions"; Google "FunctionDeclaration", "FunctionCall" and "FunctionResponse" of
the Gemini API.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, cast

from mcp_kernel.client.parts import Part, Picture, describe, parts_of, text_of
from mcp_kernel.protocol.jsonrpc import JsonObject

Tool: TypeAlias = Mapping[str, object]

# What every API takes: letters, digits, `_` and `-`, at most 64; Gemini wants no digit or dash at the start.
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
LONGEST_NAME: Final = 64
# A word of text, a number, a run of punctuation, and everything that is not ASCII.
PIECE: Final = re.compile(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9\u0080-\U0010ffff]+|[\u0080-\U0010ffff]+|\n")


class InvalidCall(ValueError):
    """A call that the model wrote wrongly; its text is for the model."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model made: `id` as the API has it, `name` and `arguments` as MCP has them."""

    id: str | None
    name: str
    arguments: JsonObject


class ToolNames:
    """Names of tools that every API takes, and the way back.

    A name that fits stays as it is; any other one gets its odd characters replaced and a short digest of the whole, so
    that it is the same in every process. Keep one for a conversation: only what went through it can be mapped back.
    """

    def __init__(self) -> None:
        self._originals: dict[str, str] = {}

    def encode(self, name: str) -> str:
        """The name for the API."""
        for length in (0, 8, 16, 32):  # longer, should another tool have the same
            given = name if NAME.fullmatch(name) and not length else _shorten(name, length or 8)
            if self._originals.setdefault(given, name) == name:
                return given
        raise ValueError(f"no name for the tool {name!r} is left")

    def decode(self, given: str) -> str:
        """The tool's own name; one that was never given out comes back as it is, for the server to refuse."""
        return self._originals.get(given, given)


class Format(Protocol):
    """What every API's format can do."""

    def declare(self, tools: Iterable[Tool]) -> list[JsonObject]:
        """The list for the request's field `tools`."""
        ...

    def read(self, call: Mapping[str, object]) -> ToolCall:
        """A call in the model's output; raises `InvalidCall`."""
        ...

    def answer(self, call: ToolCall, result: Mapping[str, object]) -> JsonObject:
        """A result of `tools/call`, for the next request."""
        ...


class AnthropicFormat:
    """Anthropic's Messages API: blocks `tool_use` in an assistant's message, `tool_result` in the user's next one."""

    pictures: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

    def __init__(self, names: ToolNames) -> None:
        self._names = names

    def declare(self, tools: Iterable[Tool]) -> list[JsonObject]:
        return [
            {
                "name": self._names.encode(_name(tool)),
                **_description(tool),
                "input_schema": _schema(tool),
            }
            for tool in tools
        ]

    def read(self, call: Mapping[str, object]) -> ToolCall:
        name = _string(call, "name")
        return ToolCall(_string(call, "id"), self._names.decode(name), _arguments(call.get("input"), name))

    def answer(self, call: ToolCall, result: Mapping[str, object]) -> JsonObject:
        failed = result.get("isError") is True
        # The API takes nothing but text in a result that is an error.
        parts = parts_of(result, frozenset[str]() if failed else self.pictures)
        content = [_anthropic_block(part) for part in parts]
        return {
            "type": "tool_result",
            "tool_use_id": call.id,
            **({"content": content} if content else {}),
            **({"is_error": True} if failed else {}),
        }


class OpenAIResponsesFormat:
    """OpenAI's Responses API: items `function_call` in the output, `function_call_output` in the next input."""

    pictures: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

    def __init__(self, names: ToolNames) -> None:
        self._names = names

    def declare(self, tools: Iterable[Tool]) -> list[JsonObject]:
        # Strict is the default there, and takes only a part of JSON Schema.
        return [{"type": "function", **_function(tool, self._names), "strict": False} for tool in tools]

    def read(self, call: Mapping[str, object]) -> ToolCall:
        name = _string(call, "name")
        return ToolCall(_string(call, "call_id"), self._names.decode(name), _arguments(call.get("arguments"), name))

    def answer(self, call: ToolCall, result: Mapping[str, object]) -> JsonObject:
        parts = _marked(parts_of(result, self.pictures), result)
        pictured = any(isinstance(part, Picture) for part in parts)
        output = [_openai_item(part) for part in parts] if pictured else text_of(parts)
        return {"type": "function_call_output", "call_id": call.id, "output": output}


class OpenAIChatFormat:
    """OpenAI's Chat Completions API, which many others offer too: `tool_calls`, and messages of the role `tool`.

    Such a message takes text alone, so that a picture is only described.
    """

    def __init__(self, names: ToolNames) -> None:
        self._names = names

    def declare(self, tools: Iterable[Tool]) -> list[JsonObject]:
        return [{"type": "function", "function": _function(tool, self._names)} for tool in tools]

    def read(self, call: Mapping[str, object]) -> ToolCall:
        function = _object(call, "function")
        name = _string(function, "name")
        return ToolCall(_string(call, "id"), self._names.decode(name), _arguments(function.get("arguments"), name))

    def answer(self, call: ToolCall, result: Mapping[str, object]) -> JsonObject:
        parts = _marked(parts_of(result, frozenset()), result)
        return {"role": "tool", "tool_call_id": call.id, "content": text_of(parts)}


class GeminiFormat:
    """Google's Gemini API: parts `functionCall` of the model's content, `functionResponse` of the next one.

    `pictures=False` is for models before Gemini 3, whose function responses take no media.
    """

    def __init__(self, names: ToolNames, *, pictures: bool = True) -> None:
        self._names = names
        self._pictures = frozenset({"image/jpeg", "image/png", "image/webp"}) if pictures else frozenset[str]()

    def declare(self, tools: Iterable[Tool]) -> list[JsonObject]:
        declarations = [self._declare(tool) for tool in tools]
        return [{"functionDeclarations": declarations}] if declarations else []

    def read(self, call: Mapping[str, object]) -> ToolCall:
        inner = _object(call, "functionCall")
        name, identity = _string(inner, "name"), inner.get("id")
        arguments = _arguments(inner.get("args"), name)
        return ToolCall(identity if isinstance(identity, str) else None, self._names.decode(name), arguments)

    def answer(self, call: ToolCall, result: Mapping[str, object]) -> JsonObject:
        parts = parts_of(result, self._pictures)
        # As text, since the API takes a member called `$ref` for a reference of its own, and refuses it.
        key = "error" if result.get("isError") is True else "output"
        media = [
            {"inlineData": {"mimeType": part.mime_type, "data": part.data}}
            for part in parts
            if isinstance(part, Picture)
        ]
        response: JsonObject = {
            **({"id": call.id} if call.id is not None else {}),
            "name": self._names.encode(call.name),
            "response": {key: text_of(parts)},
            **({"parts": media} if media else {}),
        }
        return {"functionResponse": response}

    def _declare(self, tool: Tool) -> JsonObject:
        name = self._names.encode(_name(tool))
        # `parameters` takes a part of OpenAPI's schema, `parametersJsonSchema` takes JSON Schema; not both.
        return {
            "name": name,
            "description": _description(tool).get("description", name),
            "parametersJsonSchema": _schema(tool),
        }


def estimate_tokens(tool: Tool) -> int:
    """About how many tokens a tool costs a model's context, in every request.

    Estimated from what is sent (name, description and input schema, as compact JSON) and not with a tokenizer, of which
    each model has its own: a token for each six letters of a word, three digits, two marks of punctuation or two
    characters outside ASCII, every piece rounded up; a space belongs to the word after it. That makes a token of 3.2
    characters of a usual tool and of 3.6 of plain English, where the rule of thumb is 4: rather too many than too few.
    What an API wraps around the tools is not counted.
    """
    sent = {"name": _name(tool), **_description(tool), "input_schema": _schema(tool)}
    text = json.dumps(sent, ensure_ascii=False, separators=(",", ":"))
    return sum(-(-len(piece) // _characters_of_a_token(piece)) for piece in PIECE.findall(text))


def _characters_of_a_token(piece: str) -> int:
    if not piece.isascii():
        return 2
    return 6 if piece.isalpha() else 3 if piece.isdecimal() else 2


def _shorten(name: str, length: int) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if not re.match(r"[A-Za-z_]", plain):
        plain = f"_{plain}"
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:length]
    return f"{plain[: LONGEST_NAME - length - 1]}_{mark}"


def _function(tool: Tool, names: ToolNames) -> JsonObject:
    schema = _schema(tool)
    if "properties" not in schema:
        # The API refuses an object without this member, which JSON Schema lets one leave out.
        schema = schema | {"properties": dict[str, object]()}
    return {"name": names.encode(_name(tool)), **_description(tool), "parameters": schema}


def _marked(parts: list[Part], result: Mapping[str, object]) -> list[Part]:
    """OpenAI has no field that tells an error from a result."""
    return ["Error:", *parts] if result.get("isError") is True else parts


def _anthropic_block(part: Part) -> JsonObject:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "source": {"type": "base64", "media_type": part.mime_type, "data": part.data}}


def _openai_item(part: Part) -> JsonObject:
    if isinstance(part, str):
        return {"type": "input_text", "text": part}
    return {"type": "input_image", "image_url": f"data:{part.mime_type};base64,{part.data}"}


def _name(tool: Tool) -> str:
    name = tool.get("name")
    if not isinstance(name, str):
        raise ValueError(f"a tool has a name, and this one has none: {describe(tool)}")
    return name


def _description(tool: Tool) -> JsonObject:
    text = tool.get("description") or tool.get("title")
    return {"description": text} if text else {}


def _schema(tool: Tool) -> JsonObject:
    schema = tool.get("inputSchema")
    return cast("JsonObject", schema) if isinstance(schema, dict) else {"type": "object", "properties": {}}


def _string(call: Mapping[str, object], key: str) -> str:
    value = call.get(key)
    if not isinstance(value, str):
        raise InvalidCall(f"this is no call of a tool, for it has no {key!r}: {describe(call)}")
    return value


def _object(call: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = call.get(key)
    if not isinstance(value, Mapping):
        raise InvalidCall(f"this is no call of a tool, for it has no {key!r}: {describe(call)}")
    return cast("Mapping[str, object]", value)


def _arguments(value: object, name: str) -> JsonObject:
    """A mapping, or its JSON; nothing at all where a tool takes none."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidCall(f"the arguments of {name} are no valid JSON: {error}; call it again") from error
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if not isinstance(value, Mapping):
        raise InvalidCall(f"the arguments of {name} must be a JSON object; call it again")
    return dict(cast("Mapping[str, object]", value))


FORMATS: Final[Mapping[str, type[AnthropicFormat | OpenAIResponsesFormat | OpenAIChatFormat | GeminiFormat]]] = {
    "anthropic": AnthropicFormat,
    "openai": OpenAIResponsesFormat,
    "openai-chat": OpenAIChatFormat,
    "gemini": GeminiFormat,
}
"""By the names that a caller may ask for."""
