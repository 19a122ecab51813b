"""Pages: every item once, in one order, whatever comes and goes between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stage import Connect, Dial, Json, in_both_eras, in_every_revision, modern, scene

from mcp_kernel import Server
from mcp_kernel.errors import ProtocolError
from mcp_kernel.server.registry import Cursor, read_cursor, write_cursor
from mcp_kernel.testing.memory import Refused

if TYPE_CHECKING:
    from mcp_kernel.testing.eras import Client

LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
KEYS = {"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}


def add(server: Server, name: str) -> None:
    server.tool(name)(lambda: name)
    server.prompt(name)(lambda: name)
    server.resource(f"a://{name}", name=name)(lambda: name)

    def read(x: str) -> str:
        return x

    server.resource(f"t://{name}/{{x}}", name=name)(read)


def remove(server: Server, name: str) -> None:
    server.tools.remove(name)
    server.prompts.remove(name)
    server.resources.fixed.remove(f"a://{name}")
    server.resources.templates.remove(f"t://{name}/{{x}}")


def make_server(names: str = "abcdefg", page_size: int = 3) -> Server:
    server = Server("s", "1", page_size=page_size)
    for name in names:
        add(server, name)
    return server


def names_of(page: Json, method: str) -> str:
    member = LISTS[method]
    return "".join(item[KEYS[member]].split("//")[-1].split("/")[0] for item in page[member])


@in_every_revision
@pytest.mark.parametrize("method", LISTS)
@scene
async def test_a_list_comes_page_by_page(connect: Connect, revision: str, method: str) -> None:
    async with connect(make_server(), revision) as client:
        pages = [await client.call(method)]
        while "nextCursor" in pages[-1]:
            pages.append(await client.call(method, {"cursor": pages[-1]["nextCursor"]}))
        assert [names_of(page, method) for page in pages] == ["abc", "def", "g"]
        assert len({str(page.get("cacheScope")) for page in pages}) == 1


@pytest.mark.parametrize(("names", "pages"), [("", 1), ("a", 1), ("abc", 1), ("abcd", 2), ("abcdef", 2)])
@pytest.mark.parametrize("method", LISTS)
@scene
async def test_the_last_page_says_that_it_is_the_last(connect: Connect, method: str, names: str, pages: int) -> None:
    async with connect(make_server(names)) as client:
        page, count = await client.call(method), 1
        while "nextCursor" in page:
            page, count = await client.call(method, {"cursor": page["nextCursor"]}), count + 1
        assert count == pages


async def rest_of(client: Client, method: str, page: Json) -> str:
    names = ""
    while "nextCursor" in page:
        page = await client.call(method, {"cursor": page["nextCursor"]})
        names += names_of(page, method)
    return names


@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize(
    ("removed", "added", "expected"),
    [
        ("", "x", "defgx"),
        ("c", "", "defg"),
        ("abc", "", "defg"),
        ("d", "", "efg"),
        ("defg", "", ""),
        ("c", "c", "defgc"),
        ("ceg", "xy", "dfxy"),
    ],
)
@scene
async def test_a_cursor_survives_changes_of_the_list(
    connect: Connect, method: str, removed: str, added: str, expected: str
) -> None:
    server = make_server()
    async with connect(server) as client:
        first = await client.call(method)
        for name in removed:
            remove(server, name)
        for name in added:
            add(server, name)
        assert await rest_of(client, method, first) == expected
        await client.wire.quiet()


@scene
async def test_a_page_shows_the_list_as_it_is_now(connect: Connect) -> None:
    server = make_server("ab", page_size=10)
    async with connect(server) as client:
        for names in ("ab", "abc"):
            assert names_of(await client.call("tools/list"), "tools/list") == names
            if names == "ab":
                add(server, "c")
        remove(server, "a")
        assert names_of(await client.call("tools/list"), "tools/list") == "bc"


# Not base64, base64 of no JSON, and JSON that is no cursor: [], null, [null,""], [1.5,""], ["a",""], [1], [true,""].
BROKEN = [
    "",
    "x",
    "====",
    "bm8=",
    "é",
    "\x00",
    "W10=",
    "bnVsbA==",
    "W251bGwsIiJd",
    "WzEuNSwiIl0=",
    "WyJhIiwiIl0=",
    "WzFd",
    "W3RydWUsIiJd",
    "A" * 10_000,
]


@in_both_eras
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("cursor", BROKEN, ids=[each[:8] or "empty" for each in BROKEN])
@scene
async def test_a_cursor_of_ones_own_making_is_invalid(
    connect: Connect, revision: str, method: str, cursor: str
) -> None:
    async with connect(make_server(), revision) as client:
        with pytest.raises(Refused) as caught:
            await client.call(method, {"cursor": cursor})
        assert caught.value.code == -32602


@pytest.mark.parametrize("cursor", [1, True, [], {}])
@scene
async def test_a_cursor_is_a_string(dial: Dial, cursor: object) -> None:
    async with dial(make_server()) as wire:
        answer: Any = await wire.answer(wire.request("tools/list", modern(cursor=cursor), malformed=True))
        assert answer["error"]["code"] == -32602


@given(st.text(max_size=30))
def test_no_text_but_a_cursor_is_taken_for_one(text: str) -> None:
    with pytest.raises(ProtocolError):
        read_cursor(text)


@given(st.integers(0, 10**9), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_cursor_is_read_as_it_was_written(number: int, uri: str) -> None:
    assert read_cursor(write_cursor(Cursor(number, uri))) == Cursor(number, uri)


@scene
async def test_cursors_from_outside_do_not_make_memory_grow(dial: Dial) -> None:
    server = make_server()
    async with dial(server) as wire:
        for number in range(400):
            await wire.call("tools/list", modern(cursor=write_cursor(Cursor(number=number))))
        assert len(vars(server.tools)["_pages"]) < 300


def with_members(names: list[str], fixed: str = "abcd") -> Server:
    server = make_server(fixed)

    @server.members("t://a/{x}")
    async def members() -> list[dict[str, str]]:
        return [{"x": name} for name in names]

    return server


@in_both_eras
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 7])
@pytest.mark.parametrize("fixed", ["abc", "abcd", "abcde", "abcdef"])
@scene
async def test_members_come_behind_the_fixed_ones_page_by_page(
    connect: Connect, revision: str, fixed: str, count: int
) -> None:
    names = [f"m{number}" for number in range(count)]
    async with connect(with_members(names[::-1], fixed), revision) as client:
        listed = await client.list_all("resources/list", "resources")
        assert [each["uri"] for each in listed] == [f"a://{name}" for name in fixed] + [
            f"t://a/{name}" for name in names
        ]
        page = await client.call("resources/list")
        while "nextCursor" in page:
            assert 0 < len(page["resources"]) <= 3  # pyright: ignore[reportArgumentType]  # a list
            page = await client.call("resources/list", {"cursor": page["nextCursor"]})
        assert page["resources"]


@scene
async def test_members_may_come_and_go_between_pages(connect: Connect) -> None:
    names = ["b", "d", "f", "h"]
    async with connect(with_members(names, "a")) as client:
        first = await client.call("resources/list")
        assert names_of(first, "resources/list") == "aaa"
        names[:] = ["a", "d", "e", "g", "h"]
        listed: list[str] = []
        page = first
        while "nextCursor" in page:
            page = await client.call("resources/list", {"cursor": page["nextCursor"]})
            listed += [each["uri"].rpartition("/")[2] for each in page["resources"]]  # type: ignore[attr-defined, index]  # a list
        assert listed == ["e", "g", "h"]
