"""Calls that are made again with their key: done once, answered alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, cast

import pytest
from pydantic import BaseModel
from tests.stage import MODERN, in_both_eras, scene, scene_out_of_time

from mcp_kernel import Context, Server, ToolError
from mcp_kernel.server.repeats import KeyReused, MemoryAnswers
from mcp_kernel.server.results import ToolResult, error_result
from mcp_kernel.testing.memory import result_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.stage import Connect

    from mcp_kernel.protocol.jsonrpc import JsonObject


class Bill(BaseModel):
    """What came of a payment."""

    number: int
    amount: int


class Yes(BaseModel):
    """A form."""

    sure: bool = True


class Till(Server):
    """Counts what it was made to do."""

    def __init__(self) -> None:
        super().__init__("till", "1", timeout=1.0)
        self.paid: list[int] = []
        self.gate = asyncio.Event()


def make_till() -> Till:
    till = Till()

    @till.tool(idempotency_key="key")
    async def pay(amount: int, key: str | None = None) -> Bill:
        """Pay."""
        till.paid.append(amount)
        return Bill(number=len(till.paid), amount=amount)

    @till.tool(idempotency_key="key")
    async def pay_slowly(amount: int, key: str) -> str:
        """Pay, once it is let."""
        till.paid.append(amount)
        await till.gate.wait()
        return f"paid {len(till.paid)}"

    @till.tool(idempotency_key="key")
    async def pay_badly(amount: int, key: str) -> str:
        """Pay what there is, the second time."""
        till.paid.append(amount)
        if len(till.paid) == 1:
            raise ToolError("There is no money.")
        return "paid"

    @till.tool(idempotency_key="key")
    async def pay_if_sure(amount: int, key: str, ctx: Context) -> str:
        """Ask, then pay."""
        await ctx.elicit("sure", "Sure?", Yes)
        till.paid.append(amount)
        return f"paid {len(till.paid)}"

    @till.tool(idempotency_key="key")
    async def pay_each(amounts: list[int], key: str) -> list[int]:
        """Pay several."""
        till.paid.extend(amounts)
        return amounts

    @till.tool(idempotency_key="key")
    async def pay_nothing(key: str) -> ToolResult:
        """Say that it went wrong, without raising."""
        till.paid.append(0)
        return error_result("no")

    return till


def said(result: Mapping[str, Any]) -> str:
    return cast("str", result["content"][0]["text"])


@in_both_eras
@scene
async def test_the_second_call_is_answered_as_the_first(connect: Connect, revision: str) -> None:
    till = make_till()
    async with connect(till, revision) as client:
        first = await client.call_tool("pay", {"amount": 5, "key": "a"})
        again = await client.call_tool("pay", {"key": "a", "amount": 5})
        assert again == first
        assert first["structuredContent"] == {"number": 1, "amount": 5}
        other = await client.call_tool("pay", {"amount": 5, "key": "b"})
        assert other["structuredContent"] == {"number": 2, "amount": 5}
        for _ in range(2):
            await client.call_tool("pay", {"amount": 5})
    assert till.paid == [5] * 4


@scene
async def test_an_answer_is_kept_for_the_other_era_too(connect: Connect) -> None:
    till = make_till()
    for revision in ("2025-11-25", MODERN, "2024-11-05"):
        async with connect(till, revision) as client:
            assert '"number":1' in said(await client.call_tool("pay", {"amount": 5, "key": "a"}))
    assert till.paid == [5]


@in_both_eras
@scene
async def test_a_list_has_the_form_of_its_era_when_it_is_answered_again(connect: Connect, revision: str) -> None:
    till = make_till()
    async with connect(till, revision) as client:
        first, again = [await client.call_tool("pay_each", {"amounts": [1, 2], "key": "a"}) for _ in range(2)]
    assert again == first
    assert till.paid == [1, 2]


@scene
async def test_a_result_that_says_that_it_went_wrong_is_not_kept(connect: Connect) -> None:
    till = make_till()
    async with connect(till, MODERN) as client:
        for _ in range(2):
            assert (await client.call_tool("pay_nothing", {"key": "a"}))["isError"] is True
    assert till.paid == [0, 0]


@in_both_eras
@scene
async def test_a_key_with_other_arguments_is_refused(connect: Connect, revision: str) -> None:
    till = make_till()
    async with connect(till, revision) as client:
        await client.call_tool("pay", {"amount": 5, "key": "a"})
        refused = await client.call_tool("pay", {"amount": 6, "key": "a"})
        assert refused["isError"] is True
        assert "used with other arguments. Nothing was done" in said(refused)
        for key in ("", "x" * 201):
            assert "1 to 200 characters" in said(await client.call_tool("pay", {"amount": 5, "key": key}))
    assert till.paid == [5]


@scene
async def test_a_key_is_of_one_principal_and_one_tool(connect: Connect) -> None:
    till = make_till()
    till.gate.set()
    for principal in ("ann", "bob", None, "ann"):
        async with connect(till, MODERN, principal=principal) as client:
            await client.call_tool("pay", {"amount": 5, "key": "a"})
            await client.call_tool("pay_slowly", {"amount": 6, "key": "a"})
    assert till.paid == [5, 6] * 3


@in_both_eras
@scene
async def test_those_who_come_meanwhile_wait_for_the_first(connect: Connect, revision: str) -> None:
    till = make_till()
    async with connect(till, revision) as client:
        call: JsonObject = {"name": "pay_slowly", "arguments": {"amount": 5, "key": "a"}}
        waiting = [client.request("tools/call", call) for _ in range(9)]
        await client.wire.quiet()
        client.wire.cancel(waiting.pop())  # one of those who wait goes away, and the others stay
        till.gate.set()
        assert {said(result_of(await client.wire.answer(each))) for each in waiting} == {"paid 1"}
    assert till.paid == [5]


@in_both_eras
@scene
async def test_after_an_error_the_next_call_is_done(connect: Connect, revision: str) -> None:
    till = make_till()
    async with connect(till, revision) as client:
        answers = [said(await client.call_tool("pay_badly", {"amount": 5, "key": "a"})) for _ in range(3)]
    assert answers == ["There is no money.", "paid", "paid"]
    assert till.paid == [5, 5]


@in_both_eras
@scene
async def test_where_the_first_is_cancelled_the_next_in_the_line_is_done(connect: Connect, revision: str) -> None:
    till = make_till()
    async with connect(till, revision) as client:
        call: JsonObject = {"name": "pay_slowly", "arguments": {"amount": 5, "key": "a"}}
        first, second = [client.request("tools/call", call) for _ in range(2)]
        client.wire.cancel(first)
        await client.wire.quiet()
        till.gate.set()
        assert said(result_of(await client.wire.answer(second))) == "paid 2"
        assert said(await client.call("tools/call", call)) == "paid 2"


@scene_out_of_time
async def test_after_a_time_out_the_next_call_is_done(connect: Connect) -> None:
    till = make_till()
    async with connect(till, MODERN) as client:
        call: JsonObject = {"name": "pay_slowly", "arguments": {"amount": 5, "key": "a"}}
        assert "did not finish in time" in said(await client.call("tools/call", call))
        till.gate.set()
        assert said(await client.call("tools/call", call)) == "paid 2"


@in_both_eras
@scene
async def test_a_question_is_no_answer_to_keep(connect: Connect, revision: str) -> None:
    def agree(method: str, params: JsonObject) -> JsonObject:
        return {"action": "accept", "content": {"sure": True}}

    till, forms = make_till(), cast("JsonObject", {"elicitation": {"form": {}}})
    async with connect(till, revision, capabilities=forms, answer=agree) as client:
        for _ in range(2):
            assert said(await client.call_tool("pay_if_sure", {"amount": 5, "key": "a"})) == "paid 1"
    assert till.paid == [5]


def test_a_tool_without_the_argument_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="pay has no argument 'key'"):

        @Server("till", "1").tool(idempotency_key="key")
        async def pay(amount: Annotated[int, "cents"]) -> str:
            """Pay."""
            return "paid"


@scene
async def test_answers_are_forgotten_in_their_time_and_beyond_their_number() -> None:
    now = [0.0]
    answers = MemoryAnswers(10.0, most=3, most_bytes=100, clock=lambda: now[0])
    for number in range(5):
        assert await answers.begin(str(number), "x") is None
        await answers.finish(str(number), b"answer")
    assert [len(answers), await answers.begin("4", "x")] == [3, b"answer"]
    with pytest.raises(KeyReused):
        await answers.begin("4", "y")
    await answers.begin("large", "x")
    await answers.finish("large", b"x" * 101)
    assert [len(answers), await answers.begin("large", "x")] == [1, b"x" * 101]
    now[0] = 10.0
    assert await answers.begin("large", "y") is None
    assert len(answers) == 0
    for number in range(3):  # what was forgotten takes no room any more
        await answers.begin(f"half {number}", "x")
        await answers.finish(f"half {number}", b"x" * 40)
    assert len(answers) == 2
