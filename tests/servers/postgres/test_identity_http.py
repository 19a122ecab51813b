"""The whole way of a token: signed by an issuer, checked at the gate, and a role in the database."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from tests.auth.authority import private_key, public_jwk
from tests.auth.entrance import key_lines
from tests.served import serve
from tests.servers.postgres.conftest import Shop, command
from tests.servers.postgres.test_identity import DOOR, LEAVE, OWN, SQL
from tests.stage import scene

from mcp_kernel import Client
from mcp_kernel.client.target import Reach

RESOURCE = "http://127.0.0.1:8000/mcp"


class Keys(BaseHTTPRequestHandler):
    """Publishes the issuer's key."""

    def do_GET(self) -> None:  # the name that the standard library looks for
        body = json.dumps({"keys": [public_jwk("ec")]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def serve_keys() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def guarded(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, str]]:
    """The URLs of the server and of the issuer."""
    path: Path = tmp_path_factory.mktemp("auth") / "auth.toml"
    command(shop.superuser, DOOR.format(database=shop.database))
    with serve_keys() as issuer:
        jwt_lines = f'[jwt]\nissuer = "{issuer}"\njwks_url = "{issuer}/keys"\ndefault_role = "all"'
        roles = '[roles.all]\ntools = ["query"]'
        keys = key_lines("bob", "bobbob", 'roles = ["all"]')
        path.write_text(f'resource = "{RESOURCE}"\n{keys}\n{jwt_lines}\n{roles}\n')
        dsn = shop.url(f"{OWN}door")
        options = ["--auth", str(path), "--set-role-from", "db_role", "--set-local", "app.desk=desk"]
        with serve([sys.executable, "-m", "mcp_server_postgres", dsn, *options]) as url:
            yield url, issuer
    command(shop.superuser, LEAVE.format(database=shop.database))


def sign(issuer: str, **claims: object) -> dict[str, str]:
    said = {"iss": issuer, "aud": RESOURCE, "sub": "ann", "client_id": "app", "exp": time.time() + 60, **claims}
    token = jwt.encode(said, private_key("ec"), "ES256", {"typ": "at+jwt", "kid": "ec"})
    return {"Authorization": f"Bearer {token}"}


async def ask(url: str, headers: dict[str, str], revision: str, sql: str = SQL) -> str:
    async with Client(url, revision=revision, reach=Reach(headers=headers)) as client:
        return str((await client.call_tool("query", {"sql": sql})).wire)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
@scene
async def test_the_claims_of_a_token_decide_which_rows_are_read(guarded: tuple[str, str], revision: str) -> None:
    url, issuer = guarded
    ann = sign(issuer, db_role=f"{OWN}ann", desk="north")
    bob = sign(issuer, db_role=f"{OWN}bob", desk="south")
    for _ in range(2):
        said = await ask(url, ann, revision), await ask(url, bob, revision)
        assert ("hers" in said[0], "his" in said[0], "hers" in said[1], "his" in said[1]) == (True, False, False, True)
    assert "north" in await ask(url, ann, revision, "SELECT said FROM lists")
    assert "north" not in await ask(url, bob, revision, "SELECT said FROM lists")
    assert "does not let this server act" in await ask(url, sign(issuer, db_role=f"{OWN}eve", desk="x"), revision)
    assert "is no role" in await ask(url, sign(issuer, db_role="none", desk="x"), revision)
    assert "no claim desk" in await ask(url, sign(issuer, db_role=f"{OWN}ann"), revision)
    assert "no claim db_role" in await ask(url, {"X-API-Key": "bobbob"}, revision)
