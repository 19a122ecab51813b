"""The client: one server, or a group of them, in every revision and over every transport."""

from mcp_kernel.client.answers import Elicitation, Page, Reply
from mcp_kernel.client.cache import ResponseCache
from mcp_kernel.client.catalog import Prompt, Resource, ResourceTemplate, Tool
from mcp_kernel.client.channel import Channel, Dial
from mcp_kernel.client.client import Client
from mcp_kernel.client.conversation import ServerDescription
from mcp_kernel.client.failures import (
    CannotStart,
    CircuitOpen,
    ClientError,
    ConnectionLost,
    HttpRefused,
    InvalidAnswer,
    NotAuthorized,
    NotConnected,
    ServerRefused,
    SessionOver,
    TimedOut,
    TooManyRounds,
)
from mcp_kernel.client.group import ClientGroup, Route, UnknownTool
from mcp_kernel.client.handle import TaskCancelled, TaskHandle
from mcp_kernel.client.options import Options
from mcp_kernel.client.resilience import Resilience
from mcp_kernel.client.results import Completion, Contents, InputRequired, PromptResult, ToolResult
from mcp_kernel.client.target import Reach

__all__ = [
    "CannotStart",
    "Channel",
    "CircuitOpen",
    "Client",
    "ClientError",
    "ClientGroup",
    "Completion",
    "ConnectionLost",
    "Contents",
    "Dial",
    "Elicitation",
    "HttpRefused",
    "InputRequired",
    "InvalidAnswer",
    "NotAuthorized",
    "NotConnected",
    "Options",
    "Page",
    "Prompt",
    "PromptResult",
    "Reach",
    "Reply",
    "Resilience",
    "Resource",
    "ResourceTemplate",
    "ResponseCache",
    "Route",
    "ServerDescription",
    "ServerRefused",
    "SessionOver",
    "TaskCancelled",
    "TaskHandle",
    "TimedOut",
    "TooManyRounds",
    "Tool",
    "ToolResult",
    "UnknownTool",
]
