"""The issuer over HTTP on this machine, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from pydantic_core import to_json
from tests.auth.issuer import Issuer
from tests.auth.realm import Ask

if TYPE_CHECKING:
    from collections.abc import Generator

PATIENCE = 10.0


class Served:
    """An ASGI application of an issuer, and the paths that it was asked for."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        url = httpx.URL(f"{self.issuer.origin}{scope['path']}?{scope['query_string'].decode()}")
        self.asked.append(scope["path"])
        answer = self.issuer(Ask(scope["method"], url, httpx.Headers(scope["headers"]), body))
        headers = {"content-type": "application/json", **answer.headers}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": to_json(answer.document)})


@contextmanager
def serve_issuer() -> Generator[Served]:
    """Serve one until the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    served = Served(Issuer(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    config = uvicorn.Config(served, lifespan="off", ws="none", log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="issuer")
    thread.start()
    try:
        yield served
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()
        assert not thread.is_alive()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
