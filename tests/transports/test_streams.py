"""What is kept of a session's streams, and within which bounds."""

from __future__ import annotations

import asyncio

import pytest
from tests.stage import scene
from tests.transports.guests import INFO, Confirm, Json

from mcp_kernel import Context, Server
from mcp_kernel.protocol.jsonrpc import Notification, Request
from mcp_kernel.server import dispatch
from mcp_kernel.transports.http_session import HttpSession
from mcp_kernel.transports.streams import MOST_BYTES, MOST_EVENTS, MOST_STREAMS, Stream, StreamStore


def written(*messages: bytes) -> Stream:
    stream = Stream(1)
    for message in messages:
        stream.write(message)
    return stream


def test_events_have_positions_in_the_order_of_sending() -> None:
    stream = written(b"a", b"b")
    assert list(stream.after(0)) == [(1, b"a"), (2, b"b")]
    assert list(stream.after(1)) == [(2, b"b")]
    assert list(stream.after(2)) == []


def test_event_ids_are_unique_in_a_session() -> None:
    store = StreamStore()
    streams = [store.standalone, *(store.open(number) for number in range(12))]
    ids = [stream.event_id(position) for stream in streams for position in range(120)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("count", [0, 1, MOST_EVENTS, MOST_EVENTS + 1, 3 * MOST_EVENTS])
def test_a_stream_keeps_the_newest_within_its_bounds(count: int) -> None:
    stream = written(*[b"x"] * count)
    kept = list(stream.after(0))
    assert len(kept) == min(count, MOST_EVENTS)
    assert [position for position, _ in kept] == list(range(stream.start + 1, count + 1))
    assert stream.last == count


def test_a_stream_is_bounded_in_bytes_but_keeps_the_last_message() -> None:
    half = bytes(MOST_BYTES // 2 + 1)
    stream = written(half, half, half)
    assert list(stream.after(0)) == [(3, half)]
    huge = written(bytes(MOST_BYTES * 2))
    assert len(list(huge.after(0))) == 1


def test_a_stream_is_full_when_more_would_push_out_what_nobody_has_read() -> None:
    stream = written(*[b"x"] * (MOST_EVENTS - 1))
    assert not stream.is_full
    stream.write(b"x")
    assert stream.is_full
    stream.deliver(1)
    assert not stream.is_full
    stream.write(b"x")
    assert stream.is_full
    stream.deliver(stream.last)
    assert not stream.is_full


def test_what_was_delivered_stays_delivered_when_a_client_resumes_further_back() -> None:
    stream = written(*[b"x"] * MOST_EVENTS)
    stream.deliver(MOST_EVENTS)
    stream.deliver(3)
    assert stream.delivered == MOST_EVENTS


@scene
async def test_whoever_writes_waits_for_a_reader_and_not_for_nobody() -> None:
    stream = written(*[b"x"] * MOST_EVENTS)
    await stream.drain()
    ticket = stream.attach()
    waiting = [asyncio.ensure_future(stream.drain()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    stream.deliver(1)
    await asyncio.gather(*waiting)
    stream.write(b"x")
    gone = asyncio.ensure_future(stream.drain())
    await asyncio.sleep(0)
    assert not gone.done()
    stream.detach(ticket)
    await gone


@scene
async def test_a_writer_that_was_cancelled_does_not_take_the_others_along() -> None:
    stream = written(*[b"x"] * MOST_EVENTS)
    stream.attach()
    first, second = (asyncio.ensure_future(stream.drain()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    stream.deliver(MOST_EVENTS)
    await second


def test_a_new_reader_takes_the_place_of_the_last() -> None:
    stream = written(b"a")
    old = stream.attach()
    new = stream.attach()
    assert (stream.is_attached(old), stream.is_attached(new)) == (False, True)
    stream.detach(old)
    assert stream.is_read
    stream.detach(new)
    assert not stream.is_read


# --- the store ---


@pytest.mark.parametrize(
    "event_id",
    [
        "",
        "-",
        "1",
        "1-",
        "-1",
        "1-1-1",
        "x-1",
        "1-x",
        "1--1",
        "-1-1",
        " 1-1",
        "1-1\n",
        "9-1",
        "1-4",
        "\u0661-1",
        "1" * 30 + "-1",
    ],
)
def test_an_event_id_that_was_not_given_out_is_found_nowhere(event_id: str) -> None:
    store = StreamStore()
    stream = store.open("a")
    for _ in range(3):
        stream.write(b"x")
    assert store.locate("1-3") == (stream, 3)
    assert store.locate(event_id) is None


def test_a_position_that_is_not_kept_any_more_is_not_resumed_behind() -> None:
    store = StreamStore()
    stream = store.open("a")
    for _ in range(MOST_EVENTS + 10):
        stream.write(b"x")
    assert store.locate("1-9") is None
    assert store.locate("1-10") == (stream, 10)


def test_ids_of_both_json_types_have_streams_of_their_own() -> None:
    store = StreamStore()
    one, text = store.open(1), store.open("1")
    assert store.of_request(1) is one
    assert store.of_request("1") is text


def test_an_id_in_flight_keeps_its_stream_and_a_finished_one_passes_it_on() -> None:
    store = StreamStore()
    first, second = store.open(1), store.open(1)
    assert store.of_request(1) is first
    store.drop(second)
    assert store.of_request(1) is first
    first.finish(b"{}", 200)
    third = store.open(1)
    assert store.of_request(1) is third
    store.retire(first)
    assert store.of_request(1) is third


def test_the_requests_of_a_batch_share_a_stream() -> None:
    store = StreamStore()
    stream = store.open(1, "b")
    assert store.of_request(1) is store.of_request("b") is stream
    store.drop(stream)
    assert store.of_request(1) is store.of_request("b") is store.standalone


def test_only_so_many_streams_that_ended_are_kept() -> None:
    store = StreamStore()
    for number in range(MOST_STREAMS + 5):
        stream = store.open(number)
        stream.write(b"x")
        store.finish(stream, b"{}", 200)
        store.retire(stream)
        store.retire(stream)
    assert store.locate("5-1") is None
    assert store.locate("6-1") is not None
    assert store.locate(f"{MOST_STREAMS + 5}-2") is not None


def test_an_answer_that_nobody_can_come_back_for_is_not_kept() -> None:
    store = StreamStore()
    stream = store.open(1)
    stream.is_read = False
    store.finish(stream, b"{}", 200)
    assert store.locate("1-0") is None
    assert store.of_request(1) is store.standalone


def test_streams_that_ended_are_kept_within_a_number_of_bytes_and_the_newest_always() -> None:
    store = StreamStore()
    for number in range(3):
        stream = store.open(number)
        stream.write(bytes(MOST_BYTES // 2))
        store.retire(stream)
    assert [store.locate(f"{number}-1") is not None for number in (1, 2, 3)] == [False, True, True]
    huge = store.open(4)
    huge.write(bytes(MOST_BYTES * 2))
    store.retire(huge)
    assert [store.locate(f"{number}-1") is not None for number in (2, 3, 4)] == [False, False, True]


def test_what_comes_behind_an_answer_that_nobody_took_yet_does_not_take_its_place() -> None:
    stream = Stream(1)
    stream.finish(b"answer", 200)
    stream.write(b"late")
    assert [data for _, data in stream.after(0)] == [b"answer", b"late"]


@scene
async def test_what_a_call_asks_before_its_stream_is_read_is_on_it_and_so_is_its_answer() -> None:
    """As where one of several questions that are asked together fails at once, and the others are withdrawn."""
    server = Server("parting", "1.0.0")

    @server.tool()
    async def part(ctx: Context) -> str:
        """Ask the user, who cannot be asked, and the model."""
        await asyncio.gather(ctx.elicit("sure", "Sure?", Confirm), ctx.sample("greeting", "Greet."))
        return "never"

    session = HttpSession(server, None)
    hello: Json = {"protocolVersion": "2025-03-26", "capabilities": {"sampling": {}}, "clientInfo": INFO}
    for message in (Request(1, "initialize", hello), Notification("notifications/initialized", {})):
        dispatch.take(session.peer, message, Stream(1).finish)
    begun = session.begin(Request(2, "tools/call", {"name": "part", "arguments": {}}))
    for _ in range(20):
        await asyncio.sleep(0)
    said = [data for _, data in begun.open().after(0)]
    assert b"sampling/createMessage" in said[0]
    assert b'"isError":true' in said[1]
    assert b"notifications/cancelled" in said[2]
    assert list(session.streams.standalone.after(0)) == []
