"""Resources: fixed and by template, what they hold, and what is said of one that is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.stage import MODERN, Connect, Dial, Json, in_both_eras, in_every_revision, modern, scene

from mcp_kernel import EmbeddedResource, Server, ToolError
from mcp_kernel.testing.memory import Refused


@dataclass
class Note:
    text: str

    def __str__(self) -> str:
        return f"Note: {self.text}"


def make_server() -> Server:
    server = Server("s", "1")

    @server.resource("note://all", name="notes", title="All notes", mime_type="text/markdown")
    def every_note() -> str:
        """Every note."""
        return "# Notes"

    @server.resource("note://picture")
    async def picture() -> bytes:
        return b"\x89PNG"

    @server.resource("note://data")
    async def data() -> dict[str, object]:
        return {"a": [1, None]}

    @server.resource("note://said")
    async def said() -> Note:
        return Note("x")

    @server.resource("note://parts")
    async def parts() -> list[EmbeddedResource]:
        return [EmbeddedResource("note://1", "one", "text/plain"), EmbeddedResource("note://2", b"two")]

    @server.resource("note://{id}/lines{?first,last}", title="Some lines")
    async def lines(id: str, first: int = 1, last: int = 9) -> str:
        """Lines of a note."""
        return f"{id} {first}-{last}"

    @server.resource("file://{+path}")
    async def file(path: str) -> str:
        if path == "/gone":
            raise ToolError("It was here a moment ago.")
        return path

    return server


async def read(connect: Connect, uri: str, revision: str = MODERN) -> list[Json]:
    async with connect(make_server(), revision) as client:
        result: Any = await client.call("resources/read", {"uri": uri})
        return list(result["contents"])


CONTENTS: list[tuple[str, list[Json]]] = [
    ("note://all", [{"uri": "note://all", "mimeType": "text/markdown", "text": "# Notes"}]),
    ("note://picture", [{"uri": "note://picture", "mimeType": "application/octet-stream", "blob": "iVBORw=="}]),
    ("note://data", [{"uri": "note://data", "mimeType": "application/json", "text": '{"a":[1,null]}'}]),
    ("note://said", [{"uri": "note://said", "mimeType": "text/plain", "text": "Note: x"}]),
    (
        "note://parts",
        [{"uri": "note://1", "mimeType": "text/plain", "text": "one"}, {"uri": "note://2", "blob": "dHdv"}],
    ),
    ("note://7/lines", [{"uri": "note://7/lines", "mimeType": "text/plain", "text": "7 1-9"}]),
    ("note://7/lines?last=3", [{"uri": "note://7/lines?last=3", "mimeType": "text/plain", "text": "7 1-3"}]),
    ("note://a%2Fb/lines", [{"uri": "note://a%2Fb/lines", "mimeType": "text/plain", "text": "a/b 1-9"}]),
    ("file:///a/b%20c", [{"uri": "file:///a/b%20c", "mimeType": "text/plain", "text": "/a/b c"}]),
]


@in_every_revision
@pytest.mark.parametrize(("uri", "contents"), CONTENTS, ids=[uri for uri, _ in CONTENTS])
@scene
async def test_a_resource_is_read(connect: Connect, revision: str, uri: str, contents: list[Json]) -> None:
    assert await read(connect, uri, revision) == contents


@in_every_revision
@pytest.mark.parametrize("uri", ["note://none/at/all", "note://ALL", "http://x", "note://all#x", "x:"])
@scene
async def test_what_is_not_there_is_said_in_the_words_of_the_era(connect: Connect, revision: str, uri: str) -> None:
    async with connect(make_server(), revision) as client:
        with pytest.raises(Refused) as caught:
            await client.call("resources/read", {"uri": uri})
        assert caught.value.code == (-32602 if revision == MODERN else -32002)
        assert caught.value.data == {"uri": uri}


@pytest.mark.parametrize("uri", ["", "note", "\x00", "%", "a:%zz", "n" * 100_000])
@scene
async def test_what_is_no_uri_is_not_there_either(dial: Dial, uri: str) -> None:
    async with dial(make_server()) as wire:
        answer: Any = await wire.answer(wire.request("resources/read", modern(uri=uri), malformed=True))
        assert answer["error"]["code"] == -32602


@in_both_eras
@scene
async def test_a_variable_that_does_not_fit_names_no_resource(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision) as client:
        with pytest.raises(Refused, match="first: expected an integer") as caught:
            await client.call("resources/read", {"uri": "note://7/lines?first=one"})
        assert caught.value.code == (-32602 if revision == "2026-07-28" else -32002)  # no such resource


@in_both_eras
@scene
async def test_an_error_of_a_resource_is_told(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision) as client:
        with pytest.raises(Refused, match="a moment ago"):
            await client.call("resources/read", {"uri": "file:///gone"})


@in_every_revision
@scene
async def test_the_lists_describe_resources_and_templates(connect: Connect, revision: str) -> None:
    async with connect(make_server(), revision) as client:
        resources = await client.list_all("resources/list", "resources")
        described = {"uri": "note://all", "name": "notes", "description": "Every note.", "mimeType": "text/markdown"}
        title = {"title": "All notes"} if revision >= "2025-06-18" else {}
        assert resources[0] == {**described, **title}
        assert [each["uri"] for each in resources][1:] == [
            "note://picture",
            "note://data",
            "note://said",
            "note://parts",
        ]
        templates = await client.list_all("resources/templates/list", "resourceTemplates")
        assert [each["uriTemplate"] for each in templates] == ["note://{id}/lines{?first,last}", "file://{+path}"]
        assert ("title" in templates[0]) == (revision >= "2025-06-18")


@scene
async def test_the_closest_template_reads(connect: Connect) -> None:
    server = Server("s", "1")
    server.resource("t://{+rest}", name="any")(_named("any", "rest"))
    server.resource("t://a/{b}", name="closer")(_named("closer", "b"))
    server.resource("t://a/b", name="exact")(_named("exact"))
    async with connect(server) as client:
        for uri, name in (("t://a/b", "exact"), ("t://a/c", "closer"), ("t://c/d/e", "any")):
            result: Any = await client.call("resources/read", {"uri": uri})
            assert result["contents"][0]["text"] == name


def _named(name: str, variable: str | None = None) -> Any:
    def read() -> str:
        return name

    def read_rest(rest: str) -> str:
        return name

    def read_b(b: str) -> str:
        return name

    return {None: read, "rest": read_rest, "b": read_b}[variable]


def test_a_template_that_cannot_be_served_is_refused_when_it_is_declared() -> None:
    server = Server("s", "1")

    def read(id: str) -> str:
        return id

    with pytest.raises(TypeError, match="other"):
        server.resource("n://{other}")(read)
    with pytest.raises(ValueError, match="cannot be read"):
        server.resource("n://{id:3}")(read)
    server.resource("n://{id}")(read)
    with pytest.raises(ValueError, match="registered already"):
        server.resource("n://{id}")(read)


@in_every_revision
@scene
async def test_the_members_of_a_template_stand_in_the_list(connect: Connect, revision: str) -> None:
    server = make_server()
    names = ["b", "a c", "é"]

    @server.members("note://{id}/lines{?first,last}")
    async def members() -> list[dict[str, str]]:
        return [{"id": name} for name in names]

    async with connect(server, revision) as client:
        uris = [each["uri"] for each in await client.list_all("resources/list", "resources")][5:]
        assert uris == ["note://%C3%A9/lines", "note://a%20c/lines", "note://b/lines"]
        for uri in uris:
            assert "contents" in await client.call("resources/read", {"uri": uri})


@in_both_eras
@scene
async def test_a_handler_may_say_that_there_is_no_such_resource(connect: Connect, revision: str) -> None:
    from mcp_kernel.errors import ResourceNotFound

    server = Server("s", "1")

    @server.resource("note://{id}")
    async def note(id: str) -> str:
        raise ResourceNotFound(f"note://{id}")

    async with connect(server, revision) as client:
        with pytest.raises(Refused) as caught:
            await client.call("resources/read", {"uri": "note://7"})
        assert caught.value.code == (-32602 if revision == MODERN else -32002)
        assert caught.value.data == {"uri": "note://7"}
