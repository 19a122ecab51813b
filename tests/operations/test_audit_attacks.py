"""What can be done to an audit log, and that it is seen."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.operations.logs import NOON, read_records, verify, write_log

from mcp_kernel.operations.audit_chain import Link, forge, read_line, write_head
from mcp_kernel.operations.audit_file import AuditFile, Unusable, rotated

if TYPE_CHECKING:
    from collections.abc import Callable

Lines = list[bytes]


def rehash(line: bytes) -> bytes:
    """Give an edited line the hash that fits it."""
    body = line.rpartition(b',"hash":')[0] + b"}"
    return body[:-1] + b',"hash":"' + sha256(body).hexdigest().encode() + b'"}\n'


def forged_after(line: bytes, who: str = "eve") -> bytes:
    """A line that follows another as the server would have written it."""
    return forge({"event": "call", "principal": who}, read_line(line[:-1])[0])[0]


def respell(line: bytes) -> bytes:
    """The same JSON with its members in another order."""
    return json.dumps(dict(reversed(json.loads(line).items())), separators=(",", ":")).encode() + b"\n"


def other_log(path: Path) -> Lines:
    write_log(path.with_name("other"), 9, who="bob")
    return path.with_name("other").read_bytes().splitlines(keepends=True)


def renumber(line: bytes) -> bytes:
    return line.replace(b'{"seq":5,', b'{"seq":6,')


ATTACKS: dict[str, Callable[[Lines, Path], Lines]] = {
    "a name is changed": lambda lines, _: [*lines[:4], lines[4].replace(b"ann", b"bob"), *lines[5:]],
    "one digit is changed": lambda lines, _: [*lines[:4], lines[4].replace(b'"number":4', b'"number":5'), *lines[5:]],
    "a line is changed with its hash": lambda lines, _: [
        *lines[:4],
        rehash(lines[4].replace(b"ann", b"bob")),
        *lines[5:],
    ],
    "the last line is changed with its hash": lambda lines, _: [*lines[:-1], rehash(lines[-1].replace(b"ann", b"bob"))],
    "the first line is changed with its hash": lambda lines, _: [rehash(lines[0].replace(b"ann", b"bob")), *lines[1:]],
    "the first line is cut out": lambda lines, _: lines[1:],
    "a line is cut out": lambda lines, _: [*lines[:4], *lines[5:]],
    "the last line is cut off": lambda lines, _: lines[:-1],
    "half is cut off": lambda lines, _: lines[:4],
    "all is cut off": lambda lines, _: [],
    "a line is cut short": lambda lines, _: [*lines[:-1], lines[-1][:-9]],
    "the last line feed is cut off": lambda lines, _: [*lines[:-1], lines[-1][:-1]],
    "two lines change places": lambda lines, _: [*lines[:4], lines[5], lines[4], *lines[6:]],
    "all lines are turned round": lambda lines, _: lines[::-1],
    "a line is there twice": lambda lines, _: [*lines[:5], lines[4], *lines[5:]],
    "a line is put in": lambda lines, _: [*lines[:5], forged_after(lines[4]), *lines[5:]],
    "a line is put in the place of another": lambda lines, _: [*lines[:5], forged_after(lines[4]), *lines[6:]],
    "a line is put to the end": lambda lines, _: [*lines, forged_after(lines[-1])],
    "the end is written anew": lambda lines, _: [*lines[:-1], forged_after(lines[-2])],
    "the end is written anew and longer": lambda lines, _: [
        *lines[:-1],
        first := forged_after(lines[-2]),
        forged_after(first),
    ],
    "a blank line is put in": lambda lines, _: [*lines[:4], b"\n", *lines[4:]],
    "a space is put in": lambda lines, _: [*lines[:4], lines[4].replace(b'":', b'": ', 1), *lines[5:]],
    "the members change their order": lambda lines, _: [*lines[:4], respell(lines[4]), *lines[5:]],
    "the line ends become those of Windows": lambda lines, _: [line.replace(b"\n", b"\r\n") for line in lines],
    "a line gets another number and hash": lambda lines, _: [*lines[:4], rehash(renumber(lines[4])), *lines[5:]],
    "a hash is written in capitals": lambda lines, _: [
        *lines[:4],
        re.sub(rb'(?<="hash":")\w+', lambda found: found[0].upper(), lines[4]),
        *lines[5:],
    ],
    "a line of another log is put in": lambda lines, path: [*lines[:4], other_log(path)[4], *lines[5:]],
    "another log is put in the place": lambda lines, path: other_log(path),
    "a line has a second hash": lambda lines, _: [
        *lines[:4],
        lines[4][:-2] + b',"hash":"' + b"0" * 64 + b'"}\n',
        *lines[5:],
    ],
    "a line is no line at all": lambda lines, _: [*lines[:4], b"\xff" * 5_000_000 + b"\n", *lines[5:]],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_done_to_the_lines_is_seen(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 9)
    assert verify(path) == 0
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(ATTACKS[name](lines, path)))
    capsys.readouterr()
    assert verify(path) == 1
    assert capsys.readouterr().err.count("audit.jsonl") >= 1


@pytest.mark.parametrize(
    "head", [None, b"", b"all is well\n", write_head(Link(9, "a" * 64)), write_head(Link(8, "a" * 64))]
)
def test_a_head_that_is_not_the_one_is_seen(head: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 9)
    if head is None:
        path.with_name("audit.jsonl.head").unlink()
    else:
        path.with_name("audit.jsonl.head").write_bytes(head)
    assert verify(path) == 1


@pytest.mark.parametrize("missing", [0, 1, -1])
def test_a_file_of_several_that_is_gone_is_seen(missing: int, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 40, rotate_bytes=2000)
    filled = rotated(path)
    assert len(filled) > 3
    assert verify(path) == 0
    assert verify(*filled, path) == 0
    filled[missing].unlink()
    assert verify(path) == 1


@pytest.mark.parametrize("keep", [4, 0])
def test_an_end_that_was_cut_off_is_seen_after_the_server_started_again(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 9)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:keep]))
    write_log(path, 9)
    assert read_records(path)[keep]["event"] == "missing"
    assert verify(path) == 1


@pytest.mark.parametrize("name", ["the end is written anew", "the end is written anew and longer"])
def test_an_end_that_was_written_anew_is_seen_after_the_server_started_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 9)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(ATTACKS[name](lines, path)))
    write_log(path, 9)
    assert verify(path) == 1


def test_a_server_does_not_go_on_behind_a_line_that_was_edited(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 9)
    path.write_bytes(path.read_bytes().replace(b'"number":8', b'"number":7'))
    with pytest.raises(Unusable, match="tampered"):
        AuditFile(path, NOON)


def test_against_one_who_writes_everything_anew_an_anchor_helps(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 9)
    noted = read_records(path)[8]["hash"]
    assert verify(path, "--anchor", noted) == 0
    for file in (path, path.with_name("audit.jsonl.head")):
        file.unlink()
    write_log(path, 12, who="bob")
    assert verify(path) == 0  # this cannot be seen from the files alone, and the module says so
    assert verify(path, "--anchor", noted) == 1


def test_a_file_that_is_kept_alone_follows_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 20, rotate_bytes=2000)
    first, second = rotated(path)[:2]
    away = tmp_path / "away" / second.name
    away.parent.mkdir()
    away.write_bytes(second.read_bytes())
    assert verify(away) == 1
    assert verify(away, "--after", read_records(first)[-1]["hash"]) == 0
    assert verify(away, "--after", "0" * 64) == 1


def test_what_is_no_file_or_no_hash_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(tmp_path / "nothing") == 2
    with pytest.raises(SystemExit) as ended:
        verify(tmp_path, "--anchor", "me")
    assert ended.value.code == 2
    assert "64 hexadecimal digits" in capsys.readouterr().err
