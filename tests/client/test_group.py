"""Many servers as one: each alone may be down, and a name leads to the same tool for ever."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.puppet import Puppet
from tests.stage import scene

from mcp_kernel import Client, ClientGroup, Server
from mcp_kernel.client import CannotStart, Options, Reach, Route, ServerDescription, TimedOut, UnknownTool
from mcp_kernel.client.configuration import InvalidConfiguration
from mcp_kernel.client.formats import InvalidCall
from mcp_kernel.client.group import Routes

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = [sys.executable, "-m", "mcp_server_everything"]
BROKEN = [sys.executable, "-c", "import sys; sys.exit('no licence')"]
HANGING = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def notes(name: str) -> Server:
    """A server with a tool that both of two have, and one that is its own."""
    server = Server(name, version="1")

    @server.tool(read_only=True)
    async def search(query: str) -> str:
        """Search."""
        return f"{name} found {query}"

    async def own() -> str:
        """Do what no other does."""
        return name

    server.tool(name=f"only_{name}")(own)

    @server.resource(f"{name}://all")
    async def everything() -> str:
        return name

    @server.prompt()
    def digest() -> str:
        """Sum up."""
        return name

    return server


def command(words: list[str], **more: Any) -> dict[str, Any]:
    return {"command": words[0], "args": words[1:], **more}


def write(folder: Path, **entries: object) -> Path:
    path = folder / ".mcp.json"
    path.write_text(json.dumps({"mcpServers": entries}))
    return path


def test_the_options_of_a_group_are_those_of_a_client() -> None:
    parameters = inspect.signature(Client).parameters.values()
    assert {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} == set(Options.__annotations__)


@scene
async def test_tools_are_prefixed_where_two_servers_have_the_same() -> None:
    async with ClientGroup({"a": notes("a"), "b": notes("b")}) as group:
        assert [tool.name for tool in await group.list_tools()] == ["a__search", "only_a", "b__search", "only_b"]
        assert (await group.call_tool("b__search", {"query": "x"})).text == "b found x"
        assert (await group.call_tool("only_a")).text == "a"
        with pytest.raises(UnknownTool, match="Say which: a__search, b__search"):
            await group.call_tool("search", {"query": "x"})


@scene
async def test_tools_are_prefixed_always_when_that_is_wanted() -> None:
    async with ClientGroup({"a": notes("a")}, prefix="always") as group:
        assert [tool.wire["name"] for tool in await group.list_tools()] == ["a__search", "a__only_a"]
        assert (await group.call_tool("a__only_a")).text == "a"


def test_a_name_that_was_given_is_never_given_to_another_tool() -> None:
    routes = Routes(["a", "b", "a__b"], "needed")
    assert routes.name_all([]) == []
    assert routes.name_all([Route("a", "query")]) == ["query"]
    assert routes.name_all([Route("b", "query"), Route("a", "query")]) == ["b__query", "query"]
    assert routes.find("query") == Route("a", "query")
    assert routes.name_all([Route("b", "query")]) == ["b__query"]
    assert Routes(["a", "b"], "needed").name_all([Route("b", "query")]) == ["query"]
    assert routes.name_all([Route("a__b", "query")]) == ["a__b__query"]


def test_a_tool_cannot_take_the_name_of_another_server_s_tool() -> None:
    routes = Routes(["a", "b", "a__b"], "needed")
    assert routes.name_all([Route("b", "a__drop")]) == ["b__a__drop"]
    assert routes.find("a__drop") == Route("a", "drop")
    first, second = routes.name_all([Route("a__b", "c"), Route("a", "b__c")])
    names = {first: Route("a__b", "c"), second: Route("a", "b__c")}
    assert len(names) == 2
    assert {name: routes.find(name) for name in names} == names


@scene
async def test_one_server_that_is_down_is_not_all() -> None:
    servers = {"broken": BROKEN, "absent": ["no-such-program"], "a": notes("a")}
    async with ClientGroup(servers) as group:
        assert [tool.name for tool in await group.list_tools()] == ["search", "only_a"]
        assert await group.list_resources() == {"broken": [], "absent": [], "a": await group["a"].list_resources()}
        assert [prompt.name for prompt in (await group.list_prompts())["a"]] == ["digest"]
        assert set(group.problems) == {"broken", "absent"}
        assert "no licence" in str(group.problems["broken"])
        assert isinstance(group.problems["absent"], CannotStart)


@scene
async def test_a_server_that_hangs_is_waited_for_no_longer_than_the_limit() -> None:
    puppet = Puppet({"tools/list": None})
    silent = Client(puppet, reach=Reach(codec=True))
    async with ClientGroup({"a": notes("a"), "silent": silent}, limit=0.2) as group:
        assert [tool.name for tool in await group.list_tools()] == ["search", "only_a"]
        assert isinstance(group.problems["silent"], TimedOut)
        tool = {"name": "late", "inputSchema": {"type": "object"}}
        stamps = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        puppet.answers["tools/list"] = {"tools": [tool], **stamps}
        assert "late" in [tool.name for tool in await group.list_tools()]
        assert not group.problems


@scene
async def test_a_server_is_started_when_it_is_needed(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    marking = [sys.executable, "-c", f"open({str(mark)!r}, 'w').close()"]
    async with ClientGroup({"a": notes("a"), "idle": marking}) as group:
        assert (await group.call_tool("a__only_a")).text == "a"
        assert not mark.exists()
        await group.list_tools()
        assert mark.exists()


@scene
async def test_a_host_s_file_makes_a_group_without_the_servers_that_are_unusable(tmp_path: Path) -> None:
    entries = {"all": command(EVERYTHING), "keyless": command(EVERYTHING, env={"KEY": "${env:NO_SUCH_VARIABLE}"})}
    async with ClientGroup.from_config(write(tmp_path, **entries)) as group:
        assert list(group) == ["all", "keyless"]
        assert "greet" in [tool.name for tool in await group.list_tools()]
        assert isinstance(group.problems["keyless"], InvalidConfiguration)
        assert "NO_SUCH_VARIABLE" in str(group.problems["keyless"])


@scene
async def test_a_client_is_made_from_a_host_s_file(tmp_path: Path) -> None:
    program = "import os, sys; sys.exit(os.environ['WORD'] + ' ' + os.environ['MORE'] + ' ' + os.getcwd())"
    entry = command([sys.executable, "-c", program], env={"WORD": "hello", "MORE": "x"}, cwd=str(tmp_path))
    path = write(tmp_path, all=command(EVERYTHING), tells=entry)
    async with Client.from_config(path, "all", revision="2025-06-18") as client:
        assert client.server.revision == "2025-06-18"
    with pytest.raises(CannotStart, match=f"hello there {tmp_path}"):
        await Client.from_config(path, "tells", reach=Reach(env={"MORE": "there"})).connect()
    with pytest.raises(InvalidConfiguration, match="it has all, tells"):
        Client.from_config(path, "none")


@scene
async def test_all_children_are_ended_at_the_same_time() -> None:
    stubborn = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); import mcp_server_everything.cli as c"
    )
    words = [sys.executable, "-c", f"{stubborn}; c.main()", "--transport", "stdio"]
    group = ClientGroup(dict.fromkeys("abc", words))
    await group.list_tools()
    assert not group.problems
    pids = [_pid(group[name]) for name in group]
    await group.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _pid(client: Client) -> int:
    conversation = client._connection.conversation  # pyright: ignore[reportPrivateUsage]  # the process is nobody's business
    assert conversation is not None
    pid = getattr(conversation.link, "pid")  # noqa: B009  # of a link to a process alone
    assert isinstance(pid, int)
    return pid


@scene
async def test_a_model_s_call_is_routed_and_answered_in_its_api_s_format() -> None:
    async with ClientGroup({"my notes": notes("a"), "b": notes("b")}) as group:
        declared = await group.tools_for("anthropic")
        name = declared[0]["name"]
        assert isinstance(name, str)
        assert " " not in name
        call = {"type": "tool_use", "id": "1", "name": name, "input": {"query": "x"}}
        answer = await group.answer_for("anthropic", call)
        assert answer == {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "a found x"}]}


@scene
async def test_every_api_s_format_makes_the_round() -> None:
    calls: dict[Any, Any] = {
        "openai": {"type": "function_call", "call_id": "1", "name": "only_a", "arguments": "{}"},
        "openai-chat": {"id": "1", "type": "function", "function": {"name": "only_a", "arguments": ""}},
        "gemini": {"functionCall": {"name": "only_a", "args": {}}},
    }
    async with ClientGroup({"a": notes("a")}) as group:
        for api, call in calls.items():
            assert "only_a" in json.dumps(await group.tools_for(api))
            assert '"a"' in json.dumps(await group.answer_for(api, call))
        with pytest.raises(ValueError, match="no API is called"):
            await group.tools_for("other")  # pyright: ignore[reportArgumentType]  # what is refused


@scene
async def test_a_call_that_fails_is_told_to_the_model() -> None:
    async with ClientGroup({"a": notes("a"), "broken": BROKEN}) as group:
        for name, said in (("broken__x", "no licence"), ("nothing", "There is no tool")):
            answer = await group.answer_for("anthropic", {"id": "1", "name": name, "input": {}})
            assert answer["is_error"] is True
            assert said in json.dumps(answer)
        broken = {"id": "1", "function": {"name": "only_a", "arguments": "{"}}
        assert "no valid JSON" in json.dumps(await group.answer_for("openai-chat", broken))
        with pytest.raises(InvalidCall):
            await group.answer_for("openai", {"name": "only_a", "arguments": "{}"})


class Leaving(Client):
    """A client that never arrives, and takes its time to leave."""

    def __init__(self, steps: int, left: list[int]) -> None:
        super().__init__(HANGING)
        self.steps, self.left = steps, left

    async def connect(self) -> ServerDescription:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(self.steps):
                await asyncio.sleep(0)
            self.left.append(self.steps)
        raise AssertionError


@scene
async def test_a_list_that_is_given_up_lets_each_server_leave() -> None:
    left: list[int] = []
    group = ClientGroup({"a": Leaving(1, left), "b": Leaving(50, left)})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await group.list_tools()
    assert left == [1, 50]


@scene
async def test_a_defect_is_raised_as_it_is_and_leaves_nothing_running(tmp_path: Path) -> None:
    def fail(spec: object) -> str:
        raise RuntimeError("a defect")

    path = tmp_path / "mcp.json"
    asking = {"command": "${input:x}"}
    path.write_text(json.dumps({"inputs": [{"id": "x"}], "servers": {"a": command(HANGING), "b": asking}}))
    async with ClientGroup.from_config(path, ask=fail) as group:
        with pytest.raises(RuntimeError, match="a defect"):
            await group.list_tools()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@scene
async def test_a_list_that_is_given_up_leaves_nothing_running() -> None:
    group = ClientGroup({"a": HANGING, "b": HANGING})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await group.list_tools()
    await group.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
