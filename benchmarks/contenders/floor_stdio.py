"""The floor over stdio: lines in, decoded with pydantic_core, prepared answers out; on blocking calls."""

import os
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json, to_json

Message = dict[str, Any]

INFO: Message = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "floor", "version": "1"},
}
HINTS = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}


def describe(name: str) -> Message:
    """What a list says of a tool, as ours says it: the floor writes as much."""
    properties = {"text": {"type": "string"}, "times": {"type": "integer", "default": 1}}
    schema = {"type": "object", "properties": properties, "required": ["text"], "additionalProperties": False}
    return {"name": name, "description": "Repeat a text.", "inputSchema": schema, "annotations": HINTS}


NAMES = ["add", "echo", "blob", *(f"more{number}" for number in range(int(os.environ.get("TINY_TOOLS", "0"))))]
LIST = to_json({"tools": [describe(name) for name in NAMES]})
HELLO = to_json({"content": [{"type": "text", "text": "hello"}]})


def answer_call(params: Message) -> bytes:
    """The result of a call: prepared where it can be, encoded where it depends on what was sent."""
    arguments = params["arguments"]
    if params["name"] == "blob":
        return b'{"content":[{"type":"text","text":"%b"}]}' % (b"x" * arguments["size"])
    if arguments["text"] == "hello":
        return HELLO
    return to_json({"content": [{"type": "text", "text": arguments["text"]}]})


METHODS: dict[str, Callable[[Message], bytes]] = {
    "initialize": lambda params: to_json(INFO),
    "tools/list": lambda params: LIST,
    "tools/call": answer_call,
}


def answer(line: bytes) -> bytes:
    """The answer to one line; nothing for a notification."""
    message = from_json(line)
    if "id" not in message:
        return b""
    result = METHODS[message["method"]](message.get("params", {}))
    return b'{"jsonrpc":"2.0","id":%d,"result":%b}\n' % (message["id"], result)


def main() -> None:
    """One read and one write for whatever came together."""
    parts: list[bytes] = []
    while data := os.read(0, 1 << 20):
        parts.append(data)
        if b"\n" not in data:
            continue
        *lines, rest = b"".join(parts).split(b"\n")
        parts = [rest]
        out = b"".join([answer(line) for line in lines])
        while out:
            out = out[os.write(1, out) :]


if __name__ == "__main__":
    main()
