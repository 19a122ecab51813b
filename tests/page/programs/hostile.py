"""A server that means harm to whoever looks at it: markup and tricks in every text, and answers without end.

It speaks for itself, since the kernel would not say most of this; it takes the options of a server and ignores them.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn

from mcp_kernel.page.site import Listed, PageApp

if TYPE_CHECKING:
    from mcp_kernel.testing.asgi import App

Json = dict[str, Any]

PAYLOAD: Final = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
TRAP: Final = "javascript:document.title='pwned'"
LINKS: Final = (
    f"[click]({TRAP}) ![p](https://evil.example/p.png) <iframe srcdoc='x'> \u202e\u2066reversed\u0000 **{PAYLOAD}**"
)
DEEP: Final = "[" * 20_000 + "]" * 20_000
SPIRAL: Final[Json] = {"type": "object", "properties": {"again": {"$ref": "#"}}, "required": ["again"]}


def tool(name: object, schema: object = None, **more: object) -> Json:
    return {"name": name, "description": LINKS, "inputSchema": schema or {"type": "object"}, **more}


PROPERTIES: Final[Json] = {
    "__proto__": {"type": "string", "title": PAYLOAD, "description": LINKS, "default": PAYLOAD},
    "constructor": {"enum": [PAYLOAD, {"a": 1}, None]},
    PAYLOAD: {"type": "string", "pattern": "(a+)+$", "format": PAYLOAD},
    "loop": {"anyOf": [{"$ref": "#/properties/loop"}]},
    "odd": {"anyOf": 7, "oneOf": "x", "type": [[]], "required": 3, "properties": []},
    "many": {"enum": list(range(10_000))},
}
TOOLS: Final[list[Any]] = [
    tool(PAYLOAD, title=PAYLOAD, annotations={"title": PAYLOAD, "destructiveHint": PAYLOAD}),
    tool("form", {"type": "object", "properties": PROPERTIES, "required": {"not": "a list"}}),
    tool("spiral", SPIRAL),
    tool("broken", "no schema", description={"not": "a text"}, annotations=None, title=[PAYLOAD]),
    *(
        tool(name)
        for name in ("links", "kinds", "deep", "long", "wide", "flood", "notices", "nonsense", "ask", "visit")
    ),
    None,
    7,
]
KINDS: Final[list[Any]] = [
    {"type": "image", "mimeType": "image/svg+xml", "data": "PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+"},
    {"type": "image", "mimeType": "text/html", "data": "PHNjcmlwdD4="},
    {"type": "image", "mimeType": 'image/png" onerror="x', "data": '" onerror="document.title=1'},
    {"type": "image", "mimeType": "image/png", "data": "not base64 <>"},
    {"type": "audio", "mimeType": "text/html", "data": 5},
    {"type": "resource_link", "uri": TRAP, "name": PAYLOAD, "description": LINKS},
    {"type": "resource", "resource": {"uri": TRAP, "mimeType": "text/html", "text": PAYLOAD}},
    {"type": "resource", "resource": PAYLOAD},
    {"type": PAYLOAD, "text": PAYLOAD},
    {"type": "text", "text": {"not": "a text"}},
    {"type": "text", "text": PAYLOAD, "_meta": {"io.github.mcp-reference-servers/untrusted": {"sources": [PAYLOAD]}}},
    {"type": "text", "text": PAYLOAD, "annotations": {"audience": PAYLOAD}},
    None,
    "text",
]
RESULTS: Final[dict[str, Any]] = {
    PAYLOAD: {"content": [{"type": "text", "text": PAYLOAD}], "structuredContent": {PAYLOAD: PAYLOAD}},
    "links": {"content": [{"type": "text", "text": f"# {PAYLOAD}\n\n{LINKS}\n\n> {LINKS}\n\n```\n{PAYLOAD}\n```\n"}]},
    "kinds": {"content": KINDS},
    "deep": {"content": [], "structuredContent": "nested"},
    "long": {"content": [{"type": "text", "text": "`[![*_|" * 700_000}]},
    "wide": {"content": [], "structuredContent": {"columns": list(range(3000)), "rows": [[PAYLOAD] * 3000] * 30}},
    "nonsense": {"content": "no list", "isError": "yes", "structuredContent": None, "_meta": 1},
    "form": {},
    "spiral": {},
    "broken": {},
}
QUESTION: Final[Json] = {
    "method": "elicitation/create",
    "params": {"message": LINKS, "requestedSchema": {"type": "object", "properties": PROPERTIES}},
}
VISIT: Final[Json] = {"method": "elicitation/create", "params": {"mode": "url", "message": LINKS, "url": TRAP}}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request as badly as it can be."""
    if scope["type"] != "http":
        return
    body = b""
    while (part := await receive())["type"] == "http.request":
        body += part.get("body", b"")
        if not part.get("more_body"):
            break
    request: Json = json.loads(body) if body else {}
    name = request.get("params", {}).get("name")
    gone = asyncio.ensure_future(receive())  # the client hangs up
    if name in ("flood", "notices") or request.get("method") == "subscriptions/listen":
        await pour(request, name, send, gone)
        return
    answer = {"jsonrpc": "2.0", "id": request.get("id"), "result": result(request, name)}
    await begin(send, b"application/json")
    text = json.dumps(answer).replace('"nested"', DEEP)
    await send({"type": "http.response.body", "body": text.encode()})
    gone.cancel()


