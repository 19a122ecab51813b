"""What of arguments is written into the audit log."""

from __future__ import annotations

from typing import cast

import pytest

from mcp_kernel.operations.hiding import REDACTED
from mcp_kernel.operations.redaction import Redaction
from mcp_kernel.protocol.jsonrpc import to_bytes


@pytest.mark.parametrize(
    "name",
    ["password", "newPassword", "DB_PASSWORD", "token", "access_token", "client-secret", "Authorization", "apiKey",
     "api_key", "X-API-Key", "aws_secret_access_key", "credentials", "cookie", "private_key", "passphrase"],
)  # fmt: skip
def test_a_secret_is_not_written_wherever_it_stands(name: str) -> None:
    hidden = Redaction().apply({name: "hunter2", "deep": [{"er": {name: {"a": "hunter2"}}}], "kept": "this"})
    assert b"hunter2" not in to_bytes(hidden)
    assert cast("dict[str, object]", hidden)["kept"] == "this"
    assert to_bytes(hidden).count(REDACTED.encode()) == 2


def test_further_names_are_given_by_patterns() -> None:
    rules = Redaction(["ssn", "card_*"])
    assert rules.apply({"SSN": 1, "cardNumber": 2, "discard": 3}) == {
        "SSN": REDACTED,
        "cardNumber": REDACTED,
        "discard": 3,
    }


def test_a_digest_tells_arguments_apart_and_no_secrets() -> None:
    digest = Redaction(form="digest").apply
    assert digest({"a": 1, "b": [2], "password": "x"}) == digest({"password": "y", "b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest({"text": "x" * 100_000 + "y"}) != digest({"text": "x" * 100_000 + "z"})


def test_nothing_is_written_where_that_is_wanted() -> None:
    assert Redaction(form="none").apply({"a": 1}) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "x" * 4_000_000},
        {"list": list(range(1_000_000))},
        {"k" * 50 + str(number): "v" * 50 for number in range(50_000)},
        {"many": ["x" * 900] * 5000},
        {"x" * 4_000_000: 1},
        {"deep": [[["x" * 500] * 50] * 50] * 50},
    ],
)
def test_however_much_comes_little_is_written_and_it_says_so(arguments: dict[str, object]) -> None:
    written = to_bytes(Redaction().apply(arguments))
    assert len(written) < 40_000
    assert b"[cut]" in written


def test_a_short_call_is_written_as_it_is() -> None:
    arguments: dict[str, object] = {
        "sql": "SELECT 1",
        "limit": 5,
        "params": [None, True, 1.5, "é"],
        "nested": {"a": {}},
    }
    assert Redaction().apply(arguments) == arguments
