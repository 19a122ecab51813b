"""`requestState`: nobody else can write one, and each check of its binding can be seen to hold."""

from __future__ import annotations

import base64
import json
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_kernel.errors import INVALID_PARAMS, ProtocolError
from mcp_kernel.protocol import sealing
from mcp_kernel.protocol.sealing import MAX_AGE, Binding, Progress

KEY = b"k" * 32
NOW = 1_000_000.0
PARAMS: dict[str, Any] = {"name": "drop", "arguments": {"table": "notes", "limit": 1}}
BINDING = sealing.bind("alice", "tools/call", PARAMS)
ALPHABET = string.ascii_letters + string.digits + "-_"


def seal(**answers: dict[str, Any]) -> str:
    progress = Progress({key: sealing.digest("elicitation/create", key) for key in answers}, dict(answers))
    return sealing.seal(progress, BINDING, key=KEY, now=NOW)


def unseal(state: str, binding: Binding = BINDING, key: bytes = KEY, now: float = NOW) -> Progress:
    return sealing.unseal(state, binding, key=key, now=now)


def refusal(state: str, binding: Binding = BINDING, key: bytes = KEY, now: float = NOW) -> str:
    with pytest.raises(ProtocolError) as caught:
        unseal(state, binding, key, now)
    assert caught.value.code == INVALID_PARAMS
    return caught.value.message


def test_what_was_sealed_is_known_again() -> None:
    progress = Progress({"a": "1", "b": "2"}, {"a": {"action": "accept", "content": {"x": "ünï"}}})
    assert unseal(sealing.seal(progress, BINDING, key=KEY, now=NOW)) == progress


def test_a_state_is_ascii_that_any_client_can_carry() -> None:
    assert set(seal(a={"content": {"x": "\U0001f600\u2028"}})) <= {*ALPHABET, "."}


def test_a_change_anywhere_is_noticed() -> None:
    state = seal(confirm={"action": "accept"})
    for index, character in enumerate(state):
        other = "A" if character != "A" else "B"
        refusal(state[:index] + other + state[index + 1 :])


def test_no_second_spelling_of_a_state_is_accepted() -> None:
    state = seal(confirm={"action": "accept"})
    payload, signature = state.split(".")
    for index in (len(payload) - 1, len(state) - 1):
        for character in ALPHABET:
            if character != state[index]:
                refusal(state[:index] + character + state[index + 1 :])
    for spelling in (
        f"{payload}=.{signature}",
        f"{payload}.{signature}=",
        f" {state}",
        f"{state}\n",
        f"{payload[:4]}!{state[4:]}",
    ):
        refusal(spelling)


@pytest.mark.parametrize("end", [0, 1, -1, -5, -43, -44, -45])
def test_a_part_of_a_state_is_none(end: int) -> None:
    refusal(seal(a={"action": "accept"})[:end])


@pytest.mark.parametrize(
    "state",
    ["", ".", "..", "a.b", "e30.", ".e30", "ünï.cödé", "\x00", "A" * 100_000, "%", "a.b.c", "{}", "e30.e30"],
)
def test_what_is_no_state_is_refused(state: str) -> None:
    refusal(state)


@given(st.text(max_size=40))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    refusal(text)


def test_a_state_signed_with_another_key_is_refused() -> None:
    assert "not one of this server's" in refusal(seal(), key=b"x" * 32)


def test_the_signature_of_one_state_does_not_serve_another() -> None:
    first, second = seal(a={"action": "accept"}), seal(a={"action": "decline"})
    refusal(f"{first.split('.')[0]}.{second.split('.')[1]}")


def test_a_plain_hash_of_the_payload_is_no_signature() -> None:
    import hashlib
    import hmac

    payload = seal().split(".")[0]
    raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    for signed in (raw, payload.encode()):
        for made in (hashlib.sha256(signed).digest(), hmac.digest(KEY, signed, "sha256"), b""):
            refusal(f"{payload}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}")


def test_a_state_expires() -> None:
    unseal(seal(), now=NOW + MAX_AGE - 1)
    assert "expired" in refusal(seal(), now=NOW + MAX_AGE)
    assert "expired" in refusal(seal(), now=NOW + MAX_AGE * 100)


@pytest.mark.parametrize("principal", ["bob", "", "Alice", "alice "])
def test_another_principal_is_refused(principal: str) -> None:
    assert "principal" in refusal(seal(), replace(BINDING, principal=principal))


def test_nobody_is_a_principal_of_its_own() -> None:
    nobody = sealing.bind(None, "tools/call", PARAMS)
    state = sealing.seal(Progress(), nobody, key=KEY, now=NOW)
    unseal(state, nobody)
    refusal(state)
    refusal(seal(), nobody)


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("prompts/get", {}),
        ("tools/call", {"name": "list"}),
        ("tools/call", {"arguments": {"table": "users", "limit": 1}}),
        ("tools/call", {"arguments": {"table": "notes"}}),
        ("tools/call", {"arguments": {"table": "notes", "limit": 1, "more": 1}}),
        ("tools/call", {"arguments": {"table": "notes", "limit": "1"}}),
        ("tools/call", {"arguments": {"table": "notes", "limit": True}}),
        ("tools/call", {"arguments": None}),
    ],
)
def test_another_request_is_refused(method: str, change: dict[str, Any]) -> None:
    other = sealing.bind("alice", method, {**PARAMS, **change})
    assert "another request" in refusal(seal(), other)


def test_what_belongs_to_the_retry_alone_does_not_change_the_request() -> None:
    retry: dict[str, Any] = {
        **PARAMS,
        "_meta": {"progressToken": 7},
        "inputResponses": {"a": {}},
        "requestState": "x",
        "arguments": {"limit": 1, "table": "notes"},
    }
    unseal(seal(), sealing.bind("alice", "tools/call", retry))


def test_a_digest_does_not_depend_on_the_order_of_members_but_on_all_else() -> None:
    assert sealing.digest({"a": 1, "b": 2}) == sealing.digest({"b": 2, "a": 1})
    different: list[Any] = [
        {"a": 1},
        {"a": 1.5},
        {"a": "1"},
        {"a": None},
        {"a": True},
        {"a": [1]},
        {},
        [],
        None,
        "",
        ["a", 1],
        {"a": {}},
    ]
    assert len({sealing.digest(each) for each in different}) == len(different)
    assert sealing.digest("ab", "c") != sealing.digest("a", "bc")
    assert sealing.digest(["a"], "b") != sealing.digest("a", ["b"])


def test_a_state_names_the_principal_and_the_arguments_to_nobody() -> None:
    params: dict[str, Any] = {"name": "login", "arguments": {"password": "hunter2"}}
    binding = sealing.bind("alice@example.com", "tools/call", params)
    progress = Progress({"q": sealing.digest("elicitation/create", {"message": "the secret question"})}, {})
    state = sealing.seal(progress, binding, key=KEY, now=NOW)
    payload = state.split(".")[0]
    opened = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    for secret in ("hunter2", "password", "login", "alice", "secret", KEY.decode()):
        assert secret not in opened
    assert set(json.loads(opened)) == {"expires", "principal", "request", "questions", "answers"}


def test_a_refusal_tells_nothing_of_the_state() -> None:
    state = seal(q={"action": "accept", "content": {"pin": "4711"}})
    for message in (
        refusal(state, key=b"x" * 32),
        refusal(state, now=NOW + MAX_AGE),
        refusal(state, sealing.bind("bob", "x", {})),
    ):
        assert "4711" not in message
        assert "alice" not in message
