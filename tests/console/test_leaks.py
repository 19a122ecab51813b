"""Secrets on a command line are seen, what only resembles them is not, and none is ever shown."""

from __future__ import annotations

import pytest

from mcp_kernel.console.leaks import find_leaks

# Put together here, so that whoever scans the sources for secrets finds none.
GITHUB = "ghp_" + "a1B2c3D4e5" * 4
CHANCE = "9f8Ae7D6c5b4A3k2L1m0"


@pytest.mark.parametrize(
    ("words", "secret"),
    [
        (["--api-key", "hunter2"], "hunter2"),
        (["--api-key=hunter2"], "hunter2"),
        (["--db-password", "letmein"], "letmein"),
        (["OPENAI_API_KEY=abc"], "abc"),
        (["-e", "CLIENT_SECRET=abc"], "abc"),
        (["--token", CHANCE], CHANCE),
        (["--header", f"Authorization: Bearer {CHANCE}"], CHANCE),
        (["x", GITHUB], GITHUB),
        (["--url", f"https://h.example/{GITHUB}/mcp"], GITHUB),
        (["sk-" + "proj-" + CHANCE], "sk-proj-" + CHANCE),
        (["AKIA" + "ABCDEFGHIJKLMNOP"], "AKIAABCDEFGHIJKLMNOP"),
        (["postgresql://user:pa55@db/x"], "pa55"),
        (["--url", "https://h.example/mcp?api_key=abc"], "abc"),
    ],
)
def test_a_secret_is_seen_and_not_shown(words: list[str], secret: str) -> None:
    (leak,) = find_leaks(words)
    assert secret in leak.value
    assert secret not in leak.where
    assert secret not in repr(leak)


@pytest.mark.parametrize(
    "words",
    [
        ["--db-path", "/home/u/secret/x.db", "--port", "8000"],
        ["--max-tokens", "4096"],
        ["--token-file", "/run/secrets/token"],
        ["--password", "/run/secrets/password"],
        ["--auth", "auth.toml"],
        ["--api-key", "${API_KEY}"],
        ["--api-key", "--verbose"],
        ["--token=<your token>"],
        ["--key", "id"],
        ["-y", "@scope/mcp-server-sk-learn-everything-and-more"],
        ["https://h.example/mcp?page=2"],
        ["postgresql://user@db/x"],
        ["-c", "print('x=1')"],
    ],
)
def test_what_is_no_secret_is_let_pass(words: list[str]) -> None:
    assert find_leaks(words) == []


def test_a_url_is_looked_into() -> None:
    (leak,) = find_leaks([], f"https://h.example/mcp?token={CHANCE}")
    assert leak.where == "the URL, the parameter token"
    assert find_leaks([], "https://u:pa55@h.example/mcp")[0].value == "pa55"
    assert find_leaks([], f"https://h.example/{GITHUB}/mcp")[0].value == GITHUB
    assert find_leaks([], "https://h.example/mcp") == []
