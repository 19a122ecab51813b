"""A desk at which the server is asked over the wire, in one of the eras."""

from __future__ import annotations

import sys
from typing import Any, cast

from tests.transports.host import META, Host

Json = dict[str, Any]
SERVER = [sys.executable, "-m", "mcp_server_vector"]


class Desk:
    """Asks one server in one era."""

    def __init__(self, host: Host, era: str) -> None:
        self.host = host
        self.extra: Json = {"_meta": META} if era == "modern" else {}

    def request(self, method: str, **params: object) -> Json:
        return self.host.request(method, **params, **self.extra)

    def call(self, tool: str, /, **arguments: object) -> Json:
        return self.request("tools/call", name=tool, arguments=arguments)

    def data(self, tool: str, /, **arguments: object) -> Json:
        result = self.call(tool, **arguments)
        assert "isError" not in result, result
        return cast("Json", result["structuredContent"])

    def refusal(self, tool: str, /, **arguments: object) -> str:
        result = self.call(tool, **arguments)
        assert result.get("isError") is True, result
        return cast("str", result["content"][0]["text"])

    def read(self, uri: str) -> Json:
        (contents,) = self.request("resources/read", uri=uri)["contents"]
        return cast("Json", contents)

    def complete(self, argument: str, value: str, context: Json | None = None, **reference: str) -> list[str]:
        params: Json = {"ref": reference, "argument": {"name": argument, "value": value}}
        if context is not None:
            params["context"] = {"arguments": context}
        return cast("list[str]", self.request("completion/complete", **params)["completion"]["values"])
