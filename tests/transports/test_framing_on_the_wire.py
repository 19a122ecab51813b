"""Lines as they really come: broken, endless, in pieces and all at once. The next good one is served, always."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.transports.host import META, TOOLS, Host, Json, line, request

LIMIT = 1000
KIB, MIB = 1024, 1024 * 1024


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host(TOOLS) as host:
        yield host.open()


@pytest.fixture(scope="module")
def narrow() -> Iterator[Host]:
    """A server whose lines may have a thousand bytes."""
    with Host(TOOLS, environment={"LINE_LIMIT": str(LIMIT)}) as host:
        yield host.open()


def refused(host: Host) -> Json:
    """The next message, which must be an error without an id."""
    message = host.read()
    assert message.keys() == {"jsonrpc", "error"}, message
    return message["error"]


def ping_of(size: int) -> bytes:
    """A good line of so many bytes, with its line feed not counted."""
    bare = len(line(request("filled", "ping", filling=""))) - 1
    return line(request("filled", "ping", filling="f" * (size - bare)))


GARBAGE = [
    b"garbage",
    b"{",
    b"}",
    b"\xff\xfe\xfd",
    b'{"jsonrpc":"2.0","id":1,"method":"ping\xff"}',
    b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}',
    b"\x00\x00\x00",
    b'{"jsonrpc":"2.0","id":1,"method":"ping"}\x00',
    b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
    b"Content-Length: 40\r",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"1" * 100_000,
    b'"' + b"\\" * 99_999,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: repr(garbage[:30]))
def test_garbage_gets_an_error_without_an_id_and_the_next_line_is_served(host: Host, garbage: bytes) -> None:
    host.witness.see("client", garbage, malformed=True)
    host.write(garbage + b"\n")
    assert refused(host)["code"] == -32700
    host.check_alive()


NOT_MESSAGES: list[tuple[str, object]] = [
    ("null", None),
    ("1", None),
    ('"ping"', None),
    ("{}", None),
    ('{"jsonrpc":"2.0"}', None),
    ('{"jsonrpc":"2.0","id":null,"method":"ping"}', None),
    ('{"jsonrpc":"2.0","id":true,"method":"ping"}', None),
    ('{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None),
    ('{"jsonrpc":"2.0","id":[1],"method":"ping"}', None),
    ('{"jsonrpc":"2.0","id":"kept","method":7}', "kept"),
    ('{"jsonrpc":"1.0","id":"kept","method":"ping"}', "kept"),
    ('{"id":"kept","method":"ping"}', "kept"),
    ('{"jsonrpc":"2.0","id":"kept","method":"ping","params":[]}', "kept"),
    ('{"jsonrpc":"2.0","id":"kept","method":"ping","params":null}', "kept"),
]


@pytest.mark.parametrize(("text", "identifier"), NOT_MESSAGES)
def test_json_that_is_no_message_is_an_invalid_request(host: Host, text: str, identifier: object) -> None:
    host.send(text.encode() + b"\n", malformed=True)
    answer = host.read()
    assert answer["error"]["code"] == -32600
    assert answer.get("id", None) == identifier
    host.check_alive()


def test_answers_that_nobody_waits_for_are_not_answered(host: Host) -> None:
    answers: list[Json] = [{"id": 5, "result": {}}, {"id": "x", "error": {"code": 1, "message": "m"}}]
    for answer in answers:
        host.send({"jsonrpc": "2.0", **answer}, malformed=True)
    host.check_alive()
    assert host.heard == []


def test_blank_lines_and_carriage_returns_are_passed_over(host: Host) -> None:
    host.write(b"\n\r\n   \n\t\r\n\n")
    host.send(line(request("crlf", "ping"))[:-1] + b"\r\n")
    assert host.read()["id"] == "crlf"
    host.send(b"  " + line(request("spaced", "ping"))[:-1] + b"  \n")
    assert host.read()["id"] == "spaced"


def test_separators_that_are_no_line_feeds_do_not_split(host: Host) -> None:
    text = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\rh"
    raw = json.dumps(request("split", "tools/call", name="echo", arguments={"text": text}), ensure_ascii=False)
    host.send(raw.encode() + b"\n")
    assert host.read()["result"]["content"][0]["text"] == text


def test_a_line_that_arrives_byte_by_byte_is_one_message(host: Host) -> None:
    message = line(request("piecemeal", "tools/call", name="echo", arguments={"text": "grüße"}))
    host.witness.see("client", message)
    for byte in message:
        host.write(bytes([byte]))
    assert host.read()["id"] == "piecemeal"


def test_a_thousand_messages_in_one_write_are_all_answered(host: Host) -> None:
    requests = [request(f"one of many {number}", "ping") for number in range(1000)]
    for each in requests:
        host.witness.see("client", each)
    host.write(b"".join(map(line, requests)))
    assert [host.read()["id"] for _ in requests] == [each["id"] for each in requests]


def test_good_and_broken_lines_in_one_write_are_each_answered(host: Host) -> None:
    host.witness.see("client", b"broken", malformed=True)
    host.witness.see("client", request("before", "ping"))
    host.witness.see("client", b"\xff", malformed=True)
    host.witness.see("client", request("after", "ping"))
    host.write(b"broken\n" + line(request("before", "ping")) + b"\xff\n" + line(request("after", "ping")))
    assert [host.read().get("id") for _ in range(4)] == [None, "before", None, "after"]


def test_a_line_as_long_as_the_limit_is_served(narrow: Host) -> None:
    narrow.send(ping_of(LIMIT))
    assert narrow.read()["id"] == "filled"


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 2, 65_535, 65_536, 65_537, 300_000])
def test_a_line_beyond_the_limit_is_refused_and_the_next_is_served(narrow: Host, size: int) -> None:
    narrow.send(ping_of(size), malformed=True)
    assert str(LIMIT) in refused(narrow)["message"]
    narrow.check_alive()


def test_an_oversized_line_among_good_ones_in_one_write_is_refused_alone(narrow: Host) -> None:
    before, after = request("before", "ping"), request("after", "ping")
    narrow.witness.see("client", before)
    narrow.witness.see("client", b"x" * 5000, malformed=True)
    narrow.witness.see("client", after)
    narrow.write(line(before) + b"x" * 5000 + b"\n" + line(after))
    assert [narrow.read().get("id") for _ in range(3)] == ["before", None, "after"]


def test_an_endless_line_takes_no_memory(narrow: Host) -> None:
    before = narrow.memory()
    narrow.witness.see("client", b"endless", malformed=True)
    for _ in range(32):
        assert narrow.write(b"e" * MIB) == MIB
    assert narrow.memory() - before < 4 * MIB
    narrow.write(b"\n")
    assert refused(narrow)["code"] == -32700
    narrow.check_alive()


@pytest.mark.slow
def test_the_limit_is_sixteen_mebibytes_when_nobody_says_otherwise(host: Host) -> None:
    host.send(ping_of(16 * MIB))
    assert host.read()["id"] == "filled"
    host.send(ping_of(16 * MIB + 1), malformed=True)
    assert str(16 * MIB) in refused(host)["message"]
    before = host.memory()
    for _ in range(64):
        host.write(b"e" * MIB)
    assert host.memory() - before < 32 * MIB
    host.witness.see("client", b"endless", malformed=True)
    host.write(b"\n")
    assert refused(host)["code"] == -32700
    host.check_alive()


def test_half_a_line_at_the_end_is_dropped() -> None:
    whole = request("whole", "ping", _ignored=META)
    with Host(TOOLS) as host:
        host.send(whole)
        host.write(line(request("half", "ping"))[:-1])
        assert host.end() == 0
        assert [answer["id"] for answer in host.read_all()] == ["whole"]
        assert host.log() == ""