def result(request: Json, name: object) -> Any:
    """What is answered to a method."""
    about = {"name": PAYLOAD, "version": LINKS}
    capabilities = {"tools": {}, "resources": {"subscribe": True}, "prompts": {}, "completions": {}}
    match request.get("method"):
        case "server/discover":
            meta = {"io.modelcontextprotocol/serverInfo": about}
            return {
                "supportedVersions": ["2026-07-28"],
                "capabilities": capabilities,
                "instructions": LINKS,
                "_meta": meta,
            }
        case "tools/list":  # the same page for ever, with ever another cursor
            at = int(request["params"].get("cursor", "0"))
            return {"tools": TOOLS if at == 0 else [], "nextCursor": str(at + 1)}
        case "resources/list":
            listed = [{"uri": TRAP, "name": PAYLOAD, "mimeType": PAYLOAD, "description": LINKS}]
            return {"resources": listed, "nextCursor": "always"}
        case "resources/templates/list":
            return {"resourceTemplates": [{"uriTemplate": "{+a}{" + PAYLOAD + "}", "name": PAYLOAD}]}
        case "prompts/list":
            return {"prompts": [{"name": PAYLOAD, "arguments": [{"name": PAYLOAD, "required": "x"}, {"name": "b"}]}]}
        case "prompts/get":
            return {"description": LINKS, "messages": [{"role": PAYLOAD, "content": block} for block in KINDS]}
        case "resources/read":
            return {"contents": [KINDS[6]["resource"], PAYLOAD, None, {"uri": 7, "blob": PAYLOAD}]}
        case "tools/call" if name in ("ask", "visit") and "inputResponses" not in request["params"]:
            asked = {"k": QUESTION if name == "ask" else VISIT}
            return {"resultType": "input_required", "inputRequests": asked, "requestState": PAYLOAD}
        case "tools/call":
            return RESULTS.get(str(name), {"content": []})
        case _:
            return {"completion": {"values": [PAYLOAD, 7]}}


async def pour(request: Json, name: object, send: Any, gone: asyncio.Future[Any]) -> None:
    """Send notifications until the client hangs up."""
    await begin(send, b"text/event-stream")
    number = 0
    while not gone.done():
        number += 1
        if name == "flood":
            params: Json = {"progressToken": request["id"], "progress": number, "total": "x", "message": PAYLOAD * 9}
            notice: Json = {"method": "notifications/progress", "params": params}
            log = {"method": "notifications/message", "params": {"level": PAYLOAD, "data": PAYLOAD}}
        else:
            notice = {"method": "notifications/tools/list_changed"}
            log = {"method": "notifications/resources/updated", "params": {"uri": TRAP}}
        text = "".join(f"data: {json.dumps({'jsonrpc': '2.0', **each})}\n\n" for each in (notice, log) * 20)
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        await asyncio.wait([gone], timeout=0.002)


async def begin(send: Any, kind: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    page = PageApp([Listed("hostile", PAYLOAD)], behind=cast("App", app))  # pyright: ignore[reportArgumentType]  # another spelling of ASGI's types
    server = uvicorn.Server(uvicorn.Config(page, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))  # pyright: ignore[reportArgumentType]  # as above
    sys.stderr.write(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # uvicorn sends itself the signal again
    server.run([listener])


if __name__ == "__main__":
    main()
