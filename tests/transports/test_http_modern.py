"""Streamable HTTP without sessions (2026-07-28): one POST, one answer, and hanging up cancels it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.stage import META, MODERN, scene
from tests.transports.guests import Hall, Modern, hear, hear_all, visiting

from mcp_kernel import Context, Server

if TYPE_CHECKING:
    from tests.transports.guests import Json

STREAM = "text/event-stream"


@scene
async def test_a_call_that_says_nothing_on_the_way_is_one_json_body() -> None:
    async with visiting(Hall().server) as site:
        visit = Modern(site).ask_tool("echo", text="hi")
        answer = await visit.json()
        assert (visit.status, answer["id"]) == (200, 1)
        assert "mcp-session-id" not in visit.headers


@scene
async def test_a_notification_makes_the_answer_a_stream_that_ends_with_the_response() -> None:
    async with visiting(Hall().server) as site:
        visit = Modern(site).ask_tool("report", token="t", count=2)
        assert await visit.started() == 200
        assert visit.headers["content-type"] == STREAM
        assert visit.headers["x-accel-buffering"] == "no"
        *notes, answer = await hear_all(visit)
        assert [note["params"]["progress"] for note in notes] == [1, 2]
        assert answer["id"] == 1
        assert b"id:" not in visit.body, "streams of this era cannot be resumed"


@scene
async def test_an_early_notification_travels_before_the_call_has_ended() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        visit = Modern(site).ask_tool("hold", token=0, name="a", reports=1)
        assert (await hear(visit))["method"] == "notifications/progress"
        hall.free("a")
        assert [message.get("id") for message in await hear_all(visit)] == [None, 1]


@pytest.mark.parametrize("id", [0, -1, "", "1", 1, 2**70])
@scene
async def test_the_answer_has_the_id_of_its_request_in_its_json_type(id: int | str) -> None:
    async with visiting(Hall().server) as site:
        answer = await Modern(site).ask("tools/list", id=id).json()
        assert (answer["id"], type(answer["id"])) == (id, type(id))


@scene
async def test_two_clients_with_the_same_ids_do_not_cross() -> None:
    hall = Hall()
    app = hall.server.asgi()
    async with visiting(app) as one, visiting(app) as other:
        first, second = (Modern(site).ask_tool("hold", name=name) for site, name in ((one, "a"), (other, "b")))
        await hall.until(hall.entered, "b")
        hall.free("b")
        assert "b" in str((await second.json())["result"])
        hall.free("a")
        assert "a" in str((await first.json())["result"])


# --- statuses ---


def error_of(answer: Json) -> int:
    return answer["error"]["code"]


@pytest.mark.parametrize(
    ("meta", "status", "code"),
    [
        ({}, 400, -32602),
        ({"io.modelcontextprotocol/protocolVersion": MODERN}, 400, -32602),
        ({**META, "io.modelcontextprotocol/protocolVersion": 7}, 400, -32602),
        ({**META, "io.modelcontextprotocol/clientCapabilities": []}, 400, -32602),
        ({**META, "io.modelcontextprotocol/logLevel": "loud"}, 400, -32602),
        ({**META, "io.modelcontextprotocol/protocolVersion": "2025-11-25"}, 400, -32020),
    ],
)
@scene
async def test_what_is_wrong_with_meta_has_status_400(meta: Json, status: int, code: int) -> None:
    async with visiting(Hall().server) as site:
        guest = Modern(site)
        message = guest.message("tools/list", {"_meta": meta})
        headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
        visit = site.post(message, headers, malformed=True)
        answer = await visit.json()
        assert (visit.status, error_of(answer), answer["id"]) == (status, code, 1)


@pytest.mark.parametrize("glue", [",", ", ", "\n"])
@scene
async def test_a_header_that_comes_twice_is_equal_to_nothing_not_even_to_both_together(glue: str) -> None:
    hall = Hall()
    uri = f"note://one{glue}note://two"
    hall.server.resource(uri)(lambda: "what a proxy that reads the first header alone has not let through")
    async with visiting(hall.server) as site:
        guest = Modern(site)
        twice = guest.ask("resources/read", {"uri": uri}, {"mcp-name": ["note://one", "note://two"]})
        assert error_of(await twice.json()) == -32020
        if glue != "\n":  # which no header holds
            assert "result" in await guest.ask("resources/read", {"uri": uri}).json()


@scene
async def test_an_unknown_revision_is_refused_with_those_that_are_served() -> None:
    async with visiting(Hall().server) as site:
        guest, version = Modern(site), "2030-01-01"
        meta = {**META, "io.modelcontextprotocol/protocolVersion": version}
        visit = guest.ask("tools/list", {"_meta": meta}, {"mcp-protocol-version": version})
        error = (await visit.json())["error"]
        assert visit.status == 400
        assert isinstance(error, dict)
        assert error["code"] == -32022
        assert error["data"] == {"supported": [MODERN], "requested": version}


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel", "resources/subscribe", "nonsense/x"])
@scene
async def test_a_method_that_this_era_does_not_have_is_404(method: str) -> None:
    async with visiting(Hall().server) as site:
        guest = Modern(site)
        message = guest.message(method, {"_meta": META})
        visit = site.post(message, {"mcp-protocol-version": MODERN, "mcp-method": method}, malformed=True)
        assert error_of(await visit.json()) == -32601
        assert visit.status == 404


@scene
async def test_a_missing_capability_has_status_400() -> None:
    async with visiting(Hall().server) as site:
        visit = Modern(site).ask_tool("confirm")
        error = (await visit.json())["error"]
        assert isinstance(error, dict)
        assert (visit.status, error["code"]) == (400, -32021)
        assert error["data"] == {"requiredCapabilities": {"elicitation": {}}}


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/call", {"name": "nobody", "arguments": {}}, -32602),
        ("resources/read", {"uri": "note://none"}, -32602),
        ("tools/list", {"cursor": "bad"}, -32602),
    ],
)
@scene
async def test_other_errors_of_json_rpc_have_status_200(method: str, params: Json, code: int) -> None:
    async with visiting(Hall().server) as site:
        visit = Modern(site).ask(method, params)
        assert error_of(await visit.json()) == code
        assert visit.status == 200


@scene
async def test_a_question_is_a_result_and_the_answer_a_new_post() -> None:
    async with visiting(Hall().server) as site:
        guest = Modern(site)
        guest.capabilities = {"elicitation": {}}
        asked = await guest.call("confirm", name="x")
        assert asked["resultType"] == "input_required"
        responses = {"sure": {"action": "accept", "content": {"sure": True}}}
        retry = {"name": "confirm", "arguments": {"name": "x"}, "requestState": asked["requestState"]}
        answer = await guest.ask("tools/call", {**retry, "inputResponses": responses}).json()
        assert "sure of x: True" in str(answer)


# --- what is no request ---


@scene
async def test_a_notification_is_accepted_without_a_body() -> None:
    async with visiting(Hall().server) as site:
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        visit = site.post(note, {"mcp-protocol-version": MODERN})
        assert (await visit.started(), await visit.whole()) == (202, b"")


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}},
        [{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}],
        [],
    ],
)
@scene
async def test_answers_and_batches_are_refused(message: object) -> None:
    async with visiting(Hall().server) as site:
        visit = site.post(message, {"mcp-protocol-version": MODERN}, malformed=True)
        assert "id" not in await visit.json()
        assert visit.status == 400


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"mcp-protocol-version": MODERN}, 405),
        ("DELETE", {"mcp-protocol-version": MODERN}, 405),
        ("GET", {"mcp-protocol-version": MODERN, "mcp-session-id": "x"}, 405),
        ("GET", {}, 400),
        ("DELETE", {}, 400),
        ("GET", {"mcp-session-id": "x"}, 404),
        ("DELETE", {"mcp-session-id": "x", "mcp-protocol-version": "2025-06-18"}, 404),
        ("PUT", {}, 405),
        ("PATCH", {"mcp-session-id": "x"}, 405),
        ("OPTIONS", {}, 405),
    ],
)
@scene
async def test_other_methods_of_http_are_refused(method: str, headers: dict[str, str], status: int) -> None:
    async with visiting(Hall().server) as site:
        visit = site.send(method, headers=headers)
        assert await visit.started() == status
        assert ("allow" in visit.headers) == (status == 405)


@scene
async def test_session_ids_and_event_ids_mean_nothing() -> None:
    async with visiting(Hall().server) as site:
        visit = Modern(site).ask("tools/list", {}, {"mcp-session-id": "made-up", "last-event-id": "1-1"})
        assert "result" in await visit.json()
        assert "mcp-session-id" not in visit.headers


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@scene
async def test_the_endpoint_answers_with_and_without_a_slash(path: str) -> None:
    async with visiting(Hall().server) as site:
        guest = Modern(site)
        headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
        visit = site.post(guest.message("tools/list", {"_meta": META}), headers, path=path)
        assert "result" in await visit.json()


# --- hanging up ---


@scene
async def test_hanging_up_cancels_a_call_whose_answer_would_have_been_json() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        visit = Modern(site).ask_tool("hold", name="a")
        await hall.until(hall.entered, "a")
        visit.hang_up()
        await hall.until(hall.cancelled, "a")
        await visit.over()
        assert visit.status is None


@scene
async def test_hanging_up_cancels_a_call_that_streams() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        visit = Modern(site).ask_tool("hold", token=1, name="a", reports=1)
        await hear(visit)
        visit.hang_up()
        await hall.until(hall.cancelled, "a")
        await visit.over()


@scene
async def test_hanging_up_stops_a_call_that_waits_for_its_reader() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        visit = Modern(site).ask_tool("report", token=1, count=100_000)
        await visit.started()
        visit.stop_reading()
        visit.hang_up()
        await visit.over()
        assert len(hall.ended) < 1000


@scene
async def test_an_answer_that_was_sent_is_not_cancelled_by_hanging_up() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        visit = Modern(site).ask_tool("hold", name="a")
        await hall.until(hall.entered, "a")
        hall.free("a")
        await visit.json()
        visit.hang_up()
        await visit.over()
        assert (hall.ended, hall.cancelled) == (["a"], [])


@scene
async def test_a_client_that_reads_nothing_holds_its_handler_and_little_memory() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        visit = Modern(site).ask_tool("report", token=1, count=5000)
        await visit.started()
        visit.stop_reading()
        await visit.until(lambda: len(visit.body) > 100 or None, "something")
        for _ in range(100):
            await asyncio.sleep(0)
        produced = len(hall.ended)
        assert produced < 300, "the handler does not wait for its reader"
        visit.read_on()
        assert len(await hear_all(visit)) == 5001


# --- what stays ---


@scene
async def test_nothing_is_remembered_between_requests() -> None:
    hall = Hall()
    app = hall.server.asgi()
    async with visiting(app) as site:
        guest = Modern(site)
        for number in range(50):
            await guest.call("echo", text=str(number))
        held = [guest.ask_tool("hold", name="a") for _ in range(20)]
        await hall.until(hall.entered, "a")
        hall.free("a")
        for visit in held:
            await visit.json()
            await visit.over()
        assert not app._stateless._peers  # pyright: ignore[reportPrivateUsage]  # the one thing that could grow


@scene
async def test_a_handler_that_clings_does_not_keep_the_stream() -> None:
    server = Server("clinging", "1.0.0")
    stopped = asyncio.Event()

    @server.tool()
    async def cling(ctx: Context) -> str:  # pyright: ignore[reportUnusedFunction]  # called over the wire
        """Go on whatever happens."""
        while not stopped.is_set():
            try:
                await stopped.wait()
            except asyncio.CancelledError:
                continue
        return "at last"

    async with visiting(server) as site:
        visit = Modern(site).ask_tool("cling")
        visit.hang_up()
        try:
            await visit.over()
        finally:
            stopped.set()
