"""What is read from WWW-Authenticate, and from URLs."""

from __future__ import annotations

import time

import pytest

from mcp_kernel.auth.address import canonical, covers, require_safe
from mcp_kernel.auth.challenge import Challenge, choose_challenge, read_challenges
from mcp_kernel.errors import AuthorizationError

CASES: list[tuple[list[str], list[tuple[str, dict[str, str]]]]] = [
        ([], []),
        (["Bearer"], [("bearer", {})]),
        (['Bearer realm="a, b", scope="x y"'], [("bearer", {"realm": "a, b", "scope": "x y"})]),
        (['bearer scope = plain , ERROR="q\\"uote"'], [("bearer", {"scope": "plain", "error": 'q"uote'})]),
        (['Basic realm="x", DPoP a="E", Bearer'], [("basic", {"realm": "x"}), ("dpop", {"a": "E"}), ("bearer", {})]),
        (['Basic realm="x"', "Bearer scope=a"], [("basic", {"realm": "x"}), ("bearer", {"scope": "a"})]),
        (["Negotiate YWJj==, Bearer scope=a"], [("negotiate", {}), ("bearer", {"scope": "a"})]),
        (['Bearer resource_metadata="https://a/?b=c,d"'], [("bearer", {"resource_metadata": "https://a/?b=c,d"})]),
        (['Bearer error="first", error="second"'], [("bearer", {"error": "first"})]),
        (['Bearer scope="never closed'], [("bearer", {})]),
        (['="nothing"'], []),
        (["\x00\x01"], []),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "challenges"), CASES)
def test_a_challenge_is_read(headers: list[str], challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert [(one.scheme, dict(one.parameters)) for one in read_challenges(headers)] == challenges


@pytest.mark.parametrize(
    "text", ["Bearer " + 'a="' * 100_000, "a " * 100_000, "=" * 200_000, 'Bearer a="' + "\\" * 200_000]
)
def test_a_hostile_challenge_costs_no_time(text: str) -> None:
    began = time.perf_counter()
    read_challenges([text])
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("schemes", "proofs", "chosen"),
    [
        (["basic", "bearer", "dpop"], True, "dpop"),
        (["bearer", "dpop"], False, "bearer"),
        (["dpop"], False, "dpop"),
        ([], True, "bearer"),
        (["basic"], True, None),
    ],
)
def test_the_challenge_that_a_token_answers_is_chosen(schemes: list[str], proofs: bool, chosen: str | None) -> None:
    challenge = choose_challenge([Challenge(scheme) for scheme in schemes], proofs=proofs)
    assert (challenge.scheme if challenge else None) == chosen


@pytest.mark.parametrize(
    ("url", "server_url"),
    [
        ("http://auth.example", "https://mcp.example"),
        ("ftp://auth.example", "https://mcp.example"),
        ("https://user:word@auth.example", "https://mcp.example"),
        ("https://auth.example/#part", "https://mcp.example"),
        ("https://auth.example\\@evil.example", "https://mcp.example"),
        ("https://auth.example/a\nb", "https://mcp.example"),
        ("http://localhost:80", "https://mcp.example"),
        ("https://[::1]", "https://mcp.example"),
        ("https://[::ffff:127.0.0.1]", "https://mcp.example"),
        ("https://10.0.0.1", "https://mcp.example"),
        ("http://10.0.0.1", "http://127.0.0.1"),
        ("", "https://mcp.example"),
    ],
)
def test_an_unsafe_address_is_refused(url: str, server_url: str) -> None:
    with pytest.raises(AuthorizationError):
        require_safe(url, "It", server_url)


@pytest.mark.parametrize(
    ("url", "server_url"),
    [
        ("https://auth.example:8443/a?b=c", "https://mcp.example"),
        ("http://localhost:3000", "http://127.0.0.1:8000/mcp"),
        ("https://10.0.0.2", "https://10.0.0.1/mcp"),
        ("https://93.184.215.14", "https://mcp.example"),
    ],
)
def test_a_safe_address_is_taken(url: str, server_url: str) -> None:
    assert require_safe(url, "It", server_url) == url


@pytest.mark.parametrize(
    ("resource", "holds"),
    [
        ("https://mcp.example/a/mcp", True),
        ("https://MCP.example:443/a", True),
        ("https://mcp.example", True),
        ("https://mcp.example/", True),
        ("https://mcp.example/a/mc", False),
        ("https://mcp.example/a/mcp/deeper", False),
        ("https://mcp.example:8443/a/mcp", False),
        ("http://mcp.example/a/mcp", False),
        ("https://mcp.example.evil.example/a/mcp", False),
        ("https://mcp.example/a?x", False),
        ("", False),
    ],
)
def test_a_resource_covers_what_is_at_or_below_it(resource: str, holds: bool) -> None:
    assert covers(resource, "https://mcp.example/a/mcp") is holds


def test_a_servers_url_has_one_form() -> None:
    assert canonical("HTTPS://MCP.Example:443/?q#f") == "https://mcp.example"
    assert canonical("https://mcp.example/Mcp/") == "https://mcp.example/Mcp/"
