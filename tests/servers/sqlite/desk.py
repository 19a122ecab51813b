"""A desk at which one server is asked over the wire, in one of the eras."""

from __future__ import annotations

import sys
from typing import Any, cast

from tests.transports.host import META, Host

Json = dict[str, Any]
SERVER = [sys.executable, "-m", "mcp_server_sqlite"]


class Desk:
    """Asks one server in one era."""

    def __init__(self, host: Host, era: str) -> None:
        self.host = host
        self.extra: Json = {"_meta": META} if era == "modern" else {}

    def request(self, method: str, **params: object) -> Json:
        return self.host.request(method, **params, **self.extra)

    def ask(self, method: str, **params: object) -> int:
        return self.host.ask(method, **params, **self.extra)

    def call(self, tool: str, /, **arguments: object) -> Json:
        return self.request("tools/call", name=tool, arguments=arguments)

    def query(self, sql: str, **arguments: object) -> Json:
        result = self.call("query", sql=sql, **arguments)
        assert "isError" not in result, result
        return cast("Json", result["structuredContent"])

    def refusal(self, tool: str, /, **arguments: object) -> str:
        result = self.call(tool, **arguments)
        assert result["isError"] is True
        return cast("str", result["content"][0]["text"])

    def error(self, method: str, **params: object) -> Json:
        return cast("Json", self.host.answer(self.ask(method, **params))["error"])

    def read(self, uri: str) -> str:
        (contents,) = self.request("resources/read", uri=uri)["contents"]
        assert contents["uri"] == uri
        return cast("str", contents["text"])

    def complete(self, argument: str, value: str, context: Json | None = None, **reference: str) -> list[str]:
        params: Json = {"ref": reference, "argument": {"name": argument, "value": value}}
        if context is not None:
            params["context"] = {"arguments": context}
        return cast("list[str]", self.request("completion/complete", **params)["completion"]["values"])
