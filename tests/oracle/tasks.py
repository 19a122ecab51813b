"""The tasks extension, which neither `mcp-types` nor the revision's schema knows: its own schema, and its words."""

from __future__ import annotations

from typing import Any, Final, cast

from tests.oracle import schemas

Json = dict[str, Any]

_SCHEMA: Final = "tasks"
_CALLS: Final = {
    ("client", "tasks/get"): "GetTaskRequest",
    ("client", "tasks/update"): "UpdateTaskRequest",
    ("client", "tasks/cancel"): "CancelTaskRequest",
    ("server", "notifications/tasks"): "TaskStatusNotification",
}
_RESULTS: Final = {
    "tasks/get": "GetTaskResult",
    "tasks/update": "UpdateTaskResult",
    "tasks/cancel": "CancelTaskResult",
    "tools/call": "CreateTaskResult",
}
_OUTCOMES: Final = {
    "working": set[str](),
    "input_required": {"inputRequests"},
    "completed": {"result"},
    "failed": {"error"},
    "cancelled": set[str](),
}


def is_call(message: Json, sender: str) -> bool:
    """Tell whether a request or a notification is of the extension."""
    return (sender, message.get("method")) in _CALLS


def is_result(result: object, answers: str | None) -> bool:
    """Tell whether a result is of the extension."""
    made = isinstance(result, dict) and cast("Json", result).get("resultType") == "task"
    return made if answers == "tools/call" else answers in _RESULTS


def judge_call(message: Json, sender: str) -> list[str]:
    """Why a request or a notification is none of the extension."""
    found = _misfits(message, _CALLS[sender, message["method"]])
    if message["method"] == "notifications/tasks":
        found += _judge_task(message["params"], detailed=True)
    return found


def judge_result(result: Json, answers: str) -> list[str]:
    """Why a result is none of the extension."""
    found = _misfits(result, _RESULTS[answers])
    if answers in ("tasks/update", "tasks/cancel"):
        return found + [
            f"an acknowledgement says nothing of {name}" for name in result.keys() - {"resultType", "_meta"}
        ]
    return found + _judge_task(result, detailed=answers == "tasks/get")


def _judge_task(task: Json, *, detailed: bool) -> list[str]:
    """What the specification says in words of a `Task`, and of a `DetailedTask`."""
    allowed = _OUTCOMES.get(task.get("status", ""), set()) if detailed else set[str]()
    carried = task.keys() & {"inputRequests", "result", "error"}
    found = [f"a task that is {task.get('status')} carries {sorted(carried)}"] if carried != allowed else []
    found += [f"a task has no {name}" for name in task.keys() & {"requestState", "ttl", "pollInterval", "task"}]
    for name in ("ttlMs", "pollIntervalMs"):
        value = task.get(name)
        if value is not None and (type(value) is not int or value <= 0):
            found.append(f"{name} is a positive integer")
    if task.get("status") == "input_required" and not task.get("inputRequests", True):
        found.append("a task that asks has a question")
    return found


def _misfits(value: object, definition: str) -> list[str]:
    return [] if schemas.why_no_schemas(_SCHEMA) else schemas.reasons(value, _SCHEMA, definition)
