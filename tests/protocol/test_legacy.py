"""The handshake as a transition table, and results brought down to what a session can carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcp_kernel.errors import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, ProtocolError
from mcp_kernel.protocol import legacy
from mcp_kernel.protocol.jsonrpc import Request
from mcp_kernel.protocol.legacy import Session, State
from mcp_kernel.protocol.revisions import LEGACY
from mcp_kernel.protocol.shapes import LEGACY_REQUESTS, LOG_LEVELS

if TYPE_CHECKING:
    from mcp_kernel.protocol.revisions import Revision

HELLO: dict[str, Any] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"roots": {}},
    "clientInfo": {"name": "c", "version": "1"},
}
SERVER: dict[str, Any] = {"name": "s", "version": "1", "title": "S", "websiteUrl": "https://s", "icons": []}


def opened(revision: str = "2025-11-25") -> Session:
    session = Session()
    session.initialize({**HELLO, "protocolVersion": revision}, {}, {})
    return session


def refusal(session: Session, method: str, **params: object) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        session.admit(Request(1, method, params))
    return caught.value


@pytest.mark.parametrize("method", sorted(LEGACY_REQUESTS.keys() - {"initialize", "ping"}))
def test_nothing_but_ping_is_served_before_the_handshake(method: str) -> None:
    error = refusal(Session(), method)
    assert error.code == INVALID_REQUEST
    assert "initialize" in error.message
    Session().admit(Request(1, "ping", {}))


def test_a_session_becomes_ready_by_the_handshake_alone() -> None:
    session = Session()
    session.confirm()
    assert session.state is State.NEW
    session.initialize(HELLO, {}, {})
    assert (session.is_open, session.is_ready) == (True, False)
    session.confirm()
    session.confirm()
    assert session.is_ready


MUCH: dict[str, dict[str, Any]] = {
    "one long value": {"capabilities": {"experimental": {"x": {"y": "z" * legacy.MOST_DECLARED}}}},
    "many members": {"capabilities": {"experimental": {str(number): {"x": 1} for number in range(20_000)}}},
    "a long version": {"clientInfo": {"name": "c", "version": "1" * legacy.MOST_DECLARED}},
}


@pytest.mark.parametrize("declared", MUCH.values(), ids=MUCH)
def test_a_client_that_declares_more_of_itself_than_is_kept_has_no_session(declared: dict[str, Any]) -> None:
    session = Session()
    with pytest.raises(ProtocolError, match="more than 65536 bytes") as caught:
        session.initialize({**HELLO, **declared}, {}, {})
    assert (caught.value.code, session.is_open) == (INVALID_PARAMS, False)
    icon = {"src": "data:image/png;base64," + "A" * 40_000}
    session.initialize({**HELLO, "clientInfo": {"name": "c", "version": "1", "icons": [icon]}}, {}, {})
    assert session.is_open


def test_a_session_is_initialized_once() -> None:
    assert refusal(opened(), "initialize", **HELLO).code == INVALID_REQUEST


def test_a_refused_handshake_changes_nothing() -> None:
    session = Session()
    assert refusal(session, "initialize", **{**HELLO, "protocolVersion": 1}).code == INVALID_PARAMS
    assert session.state is State.NEW
    session.admit(Request(1, "initialize", HELLO))


@pytest.mark.parametrize("missing", sorted(HELLO))
def test_a_handshake_says_all_that_it_must(missing: str) -> None:
    params = {name: value for name, value in HELLO.items() if name != missing}
    error = refusal(Session(), "initialize", **params)
    assert error.code == INVALID_PARAMS
    assert missing in error.message


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen", "tasks/list", "tools/lists", "", "Ping"])
def test_a_method_that_the_era_lacks_is_unknown_before_and_after_the_handshake(method: str) -> None:
    assert refusal(Session(), method).code == METHOD_NOT_FOUND
    assert refusal(opened(), method).code == METHOD_NOT_FOUND


def test_the_client_is_remembered() -> None:
    session = opened("2025-06-18")
    assert session.revision.name == "2025-06-18"
    assert session.caller.capabilities == {"roots": {}}
    assert session.caller.info == {"name": "c", "version": "1"}


def test_the_log_level_is_one_of_the_eight() -> None:
    session = opened()
    for level in LOG_LEVELS:
        session.set_log_level(level)
        assert session.log_level == level
    for level in ("warn", "INFO", "", None, 1, ["info"]):
        with pytest.raises(ProtocolError) as caught:
            session.set_log_level(level)
        assert caught.value.code == INVALID_PARAMS


def keys(item: dict[str, Any], revision: str) -> set[str]:
    return set(legacy.lower_named(item, LEGACY[revision]))


@pytest.mark.parametrize(
    ("revision", "lost"),
    [
        ("2024-11-05", {"title", "icons", "outputSchema", "annotations"}),
        ("2025-03-26", {"title", "icons", "outputSchema"}),
        ("2025-06-18", {"icons"}),
        ("2025-11-25", set[str]()),
    ],
)
def test_a_tool_loses_what_the_revision_lacks(revision: str, lost: set[str]) -> None:
    tool: dict[str, Any] = {
        "name": "t",
        "title": "T",
        "description": "d",
        "icons": [],
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object"},
        "annotations": {},
    }
    assert tool.keys() - keys(tool, revision) == lost


@pytest.mark.parametrize(
    ("revision", "lost"),
    [
        ("2024-11-05", {"title", "icons", "websiteUrl", "description"}),
        ("2025-03-26", {"title", "icons", "websiteUrl", "description"}),
        ("2025-06-18", {"icons", "websiteUrl", "description"}),
        ("2025-11-25", set[str]()),
    ],
)
def test_a_server_loses_what_the_revision_lacks(revision: str, lost: set[str]) -> None:
    server = {**SERVER, "description": "d"}
    assert server.keys() - keys(server, revision) == lost


def test_a_description_is_not_touched_but_copied() -> None:
    tool: dict[str, Any] = {"name": "t", "title": "T", "inputSchema": {"type": "object"}}
    legacy.lower_named(tool, LEGACY["2024-11-05"])
    assert "title" in tool


def test_the_annotations_of_a_resource_are_as_old_as_the_protocol() -> None:
    assert "annotations" in keys({"uri": "a:b", "name": "r", "annotations": {}}, "2024-11-05")


def test_a_schema_of_what_is_no_object_is_wrapped() -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/N"}, "$defs": {"N": {"type": "integer"}}}
    tool: dict[str, Any] = {"name": "t", "inputSchema": {"type": "object"}, "outputSchema": schema}
    for revision in ("2025-06-18", "2025-11-25"):
        assert legacy.lower_named(tool, LEGACY[revision])["outputSchema"] == {
            "type": "object",
            "properties": {"result": {"type": "array", "items": {"$ref": "#/$defs/N"}}},
            "required": ["result"],
            "$defs": {"N": {"type": "integer"}},
        }


def lower(block: dict[str, Any], revision: Revision) -> dict[str, Any]:
    (lowered,) = legacy.lower_content([block], revision)
    return lowered


@pytest.mark.parametrize(
    ("kind", "revisions"),
    [
        ("text", [*LEGACY]),
        ("image", [*LEGACY]),
        ("resource", [*LEGACY]),
        ("audio", ["2025-03-26", "2025-06-18", "2025-11-25"]),
        ("resource_link", ["2025-06-18", "2025-11-25"]),
    ],
)
def test_content_is_replaced_by_a_text_where_the_revision_lacks_it(kind: str, revisions: list[str]) -> None:
    block = {"type": kind, "uri": "note://7", "name": "Note 7", "mimeType": "audio/wav"}
    assert [row.name for row in LEGACY.values() if lower(block, row) == block] == revisions
    for row in LEGACY.values():
        if row.name not in revisions:
            text = lower(block, row)
            assert text["type"] == "text"
            assert ("note://7" if kind == "resource_link" else "audio/wav") in text["text"]


def test_the_oldest_revision_has_no_completions_to_declare() -> None:
    declared: dict[str, Any] = {"tools": {}, "completions": {}, "extensions": {}}
    shown = {row.name: set(legacy.lower_capabilities(declared, row)) for row in LEGACY.values()}
    assert shown == {
        "2024-11-05": {"tools"},
        "2025-03-26": {"tools", "completions"},
        "2025-06-18": {"tools", "completions"},
        "2025-11-25": {"tools", "completions"},
    }
