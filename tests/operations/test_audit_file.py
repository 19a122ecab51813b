"""The files of the audit log: taken up again after a kill, rotated, locked, on a disk that is full."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from tests.operations.logs import NOON, read_records, verify, write_log

from mcp_kernel.operations.audit_chain import read_line, write_head
from mcp_kernel.operations.audit_file import AuditFile, Unusable, rotated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("batch", [1, 4])
def test_a_log_goes_on_where_it_ended(batch: int, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(3):
        write_log(path, 8, batch=batch)
    assert [record["seq"] for record in read_records(path)] == list(range(1, 25))
    assert verify(path) == 0


def test_only_its_owner_reads_a_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 1)
    assert [stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()] == [0o600, 0o600]


@pytest.mark.parametrize("left", [b'{"seq":10,"ti', b"\0" * 500, b"}"])
def test_what_a_kill_has_left_of_a_line_is_cut_off_and_written_down(left: bytes, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 9)
    path.write_bytes(path.read_bytes() + left)
    assert verify(path) == 1
    write_log(path, 2)
    records = read_records(path)
    assert [record["event"] for record in records] == ["call"] * 9 + ["mended"] + ["call"] * 2
    assert records[9]["cut_bytes"] == len(left)
    assert verify(path) == 0


def test_a_log_whose_first_line_is_torn_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 0)
    path.write_bytes(b'{"seq":1,')
    write_log(path, 1)
    assert [record["event"] for record in read_records(path)] == ["mended", "call"]
    assert verify(path) == 0


def test_a_batch_that_has_no_head_yet_is_taken_up_and_written_down(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 9)
    sixth = path.read_bytes().splitlines()[5]
    path.with_name("audit.jsonl.head").write_bytes(write_head(read_line(sixth)[0]))
    assert verify(path) == 1
    write_log(path, 1)
    assert {"event": "unsealed", "lines": 3}.items() <= read_records(path)[9].items()
    assert verify(path) == 0


def test_a_full_file_makes_room_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(3):
        write_log(path, 20, rotate_bytes=2000)
    filled = rotated(path)
    assert [each.name for each in filled] == [f"audit.jsonl.{number:06}" for number in range(1, len(filled) + 1)]
    assert all(each.stat().st_size <= 2000 for each in [*filled, path])
    assert [record["seq"] for record in read_records(*filled, path)] == list(range(1, 61))
    assert verify(path) == 0


def test_a_kill_between_two_files_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, 5)
    path.rename(tmp_path / "audit.jsonl.000001")
    write_log(path, 5)
    assert read_records(path)[0]["seq"] == 6
    assert verify(path) == 0


def test_two_servers_do_not_write_one_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    first = AuditFile(path, NOON)
    with pytest.raises(Unusable, match="another server"):
        AuditFile(path, NOON)
    first.close()
    AuditFile(path, NOON).close()


def test_a_log_can_be_verified_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path, NOON)
    file.append([{"event": "call"}] * 3)
    head = path.with_name("audit.jsonl.head").read_bytes()
    file.append([{"event": "call"}] * 3)
    path.with_name("audit.jsonl.head").write_bytes(head)  # as a reader sees it who comes between lines and head
    assert verify(path) == 0
    file.close()
    assert verify(path) == 1


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    make(path)
    with pytest.raises(Unusable):
        AuditFile(path, NOON)


def test_what_is_no_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("buy milk\n")
    with pytest.raises(Unusable, match="notes"):
        AuditFile(path, NOON)
    assert path.read_text() == "buy milk\n"
