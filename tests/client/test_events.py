"""Server-sent events, wherever the network cuts them: held against a reference that reads them whole."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_kernel.protocol.framing import Event, Events, EventTooLong


@dataclass
class Block:
    data: list[str]
    name: str = ""
    retry: int | None = None
    told: bool = False


def read_whole(stream: bytes) -> list[Event]:
    """The HTML Standard's "Parsing an event stream", step by step, on a stream that has ended."""
    text = stream.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    identifier: str | None = None
    events: list[Event] = []
    block = Block([])
    *lines, _ = re.split("\r\n|\n|\r", text)
    for line in lines:
        if line == "":
            if block.told:
                data = "\n".join(block.data).encode("utf-8", "surrogateescape")
                events.append(Event(data, block.name or "message", identifier, block.retry))
            block = Block([])
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        readable = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if field == "data":
            block.data.append(value)
        elif field == "event":
            block.name = readable
        elif field == "id" and "\0" not in value:
            identifier = readable
        elif field == "retry" and re.fullmatch("[0-9]{1,9}", value):
            block.retry = int(value)
        else:
            continue
        block.told = True
    return events


def read_in_parts(stream: bytes, cuts: list[int]) -> list[Event]:
    events = Events(10_000)
    places = [0, *sorted(cuts), len(stream)]
    return [event for at, to in pairwise(places) for event in events.feed(stream[at:to])]


def write_line(field: str, colon: str, value: str) -> bytes:
    return f"{field}{colon}{value}".encode()


def write_stream(mark: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    return mark + b"".join(line + end for line, end in parts)


fields = st.sampled_from(["data", "event", "id", "retry", "", "other", "dat", "data\0", "retry "])
values = st.sampled_from(["", " ", "  two", "1", "007", "-1", "x", "ä\u2028", "\0", "a:b", "9" * 12, "{}", "\ufeff"])
lines = st.one_of(
    st.builds(write_line, fields, st.sampled_from([":", ": ", ""]), values),
    st.sampled_from([b"", b": a comment", b"data: \xff\xfe"]),
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
marks = st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb"])
streams = st.builds(write_stream, marks, st.lists(st.tuples(lines, ends), max_size=30))


@settings(deadline=None, max_examples=300)
@given(streams, st.data())
def test_events_are_the_same_however_the_stream_is_cut(stream: bytes, data: st.DataObject) -> None:
    expected = read_whole(stream)
    assert read_in_parts(stream, []) == expected
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert read_in_parts(stream, cuts) == expected
    assert read_in_parts(stream, list(range(len(stream)))) == expected


def test_a_stream_is_cut_at_each_of_its_bytes() -> None:
    stream = '\ufeffid: 1\r\nevent: message\r\ndata: {"ä":\r\ndata: 1}\r\n\r\nretry: 5\r\r: x\n\ndata:last\n\n'.encode()
    expected = read_whole(stream)
    assert [event.data for event in expected] == ['{"ä":\n1}'.encode(), b"", b"last"]
    for at in range(len(stream) + 1):
        for to in range(at, len(stream) + 1):
            assert read_in_parts(stream, [at, to]) == expected


def test_an_event_is_given_with_its_last_byte() -> None:
    events = Events()
    assert events.feed(b"data: x\r\r") == [Event(b"x")]
    assert events.feed(b"\ndata: y\r\n\r") == [Event(b"y")]
    assert events.feed(b"\ndata: z\n\n") == [Event(b"z")]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 2000, b"data: xxxx\n" * 200, b": " + b"x" * 2000, b"x" * 2000])
@pytest.mark.parametrize("step", [1, 7, 4096])
def test_no_more_is_held_than_the_limit(stream: bytes, step: int) -> None:
    events = Events(1000)

    def feed() -> None:
        for at in range(0, len(stream), step):
            events.feed(stream[at : at + step])

    with pytest.raises(EventTooLong, match="1000 bytes"):
        feed()


def test_keeping_alive_for_ever_is_no_event_and_holds_nothing() -> None:
    events = Events(1000)
    for _ in range(1000):
        assert events.feed(b": keep-alive\n\n") == []


def test_a_long_event_costs_as_much_as_it_is_long() -> None:
    def cost(size: int) -> float:
        events, piece = Events(1 << 30), b"x" * 4096
        begun = time.process_time()
        for _ in range(size):
            events.feed(piece)
        (event,) = events.feed(b"\ndata:1\n\n")
        assert event.data == b"1"
        return time.process_time() - begun

    assert cost(8_000) < 30 * max(cost(1_000), 0.002), "it grows faster than the event"
