"""The judge itself: it passes what the specification shows, and it can refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.oracle import SPEC, Sender, Witness, decode, schemas, validate, why_no_schemas

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
MODERN = "2026-07-28"
EXAMPLES = sorted((SPEC / MODERN / "examples").glob("*/*.json"))
META: Json = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}

needs_schemas = pytest.mark.skipif(why_no_schemas() is not None, reason=str(why_no_schemas()))


def request(method: str, identifier: object = 1, **params: object) -> Json:
    return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}


def notification(method: str, **params: object) -> Json:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def result(identifier: object = 1, **members: object) -> Json:
    return {"jsonrpc": "2.0", "id": identifier, "result": members}


def error(code: int, identifier: object = 1, **members: object) -> Json:
    return {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": "no", **members}}


def initialize(revision: str, identifier: object = 1) -> Json:
    client = {"name": "c", "version": "1"}
    return request("initialize", identifier, protocolVersion=revision, capabilities={}, clientInfo=client)


def initialized(revision: str, identifier: object = 1) -> Json:
    server = {"name": "s", "version": "1"}
    return result(identifier, protocolVersion=revision, capabilities={}, serverInfo=server)


def in_session(revision: str) -> Witness:
    witness = Witness()
    witness.see("client", initialize(revision))
    witness.see("server", initialized(revision))
    witness.see("client", notification("notifications/initialized"))
    return witness


@needs_schemas
@pytest.mark.parametrize("example", EXAMPLES or [SPEC], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_official_example_is_of_its_definition(example: Path) -> None:
    assert schemas.reasons(decode(example.read_bytes()), MODERN, example.parent.name) == []


@needs_schemas
def test_there_are_official_examples_to_check() -> None:
    assert len(EXAMPLES) > 100


# The response shown leaves out ttlMs and cacheScope, which its ReadResourceResult requires. The schema of the
# response lets it pass as an InputRequiredResult, whose one required member every result has. The judge does not.
LOOSE = {"ReadResourceResultResponse"}


def requests_of_the_schema() -> dict[str, str]:
    """Methods by the names of their definitions."""
    known = schemas.definitions(MODERN)
    named = {name: body.get("properties", {}).get("method", {}).get("const") for name, body in known.items()}
    return {name: method for name, method in named.items() if name.endswith("Request") and method}


def whole_messages() -> list[tuple[Path, Sender, str | None]]:
    """The examples that are messages of their own, who sends them, and what they answer."""
    methods = requests_of_the_schema()
    found: list[tuple[Path, Sender, str | None]] = []
    for path in EXAMPLES:
        name = path.parent.name
        if "jsonrpc" in json.loads(path.read_bytes()) and name not in LOOSE:
            answers = methods.get(name.removesuffix("ResultResponse") + "Request")
            found.append((path, "client" if name.endswith("Request") else "server", answers))
    return found


@needs_schemas
@pytest.mark.parametrize(("path", "sender", "answers"), whole_messages() or [(SPEC, "", "")])
def test_an_official_message_is_one_for_the_models_too(path: Path, sender: Sender, answers: str | None) -> None:
    validate(path.read_bytes(), revision=MODERN, sender=sender, answers=answers)


TOOL = {"name": "t", "inputSchema": {"type": "object"}}
MODERN_LIST = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}

LATEST = "2025-11-25"
NO_MESSAGE = {"jsonrpc": "2.0", "id": 1, "error": {"code": 1}}
NO_CAPABILITIES = {"io.modelcontextprotocol/protocolVersion": MODERN}
ODD = {"resultType": "odd"}
NO_TTL = {"resultType": "complete", "cacheScope": "public"}
ASKING = {"resultType": "input_required"}

REFUSED: list[tuple[str, str, Sender, str | None, Any]] = [
    ("not an object", LATEST, "client", None, "[]"),
    ("not JSON", LATEST, "client", None, b'{"jsonrpc":'),
    ("NaN", LATEST, "client", None, b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}'),
    ("not UTF-8", LATEST, "client", None, b'{"jsonrpc":"2.0","id":"\xff","method":"ping"}'),
    ("a member twice", LATEST, "client", None, b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'),
    ("another version", LATEST, "client", None, {"jsonrpc": "1.0", "id": 1, "method": "ping"}),
    ("a null id", LATEST, "client", None, request("ping", None)),
    ("a fraction as id", LATEST, "client", None, request("ping", 1.5)),
    ("a boolean as id", LATEST, "client", None, request("ping", True)),
    ("both result and error", LATEST, "server", "ping", result() | error(-32603)),
    ("neither", LATEST, "server", "ping", {"jsonrpc": "2.0", "id": 1}),
    ("a stray member", LATEST, "server", "ping", result() | {"status": 200}),
    ("an error with a null id", LATEST, "server", None, error(-32700, None)),
    ("an error without a message", LATEST, "server", None, NO_MESSAGE),
    ("an unknown method", LATEST, "client", None, request("tools/destroy")),
    ("the other side's method", LATEST, "server", None, request("tools/list")),
    ("a later method", "2025-03-26", "server", None, request("elicitation/create")),
    ("an earlier method", MODERN, "client", None, request("ping", _meta=META)),
    ("a modern server request", MODERN, "server", None, request("roots/list", _meta=META)),
    ("no _meta", MODERN, "client", None, request("tools/list")),
    ("no capabilities", MODERN, "client", None, request("tools/list", _meta=NO_CAPABILITIES)),
    ("a call without a name", "2024-11-05", "client", None, request("tools/call", arguments={})),
    ("a number as a name", "2025-06-18", "client", None, request("tools/call", name=1)),
    ("a result of nothing", LATEST, "server", None, result()),
    ("a list without tools", LATEST, "server", "tools/list", result()),
    ("a tool without a schema", LATEST, "server", "tools/list", result(tools=[{"name": "t"}])),
    ("text for a boolean", LATEST, "server", "tools/call", result(content=[], isError="true")),
    ("no resultType", MODERN, "server", "tools/list", result(tools=[TOOL], ttlMs=0, cacheScope="public")),
    ("an odd resultType", MODERN, "server", "tools/list", result(tools=[], **MODERN_LIST | ODD)),
    ("no ttlMs", MODERN, "server", "tools/list", result(tools=[], **NO_TTL)),
    ("a broken call result", MODERN, "server", "tools/call", result(resultType="complete", content="x")),
    ("a list that asks", MODERN, "server", "tools/list", result(**ASKING, requestState="x")),
    ("a question of nothing", MODERN, "server", "tools/call", result(**ASKING)),
]  # fmt: skip


@pytest.mark.parametrize(("why", "revision", "sender", "answers", "message"), REFUSED)
def test_a_broken_message_is_refused(
    why: str, revision: str, sender: Sender, answers: str | None, message: Any
) -> None:
    with pytest.raises(AssertionError, match=r"refused|not JSON"):
        validate(message, revision=revision, sender=sender, answers=answers)


@needs_schemas
@pytest.mark.parametrize(
    ("why", "revision", "contents"),
    [
        ("audio is of 2025-03-26", "2024-11-05", {"type": "audio", "data": "", "mimeType": "audio/wav"}),
        ("links are of 2025-06-18", "2025-03-26", {"type": "resource_link", "name": "x", "uri": "x:y"}),
        ("data is base64", "2025-11-25", {"type": "image", "data": "%", "mimeType": "image/png"}),
        ("a URI is absolute", "2025-11-25", {"type": "resource_link", "name": "x", "uri": "y"}),
    ],
)
def test_a_schema_refuses_what_the_models_let_pass(why: str, revision: str, contents: Json) -> None:
    with pytest.raises(AssertionError, match=f"schema {revision} CallToolResult"):
        validate(result(content=[contents]), revision=revision, sender="server", answers="tools/call")


@needs_schemas
def test_the_data_of_an_error_that_says_more_is_judged() -> None:
    with pytest.raises(AssertionError, match="'requested' is a required property"):
        validate(error(-32022, data={"supported": []}), revision=MODERN, sender="server")


@pytest.mark.parametrize("revision", LEGACY)
def test_a_refusal_shows_the_message_and_every_reason(revision: str) -> None:
    with pytest.raises(AssertionError, match=r"(?s)- mcp-types .*- .*\"surprise\""):
        validate(request("tools/call", 1, arguments="surprise"), revision=revision, sender="client")


@pytest.mark.parametrize("revision", LEGACY)
def test_an_error_about_what_could_not_be_read_has_no_id(revision: str) -> None:
    message = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "not JSON"}}
    validate(message, revision=revision, sender="server")


@pytest.mark.parametrize("revision", LEGACY)
def test_a_session_takes_its_revision_from_the_answer_to_initialize(revision: str) -> None:
    witness = Witness()
    witness.see("client", initialize("1999-01-01", "a"))
    witness.see("server", initialized(revision, "a"))
    assert witness.session == revision
    witness.see("client", request("tools/list", ""))
    witness.see("server", result("", tools=[TOOL]))
    assert witness.unanswered() == []


def test_a_handshake_never_ends_in_a_modern_revision() -> None:
    witness = Witness()
    witness.see("client", initialize(MODERN))
    with pytest.raises(AssertionError, match="no handshake leads to it"):
        witness.see("server", initialized(MODERN))


def test_both_sides_number_their_requests_for_themselves() -> None:
    witness = in_session("2025-11-25")
    witness.see("client", request("tools/list", 7))
    witness.see("server", request("roots/list", 7))
    witness.see("client", result(7, roots=[]))
    witness.see("server", result(7, tools=[]))
    with pytest.raises(AssertionError, match="nobody sent"):
        witness.see("server", result(7, tools=[]))


def test_a_number_and_its_text_are_two_ids() -> None:
    witness = in_session("2025-11-25")
    witness.see("client", request("tools/list", 7))
    with pytest.raises(AssertionError, match="nobody sent"):
        witness.see("server", result("7", tools=[]))


def test_an_id_in_flight_is_not_used_again() -> None:
    witness = in_session("2025-11-25")
    witness.see("client", request("tools/list", 7))
    with pytest.raises(AssertionError, match="in flight already"):
        witness.see("client", request("ping", 7))


def test_an_answer_is_held_to_the_method_of_its_request() -> None:
    witness = in_session("2025-11-25")
    witness.see("client", request("tools/list", 7))
    with pytest.raises(AssertionError, match="answering tools/list"):
        witness.see("server", result(7, content=[]))


def test_both_eras_share_a_pipe() -> None:
    witness = in_session("2025-06-18")
    witness.see("client", request("tools/list", 1, _meta=META))
    witness.see("client", request("tools/list", 2))
    witness.see("server", result(2, tools=[]))
    witness.see("server", result(1, tools=[], **MODERN_LIST))
    witness.see("client", request("tools/list", 3, _meta=META))
    with pytest.raises(AssertionError, match="answering tools/list"):
        witness.see("server", result(3, tools=[]))


def test_a_question_of_the_modern_era_passes_and_so_does_its_retry() -> None:
    witness = Witness()
    form: Json = {"mode": "form", "message": "Sure?", "requestedSchema": {"type": "object", "properties": {}}}
    asked: Json = {"confirm": {"method": "elicitation/create", "params": form}}
    witness.see("client", request("tools/call", 1, name="drop", _meta=META))
    witness.see("server", result(1, resultType="input_required", inputRequests=asked, requestState="s"))
    answer: Json = {"confirm": {"action": "accept", "content": {}}}
    retry = request("tools/call", 2, name="drop", _meta=META, inputResponses=answer, requestState="s")
    witness.see("client", retry)
    witness.see("server", result(2, resultType="complete", content=[]))


def test_a_listen_stream_passes_from_its_acknowledgement_to_its_end() -> None:
    witness = Witness()
    stream = {"io.modelcontextprotocol/subscriptionId": "a"}
    wanted = {"toolsListChanged": True}
    witness.see("client", request("subscriptions/listen", "a", _meta=META, notifications=wanted))
    acknowledged = "notifications/subscriptions/acknowledged"
    witness.see("server", notification(acknowledged, _meta=stream, notifications=wanted))
    witness.see("server", notification("notifications/tools/list_changed", _meta=stream))
    witness.see("server", notification("notifications/cancelled", requestId="a"))
    witness.see("server", result("a", resultType="complete", _meta=stream))


def test_progress_belongs_to_a_request_in_flight() -> None:
    witness = in_session("2025-11-25")
    witness.see("client", request("tools/call", 1, name="t", _meta={"progressToken": 0}))
    witness.see("server", notification("notifications/progress", progressToken=0, progress=1))
    witness.see("server", result(1, content=[]))
    with pytest.raises(AssertionError, match="progress of nothing"):
        witness.see("server", notification("notifications/progress", progressToken=0, progress=2))


def test_a_server_asks_nothing_outside_a_session() -> None:
    with pytest.raises(AssertionError, match="outside a session"):
        Witness().see("server", request("roots/list"))


def test_a_batch_passes_where_its_revision_has_them() -> None:
    witness = in_session("2025-03-26")
    witness.see("client", [request("ping", 1), request("tools/list", 2)])
    witness.see("server", json.dumps([result(2, tools=[]), result(1)]))
    with pytest.raises(AssertionError, match="empty batch"):
        witness.see("client", [])


@pytest.mark.parametrize("revision", [r for r in LEGACY if r != "2025-03-26"])
def test_a_batch_is_refused_elsewhere(revision: str) -> None:
    with pytest.raises(AssertionError, match="a batch in"):
        in_session(revision).see("client", [request("ping")])


def test_what_is_broken_on_purpose_passes_and_its_answer_is_judged() -> None:
    witness = in_session("2025-11-25")
    witness.see("client", b"\xff{", malformed=True)
    witness.see("server", {"jsonrpc": "2.0", "error": {"code": -32700, "message": "not JSON"}})
    witness.see("client", request("no/such/method", 9), malformed=True)
    witness.see("server", error(-32601, 9))
    witness.see("client", request("tools/call", 10), malformed=True)
    with pytest.raises(AssertionError, match="refused"):
        witness.see("server", error(-32602, 10, message=None))


def test_an_error_without_an_id_needs_something_unreadable() -> None:
    with pytest.raises(AssertionError, match="all was readable"):
        in_session("2025-11-25").see("server", {"jsonrpc": "2.0", "error": {"code": -32700, "message": "?"}})


@pytest.mark.parametrize("wrong", [1.5, True, None, [], {}], ids=repr)
@pytest.mark.parametrize("place", ["id", "progressToken"])
def test_a_message_that_was_judged_lends_its_verdict_to_none_with_another_kind_of_id(place: str, wrong: object) -> None:
    def ping(value: object) -> Json:
        given = {"id": value} if place == "id" else {"id": 1, "params": {"_meta": {"progressToken": value}}}
        return {"jsonrpc": "2.0", "method": "ping", **given}

    for value in (1, "1", 2, "x" * 1000):
        validate(ping(value), revision="2025-11-25", sender="client")
    with pytest.raises(AssertionError):
        validate(ping(wrong), revision="2025-11-25", sender="client")
