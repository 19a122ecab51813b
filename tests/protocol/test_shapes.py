"""The tables of methods, held against the published schemas, and the check of params."""

from __future__ import annotations

from typing import Any

import pytest
from tests.oracle import schemas, why_no_schemas

from mcp_kernel.errors import INVALID_PARAMS, ProtocolError
from mcp_kernel.protocol.shapes import ASKING, CACHEABLE, LEGACY_REQUESTS, LOG_LEVELS, MODERN_REQUESTS, Shape, check

needs_schemas = pytest.mark.skipif(why_no_schemas() is not None, reason=str(why_no_schemas()))


EXTENSION = {"tasks/get", "tasks/update", "tasks/cancel"}
"""Of the tasks extension, which has a schema of its own."""


def client_requests(revision: str) -> dict[str, dict[str, Any]]:
    """The definitions of what a client may ask, by method."""
    known = schemas.definitions(revision)
    names = [arm["$ref"].rpartition("/")[2] for arm in known["ClientRequest"]["anyOf"]]
    return {known[name]["properties"]["method"]["const"]: known[name] for name in names}


def required(revision: str, method: str) -> set[str]:
    """What the params of a method must carry, but for `_meta`."""
    params = client_requests(revision)[method]["properties"].get("params", {})
    if "$ref" in params:
        params = schemas.definitions(revision)[params["$ref"].rpartition("/")[2]]
    return set(params.get("required", [])) - {"_meta"}


@needs_schemas
def test_the_modern_methods_are_those_of_the_schema() -> None:
    assert MODERN_REQUESTS.keys() - EXTENSION == client_requests("2026-07-28").keys()


@needs_schemas
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_the_legacy_methods_are_those_of_the_schemas(revision: str) -> None:
    tasks = {"tasks/get", "tasks/list", "tasks/cancel", "tasks/result"}
    assert client_requests(revision).keys() - tasks == LEGACY_REQUESTS.keys()


@needs_schemas
@pytest.mark.parametrize(("revision", "table"), [("2025-11-25", LEGACY_REQUESTS), ("2026-07-28", MODERN_REQUESTS)])
def test_the_required_fields_are_those_of_the_schema(revision: str, table: dict[str, Shape]) -> None:
    for method, shape in table.items():
        if method in EXTENSION:
            continue
        assert {name for name, _, needed in shape if needed} == required(revision, method), method


@needs_schemas
def test_what_is_cacheable_and_what_asks_is_read_off_the_schema() -> None:
    known = schemas.definitions("2026-07-28")
    results = {
        method: known[
            schemas.result_of("2026-07-28", schemas.definition_of("2026-07-28", "client", "Request", method) or "")
        ]
        for method in MODERN_REQUESTS.keys() - EXTENSION
    }
    assert {method for method, result in results.items() if "ttlMs" in result["properties"]} == CACHEABLE
    asking = {
        method
        for method, request in client_requests("2026-07-28").items()
        if "requestState" in str(known[request["properties"]["params"]["$ref"].rpartition("/")[2]])
    }
    assert asking == ASKING


@needs_schemas
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-11-25", "2026-07-28"])
def test_the_log_levels_are_those_of_the_schema(revision: str) -> None:
    assert set(schemas.definitions(revision)["LoggingLevel"]["enum"]) == set(LOG_LEVELS)


SHAPE: Shape = (("name", (str,), True), ("count", (int,), False), ("id", (str, int), False))


@pytest.mark.parametrize(
    "params",
    [{"name": ""}, {"name": "a", "count": 0}, {"name": "a", "count": None, "id": None}, {"name": "a", "more": 1}],
)
def test_params_that_fit_pass(params: dict[str, Any]) -> None:
    check("m", SHAPE, params)


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({}, "params.name must be a string"),
        ({"name": None}, "params.name must be a string"),
        ({"name": 1}, "params.name must be a string"),
        ({"name": "a", "count": True}, "params.count must be an integer"),
        ({"name": "a", "count": 1.0}, "params.count must be an integer"),
        ({"name": "a", "id": []}, "params.id must be a string or an integer"),
    ],
)
def test_params_that_do_not_fit_are_named(params: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint) as caught:
        check("m", SHAPE, params)
    assert caught.value.code == INVALID_PARAMS
