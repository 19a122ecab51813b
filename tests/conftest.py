"""Fixtures of all tests: clients whose every message is judged by the oracle."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.stage import Connect, Dial, Judge, is_contrary, judged_client, judged_wire

from mcp_kernel.client.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oracle import Sender

    from mcp_kernel.client.conversation import Profile
    from mcp_kernel.client.link import Link

# What a shell starts in the background has SIGINT ignored, and hands that on to the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def connect() -> Connect:
    """Open a client of a server in one of the revisions; a message that the oracle refuses fails the test."""
    return judged_client


@pytest.fixture
def dial() -> Dial:
    """Open a bare wire to a server, for tests of both eras at once or of broken messages."""
    return judged_wire


@pytest.fixture(autouse=True)
def judge_of_clients(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Judge what every `mcp_kernel.Client` of a test sends and receives, whoever made it and whatever it talks to.

    With the marker `contrary` the server is wrong on purpose: then only what the client sends must be right.
    """
    judges: dict[Link, Judge] = {}
    contrary = is_contrary(request)
    begin = Conversation.__init__

    def begin_judged(self: Conversation, link: Link, profile: Profile, *more: Any) -> None:
        judge = judges.setdefault(link, Judge(contrary=contrary))

        def look_on(sender: Sender, data: bytes) -> None:
            judge.observe(sender, data, malformed=False)
            if profile.on_message is not None:
                profile.on_message(sender, data)

        begin(self, link, replace(profile, on_message=look_on), *more)

    monkeypatch.setattr(Conversation, "__init__", begin_judged)
    yield
    for judge in judges.values():
        judge.rule()
