"""Every tool over real stdio, in both eras: what hosts and models see of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.servers.filesystem.conftest import CANARY
from tests.servers.filesystem.desk import SERVER, Desk
from tests.transports.host import Host

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
WRITERS = {"write_file", "edit_file", "create_directory", "move_file"}


def test_every_tool_sends_its_hints_and_only_texts_have_no_schema(desk: Desk) -> None:
    tools = {tool["name"]: tool for tool in desk.request("tools/list")["tools"]}
    assert len(tools) == 15
    for name, tool in tools.items():
        hints = tool["annotations"]
        assert hints.keys() == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert hints["readOnlyHint"] is (name not in WRITERS)
        assert hints["openWorldHint"] is False
    loose = {name for name, tool in tools.items() if "outputSchema" not in tool}
    assert loose == {"read_text_file", "read_file", "read_multiple_files", "read_media_file", "directory_tree"}


def test_a_text_is_read_whole_and_by_lines(desk: Desk) -> None:
    content, remark = desk.texts("read_text_file", path="a.txt")
    assert content == "one\ntwo\nthree\n"
    assert remark.startswith("[etag ")
    assert desk.text("read_text_file", path="a.txt", head=2) == "one\ntwo"
    assert desk.text("read_text_file", path="a.txt", tail=2) == "two\nthree"
    assert desk.text("read_text_file", path="a.txt", offset=2, limit=1) == "two"
    assert desk.text("read_file", path="a.txt", tail=1) == "three"
    assert "simultaneously" in desk.refusal("read_text_file", path="a.txt", head=1, tail=1)
    assert "no line 9" in desk.refusal("read_text_file", path="a.txt", offset=9)


def test_several_files_are_read_and_the_missing_say_so(desk: Desk, served: Path) -> None:
    text = desk.text("read_multiple_files", paths=["a.txt", "nothing", str(served / "inner" / "b.txt")])
    first, second, third = text.split("\n---\n")
    assert first.startswith("a.txt:\none\n")
    assert second.startswith("nothing: Error - ")
    assert "inside" in third


def test_media_come_as_what_they_are(desk: Desk, served: Path) -> None:
    (served / "p.png").write_bytes(PNG)
    (served / "s.wav").write_bytes(b"RIFF0000WAVE")
    (served / "z.zip").write_bytes(b"PK\3\4\0")
    (image,) = desk.call("read_media_file", path="p.png")["content"]
    assert (image["type"], image["mimeType"]) == ("image", "image/png")
    assert base64.b64decode(image["data"]) == PNG
    assert desk.call("read_media_file", path="s.wav")["content"][0]["type"] == "audio"
    resource = desk.call("read_media_file", path="z.zip")["content"][0]["resource"]
    assert resource["uri"] == (served / "z.zip").as_uri()
    assert "read_media_file" in desk.refusal("read_text_file", path="z.zip")


def test_directories_are_listed_in_the_known_form(desk: Desk, served: Path) -> None:
    (served / ".env").write_text(CANARY)
    assert desk.text("list_directory", path=str(served)) == "[DENIED] .env\n[FILE] a.txt\n[DIR] inner"
    sized = desk.text("list_directory_with_sizes", path=".", sortBy="size").splitlines()
    assert sized[0] == f"[FILE] {'a.txt'.ljust(30)} {'14 B'.rjust(10)}"
    assert "Total: 2 files, 1 directories" in sized
    assert desk.text("list_allowed_directories") == f"Allowed directories:\n{served}"
    info = desk.data("get_file_info", path="a.txt")
    mode = (served / "a.txt").stat().st_mode & 0o777
    assert (info["size"], info["type"], info["permissions"]) == (14, "file", f"{mode:o}")


def test_a_tree_is_json_as_other_servers_draw_it(desk: Desk, served: Path) -> None:
    (served / "empty").mkdir()
    (served / 'quo"te.txt').touch()
    text = desk.text("directory_tree", path=".")
    tree = json.loads(text)
    assert [entry["name"] for entry in tree] == ["a.txt", "empty", "inner", 'quo"te.txt']
    assert tree[1] == {"name": "empty", "type": "directory", "children": []}
    assert tree[2]["children"] == [{"name": "b.txt", "type": "file"}]
    assert text == json.dumps(tree, indent=2)
    assert [
        entry["name"] for entry in json.loads(desk.text("directory_tree", path=".", excludePatterns=["inner"]))
    ] == [
        "a.txt",
        "empty",
        'quo"te.txt',
    ]


def test_files_are_written_edited_and_moved(desk: Desk, served: Path) -> None:
    assert "create_directory" in desk.refusal("write_file", path="new/c.txt", content="x")
    assert desk.text("create_directory", path="new/deep").startswith("Successfully created directory")
    assert "is a served directory itself" in desk.refusal("write_file", path=str(served), content="x")
    assert "is empty" in desk.refusal("write_file", path="", content="x")
    written = desk.data("write_file", path="new/c.txt", content="red\ngreen\n")
    assert written["created"] is True
    assert written["etag"] in desk.texts("read_text_file", path="new/c.txt")[1]
    edited = desk.text("edit_file", path="new/c.txt", edits=[{"oldText": "green", "newText": "blue"}])
    assert edited.startswith("```diff\n")
    assert "-green\n+blue\n" in edited
    assert desk.text("move_file", source="new/c.txt", destination="d.txt") == "Successfully moved new/c.txt to d.txt"
    assert (served / "d.txt").read_text() == "red\nblue\n"
    assert "already exists" in desk.refusal("move_file", source="a.txt", destination="d.txt")


def test_names_and_contents_are_found(desk: Desk, served: Path) -> None:
    assert desk.data("search_files", path=".", pattern="**/*.txt")["matches"] == [
        str(served / "a.txt"),
        str(served / "inner" / "b.txt"),
    ]
    assert desk.text("search_files", path=".", pattern="zzz").startswith("No matches found")
    (match,) = desk.data("search_file_contents", query="inside")["matches"]
    assert (match["path"], match["line"], match["text"]) == (str(served / "inner" / "b.txt"), 1, "inside")
    (match,) = desk.data("search_file_contents", query="^t.o$", regex=True, context=1, path="a.txt")["matches"]
    assert (match["before"], match["text"], match["after"]) == (["one"], "two", ["three"])
    assert "not valid" in desk.refusal("search_file_contents", query="(", regex=True)


def test_resources_are_listed_read_and_refused(desk: Desk, served: Path) -> None:
    assert served.as_uri() in [each["uri"] for each in desk.request("resources/list")["resources"]]
    (contents,) = desk.request("resources/read", uri=(served / "a.txt").as_uri())["contents"]
    assert (contents["text"], contents["mimeType"]) == ("one\ntwo\nthree\n", "text/plain")
    (contents,) = desk.request("resources/read", uri=served.as_uri())["contents"]
    assert "[DIR] inner" in contents["text"]
    for uri in (served / "none.txt").as_uri(), "file:///etc/passwd", "file://elsewhere/etc/passwd":
        assert desk.error("resources/read", uri=uri)["code"] == (-32602 if desk.extra else -32002)


def test_paths_are_completed(desk: Desk, served: Path) -> None:
    def complete(value: str) -> list[str]:
        reference = {"type": "ref/resource", "uri": "file://{+path}"}
        found = desk.request("completion/complete", ref=reference, argument={"name": "path", "value": value})
        values: list[str] = found["completion"]["values"]
        return values

    assert complete("") == [f"{served}/"]
    assert complete(f"{served}/in") == [f"{served}/inner/"]
    assert complete(f"{served.parent}/outside/s") == []


def test_read_only_offers_nothing_that_writes(served: Path) -> None:
    with Host([*SERVER, str(served), "--read-only"]) as host:
        names = {tool["name"] for tool in Desk(host.open(), "legacy").request("tools/list")["tools"]}
    assert not names & WRITERS
    assert len(names) == 11


def test_a_directory_may_be_for_reading_only(served: Path, tmp_path: Path) -> None:
    with Host([*SERVER, str(tmp_path / "outside"), f"{served}:ro"]) as host:
        desk = Desk(host.open(), "legacy")
        assert "reading only" in desk.refusal("write_file", path=str(served / "a.txt"), content="x")
        assert "reading only" in desk.refusal("move_file", source=str(served / "a.txt"), destination="a.txt")
        assert desk.text("read_text_file", path=str(served / "a.txt")).startswith("one")
        desk.data("write_file", path="fine.txt", content="x")
