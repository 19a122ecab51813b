"""What nobody may read is taken out of texts and URIs, and nothing else is."""

from __future__ import annotations

import time

import pytest

from mcp_kernel.auth.resource.keys import make_key
from mcp_kernel.operations.hiding import SHAPES, hide, hide_in_uri
from mcp_kernel.operations.redaction import Redaction
from mcp_kernel.protocol.jsonrpc import to_bytes

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
KEY = "mk_8f1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e"

LINES = [
    f"Authorization: Bearer {KEY}",
    f"authorization: DPoP {KEY}, and more",
    f"{{'authorization': 'Bearer {KEY}'}}",
    f"(b'authorization', b'Bearer {KEY}')",
    f'{{"x-api-key": "{KEY}"}}',
    f"x-api-key={KEY}",
    f"Bearer {KEY}",
    f"GET /mcp?access_token={KEY}&x=1 HTTP/1.1",
    f"https://x.example/cb?code={KEY}#top",
    f"https://x.example/cb?a=1&API_KEY={KEY}",
    f"postgresql://ann:{KEY}@db/shop",
    f"mcp-session-id: {KEY}",
    f"Cookie: sid={KEY}; x=1",
    f"proxy-authorization: Basic {KEY}",
    f"host=db user=ann password={KEY} dbname=shop",
    f"password = '{KEY}'",
    f"connect(dsn, sslpassword='it\\'s {KEY}')",
    f'{{"id": 7, "client_secret": "{KEY}"}}',
    f'{{"client_secret" : "a \\" b {KEY}"}}',
    f'{{"refreshToken": "{KEY}',
    f"AWS_SECRET_ACCESS_KEY={KEY}",
    f"{{'db-credentials': b'{KEY}'}}",
    f"UPDATE users SET password='{KEY}' WHERE id = 1",
    f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n",
]


@pytest.mark.parametrize("line", LINES)
def test_a_secret_is_taken_out_of_a_text(line: str) -> None:
    for secret in (KEY, TOKEN):
        said = hide(line.replace(KEY, secret))
        assert secret not in said
        assert "[redacted]" in said


@pytest.mark.parametrize("line", LINES)
def test_what_the_log_hides_the_audit_log_does_not_show(line: str) -> None:
    written = to_bytes(Redaction().apply({"text": line, "deep": [{"er": line}]}))
    assert KEY.encode() not in written
    assert written.count(b"[redacted]") >= 2


def test_a_key_and_a_token_are_known_wherever_they_stand() -> None:
    key = make_key()
    assert hide(f"What is {key}, and what is {TOKEN}?") == "What is [redacted], and what is [redacted]?"


SHAPED = {
    "a GitHub token": "ghp_" + "a1" * 18,
    "a GitLab token": "glpat-" + "a1" * 10,
    "an API key": "sk-proj-" + "a1" * 12,
    "an AWS access key": "AKIA" + "A1" * 8,
    "a Slack token": "xoxb-" + "12-a1" * 4,
    "a Google API key": "AIza" + "a1" * 18,
    "a Hugging Face token": "hf_" + "a1" * 17,
    "an npm token": "npm_" + "a1" * 18,
    "a PyPI token": "pypi-" + "a1" * 30,
    "a JSON Web Token": "eyJ" + "a1" * 8 + ".eyJ" + "b2" * 8 + ".c3",
    "a private key": "-----BEGIN PRIVATE KEY-----",
}


@pytest.mark.parametrize("what", SHAPES)
def test_what_looks_like_a_secret_is_one(what: str) -> None:
    assert hide(f"The answer was {SHAPED[what]} and no more").startswith("The answer was [redacted]")


@pytest.mark.parametrize(
    "line",
    [
        "The Host 'evil.example' is not served here. To allow it: --allowed-host evil.example",
        "Bearer tokens are needed here",
        "postgresql://db/shop cannot be reached",
        "GET /mcp?page=2&q=tokens",
        "Traceback (most recent call last):",
        "Unknown token: it has expired",
        "SELECT name FROM secrets WHERE owner = 'ann'",
        "password authentication failed for user",
        "The key column is a=1",
    ],
)
def test_a_text_without_a_secret_stays_as_it_is(line: str) -> None:
    assert hide(line) == line


def test_who_opens_a_uri_and_with_what_is_not_written() -> None:
    assert hide_in_uri("postgres://ann:pw@db/x?y=a@b") == "postgres://[redacted]@db/x?y=a@b"
    assert (
        hide_in_uri("https://ann@x.example/?access_token=t0") == "https://[redacted]@x.example/?access_token=[redacted]"
    )
    assert hide_in_uri("file:///a@b") == "file:///a@b"


PARTS = [
    "authorization",
    "://a:",
    "Bearer ",
    "?token=",
    "eyJ",
    "a:b@",
    "=,",
    "cookie:'",
    "password ",
    "a-",
    "-token",
    "token='",
    "token='\"",
    'secret="\\',
    "-----BEGIN PRIVATE KEY-----",
    "sk-a",
    "xoxb-",
    "token     ",
    "mcp_",
]


@pytest.mark.parametrize("part", PARTS)
def test_a_long_text_is_read_in_no_time(part: str) -> None:
    began = time.process_time()
    hide(part * (200_000 // len(part)))
    assert time.process_time() - began < 3.0  # seconds; a tenth of one is usual, and what is not linear takes minutes
