"""The confinement of Windows, on Windows: paths, handles, links, and the server as a process."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Generator
from importlib import import_module
from pathlib import Path

import pytest
from tests.servers.filesystem.conftest import CANARY, open_scope

from mcp_server_filesystem.confinement import Scope
from mcp_server_filesystem.editing import Edit
from mcp_server_filesystem.errand import Errand
from mcp_server_filesystem.lines import Wish
from mcp_server_filesystem.listing import describe, draw_tree, list_folder
from mcp_server_filesystem.moving import move
from mcp_server_filesystem.reading import read_text
from mcp_server_filesystem.refusals import Denied, NotThere, Outside, Refusal
from mcp_server_filesystem.sandbox import Directory, Policy, Sandbox
from mcp_server_filesystem.searching import Query, search_contents
from mcp_server_filesystem.walking import Bounds
from mcp_server_filesystem.writing import Mode, edit_text, make_folders, write_text

pytestmark = [
    pytest.mark.windows,
    pytest.mark.skipif(sys.platform != "win32", reason="Windows alone has these paths"),
]


@pytest.fixture
def scope(served: Path) -> Generator[Scope]:
    with open_scope(served) as scope:
        yield scope


def read(scope: Scope, path: str | Path) -> str:
    return read_text(scope, str(path), Wish(), 0, Errand()).content


def write(scope: Scope, path: str | Path, text: str = "x", mode: Mode = "overwrite") -> None:
    write_text(Sandbox([], Policy()), scope, str(path), text, (mode, None))


def make_junction(link: Path, target: Path) -> None:
    """Make a junction, for which no privilege is needed."""
    try:
        import_module("_winapi").CreateJunction(str(target), str(link))
    except OSError as error:
        pytest.skip(f"this system makes no junctions: {error}")


def make_symlink(link: Path, target: Path | str) -> None:
    """Make a symbolic link, for which developer mode or a privilege is needed."""
    try:
        link.symlink_to(target, target_is_directory=(link.parent / target).is_dir())
    except OSError as error:
        pytest.skip(f"this user makes no symbolic links: {error}")
    if not link.is_symlink():
        pytest.skip("this system only seems to make symbolic links")


MAKERS = {"junction": make_junction, "symlink": make_symlink}


def test_files_are_read_by_every_way_of_writing_their_path(scope: Scope, served: Path) -> None:
    for path in ("a.txt", "A.TXT", "inner\\..\\a.txt", served / "a.txt", str(served).upper() + "\\a.txt"):
        assert read(scope, path).replace("\r", "") == "one\ntwo\nthree\n"
    assert read(scope, "/" + str(served / "inner" / "b.txt").replace("\\", "/")).replace("\r", "") == "inside\n"


def test_what_lies_outside_is_refused_whether_it_is_there_or_not(scope: Scope, served: Path) -> None:
    secret = served.parent / "outside" / "secret.txt"
    (served.parent / "served-evil").mkdir()
    for path in ("..\\outside\\secret.txt", secret, served.parent / "served-evil" / "x", "C:\\Windows\\win.ini"):
        for _ in range(2):
            with pytest.raises(Outside):
                read(scope, path)
            with pytest.raises(Outside):
                write(scope, path)
            secret.unlink(missing_ok=True)
        secret.write_text(CANARY)


BAD = [
    "a.txt:s",
    "a.txt::$DATA",
    "a.txt.",
    "a.txt ",
    "NUL",
    "con.txt",
    "C:a.txt",
    "\\\\localhost\\c$\\x",
    "\\\\?\\C:\\x",
    "\\x",
]


@pytest.mark.parametrize("path", BAD)
def test_a_name_that_means_something_else_is_neither_read_nor_made(scope: Scope, served: Path, path: str) -> None:
    before = sorted(each.name for each in served.iterdir())
    with pytest.raises(Refusal):
        read(scope, path)
    with pytest.raises(Refusal):
        write(scope, path)
    with pytest.raises(Refusal):
        make_folders(scope, path)
    with pytest.raises(Refusal):
        move(scope, "a.txt", path, Errand())
    assert sorted(each.name for each in served.iterdir()) == before


@pytest.mark.parametrize("kind", MAKERS)
def test_a_link_that_leads_out_is_not_followed(scope: Scope, served: Path, kind: str) -> None:
    outside = served.parent / "outside"
    MAKERS[kind](served / "out", outside)
    assert [entry.type for entry in list_folder(scope, ".").entries if entry.name == "out"] == ["symlink"]
    for act in (read, write):
        with pytest.raises(Outside):
            act(scope, "out\\secret.txt")
        with pytest.raises(Outside):
            act(scope, "out\\new.txt")
    with pytest.raises(Outside):
        move(scope, "a.txt", "out\\a.txt", Errand())
    assert [each.name for each in outside.iterdir()] == ["secret.txt"]
    assert CANARY not in str(draw_tree(scope, ".", Bounds(), 0, Errand()))
    found = search_contents(scope, ".", Query(CANARY, False, (), 0, 10), Bounds(), Errand())
    assert found.matches == []


@pytest.mark.parametrize("kind", MAKERS)
def test_a_link_that_stays_inside_works(scope: Scope, served: Path, kind: str) -> None:
    MAKERS[kind](served / "in", served / "inner")
    assert read(scope, "in\\b.txt").replace("\r", "") == "inside\n"
    write(scope, "in\\b.txt", "new\n")
    assert (served / "inner" / "b.txt").read_bytes().replace(b"\r", b"") == b"new\n"
    (served / ".ssh").mkdir()
    (served / ".ssh" / "id").write_text(CANARY)
    MAKERS[kind](served / "innocent", served / ".ssh")
    with pytest.raises(Denied):
        read(scope, "innocent\\id")


def test_a_secret_is_denied_under_its_short_name_too(scope: Scope, served: Path) -> None:
    (served / ".env.production").write_text(CANARY)
    for path in (".env.production", ".ENV.Production", ".EnV.pRoDuCtIoN"):
        with pytest.raises(Denied):
            read(scope, path)
    buffer = ctypes.create_unicode_buffer(300)
    asked = str(served / ".env.production")
    ctypes.CDLL("kernel32").GetShortPathNameW(ctypes.c_wchar_p(asked), buffer, ctypes.c_uint32(300))
    short = buffer.value.rpartition("\\")[2]
    if short.lower() == ".env.production":
        pytest.skip("this volume keeps no short names")
    with pytest.raises(Denied):
        read(scope, short)
    with pytest.raises(Denied):
        write(scope, short)


def test_writing_is_whole_and_keeps_what_it_should(scope: Scope, served: Path) -> None:
    (served / "crlf.txt").write_bytes(b"one\r\ntwo\r\n")
    write(scope, "crlf.txt", "uno\ndos\n")
    assert (served / "crlf.txt").read_bytes() == b"uno\r\ndos\r\n"
    write(scope, "new.txt", "x", "create")
    with pytest.raises(Refusal, match="exists already"):
        write(scope, "NEW.TXT", "y", "create")
    edit_text(Sandbox([], Policy()), scope, "new.txt", [Edit("x", "z")], (False, None))
    assert (served / "new.txt").read_bytes() == b"z"
    assert not list(served.glob("*.tmp"))
    assert make_folders(scope, "deep\\er/est").created
    assert describe(scope, "deep\\er").type == "directory"


def test_moving_overwrites_nothing(scope: Scope, served: Path) -> None:
    with pytest.raises(Refusal, match="already exists"):
        move(scope, "a.txt", "inner\\b.txt", Errand())
    with pytest.raises(Refusal, match="already exists"):
        move(scope, "a.txt", "A.TXT", Errand())
    with pytest.raises(NotThere):
        move(scope, "absent", "x", Errand())
    move(scope, "inner", "moved", Errand())
    move(scope, "a.txt", "moved\\a.txt", Errand())
    assert sorted(each.name for each in (served / "moved").iterdir()) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("query", ["ins.de", "inside"])
def test_contents_are_searched(scope: Scope, served: Path, query: str) -> None:
    found = search_contents(scope, ".", Query(query, "." in query, (), 0, 10), Bounds(), Errand())
    assert [each.path for each in found.matches] == [str(served / "inner" / "b.txt")]


def test_a_runaway_expression_is_ended(scope: Scope, served: Path) -> None:
    (served / "slow.txt").write_text("a" * 60 + "!")
    found = search_contents(scope, "slow.txt", Query("(a*)*b", True, (), 0, 10), Bounds(), Errand())
    assert found.truncated


def test_the_server_answers_as_a_process_and_ends_with_its_input(served: Path) -> None:
    line = (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_text_file","arguments":{"path":"a.txt"},'
        '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
        '"io.modelcontextprotocol/clientCapabilities":{}}}}\n'
    )
    words = [sys.executable, "-m", "mcp_server_filesystem", str(served)]
    done = subprocess.run(words, input=line, capture_output=True, text=True, timeout=60, check=False)
    assert '"one\\ntwo\\nthree\\n"' in done.stdout.replace("\\r", ""), done.stderr
    assert done.returncode == 0


def test_a_network_directory_is_not_served() -> None:
    sandbox = Sandbox([Directory(Path("\\\\localhost\\share"))], Policy())
    assert "network" in str(sandbox.problem())
