"""The sieve between the transport and the driver: long errors are cut, long rows become errors, all else passes."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mcp_server_postgres import wire
from mcp_server_postgres.wire import LONGEST_ERROR, LONGEST_MESSAGE, Sieve

READY = b"Z\x00\x00\x00\x05T"


class Driver(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def error(text: bytes) -> bytes:
    return message(b"E", b"SERROR\0VERROR\0C22P02\0M" + text + b"\0\0")


def sift(*chunks: bytes) -> bytes:
    driver = Driver()
    sieve = Sieve(driver)
    for chunk in chunks:
        sieve.data_received(chunk)
    return driver.data


messages = st.lists(st.tuples(st.sampled_from([b"D", b"T", b"C", b"1", b"2"]), st.binary(max_size=40)), max_size=8)


@given(messages=messages, cuts=st.lists(st.integers(0, 300), max_size=8))
def test_what_is_not_too_long_passes_whatever_the_chunks(messages: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(message(kind, body) for kind, body in messages) + READY
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    assert sift(*(stream[start:end] for start, end in pairwise(edges))) == stream


@given(size=st.integers(1, 3000))
def test_a_long_error_is_cut_and_what_comes_behind_it_passes(size: int) -> None:
    stream = message(b"D", b"before") + error("ü".encode() * LONGEST_ERROR) + READY + message(b"D", b"after")
    passed = sift(*(stream[place : place + size] for place in range(0, len(stream), size)))
    assert passed.startswith(message(b"D", b"before") + b"E")
    assert passed.endswith(b"\0\0" + READY + message(b"D", b"after"))
    cut = passed[len(message(b"D", b"before")) : -len(READY + message(b"D", b"after"))]
    assert len(cut) < LONGEST_ERROR + 10
    assert int.from_bytes(cut[1:5], "big") == len(cut) - 1
    assert cut[5:].decode().startswith("SERROR\0VERROR\0C22P02\0Müü")


def test_an_error_of_usual_length_is_left_as_it_is() -> None:
    stream = error(b"x" * 1000) + READY
    assert sift(stream) == stream


def test_a_long_row_becomes_an_error_and_the_rest_of_its_statement_is_dropped() -> None:
    head = b"D" + (LONGEST_MESSAGE + 5).to_bytes(4, "big")
    pieces = [head, *[b"x" * (1 << 20)] * (LONGEST_MESSAGE >> 20), b"y"]
    behind = message(b"D", b"more") + message(b"S", b"a\0b\0") + message(b"C", b"FETCH 2\0") + READY
    passed = sift(message(b"D", b"short"), *pieces, behind, message(b"D", b"next"))
    assert passed.startswith(message(b"D", b"short") + b"E")
    assert b"C54000\0" in passed
    assert passed.endswith(message(b"S", b"a\0b\0") + READY + message(b"D", b"next"))
    assert b"more" not in passed
    assert b"FETCH" not in passed


AHEAD = [
    (b"1", b""),
    (b"t", b"\0\1\0\0\0\x17"),
    (b"n", b""),
    (b"S", b"a\0b\0"),
    (b"D", b"row"),
    (b"C", b"BEGIN\0"),
    (b"T", b"what"),
]
ANSWERS = 5  # neither rows nor what the database says beside


@given(cuts=st.lists(st.integers(0, 120), max_size=8), described_as=st.sampled_from([None, message(b"T", b"what")]))
def test_answers_to_what_was_sent_ahead_are_taken_out(cuts: list[int], described_as: bytes | None) -> None:
    driver = Driver()
    sieve = Sieve(driver)
    sieve.expect(ANSWERS, described_as)
    own = message(b"1", b"") + message(b"D", b"mine") + message(b"C", b"FETCH 1\0") + READY
    stream = b"".join(message(kind, body) for kind, body in AHEAD) + own
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    for start, end in pairwise(edges):
        sieve.data_received(stream[start:end])
    assert driver.data == message(b"S", b"a\0b\0") + own
    assert sieve.descriptions == [message(*AHEAD[1]), message(*AHEAD[6])]


def test_an_error_in_what_was_sent_ahead_is_the_driver_s() -> None:
    driver = Driver()
    sieve = Sieve(driver)
    sieve.expect(ANSWERS)
    sieve.data_received(message(b"1", b"") + error(b"no") + READY + message(b"D", b"next"))
    assert driver.data == error(b"no") + READY + message(b"D", b"next")


def test_rows_that_are_described_otherwise_become_an_error() -> None:
    driver = Driver()
    sieve = Sieve(driver)
    sieve.expect(1, message(b"T", b"as it was"))
    sieve.data_received(message(b"T", b"as it is") + message(b"D", b"row") + message(b"C", b"FETCH 1\0") + READY)
    assert f"C{wire.CHANGED}\0".encode() in driver.data
    assert driver.data.endswith(READY)
    assert b"row\0" not in driver.data
    sieve.data_received(message(b"D", b"next"))
    assert driver.data.endswith(READY + message(b"D", b"next"))


def test_what_a_transport_says_beside_is_passed_on() -> None:
    said: list[str] = []

    class Listener(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            said.append(f"lost {exc}")

        def pause_writing(self) -> None:
            said.append("pause")

        def resume_writing(self) -> None:
            said.append("resume")

        def eof_received(self) -> bool:
            said.append("end")
            return True

    sieve = wire.Sieve(Listener())
    sieve.pause_writing()
    sieve.resume_writing()
    assert sieve.eof_received()
    sieve.connection_lost(None)
    assert said == ["pause", "resume", "end", "lost None"]
