"""Calls that ask: the rounds from the first answer to the result (basic/patterns/mrtr)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, cast

from mcp_kernel.client.answers import Answers
from mcp_kernel.client.failures import InvalidAnswer, TooManyRounds
from mcp_kernel.client.results import InputRequired
from mcp_kernel.errors import ProtocolError
from mcp_kernel.protocol.jsonrpc import JsonObject

# Makes the call once more, with what the retry adds to its params.
Again: TypeAlias = Callable[[JsonObject], Awaitable[JsonObject]]

_MOST_ROUNDS: Final = 10


async def see_through(wire: JsonObject, answers: Answers, again: Again) -> JsonObject:
    """From the answer to the first round to the result; raises `TooManyRounds` beyond the cap."""
    for _ in range(_MOST_ROUNDS):
        if wire.get("resultType") != "input_required":
            return wire
        asked = InputRequired.read(wire)
        wire = await again(asked.retry(await respond(answers, asked)))
    if wire.get("resultType") != "input_required":
        return wire
    raise TooManyRounds(f"The server still asks after {_MOST_ROUNDS} rounds.")


async def respond(answers: Answers, asked: InputRequired) -> JsonObject:
    """Answer the questions of one round, all at once."""
    tasks = [asyncio.ensure_future(_answer(answers, question)) for question in asked.questions.values()]
    try:
        return dict(zip(asked.questions, await asyncio.gather(*tasks), strict=True))
    finally:
        for task in tasks:
            task.cancel()  # where one failed, nobody waits for the others


async def _answer(answers: Answers, question: JsonObject) -> JsonObject:
    given = question.get("params")
    params = cast("JsonObject", given) if isinstance(given, dict) else {}
    try:
        return await answers.answer(str(question.get("method")), params)
    except ProtocolError as error:
        raise InvalidAnswer(f"What the server asks was not answered: {error}.") from None
