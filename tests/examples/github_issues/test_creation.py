"""Issues that are created once: calls repeated, answers lost, keys of others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.examples.github_issues.hub import BAD_GATEWAY, LOGIN, LOST, REPOSITORY, Answer, Hub, asking
from tests.stage import Connect, in_both_eras, scene, text_of

from github_issues.api import Refused
from github_issues.creation import Creation, Draft, Mark
from github_issues.issues import Issues
from github_issues.server import build

DRAFT = Draft(REPOSITORY, "The kettle leaks", "It drips.", ("bug",))


@asynccontextmanager
async def creating(url: str, settling: float = 0.3) -> AsyncGenerator[Creation]:
    """What creates issues, as it is in a process of its own."""
    async with asking(url) as api:
        yield Creation(Issues(api), settling)


@in_both_eras
@scene
async def test_a_call_that_is_repeated_creates_nothing_twice(
    connect: Connect, hub: Hub, url: str, revision: str
) -> None:
    call = {"repository": REPOSITORY, "title": "The kettle leaks", "body": "It drips.", "idempotency_key": "a-1"}
    async with asking(url) as api, connect(build(api), revision) as client:
        assert "is created" in text_of(await client.call_tool("create_issue", call))
        again: Any = await client.call_tool("create_issue", call)
        assert again["structuredContent"]["is_new"] is False
        assert "nothing was created now" in text_of(again)
    assert [issue["title"] for issue in hub.issues] == ["The kettle leaks"]
    assert hub.issues[0]["body"].startswith("It drips.\n\n<!-- mcp-key ")


@scene
async def test_another_process_knows_what_was_created_before_any_search_does(hub: Hub, url: str) -> None:
    hub.is_indexed = False
    async with creating(url) as one, creating(url) as other:
        first = await one.create(DRAFT, "a-1")
        second = await other.create(DRAFT, "a-1")
        assert (first.is_new, second.is_new, second.issue.number) == (True, False, first.issue.number)
        assert (await other.create(DRAFT, "a-2")).is_new  # another key is another issue
        assert (await other.create(DRAFT, "a-1", owner="bob")).is_new  # and so is another person's
    assert len(hub.issues) == 3


@pytest.mark.parametrize("after", [LOST, BAD_GATEWAY, Answer(201, "no issue at all")])
@scene
async def test_an_issue_whose_answer_was_lost_is_found(hub: Hub, url: str, after: Answer) -> None:
    hub.after.append(after)
    async with creating(url) as creation:
        with_answer = creation.create(DRAFT, "a-1")
        if after.status == 201:  # it was carried out, in a form that cannot be read
            with pytest.raises(Refused, match="cannot be read"):
                await with_answer
        else:
            assert (await with_answer).issue.number == 1
        assert (await creation.create(DRAFT, "a-1")).is_new is False
    assert len(hub.issues) == 1


@scene
async def test_what_github_does_after_its_answer_was_lost_is_waited_for(hub: Hub, url: str) -> None:
    hub.is_late = True
    async with creating(url) as creation:
        assert (await creation.create(DRAFT, "a-1")).issue.number == 1
    assert len(hub.issues) == 1


@pytest.mark.parametrize("instead", [LOST, BAD_GATEWAY])
@scene
async def test_what_never_came_to_pass_is_told_and_can_be_asked_for_again(hub: Hub, url: str, instead: Answer) -> None:
    async with creating(url) as creation:
        await creation.create(DRAFT, "a-0")  # whose token it is is known now
        hub.instead.extend([Answer(200, []), instead])
        with pytest.raises(Refused, match=r"No issue was created\. Call again with the same"):
            await creation.create(DRAFT, "a-1")
        assert len(hub.issues) == 1
        assert (await creation.create(DRAFT, "a-1")).is_new
    assert len(hub.issues) == 2


@scene
async def test_a_doubt_that_cannot_be_settled_stays_one_until_it_is(hub: Hub, url: str) -> None:
    hub.is_late, hub.then = True, Answer(403, {"message": "Resource not accessible"})
    async with creating(url) as creation:
        with pytest.raises(Refused, match="could not be found out"):
            await creation.create(DRAFT, "a-1")
        assert hub.issues == []
        assert (await creation.create(DRAFT, "a-1")).is_new is False
    assert len(hub.issues) == 1


@scene
async def test_a_call_that_was_cancelled_on_its_way_is_looked_for(hub: Hub, url: str) -> None:
    hub.held = threading.Event()
    async with creating(url) as creation:
        call = asyncio.ensure_future(creation.create(DRAFT, "a-1"))
        await asyncio.to_thread(hub.arrived.wait, 5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        hub.looked.clear()
        again = asyncio.ensure_future(creation.create(DRAFT, "a-1"))
        await asyncio.to_thread(hub.looked.wait, 5)  # and it does not find what GitHub has not done yet
        hub.held.set()
        assert (await again).is_new is False
    assert len(hub.issues) == 1


@scene
async def test_calls_at_the_same_time_create_one_issue(hub: Hub, url: str) -> None:
    async with creating(url) as creation:
        made = await asyncio.gather(*(creation.create(DRAFT, "a-1") for _ in range(8)))
    assert sorted(each.is_new for each in made) == [False] * 7 + [True]
    assert len(hub.issues) == 1


@scene
async def test_a_key_that_was_used_for_something_else_is_refused(hub: Hub, url: str) -> None:
    other = Draft(REPOSITORY, "The kettle leaks", "It floods.", ("bug",))
    async with creating(url) as creation, creating(url) as another:
        await creation.create(DRAFT, "a-1")
        for each in (creation, another):
            with pytest.raises(Refused, match="used for issue 1, with another title, body or labels"):
                await each.create(other, "a-1")
    assert len(hub.issues) == 1


@scene
async def test_marks_of_others_and_copied_ones_count_for_nothing(hub: Hub, url: str) -> None:
    mark = str(Mark.of(DRAFT, "a-1", ""))
    hub.create({"title": "In the way", "body": mark}, author="mallory")
    async with creating(url) as creation:
        await creation.create(Draft(REPOSITORY, "A copy", f"As was said: {mark}"))
        await creation.create(Draft(REPOSITORY, "Another copy", f"{mark} as was said"), "a-2")
        assert (await creation.create(DRAFT, "a-1")).is_new
    assert [issue["title"] for issue in hub.issues][1:] == ["A copy", "Another copy", "The kettle leaks"]


@scene
async def test_a_mark_is_found_beyond_the_first_page(hub: Hub, url: str) -> None:
    async with creating(url) as creation, creating(url) as other:
        await creation.create(DRAFT, "a-1")
        for number in range(250):
            hub.create({"title": f"{number}"})
        assert (await other.create(DRAFT, "a-1")).issue.number == 1
    assert [line for line in hub.asked if "page=3" in line and f"creator={LOGIN}" in line]


@scene
async def test_without_a_key_a_lost_answer_is_told_as_what_it_is(connect: Connect, hub: Hub, url: str) -> None:
    hub.after.append(LOST)
    async with asking(url) as api, connect(build(api)) as client:
        call = {"repository": REPOSITORY, "title": "x", "body": "y"}
        told = await client.call_tool("create_issue", call)
        assert told["isError"]
        assert "Whether the issue was created is not known" in text_of(told)
    assert [issue["body"] for issue in hub.issues] == ["y"]  # nothing is written into it that nobody asked for


@scene
async def test_labels_that_github_left_out_are_told(connect: Connect, hub: Hub, url: str) -> None:
    hub.may_label = False
    async with asking(url) as api, connect(build(api)) as client:
        call = {"repository": REPOSITORY, "title": "x", "body": "y", "labels": ["bug"]}
        assert "left out the labels bug" in text_of(await client.call_tool("create_issue", call))
