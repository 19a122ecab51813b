"""The server in both eras: tools, roots, resources, prompts, completion, word of changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from tests.servers.git.forge import Forge, Repo
from tests.stage import Connect, in_both_eras, scene, text_of

from mcp_kernel.testing.eras import Answerer, Client
from mcp_server_git.server import build

Json = dict[str, Any]
UPDATED = "notifications/resources/updated"
ROOTS: Json = {"roots": {"listChanged": True}}
READING = [
    *("git_status", "git_diff_unstaged", "git_diff_staged", "git_diff", "git_log", "git_show", "git_branch"),
    *("git_blame", "git_grep"),
]
WRITING = ["git_commit", "git_add", "git_reset", "git_create_branch", "git_checkout"]


def give_roots(*paths: Path) -> Answerer:
    def answer(method: str, params: Json) -> Json | None:
        return {"roots": [{"uri": path.as_uri()} for path in paths]} if method == "roots/list" else None

    return answer


@in_both_eras
@scene
async def test_the_tools_are_those_that_the_operator_allows(
    connect: Connect, forge: Forge, repo: Repo, revision: str
) -> None:
    for read_only, names in ((False, [*READING, *WRITING]), (True, READING)):
        async with connect(build(forge.serve(repo, read_only=read_only)), revision) as client:
            tools = cast("list[Json]", await client.list_all("tools/list", "tools"))
            assert [tool["name"] for tool in tools] == names
            for tool in tools:
                hints = cast("Json", tool["annotations"])
                assert hints.keys() == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
                assert hints["readOnlyHint"] == (tool["name"] in READING)
                assert hints["openWorldHint"] is False
                assert "outputSchema" in tool


@in_both_eras
@scene
async def test_a_call_answers_with_text_and_data(connect: Connect, forge: Forge, repo: Repo, revision: str) -> None:
    repo.write("a.txt", "changed\n")
    async with connect(build(forge.serve(repo)), revision) as client:
        result = await client.call_tool("git_status", {"repo_path": str(repo.path)})
        structured = cast("Json", result["structuredContent"])
        assert structured["unstaged"] == [{"path": "a.txt", "change": "modified", "old_path": None}]
        assert text_of(result).startswith("Repository status:\nOn branch main\n")
        refused = await client.call_tool("git_show", {"revision": "nothing"})
        assert refused["isError"] is True
        assert "git_branch lists the branches" in text_of(refused)


@in_both_eras
@scene
async def test_without_repository_and_roots_every_call_is_refused(
    connect: Connect, forge: Forge, repo: Repo, revision: str
) -> None:
    server = build(forge.serve())
    for capabilities in ({}, ROOTS):
        async with connect(server, revision, capabilities=capabilities, answer=give_roots()) as client:
            result = await client.call_tool("git_status", {"repo_path": str(repo.path)})
            assert result["isError"] is True
            assert "--repository PATH" in text_of(result)
            assert "its roots" in text_of(result)


@in_both_eras
@scene
async def test_roots_allow_where_the_command_line_is_silent(
    connect: Connect, forge: Forge, repo: Repo, revision: str
) -> None:
    other = forge.make("other")
    server = build(forge.serve())
    async with connect(server, revision, capabilities=ROOTS, answer=give_roots(repo.path)) as client:
        assert "isError" not in await client.call_tool("git_status")
        assert "isError" in await client.call_tool("git_status", {"repo_path": str(other.path)})
    inner = repo.path / "inner"
    inner.mkdir()
    async with connect(server, revision, capabilities=ROOTS, answer=give_roots(inner)) as client:
        assert "isError" in await client.call_tool("git_status")


@in_both_eras
@scene
async def test_roots_narrow_the_command_line_and_never_widen_it(
    connect: Connect, forge: Forge, repo: Repo, revision: str
) -> None:
    other, third = forge.make("other"), forge.make("third")
    server = build(forge.serve(repo, other))
    paths = {name: {"repo_path": str(each.path)} for name, each in (("repo", repo), ("other", other), ("third", third))}
    async with connect(server, revision, capabilities=ROOTS, answer=give_roots(other.path, third.path)) as client:
        said = {name: await client.call_tool("git_status", arguments) for name, arguments in paths.items()}
        assert [name for name, each in said.items() if "isError" not in each] == ["other"]
        assert "isError" not in await client.call_tool("git_status")
    async with connect(server, revision, capabilities=ROOTS, answer=give_roots(third.path)) as client:
        assert "nothing in common" in text_of(await client.call_tool("git_status", paths["repo"]))
    async with connect(server, revision, capabilities=ROOTS, answer=give_roots()) as client:
        assert "isError" not in await client.call_tool("git_status", paths["repo"])


@in_both_eras
@pytest.mark.parametrize("kind", ["worktree", "clone that borrows"])
@scene
async def test_roots_must_hold_every_place_that_a_repository_is_read_from(
    connect: Connect, forge: Forge, repo: Repo, revision: str, kind: str
) -> None:
    inner = forge.folder / "inner"
    if kind == "worktree":
        repo.git("worktree", "add", "--quiet", "-b", "side", str(inner))
    else:
        repo.git("clone", "--quiet", "--shared", str(repo.path), str(inner))
    server = build(forge.serve(repo, inner))
    asked = {"repo_path": str(inner)}
    async with connect(server, revision, capabilities=ROOTS, answer=give_roots(inner)) as client:
        said = await client.call_tool("git_log", asked)
        assert str(repo.path / ".git") in text_of(said)
        assert "outside of the client's roots" in text_of(said)
        assert "isError" in said
    for roots in ([inner, repo.path], [forge.folder], []):
        async with connect(server, revision, capabilities=ROOTS, answer=give_roots(*roots)) as client:
            assert "second" in text_of(await client.call_tool("git_log", asked))


async def read(client: Client, uri: str) -> Json:
    (contents,) = cast("Json", await client.call("resources/read", {"uri": uri}))["contents"]
    return contents


@in_both_eras
@scene
async def test_files_are_read_at_any_revision(connect: Connect, forge: Forge, repo: Repo, revision: str) -> None:
    repo.write("sub dir/b.bin", b"\0\xff")
    repo.commit("third")
    repo.git("branch", "feature/x", "HEAD~2")
    repo.write("a.txt", "staged\n")
    repo.git("add", "a.txt")
    uris = {
        "git://repo/HEAD/a.txt": "one\ntwo\n",
        "git://repo/feature%2Fx/a.txt": "one\n",
        "git://repo/INDEX/a.txt": "staged\n",
    }
    async with connect(build(forge.serve(repo)), revision) as client:
        for uri, text in uris.items():
            contents = await read(client, uri)
            assert (contents["uri"], contents["text"]) == (uri, text)
        assert (await read(client, "git://repo/HEAD/sub%20dir/b.bin"))["blob"] == "AP8="
        for uri in ("git://repo/HEAD/none", "git://other/HEAD/a.txt", "git://repo/none/a.txt", "git://repo/INDEX/none"):
            with pytest.raises(Exception, match="not found"):
                await client.call("resources/read", {"uri": uri})


@in_both_eras
@scene
async def test_prompts_hold_what_they_are_about(connect: Connect, forge: Forge, repo: Repo, revision: str) -> None:
    repo.git("tag", "v1", "HEAD~1")
    repo.write("a.txt", "staged\n")
    repo.git("add", "a.txt")
    async with connect(build(forge.serve(repo)), revision) as client:
        listed = cast("list[Json]", await client.list_all("prompts/list", "prompts"))
        prompts = {each["name"]: each for each in listed}
        arguments = [(each["name"], each["required"]) for each in prompts["changelog"]["arguments"]]
        assert arguments == [("from", True), ("to", False), ("repo_path", False)]
        for name, given, expected in (
            ("commit-message", {}, "+staged"),
            ("review-diff", {"target": "HEAD~1"}, "+staged"),
            ("changelog", {"from": "v1", "to": "HEAD"}, "Message: second"),
        ):
            got = cast("Json", await client.call("prompts/get", {"name": name, "arguments": given}))
            text = got["messages"][0]["content"]["text"]
            assert expected in text
            assert "Message: first" not in text or name != "changelog"


@in_both_eras
@scene
async def test_addresses_are_completed(connect: Connect, forge: Forge, repo: Repo, revision: str) -> None:
    repo.write("d/e.txt")
    repo.commit("deeper")
    template = {"type": "ref/resource", "uri": "git://{repo}/{revision}/{+path}"}

    async with connect(build(forge.serve(repo)), revision) as client:

        async def complete(name: str, value: str, **known: str) -> list[str]:
            argument = {"name": name, "value": value}
            params: Json = {"ref": template, "argument": argument, "context": {"arguments": known}}
            return cast("Json", await client.call("completion/complete", params))["completion"]["values"]

        assert await complete("repo", "re") == ["repo"]
        assert await complete("revision", "m", repo="repo") == ["main"]
        assert await complete("path", "", repo="repo", revision="HEAD") == ["a.txt", "b.txt", "d/"]
        assert await complete("path", "d/", repo="repo", revision="HEAD") == ["d/e.txt"]
        assert await complete("path", "", repo="none") == []


@in_both_eras
@scene
async def test_a_subscriber_hears_of_what_changed_and_of_nothing_else(
    connect: Connect, forge: Forge, repo: Repo, revision: str
) -> None:
    uris = ["git://repo/HEAD/a.txt", "git://repo/HEAD/b.txt", "git://repo/INDEX/a.txt"]
    async with connect(build(forge.serve(repo)), revision) as client:
        await client.subscribe(*uris)
        told = await change_until_heard(client, repo)
        assert told == uris[2]
        await asyncio.to_thread(repo.git, "commit", "-qm", "third")
        assert cast("Json", await client.wire.notification(UPDATED))["params"]["uri"] == uris[0]
        assert await client.wire.quiet() == []


@in_both_eras
@scene
async def test_a_subscriber_hears_of_what_changes_at_once(
    connect: Connect, forge: Forge, repo: Repo, revision: str
) -> None:
    async with connect(build(forge.serve(repo)), revision) as client:
        await client.subscribe("git://repo/INDEX/a.txt")
        await change_until_heard(client, repo)  # the watcher runs now, and has just looked
        await client.subscribe("git://repo/INDEX/b.txt")
        repo.write("b.txt", "changed at once\n")
        repo.git("add", "b.txt")
        heard = ""
        while heard != "git://repo/INDEX/b.txt":
            heard = cast("Json", await client.wire.notification(UPDATED))["params"]["uri"]


async def change_until_heard(client: Client, repo: Repo) -> str:
    """Stage one change after the other until the watcher, which begins at some time, has seen one."""
    hearing = asyncio.ensure_future(client.wire.notification(UPDATED))
    for number in range(20):
        repo.write("a.txt", f"changed {number}\n")
        await asyncio.to_thread(repo.git, "add", "a.txt")
        await asyncio.wait([hearing], timeout=0.5)
        if hearing.done():
            break
    return str(cast("Json", await hearing)["params"]["uri"])
