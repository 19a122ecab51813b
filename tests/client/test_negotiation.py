"""Which era a server speaks: the decision table, row by row, and the same rows walked with servers that contradict."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.client.origin import DISCOVERY, NOTHING, SERVER, SESSION, TEXT, Asked, Origin, Reply, modern, session
from tests.client.puppet import Refusal, play
from tests.stage import LEGACY, MODERN, scene, scene_out_of_time

from mcp_kernel.client import CannotStart, Client, HttpRefused, InvalidAnswer, Reach, ServerRefused, TimedOut
from mcp_kernel.client.negotiation import (
    Next,
    judge_handshake,
    judge_post,
    judge_probe,
    judge_refused_handshake,
    shakes_hands,
)
from mcp_kernel.protocol.jsonrpc import Failure, Response

Json = dict[str, Any]
Answer = Response | Failure | None


def discovery(*versions: object) -> Response:
    return Response(1, {**DISCOVERY, "supportedVersions": list(versions)})


def refusal(code: int, data: object = None) -> Failure:
    return Failure(1, code, "no", data)


def unsupported(*versions: object) -> Failure:
    return refusal(-32022, {"supported": list(versions), "requested": MODERN})


@pytest.mark.parametrize(
    ("answer", "verdict", "revision"),
    [
        (discovery(MODERN), Next.GO_ON, MODERN),
        (discovery("2099-01-01", MODERN, SESSION), Next.GO_ON, MODERN),
        (discovery("2099-01-01"), Next.GIVE_UP, None),
        (discovery(SESSION), Next.SHAKE_HANDS, None),
        (discovery(), Next.GIVE_UP, None),
        (discovery(1, None, MODERN), Next.GO_ON, MODERN),
        (Response(1, {}), Next.SHAKE_HANDS, None),  # a legacy server that answers whatever it is asked
        (unsupported(MODERN), Next.ASK_AGAIN, MODERN),
        (unsupported("2099-01-01", MODERN), Next.ASK_AGAIN, MODERN),
        (unsupported("2099-01-01"), Next.GIVE_UP, None),
        (unsupported(SESSION), Next.SHAKE_HANDS, None),
        (refusal(-32022), Next.GIVE_UP, None),
        (refusal(-32022, ["x"]), Next.GIVE_UP, None),
        (refusal(-32020), Next.GIVE_UP, None),
        (refusal(-32021), Next.GIVE_UP, None),
        *((refusal(code), Next.SHAKE_HANDS, None) for code in (-32601, -32602, -32600, -32700, -32603, -32000, 0, 7)),
        (None, Next.SHAKE_HANDS, None),
    ],
)
def test_on_a_pipe_every_answer_but_a_modern_one_leads_to_the_handshake(
    answer: Answer, verdict: Next, revision: str | None
) -> None:
    judged = judge_probe(answer)
    assert (judged.next, judged.revision) == (verdict, revision)
    assert judged.reason or verdict is Next.GO_ON or revision


@pytest.mark.parametrize(
    ("status", "answer", "verdict", "revision"),
    [
        (200, discovery(MODERN), Next.GO_ON, MODERN),
        (200, discovery("2099-01-01"), Next.GIVE_UP, None),
        (400, unsupported(MODERN), Next.ASK_AGAIN, MODERN),
        (400, unsupported("2099-01-01"), Next.GIVE_UP, None),
        (400, refusal(-32020), Next.GIVE_UP, None),
        (400, refusal(-32021), Next.GIVE_UP, None),
        (404, refusal(-32601), Next.GO_ON, MODERN),  # modern without discovery: only the method is missing
        (200, refusal(-32601), Next.SHAKE_HANDS, None),
        *((status, None, Next.SHAKE_HANDS, None) for status in (400, 404, 405)),
        (400, refusal(-32000), Next.SHAKE_HANDS, None),
        (400, refusal(-32600), Next.SHAKE_HANDS, None),
        (400, refusal(-32602), Next.SHAKE_HANDS, None),
        (404, refusal(-32001), Next.SHAKE_HANDS, None),
        (405, refusal(-32601), Next.SHAKE_HANDS, None),
        *((status, None, Next.PASS_ON, None) for status in (301, 401, 403, 406, 415, 421, 429, 500, 502, 503)),
        (500, refusal(-32603), Next.PASS_ON, None),
    ],
)
def test_over_http_only_three_statuses_without_a_modern_error_lead_to_the_handshake(
    status: int, answer: Answer, verdict: Next, revision: str | None
) -> None:
    judged = judge_post(status, answer)
    assert (judged.next, judged.revision) == (verdict, revision)


@pytest.mark.parametrize(
    ("status", "answer", "verdict"),
    [
        *((status, None, Next.OPEN_EVENTS) for status in (400, 404, 405)),
        (400, refusal(-32600), Next.OPEN_EVENTS),
        *((400, refusal(code), Next.GIVE_UP) for code in (-32020, -32021, -32022)),
        *((status, None, Next.GIVE_UP) for status in (401, 403, 406, 500, 503)),
        (200, refusal(-32602), Next.GIVE_UP),
    ],
)
def test_a_refused_handshake_leads_to_the_oldest_transport_by_three_statuses(
    status: int, answer: Failure | None, verdict: Next
) -> None:
    assert judge_refused_handshake(status, answer).next is verdict


@pytest.mark.parametrize("said", ["2099-01-01", MODERN, "", None, 20251125, ["2025-11-25"]])
def test_a_handshake_that_names_no_session_revision_is_given_up(said: object) -> None:
    assert judge_handshake({"protocolVersion": said}, None).next is Next.GIVE_UP


@pytest.mark.parametrize("revision", LEGACY)
def test_a_handshake_agrees_on_what_the_server_names_unless_another_is_pinned(revision: str) -> None:
    assert judge_handshake({"protocolVersion": revision}, None).revision == revision
    for pinned in LEGACY:
        follows = judge_handshake({"protocolVersion": revision}, pinned).next is Next.GO_ON
        assert follows is (pinned == revision)


def test_what_a_revision_begins_with_is_known_of_known_ones_only() -> None:
    assert {name for name in [*LEGACY, MODERN] if shakes_hands(name)} == set(LEGACY)
    with pytest.raises(ValueError, match=r"2099-01-01.*2026-07-28"):
        shakes_hands("2099-01-01")


# --- the table, walked ---


@pytest.mark.parametrize("code", [-32601, -32602, -32600, -32000, -32700, 1])
@scene
async def test_a_pipe_falls_back_whatever_the_code_of_the_refusal_is(code: int) -> None:
    async with play({"server/discover": Refusal(code), "tools/list": {"tools": []}}, SESSION) as (client, puppet):
        assert client.server.revision == SESSION
        assert [message.get("method") for message in puppet.seen] == [
            "server/discover",
            "initialize",
            "notifications/initialized",
        ]


@scene_out_of_time
async def test_a_silent_pipe_is_shaken_hands_with_beside_the_probe() -> None:
    async with play({"server/discover": None}, SESSION, timeout=60) as (client, _):
        assert client.server.revision == SESSION


@scene_out_of_time
async def test_a_modern_server_that_starts_slowly_stays_modern() -> None:
    discovery = json.dumps({"jsonrpc": "2.0", "id": 1, "result": DISCOVERY}).encode()
    refusal = b'{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"no"}}'
    late = {"server/discover": None, "initialize": discovery}  # it answers once the handshake has come too
    async with play(late, timeout=60) as (client, puppet):
        puppet.outlet.send(refusal, None)
        assert client.server.revision == MODERN
    assert puppet.sent("notifications/cancelled") == []  # `initialize` must not be cancelled


@scene_out_of_time
async def test_a_pipe_that_says_nothing_at_all_is_given_up_in_time() -> None:
    with pytest.raises(TimedOut):
        async with play({"server/discover": None, "initialize": None}, timeout=7):
            pytest.fail("there is no server")


@scene
async def test_a_server_that_refuses_the_revision_it_names_is_given_up() -> None:
    contrary = Refusal(-32022, {"supported": [MODERN], "requested": MODERN})
    with pytest.raises(InvalidAnswer, match="says it speaks"):
        async with play({"server/discover": contrary}):
            pytest.fail("it contradicts itself")


@pytest.mark.contrary
@scene
async def test_a_handshake_with_a_revision_from_nowhere_says_which_are_known() -> None:
    opening = {"protocolVersion": "2099-01-01", "capabilities": {}, "serverInfo": SERVER}
    said = json.dumps({"jsonrpc": "2.0", "id": 2, "result": opening}).encode()
    with pytest.raises(InvalidAnswer, match=r"2099-01-01.*2025-11-25"):
        async with play({"server/discover": Refusal(-32601), "initialize": said}, SESSION):
            pytest.fail("there is no common revision")


@pytest.mark.parametrize("revision", LEGACY)
@scene
async def test_a_pinned_session_is_not_probed(revision: str) -> None:
    async with play({}, revision, revision=revision) as (client, puppet):
        assert client.server.revision == revision
        assert puppet.sent("server/discover") == []
        assert puppet.sent("initialize")[0]["protocolVersion"] == revision


@scene
async def test_a_client_that_is_pinned_does_not_take_another_revision() -> None:
    with pytest.raises(InvalidAnswer, match="pinned to 2025-06-18"):
        async with play({}, "2025-03-26", revision="2025-06-18"):
            pytest.fail("it took another")
    with pytest.raises(InvalidAnswer, match="No common revision"):
        async with play({"server/discover": Refusal(-32601)}, SESSION, revision=MODERN):
            pytest.fail("it shook hands")
    with pytest.raises(ValueError, match="2099-01-01"):
        async with play({}, revision="2099-01-01"):
            pytest.fail("there is no such revision")


async def refuse(asked: Asked, reply: Reply) -> None:
    await reply.refuse(400, -32022, {"supported": ["2099-01-01"], "requested": MODERN})


async def forbid(asked: Asked, reply: Reply) -> None:
    await reply.whole(403, b"not you")


@scene
async def test_a_modern_server_of_another_revision_is_never_sent_a_handshake() -> None:
    async with Origin(modern(server_discover=refuse)) as origin:
        with pytest.raises(InvalidAnswer, match="2099-01-01"):
            await Client(origin.url).connect()
        assert origin.methods() == ["server/discover"]


@scene
async def test_a_status_that_says_nothing_of_the_era_is_told_as_it_is() -> None:
    async with Origin(modern(server_discover=forbid)) as origin:
        with pytest.raises(HttpRefused, match="403: not you") as caught:
            await Client(origin.url).connect()
        assert caught.value.status == 403
        assert origin.methods() == ["server/discover"]


@pytest.mark.parametrize("status", [403, 421, 429, 503])
@scene
async def test_what_a_server_says_of_something_else_is_not_taken_for_its_revisions(status: int) -> None:
    async def busy(asked: Asked, reply: Reply) -> None:
        await reply.refuse(status, -32600)

    async with Origin(modern(server_discover=busy)) as origin:
        with pytest.raises(ServerRefused, match=r"^no ") as caught:
            await Client(origin.url).connect()
        assert caught.value.status == status
        assert origin.methods() == ["server/discover"]


@scene
async def test_a_modern_server_without_discovery_is_called_all_the_same() -> None:
    async def missing(asked: Asked, reply: Reply) -> None:
        await reply.refuse(404, -32601)

    async with (
        Origin(modern(server_discover=missing, tools_list=NOTHING)) as origin,
        Client(origin.url) as client,
    ):
        assert client.server.revision == MODERN
        assert await client.list_tools() == []


@scene
async def test_a_session_over_http_is_found_and_named_in_every_request_after_the_handshake() -> None:
    async with Origin(session(tools_list=NOTHING)) as origin:
        async with Client(origin.url) as client:
            assert client.server.revision == SESSION
            await client.list_tools()
        assert origin.methods() == [
            "server/discover",
            "initialize",
            "notifications/initialized",
            "GET",
            "tools/list",
            "DELETE",
        ]
        named = [(a.headers.get("mcp-session-id"), a.headers.get("mcp-protocol-version")) for a in origin.asked]
        assert named == [(None, MODERN), (None, None), *[("s1", SESSION)] * 4]


@scene
async def test_the_oldest_transport_is_tried_last() -> None:
    async def absent(asked: Asked, reply: Reply) -> None:
        await reply.whole(405 if asked.verb == "POST" else 404, b"nothing here")

    async with Origin(absent) as origin:
        with pytest.raises(HttpRefused, match="405: nothing here"):
            await Client(origin.url).connect()
        assert origin.methods() == ["server/discover", "initialize", "GET"]


@scene
async def test_a_server_that_moved_to_another_era_is_found_again() -> None:
    async with Origin(session(tools_list=NOTHING)) as origin, Client(origin.url) as client:
        assert client.server.revision == SESSION
        origin.play = modern(tools_list=NOTHING)
        await client.close()
        assert await client.list_tools() == []
        assert client.server.revision == MODERN


@scene
async def test_a_command_whose_server_speaks_nothing_known_leaves_no_process_behind(tmp_path: Path) -> None:
    script = "import sys\nfor line in sys.stdin: sys.exit(3)"
    with pytest.raises(CannotStart, match="exit code 3"):
        await Client([sys.executable, "-c", script], reach=Reach(cwd=tmp_path)).connect()


@scene
async def test_a_server_without_handshakes_that_is_replaced_by_one_with_them_is_called_all_the_same() -> None:
    async def answer(asked: Asked, reply: Reply) -> None:
        if "mcp-session-id" in asked.headers:
            await reply.result(TEXT)
        else:
            await reply.whole(400, b"no session")

    async with Origin(modern(tools_list=NOTHING)) as origin, Client(origin.url) as client:
        await client.list_tools()
        origin.play = session(tools_call=answer)
        assert (await client.call_tool("deed")).text == "done"
        assert client.server.revision == SESSION
        assert len(origin.find("tools/call")) == 2  # the first was refused as no request of a session


@scene
async def test_a_refusal_by_a_server_that_stays_what_it_is_reaches_the_caller_after_one_call() -> None:
    async def refuse(asked: Asked, reply: Reply) -> None:
        await reply.whole(404, b"gone")

    async with Origin(modern(tools_call=refuse)) as origin, Client(origin.url) as client:
        with pytest.raises(HttpRefused):
            await client.call_tool("deed")
        assert len(origin.find("tools/call")) == 1
