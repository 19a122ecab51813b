"""A desk at which one server is asked over the wire, in one of the eras, by a client that may have roots."""

from __future__ import annotations

import sys
from typing import Any, cast

from tests.transports.host import META, Host

Json = dict[str, Any]
SERVER = [sys.executable, "-m", "mcp_server_filesystem"]


class Desk:
    """Asks one server in one era."""

    def __init__(self, host: Host, era: str) -> None:
        self.host = host
        self.extra: Json = {"_meta": META} if era == "modern" else {}

    def request(self, method: str, **params: object) -> Json:
        return self.host.request(method, **params, **self.extra)

    def call(self, tool: str, /, **arguments: object) -> Json:
        return self.request("tools/call", name=tool, arguments=arguments)

    def texts(self, tool: str, /, **arguments: object) -> list[str]:
        result = self.call(tool, **arguments)
        assert "isError" not in result, result
        return [block["text"] for block in result["content"]]

    def text(self, tool: str, /, **arguments: object) -> str:
        return self.texts(tool, **arguments)[0]

    def data(self, tool: str, /, **arguments: object) -> Json:
        result = self.call(tool, **arguments)
        assert "isError" not in result, result
        return cast("Json", result["structuredContent"])

    def refusal(self, tool: str, /, **arguments: object) -> str:
        result = self.call(tool, **arguments)
        assert result.get("isError") is True, result
        return cast("str", result["content"][0]["text"])

    def error(self, method: str, **params: object) -> Json:
        return cast("Json", self.host.answer(self.host.ask(method, **params, **self.extra))["error"])
