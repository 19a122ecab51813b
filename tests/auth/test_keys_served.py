"""A server in a process of its own with a file of keys: it follows the file, and roles hold in it."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
from tests.auth.entrance import META, MIRRORED, key_lines, request
from tests.served import serve
from tests.transports.host import until

SERVER = Path(sys.executable).with_name("mcp-server-everything")
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
