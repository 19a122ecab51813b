"""What Windows would make of a name, decided without Windows: so these tests run everywhere."""

from __future__ import annotations

import operator
import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server_filesystem import windows, windows_calls
from mcp_server_filesystem.windows import read_entries
from mcp_server_filesystem.windows_names import (
    MOUNT_POINT,
    NOWHERE,
    SYMLINK,
    BadName,
    check_name,
    read_final_path,
    read_path,
    read_reparse_point,
    write_path,
)

PATHS = {
    "C:\\Users\\me\\a.txt": "/C:/Users/me/a.txt",
    "c:/Users/me": "/C:/Users/me",
    "/c:/Users/me": "/C:/Users/me",  # of a file URI
    "C:\\": "/C:/",
    "a\\b/c": "a/b/c",
    "..\\x": "../x",
    ".": ".",
    ".env": ".env",
    "con\N{LATIN SMALL LETTER E WITH ACUTE}": "con\N{LATIN SMALL LETTER E WITH ACUTE}",
    "console.txt": "console.txt",
    "com10": "com10",
    "PROGRA~1": "PROGRA~1",
}
BAD = [
    "\\\\server\\share\\x",
    "//server/share/x",
    "\\\\?\\C:\\x",
    "\\\\.\\PhysicalDrive0",
    "\\??\\C:\\x",
    "\\Windows",
    "/etc/passwd",
    "C:",
    "C:x",
    "D:..\\x",
    "a.txt:stream",
    "a.txt::$DATA",
    "inner:$I30:$INDEX_ALLOCATION",
    "C:\\a:b",
    "a.txt.",
    "a.txt ",
    "a. . ",
    "...",
    "inner \\a.txt",
    "NUL",
    "nul.txt",
    "NUL .txt",
    "C:\\x\\con",
    "CONIN$",
    "aux/a.txt",
    "LPT1",
    "com¹.log",
    "a\tb",
    "a\x00b",
    "a*b",
    "a?b",
    'a"b',
    "a<b",
    "a|b",
]


@pytest.mark.parametrize(("path", "inside"), PATHS.items())
def test_a_path_is_read_as_windows_means_it(path: str, inside: str) -> None:
    assert read_path(path) == inside


@pytest.mark.parametrize("path", BAD)
def test_what_windows_would_take_for_something_else_is_refused(path: str) -> None:
    with pytest.raises(BadName):
        read_path(path)


@given(st.text(max_size=20))
def test_a_name_that_is_admitted_means_itself(name: str) -> None:
    try:
        check_name(name)
    except BadName:
        return
    assert name not in ("", ".", "..")
    assert not set(name) & set('\\/:*?"<>|')
    assert name == name.rstrip(" .")
    assert read_path(f"C:\\{name}") == f"/C:/{name}"


FINAL = {
    "\\\\?\\C:\\Users\\me": "/C:/Users/me",
    "\\\\?\\c:\\x\\": "/C:/x",
    "\\\\?\\C:\\": "/C:",
    "\\\\?\\UNC\\server\\share\\x": None,
    "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\x": None,
    "C:\\x": None,
    "": None,
}


@pytest.mark.parametrize(("path", "inside"), FINAL.items())
def test_the_final_path_of_a_handle_is_read(path: str, inside: str | None) -> None:
    assert read_final_path(path) == inside


def test_a_path_is_shown_as_windows_writes_it() -> None:
    assert write_path("/C:/Users/me") == "C:\\Users\\me"
    assert write_path("/C:/") == write_path("/C:") == "C:\\"
    assert write_path("a/b") == "a/b"


def make_link(tag: int, target: str, flags: int = 0) -> bytes:
    """Reparse data with a target, before it a printed name that must not count ([MS-FSCC] 2.1.2.4 and 2.1.2.5)."""
    printed, name = "harmless".encode("utf-16-le"), target.encode("utf-16-le")
    body = struct.pack("<HHHH", len(printed), len(name), 0, len(printed))
    body += (struct.pack("<I", flags) if tag == SYMLINK else b"") + printed + name
    return struct.pack("<IHH", tag, len(body), 0) + body


