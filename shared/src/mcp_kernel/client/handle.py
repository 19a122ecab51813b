"""A task that a server works on, held by the client whose call became it (io.modelcontextprotocol/tasks)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, cast

from mcp_kernel.client.failures import ClientError, InvalidAnswer, ServerRefused
from mcp_kernel.client.results import InputRequired, ToolResult
from mcp_kernel.protocol.jsonrpc import JsonObject

# Calls a method of the tasks extension.
Caller: TypeAlias = Callable[[str, JsonObject], Awaitable[JsonObject]]
# Answers questions by key.
Responder: TypeAlias = Callable[[InputRequired], Awaitable[JsonObject]]

_PAUSE: Final = (0.05, 30.0)  # seconds between two looks, at least and at most, whatever the server suggests
_SUGGESTED: Final = 1.0


class TaskCancelled(ClientError):
    """The task was cancelled before it had a result."""


class TaskHandle:
    """Work under way: ask for its `status`, wait for its `result`, or `cancel` it.

    `id` is enough to ask after it later, from another process too: `Client.resume_task`.
    """

    def __init__(self, wire: JsonObject, call: Caller, respond: Responder) -> None:
        identifier = wire.get("taskId")
        if not isinstance(identifier, str):
            raise InvalidAnswer("The server made a task without an id.")
        self.id = identifier
        self._wire = wire
        self._call = call
        self._respond = respond
        self._answered: set[str] = set()

    @property
    def status(self) -> str:
        """Its status when it was last looked at: working, input_required, completed, failed, cancelled."""
        return str(self._wire.get("status", "working"))

    @property
    def message(self) -> str | None:
        """What the server said of its status."""
        message = self._wire.get("statusMessage")
        return message if isinstance(message, str) else None

    async def refresh(self) -> str:
        """Look at it now; returns its status."""
        self._wire = await self._call("tasks/get", {"taskId": self.id})
        return self.status

    async def result(self) -> ToolResult:
        """Wait for the result, and answer what the server asks meanwhile.

        Raises `ServerRefused` where the work ended with a JSON-RPC error, `TaskCancelled` where it was cancelled.
        """
        while True:
            status = await self.refresh()
            if status == "completed":
                result = self._wire.get("result")
                if not isinstance(result, dict):
                    raise InvalidAnswer("The server completed a task without a result.")
                return ToolResult.read(cast("JsonObject", result))
            if status == "failed":
                raise self._failure()
            if status == "cancelled":
                raise TaskCancelled(f"The task was cancelled. {self.message or ''}".strip())
            if status == "input_required":
                await self._answer()
            await asyncio.sleep(self._pause())

    async def _answer(self) -> None:
        """Answer each question once: it stays open until the server has taken the answer."""
        asked = InputRequired.read(self._wire)
        fresh = {key: question for key, question in asked.questions.items() if key not in self._answered}
        if fresh:
            answers = await self._respond(InputRequired(fresh, None))
            await self._call("tasks/update", {"taskId": self.id, "inputResponses": answers})
            self._answered |= fresh.keys()

    def _failure(self) -> ServerRefused:
        error = self._wire.get("error")
        fields = cast("JsonObject", error) if isinstance(error, dict) else {}
        code = fields.get("code")
        text = str(fields.get("message", self.message or "The task failed"))
        return ServerRefused(code if isinstance(code, int) else 0, text, fields.get("data"))

    def _pause(self) -> float:
        suggested = self._wire.get("pollIntervalMs")
        seconds = suggested / 1000 if isinstance(suggested, int | float) else _SUGGESTED
        return min(max(seconds, _PAUSE[0]), _PAUSE[1])

    async def cancel(self) -> None:
        """Ask the server to stop; its status tells when it has."""
        await self._call("tasks/cancel", {"taskId": self.id})
