"""Results of the wrong shape, at any place: a typed error or an answer, and never anything else."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.client.origin import DISCOVERY, TEXT
from tests.client.puppet import Puppet
from tests.stage import MODERN, scene, scene_out_of_time

from mcp_kernel.client import Client, ClientError, Prompt, Reach, Resilience

Json = dict[str, Any]

ONCE = Resilience(attempts=1, failures=0)
CACHED = {"resultType": "complete", "ttlMs": 1000, "cacheScope": "public"}
SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A"}}}
TOOL: Json = {
    "name": "x",
    "title": "X",
    "description": "d",
    "inputSchema": SCHEMA,
    "outputSchema": SCHEMA,
    "annotations": {"title": "t", "readOnlyHint": True},
}
FORM: Json = {"type": "object", "properties": {"a": {"type": "string", "default": "b"}}}
ASKED: Json = {"method": "elicitation/create", "params": {"message": "m", "requestedSchema": FORM}}
TASK: Json = {"taskId": "t", "status": "working", "pollIntervalMs": 1, "ttlMs": 5, "createdAt": "2026-01-01T00:00:00Z"}
DONE: Json = {**TASK, "resultType": "complete", "status": "completed", "result": TEXT}
FAILED: Json = {**TASK, "resultType": "complete", "status": "failed", "error": {"code": -1, "message": "m"}}
MESSAGE: Json = {"role": "user", "content": {"type": "text", "text": "t"}}

Use = Callable[[Client], Awaitable[object]]
COMPLETION: Json = {"resultType": "complete", "completion": {"values": ["a"], "total": 1, "hasMore": False}}
USES: dict[str, tuple[Json, Use]] = {
    "tools/list": ({**CACHED, "tools": [TOOL], "nextCursor": "c"}, lambda client: client.list_tools()),
    "prompts/list": (
        {**CACHED, "prompts": [{"name": "p", "title": "t", "arguments": [{"name": "a", "required": True}]}]},
        lambda client: client.list_prompts(),
    ),
    "resources/list": (
        {**CACHED, "resources": [{"uri": "x://y", "name": "n", "mimeType": "m", "size": 1}]},
        lambda client: client.list_resources(),
    ),
    "resources/templates/list": (
        {**CACHED, "resourceTemplates": [{"uriTemplate": "x://{y}", "name": "n"}]},
        lambda client: client.list_resource_templates(),
    ),
    "tools/call": ({**TEXT, "structuredContent": {"a": "b"}, "_meta": {}}, lambda client: client.call_tool("x")),
    "resources/read": (
        {**CACHED, "contents": [{"uri": "x://y", "text": "t"}, {"uri": "x://z", "blob": "AAAA", "mimeType": "m"}]},
        lambda client: client.read_resource("x://y"),
    ),
    "prompts/get": (
        {"resultType": "complete", "description": "d", "messages": [MESSAGE]},
        lambda client: client.get_prompt("p", {"a": "b"}),
    ),
    "completion/complete": (COMPLETION, lambda client: client.complete(Prompt.read({"name": "p"}), "a", "")),
    "tasks/get": (DONE, lambda client: client.resume_task("t").result()),
    "server/discover": (DISCOVERY, lambda client: client.ping()),
}
OTHERS: list[tuple[str, Json]] = [
    ("tools/call", {"resultType": "input_required", "inputRequests": {"q": ASKED}, "requestState": "s"}),
    ("tools/call", {**TASK, "resultType": "task"}),
    ("tasks/get", FAILED),
    ("tasks/get", {**DONE, "status": "input_required", "inputRequests": {"q": ASKED}}),
]
CASES = [*((method, right) for method, (right, _) in USES.items()), *OTHERS]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "task", "input_required", "complete", "working", "url", "\ud800", "\0", "AAA"]),
)
keys = st.sampled_from(["a", "type", "$ref", "items", "enum", "oneOf"])
shapes = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "type", "$ref"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member and item in a JSON value, as its container and its key."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(cast("Json", value))
    elif isinstance(value, list):
        keys = list(range(len(cast("list[Any]", value))))
    found: list[tuple[Any, Any]] = []
    for key in keys:
        found += [(cast("Any", value), key), *places(value[key])]
    return found


async def use(answers: Json, method: str, revision: str) -> None:
    """Call a method; a typed error is as good as an answer, and so is a task that never ends."""
    puppet = Puppet(answers, revision)
    client = Client(
        puppet, reach=Reach(codec=True), resilience=ONCE, timeout=2, validate=True, elicit=lambda form: "accept"
    )
    try:
        await client.list_tools()
        async with asyncio.timeout(100):
            await USES[method][1](client)
    except (ClientError, TimeoutError):
        pass
    except ValueError as error:
        if "does not fit the form" not in str(error):  # which is the host's, who did not look at the form
            raise
    finally:
        await client.close()


@pytest.mark.contrary
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(case=st.sampled_from(CASES), shape=shapes, data=st.data(), revision=st.sampled_from(["2025-11-25", MODERN]))
def test_whatever_is_wrong_in_a_result_there_is_no_other_error_than_a_typed_one(
    case: tuple[str, Json], shape: object, data: st.DataObject, revision: str
) -> None:
    method, right = case
    assume(revision == MODERN or not method.startswith("tasks/"))  # of which a session knows nothing
    wrong = copy.deepcopy(right)
    container, key = data.draw(st.sampled_from(places(wrong)))
    container[key] = shape
    answers: Json = {name: result for name, (result, _) in USES.items() if name != "server/discover"}
    answers |= {"tools/list": {**CACHED, "tools": [TOOL]}, "tasks/update": {"resultType": "complete"}}

    @scene_out_of_time
    async def play() -> None:
        await use({**answers, method: wrong}, method, revision)

    play()


@pytest.mark.contrary
@pytest.mark.parametrize(("method", "right"), CASES)
@scene
async def test_what_is_right_in_these_results_is_taken(method: str, right: Json) -> None:
    puppet = Puppet({name: result for name, (result, _) in USES.items()} | {"tasks/update": {}})
    first = [right]
    puppet.answers[method] = lambda request: first.pop() if first else {**USES[method][0], "nextCursor": None}
    async with Client(puppet, reach=Reach(codec=True), elicit=lambda form: "accept") as client:
        if method != "server/discover":
            first[:] = [right]
        try:
            assert await USES[method][1](client) is not ...
        except ClientError:
            assert right is FAILED


members: dict[str, Any] = {"method": scalars, "params": shapes, "id": scalars}
notices = st.fixed_dictionaries({"jsonrpc": st.just("2.0")}, optional=members)
particulars = st.dictionaries(st.sampled_from(["level", "data", "uri", "progress", "progressToken"]), shapes)
NAMES = ["message", "progress", "resources/updated", "tools/list_changed", "cancelled", "x"]


@pytest.mark.contrary
@settings(deadline=None, max_examples=100)
@given(told=notices, params=particulars)
def test_whatever_is_told_in_between_does_not_disturb_the_call(told: Json, params: Json) -> None:
    @scene
    async def play() -> None:
        def answer(request: Json) -> Json:
            named = [{"jsonrpc": "2.0", "method": f"notifications/{name}", "params": params} for name in NAMES]
            for each in (told, *named):
                puppet.outlet.send(json.dumps(each).encode(), None)
            return TEXT

        puppet = Puppet({"tools/call": answer})

        def hear(*given: object) -> None:
            """Whatever it is."""

        async with Client(
            puppet, reach=Reach(codec=True), timeout=2, on_log=hear, on_updated=hear, on_list_changed=hear
        ) as client:
            assert (await client.call_tool("x", on_progress=hear)).text == "done"

    play()