LINKS = {
    (SYMLINK, "..\\outside\\x", 1): "../outside/x",
    (SYMLINK, "a.txt", 1): "a.txt",
    (SYMLINK, "\\Windows", 1): NOWHERE,  # from the top of the drive
    (SYMLINK, "C:x", 1): NOWHERE,
    (SYMLINK, "\\??\\C:\\x\\y", 0): "/C:/x/y",
    (SYMLINK, "\\??\\UNC\\server\\share", 0): NOWHERE,
    (SYMLINK, "\\Device\\HarddiskVolume1\\x", 0): NOWHERE,
    (MOUNT_POINT, "\\??\\c:\\x\\", 0): "/C:/x/",
    (MOUNT_POINT, "\\??\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\", 0): NOWHERE,
    (MOUNT_POINT, "\\??\\GLOBALROOT\\x", 0): NOWHERE,
}


@pytest.mark.parametrize(("link", "target"), LINKS.items())
def test_a_link_leads_where_its_data_says(link: tuple[int, str, int], target: str) -> None:
    assert read_reparse_point(make_link(*link)) == target


def test_a_link_of_another_kind_leads_nowhere_and_a_file_in_the_cloud_is_none() -> None:
    wsl, cloud = 0xA000001D, 0x9000001A
    assert read_reparse_point(struct.pack("<IHH", wsl, 0, 0)) == NOWHERE
    assert read_reparse_point(struct.pack("<IHH", cloud, 0, 0)) is None


@given(st.binary(max_size=64), st.sampled_from([SYMLINK, MOUNT_POINT]))
def test_damaged_data_of_a_link_is_an_error_and_nothing_else(data: bytes, tag: int) -> None:
    for damaged in (data, struct.pack("<I", tag) + data):
        try:
            target = read_reparse_point(damaged)
        except ValueError:
            continue
        assert target is None or "\\" not in target


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_in_the_cloud_is_opened_by_its_handle_and_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    """By what was asked of the system: nothing here has such files."""
    (tmp_path / "itself").touch()
    (tmp_path / "other").touch()
    itself = os.open(tmp_path / "itself", os.O_RDONLY)
    asked: list[tuple[object, ...]] = []

    def create(*given: object, itself: bool) -> int:
        asked.append((*given[:2], itself))
        return os.open(tmp_path / ("other" if replaced else "itself"), os.O_RDONLY)

    def to_descriptor(handle: int, flags: int) -> int:
        assert flags == os.O_RDONLY
        return handle

    monkeypatch.setattr(windows_calls, "handle_of", operator.neg)
    monkeypatch.setattr(windows_calls, "create", create)
    monkeypatch.setattr(windows_calls, "to_descriptor", to_descriptor)
    if replaced:
        with pytest.raises(OSError, match="replaced"):
            windows.look_through(itself, windows.READING)
    else:
        os.close(windows.look_through(itself, windows.READING))
    assert asked == [(-itself, "", False)]


def make_entry(name: str, attributes: int, tag: int = 0, *, more: bool = True) -> bytes:
    """An entry of a directory ([MS-FSCC] 2.4.14)."""
    coded = name.encode("utf-16-le")
    size = 68 + len(coded)
    step = (size + 7) // 8 * 8
    times = 132_000_000_000_000_000
    head = struct.pack("<II4q2qIII", step if more else 0, 0, *[times] * 4, 5, 8, attributes, len(coded), tag)
    return (head + coded).ljust(step, b"\0")


def test_the_entries_of_a_directory_are_told_apart() -> None:
    folder, link, file = 0x10, 0x400, 0x20
    data = make_entry(".", folder) + make_entry("..", folder) + make_entry("dir", folder)
    data += make_entry("junction", folder | link, MOUNT_POINT) + make_entry("symlink", file | link, SYMLINK)
    data += make_entry("cloud", file | link, 0x9000001A) + make_entry("caf\u00e9.txt", file, more=False)
    found = [(each.name, stat.S_IFMT(each.stat().st_mode)) for each in read_entries(data)]
    assert found == [
        ("dir", stat.S_IFDIR),
        ("junction", stat.S_IFLNK),
        ("symlink", stat.S_IFLNK),
        ("cloud", stat.S_IFREG),
        ("caf\u00e9.txt", stat.S_IFREG),
    ]
    *_, last = read_entries(data)
    assert (last.stat().st_size, int(last.stat().st_mtime)) == (5, 1_555_526_400)
