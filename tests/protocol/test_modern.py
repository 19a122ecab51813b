"""The stateless era: who is admitted, in which order refusals come, and what is stamped on a result."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_kernel.errors import INVALID_PARAMS, METHOD_NOT_FOUND, UNSUPPORTED_REVISION, ProtocolError
from mcp_kernel.protocol import modern
from mcp_kernel.protocol.jsonrpc import Request
from mcp_kernel.protocol.shapes import LEGACY_REQUESTS, MODERN_REQUESTS

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
INFO = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"

META: dict[str, Any] = {VERSION: "2026-07-28", CAPABILITIES: {}}
SERVER: dict[str, Any] = {"name": "s", "version": "1"}


def request(method: str = "tools/list", meta: object = META, **params: object) -> Request:
    return Request(1, method, {**params, "_meta": meta})


def refusal(asked: Request) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        modern.admit(asked)
    return caught.value


@pytest.mark.parametrize("value", ["2026-07-28", "2025-11-25", "2099-01-01", "", None, 1, []])
def test_the_key_alone_makes_a_request_modern(value: object) -> None:
    assert modern.is_modern({"_meta": {VERSION: value}})


@pytest.mark.parametrize("meta", [None, {}, [], "x", [VERSION], {CAPABILITIES: {}}, {"protocolVersion": "2026-07-28"}])
def test_without_the_key_it_is_not(meta: object) -> None:
    assert not modern.is_modern({"_meta": meta})
    assert not modern.is_modern({VERSION: "2026-07-28"})


def test_who_asks_is_read_off_the_request() -> None:
    info = {"name": "c", "version": "1", "title": "C"}
    caller = modern.admit(request(meta={**META, CAPABILITIES: {"roots": {}}, INFO: info}))
    assert (caller.revision.name, caller.capabilities, caller.info) == ("2026-07-28", {"roots": {}}, info)


def test_the_name_of_the_client_is_optional() -> None:
    assert modern.admit(request()).info is None


@pytest.mark.parametrize(
    "change",
    [
        {VERSION: 1},
        {VERSION: None},
        {CAPABILITIES: None},
        {CAPABILITIES: []},
        {CAPABILITIES: "all"},
        {INFO: "c"},
        {INFO: {}},
        {INFO: {"name": "c"}},
        {INFO: {"name": "c", "version": 1}},
        {LOG_LEVEL: "loud"},
        {LOG_LEVEL: None},
        {LOG_LEVEL: 3},
        {LOG_LEVEL: ["info"]},
    ],
)
def test_a_meta_that_is_incomplete_or_wrong_is_invalid(change: dict[str, Any]) -> None:
    error = refusal(request(meta={**META, **change}))
    assert (error.code, error.status) == (INVALID_PARAMS, 400)
    assert next(iter(change)) in error.message


@pytest.mark.parametrize("missing", [VERSION, CAPABILITIES])
def test_a_required_member_of_meta_is_missed(missing: str) -> None:
    meta = {name: value for name, value in META.items() if name != missing}
    assert (refusal(request(meta=meta)).code, refusal(request(meta=meta)).status) == (INVALID_PARAMS, 400)


@pytest.mark.parametrize("version", ["2025-11-25", "2024-11-05", "1900-01-01", ""])
def test_a_revision_that_is_not_served_so_is_named_with_those_that_are(version: str) -> None:
    error = refusal(request(meta={**META, VERSION: version}))
    assert (error.code, error.status) == (UNSUPPORTED_REVISION, 400)
    assert error.data == {"supported": ["2026-07-28"], "requested": version}


@pytest.mark.parametrize("method", [*sorted(LEGACY_REQUESTS.keys() - MODERN_REQUESTS.keys()), "tasks/list", "x", ""])
def test_a_method_that_the_era_lacks_is_unknown(method: str) -> None:
    error = refusal(request(method))
    assert (error.code, error.status) == (METHOD_NOT_FOUND, 404)


def test_the_first_rung_that_fails_decides() -> None:
    broken = {VERSION: "1900-01-01", CAPABILITIES: None}
    assert refusal(request("x", meta=broken)).code == INVALID_PARAMS
    assert refusal(request("x", meta={**META, VERSION: "1900-01-01"})).code == UNSUPPORTED_REVISION
    assert refusal(request("x")).code == METHOD_NOT_FOUND
    assert refusal(request("tools/call")).code == INVALID_PARAMS


CACHED = {
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
}


@pytest.mark.parametrize("method", sorted(MODERN_REQUESTS))
def test_what_may_be_cached_says_for_how_long_and_by_whom(method: str) -> None:
    stamped = modern.stamp(method, {"x": 1}, SERVER, 60, "public")
    assert stamped["resultType"] == "complete"
    assert stamped["_meta"] == {SERVER_INFO: SERVER}
    assert (
        {"ttlMs", "cacheScope"} <= stamped.keys() if method in CACHED else not {"ttlMs", "cacheScope"} & stamped.keys()
    )


def test_a_stamp_keeps_what_the_result_says_itself() -> None:
    result: dict[str, Any] = {"ttlMs": 5, "cacheScope": "private", "_meta": {"a": 1}}
    stamped = modern.stamp("resources/read", result, SERVER, 60, "public")
    assert (stamped["ttlMs"], stamped["cacheScope"]) == (5, "private")
    assert stamped["_meta"] == {"a": 1, SERVER_INFO: SERVER}
    assert result["_meta"] == {"a": 1}


def test_a_result_that_asks_is_never_cached() -> None:
    asks = modern.input_required({"q": {}}, "state", SERVER)
    assert asks == {
        "resultType": "input_required",
        "inputRequests": {"q": {}},
        "requestState": "state",
        "_meta": {SERVER_INFO: SERVER},
    }
    assert "inputRequests" not in modern.input_required({}, "state", SERVER)


@pytest.mark.parametrize("identifier", [1, "1", "", 0])
def test_a_subscription_keeps_the_type_of_its_id(identifier: int | str) -> None:
    marked = modern.on_stream({"uri": "a:b", "_meta": {"x": 1}}, identifier)
    meta: Any = marked["_meta"]
    assert meta["x"] == 1
    assert type(meta["io.modelcontextprotocol/subscriptionId"]) is type(identifier)


@pytest.mark.parametrize("params", [{}, {"_meta": {}}, {"_meta": []}])
def test_a_request_that_names_no_log_level_wants_no_log(params: dict[str, Any]) -> None:
    assert modern.log_level(params) is None
    assert modern.log_level({"_meta": {LOG_LEVEL: "error"}}) == "error"
