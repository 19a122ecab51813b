"""Bytes to lines: however the bytes come, the lines are the same."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_kernel.protocol.framing import DEFAULT_LINE_LIMIT, OVERSIZED, Lines, Oversized

LIMIT = 8

streams = st.binary(max_size=60).map(lambda data: bytes(b"ab\n\n \r"[byte % 6] for byte in data))
cuts = st.lists(st.integers(0, 60), max_size=8)


def pieces(stream: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(at), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def lines_of(*chunks: bytes, limit: int = LIMIT) -> list[bytes | Oversized]:
    lines = Lines(limit)
    return [line for chunk in chunks for line in lines.feed(chunk)]


def expected(stream: bytes) -> list[bytes | Oversized]:
    """What the lines of a stream are, said in the plainest way."""
    complete = stream.split(b"\n")[:-1]
    return [OVERSIZED if len(line) > LIMIT else line for line in complete if len(line) > LIMIT or line.strip()]


@given(streams, cuts)
def test_any_chunking_gives_the_same_lines(stream: bytes, at: list[int]) -> None:
    assert lines_of(*pieces(stream, at)) == expected(stream)


@given(streams)
def test_byte_by_byte_gives_the_same_lines(stream: bytes) -> None:
    assert lines_of(*(bytes([byte]) for byte in stream)) == expected(stream)


def test_a_line_of_exactly_the_limit_is_whole() -> None:
    assert lines_of(b"12345678\n") == [b"12345678"]
    assert lines_of(b"1234", b"5678", b"\n") == [b"12345678"]
    assert lines_of(b"123456789\n") == [OVERSIZED]
    assert lines_of(b"12345678", b"9", b"\n") == [OVERSIZED]


def test_the_line_after_an_oversized_one_is_served() -> None:
    assert lines_of(b"0123456789\nab\n") == [OVERSIZED, b"ab"]
    assert lines_of(b"0123456789", b"0123", b"45\nab", b"\n") == [OVERSIZED, b"ab"]


def test_an_oversized_line_is_reported_once_and_at_its_end() -> None:
    lines = Lines(LIMIT)
    assert lines.feed(b"0" * 100) == []
    assert lines.feed(b"0" * 100) == []
    assert lines.feed(b"\n") == [OVERSIZED]


def test_an_oversized_line_is_discarded_as_it_streams() -> None:
    lines = Lines(1000)
    chunk = b"x" * 100_000
    tracemalloc.start()
    for _ in range(100):
        lines.feed(chunk)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 50_000


def test_a_half_line_at_the_end_is_dropped() -> None:
    lines = Lines(LIMIT)
    assert lines.feed(b"a\nb") == [b"a"]
    lines.close()
    assert lines.feed(b"c\n") == [b"c"]


def test_blank_lines_are_passed_over() -> None:
    assert lines_of(b"\n\n  \n\r\n\ta\n") == [b"\ta"]


def test_only_a_line_feed_ends_a_line() -> None:
    stream = "a\u2028b\u0085c\rd\x0be\n".encode()
    assert lines_of(stream, limit=100) == [stream[:-1]]


def test_a_line_may_hold_any_bytes_but_a_line_feed() -> None:
    every = bytes(byte for byte in range(256) if byte != 10)
    assert lines_of(every + b"\n", limit=300) == [every]


@pytest.mark.parametrize("count", [1, 1000])
def test_many_lines_in_one_chunk(count: int) -> None:
    assert lines_of(b"ab\n" * count, limit=DEFAULT_LINE_LIMIT) == [b"ab"] * count
