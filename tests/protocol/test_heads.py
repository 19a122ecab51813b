"""A head that is known again means what the parser would read in it, to the last byte."""

from __future__ import annotations

from typing import Final

import httptools
import pytest

from mcp_kernel.protocol.heads import LONGEST, KnownHead, learn_head

BODY: Final = b'{"jsonrpc":"2.0"}'
LINES: Final = (b"POST /mcp HTTP/1.1", b"Host: localhost", b"Content-Length: 17", b"Mcp-Name: echo")
PIECES: Final = (*(bytes([each]) for each in b"\r\n \t:01+-\0\xffx"), b"", b"\r\n", b"\r\n\r\n")


class Reading:
    """What httptools reads in some bytes: whole requests, and whether anything else is there."""

    def __init__(self, data: bytes) -> None:
        self.requests: list[tuple[bytes, list[tuple[bytes, bytes]], bytes]] = []
        self.is_between = True
        self._target, self._body = b"", b""
        self._pairs: list[tuple[bytes, bytes]] = []
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_between = False

    def on_message_begin(self) -> None:
        self._target, self._body, self._pairs = b"", b"", []
        self.is_between = False

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._pairs.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.requests.append((self._target, self._pairs, self._body))
        self.is_between = True


def spell(*lines: bytes, body: bytes = BODY) -> bytes:
    return b"\r\n".join([*lines, b"", b""]) + body


def learn(data: bytes) -> KnownHead | None:
    """Learn the head of what httptools reads as one request."""
    reading = Reading(data)
    assert reading.is_between
    ((_, pairs, body),) = reading.requests
    return learn_head(data, pairs, body)


def agree(known: KnownHead, data: bytes) -> bool:
    """Hold what is known of some bytes against what httptools reads in them; tells whether anything is known."""
    body = known.find_body(data)
    if body is None:
        return False
    reading = Reading(data)
    assert reading.is_between
    assert reading.requests == [(b"/mcp", known.pairs(len(body)), body)]
    return True


@pytest.mark.parametrize("body", [b"", b"{}", BODY, b"x" * 9_999_999], ids=len)
def test_the_same_head_is_known_before_a_body_of_any_length(body: bytes) -> None:
    known = learn(spell(*LINES))
    assert known is not None
    lines = [b"Content-Length: %d" % len(body) if line.startswith(b"Content-Length") else line for line in LINES]
    assert agree(known, spell(*lines, body=body))


def spoil(data: bytes) -> set[bytes]:
    """Put each of the pieces behind and in the place of each byte."""
    places = [(at, gone) for at in range(len(data) + 1) for gone in (0, 1)]
    return {data[:at] + piece + data[at + gone :] for at, gone in places for piece in PIECES} - {data}


def test_whatever_is_done_to_a_byte_what_is_known_is_what_the_parser_reads() -> None:
    data = spell(*LINES)
    known = learn(data)
    assert known is not None
    told = [each for each in spoil(data) if agree(known, each)]
    assert len(told) > 100
    assert all(each.startswith(data.removesuffix(BODY)) for each in told)  # what is changed in the body alone


@pytest.mark.parametrize(
    "data",
    [
        spell(*LINES)[:-1],
        spell(*LINES) + b"\r\n",
        spell(*LINES) + b"P",
        spell(*LINES) * 2,
        spell(*LINES, b"X: 1"),
        spell(LINES[0].lower(), *LINES[1:]),
        spell(*(line.lower() for line in LINES)),
        spell(*LINES[::2], LINES[1], LINES[3]),
        spell(*(line.replace(b"17", b"00000017") for line in LINES)),
        spell(*(line.replace(b"17", b"") for line in LINES)),
    ],
)
def test_another_head_or_more_than_a_request_is_not_known(data: bytes) -> None:
    known = learn(spell(*LINES))
    assert known is not None
    assert not agree(known, data)


@pytest.mark.parametrize(
    "data",
    [
        spell(LINES[0], LINES[1], body=b""),
        spell(LINES[0], LINES[1], b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"),
        spell(*LINES, b"X: " + b"x" * LONGEST),
        b"\r\n\r\n" + spell(*LINES),
        spell(*LINES) + b"\r\n",
        spell(LINES[0], b"X: Content-Length: 17", body=b""),
    ],
)
def test_a_head_that_is_long_or_framed_in_another_way_is_not_learned(data: bytes) -> None:
    assert learn(data) is None


def test_a_length_in_another_header_is_not_taken_for_the_length() -> None:
    known = learn(spell(b"POST /mcp HTTP/1.1", b"X: Content-Length: 9", *LINES[1:], b"Y-Content-Length: 9"))
    assert known is not None
    assert agree(known, spell(b"POST /mcp HTTP/1.1", b"X: Content-Length: 9", *LINES[1:], b"Y-Content-Length: 9"))


def test_a_body_that_was_framed_by_something_else_than_its_length_teaches_nothing() -> None:
    """A parser that is lenient takes both, and believes the other (RFC 9112, 6.3)."""
    data = spell(*LINES, b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n")
    assert learn_head(data, [(b"content-length", b"17"), (b"transfer-encoding", b"chunked")], b"{}") is None
    assert learn_head(spell(*LINES, body=b"{}"), [(b"content-length", b"17")], b"{}") is None
