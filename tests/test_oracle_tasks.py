"""The judge of the tasks extension: it passes what the extension shows, and it can refuse."""

from __future__ import annotations

from typing import Any

import pytest
from tests.oracle import Sender, validate, why_no_schemas

Json = dict[str, Any]

pytestmark = pytest.mark.skipif(why_no_schemas("tasks") is not None, reason=str(why_no_schemas("tasks")))

MODERN = "2026-07-28"
META: Json = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
TASK: Json = {
    "taskId": "786512e2",
    "status": "working",
    "createdAt": "2025-11-25T10:30:00Z",
    "lastUpdatedAt": "2025-11-25T10:50:00Z",
    "ttlMs": 3_600_000,
    "pollIntervalMs": 5000,
}
HANDLE: Json = {"resultType": "task", **TASK}
TOLD: Json = {"resultType": "complete", **TASK}
RESULT: Json = {"resultType": "complete", "content": [{"type": "text", "text": "Hello, Luca!"}], "isError": False}
ERROR: Json = {"code": -32603, "message": "API rate limit exceeded"}
FORM: Json = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
QUESTION: Json = {"method": "elicitation/create", "params": {"message": "Your name?", "requestedSchema": FORM}}
ACKNOWLEDGED: Json = {"resultType": "complete"}


def answer(result: Json, method: str) -> None:
    validate({"jsonrpc": "2.0", "id": 1, "result": result}, revision=MODERN, sender="server", answers=method)


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("tools/call", HANDLE),
        ("tools/call", HANDLE | {"ttlMs": None, "statusMessage": "The operation is now in progress."}),
        ("tasks/get", TOLD),
        ("tasks/get", TOLD | {"status": "input_required", "inputRequests": {"name": QUESTION}}),
        ("tasks/get", TOLD | {"status": "completed", "result": RESULT}),
        ("tasks/get", TOLD | {"status": "failed", "error": ERROR}),
        ("tasks/get", TOLD | {"status": "cancelled"}),
        ("tasks/update", ACKNOWLEDGED),
        ("tasks/cancel", ACKNOWLEDGED),
    ],
)
def test_what_the_extension_shows_is_passed(method: str, result: Json) -> None:
    answer(result, method)


NO_TASKS: list[tuple[str, Json]] = [
    ("tools/call", HANDLE | {"taskId": 5}),
    ("tools/call", HANDLE | {"ttlMs": 0}),
    ("tools/call", HANDLE | {"pollIntervalMs": 0.5}),
    ("tools/call", HANDLE | {"requestState": "sealed"}),
    ("tools/call", HANDLE | {"status": "completed", "result": RESULT}),
    ("tools/call", {"resultType": "task", "task": TASK}),
    ("prompts/get", HANDLE),
    ("tasks/get", HANDLE),
    ("tasks/get", TOLD | {"status": "done"}),
    ("tasks/get", TOLD | {"result": RESULT}),
    ("tasks/get", TOLD | {"status": "completed"}),
    ("tasks/get", TOLD | {"status": "completed", "result": {"content": "text"}}),
    ("tasks/get", TOLD | {"status": "failed", "error": ERROR, "result": RESULT}),
    ("tasks/get", TOLD | {"status": "input_required"}),
    ("tasks/get", TOLD | {"status": "input_required", "inputRequests": {}}),
    ("tasks/update", ACKNOWLEDGED | {"status": "working"}),
    ("tasks/cancel", TOLD),
]


@pytest.mark.parametrize(("method", "result"), NO_TASKS)
def test_what_is_no_task_is_refused(method: str, result: Json) -> None:
    with pytest.raises(AssertionError):
        answer(result, method)


def test_requests_and_notices_of_tasks_are_held_to_their_shape() -> None:
    request: Json = {"jsonrpc": "2.0", "id": 1, "method": "tasks/update"}
    params: Json = {"taskId": "1", "inputResponses": {"name": {"action": "decline"}}, "_meta": META}
    validate(request | {"params": params}, revision=MODERN, sender="client")
    notice: Json = {"jsonrpc": "2.0", "method": "notifications/tasks"}
    validate(notice | {"params": TASK}, revision=MODERN, sender="server")
    refused: list[tuple[Sender, Json]] = [
        ("client", request | {"params": {"taskId": "1", "_meta": META}}),
        ("client", request | {"method": "tasks/list", "params": {"_meta": META}}),
        ("server", request | {"params": params}),
        ("server", notice | {"params": {"taskId": "1"}}),
        ("server", notice | {"params": TASK | {"status": "completed"}}),
    ]
    for sender, message in refused:
        with pytest.raises(AssertionError):
            validate(message, revision=MODERN, sender=sender)
    with pytest.raises(AssertionError):
        validate(notice | {"params": TASK}, revision="2025-11-25", sender="server")
