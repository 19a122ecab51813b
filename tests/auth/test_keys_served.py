"""A server in a process of its own with a file of keys: it follows the file, and roles hold in it."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest
from tests.auth.entrance import META, MIRRORED, key_lines, request
from tests.served import serve
from tests.stage import in_both_eras, scene
from tests.transports.host import until

from mcp_kernel import Client
from mcp_kernel.client import HttpRefused, Reach

SERVER = Path(sys.executable).with_name("mcp-server-everything")
REFUSED = r"answered with status 401: .+\. It wants authorisation that holds here: give the client `auth`, or a header"
ROLES = "[roles.greeter]\ntools = ['test_simple_text']\n[roles.nobody]\n"


def listed(url: str, key: str) -> list[str] | int:
    """The tools that a key sees, or the status of the refusal."""
    headers = {**MIRRORED, "mcp-method": "tools/list", "authorization": f"Bearer {key}"}
    del headers["mcp-name"]
    answer = httpx.post(url, json=request("tools/list", {"_meta": META}), headers=headers)
    return (
        [tool["name"] for tool in answer.json()["result"]["tools"]] if answer.status_code == 200 else answer.status_code
    )


def test_a_key_is_added_and_taken_away_while_the_server_runs(tmp_path: Path) -> None:
    file = tmp_path / "auth.toml"
    alice = key_lines("alice", "a", "roles = ['greeter']") + ROLES
    file.write_text(alice)
    with serve([str(SERVER)], ["--transport", "http", "--auth", str(file)]) as url:
        assert listed(url, "a") == ["test_simple_text"]
        assert listed(url, "b") == 401
        file.write_text(alice + key_lines("bob", "b", "roles = ['nobody']"))
        until(lambda: listed(url, "b") == [])  # it looks at its file once a second
        file.write_text(alice + "[[keys]]\n")  # broken: what was stays
        assert listed(url, "b") == []
        file.write_text(alice)
        until(lambda: listed(url, "b") == 401)
        assert listed(url, "a") == ["test_simple_text"]


@in_both_eras
@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_client_without_a_good_key_is_told_what_to_do(tmp_path: Path, revision: str, key: str | None) -> None:
    file = tmp_path / "auth.toml"
    file.write_text(key_lines("alice", "a", "roles = ['greeter']") + ROLES)
    reach = Reach(headers={} if key is None else {"Authorization": f"Bearer {key}"})
    with serve([str(SERVER)], ["--transport", "http", "--auth", str(file)]) as url:

        @scene
        async def knock() -> None:
            for settled in (revision, None):  # whether it must find out what the server speaks, or not
                with pytest.raises(HttpRefused, match=REFUSED) as caught:
                    await Client(url, reach=reach, revision=settled).connect()
                assert caught.value.status == 401

        knock()


def test_a_client_whose_key_was_taken_away_is_told_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "auth.toml"
    file.write_text(key_lines("alice", "a", "roles = ['greeter']") + ROLES)
    with serve([str(SERVER)], ["--transport", "http", "--auth", str(file)]) as url:

        @scene
        async def call() -> None:
            async with Client(url, reach=Reach(headers={"Authorization": "Bearer a"})) as client:
                assert [tool.name for tool in await client.list_tools()] == ["test_simple_text"]
                file.write_text(key_lines("bob", "b", "roles = ['greeter']") + ROLES)
                until(lambda: listed(url, "a") == 401)
                with pytest.raises(HttpRefused, match=REFUSED):
                    await client.call_tool("test_simple_text", {})

        call()
