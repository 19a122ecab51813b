"""Sessions whose calls wait for an answer are kept while somebody can give it."""

from __future__ import annotations

import asyncio

import pytest
from tests.stage import scene_out_of_time
from tests.transports.guests import Hall, Member, hear, visiting

from mcp_kernel.transports.http import HttpOptions


async def pass_time(seconds: float) -> None:
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)


@pytest.mark.parametrize("is_there", [True, False])
@scene_out_of_time
async def test_a_question_keeps_a_session_only_as_long_as_its_client_is_there(is_there: bool) -> None:
    app = Hall().server.asgi(HttpOptions(session_idle=60))
    async with visiting(app, patience=1000) as site:
        member = Member(site)
        await member.open(elicitation={})
        asking = member.ask_tool("confirm")
        question = await hear(asking)
        assert question["method"] == "elicitation/create"
        if not is_there:
            asking.hang_up()
        await pass_time(200)
        assert len(app._sessions) == (1 if is_there else 0)  # pyright: ignore[reportPrivateUsage]  # what would leak
