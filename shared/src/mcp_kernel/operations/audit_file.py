"""The files of the audit log: appended to, rotated by size, taken up again after whatever ended the last server.

`FILE` is written to. When it has its size it becomes `FILE.000001`, then `FILE.000002` and so on, and a new one
begins; the chain goes on over them. `FILE.head` holds the number and the hash of the last line on the disk, and the
lock of the one server that writes.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from mcp_kernel.operations.audit_chain import START, Broken, Link, forge, read_head, read_line, write_head

ROTATE_BYTES: Final = 64 * 1024 * 1024
_PRIVATE: Final = 0o600
_BINARY: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_LONGEST_END: Final = 1024 * 1024  # bytes in which the last line is found; one has about a tenth of it at most


class Unusable(Exception):
    """The log cannot be taken up; the text says why and what to do."""


def write_time(seconds: float) -> str:
    """A time of day as RFC 3339 has it, in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rotated(path: Path) -> list[Path]:
    """The files that a log has filled, the oldest first."""
    pattern = "[0-9]" * 6
    prefix = f"{path.name}."
    return sorted(each for each in path.parent.glob("*") if each.name.startswith(prefix) and each.match(f"*.{pattern}"))


class AuditFile:
    """The log, open for writing, by one thread at a time; raises `Unusable` where it cannot be."""

    def __init__(self, path: Path, now: float, rotate_bytes: int = ROTATE_BYTES) -> None:
        self.path = path
        self._rotate_bytes = rotate_bytes
        self._descriptor = -1
        try:
            self._head = os.open(f"{path}.head", os.O_RDWR | os.O_CREAT | _BINARY, _PRIVATE)
        except OSError as error:
            raise Unusable(f"{path}.head cannot be opened: {error.strerror}") from None
        try:
            self._lock()
            self._open()
            self._last, self._size = START, 0
            self._mend(now)
        except OSError as error:
            self.close()
            raise Unusable(f"{path} cannot be written: {error.strerror}") from None
        except Unusable:
            self.close()
            raise

    @property
    def last(self) -> Link:
        """The last line on the disk."""
        return self._last

    def close(self) -> None:
        """Close the files, and let another server have them."""
        for descriptor in (self._descriptor, self._head):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._head = -1

    # --- opening ---

    def _lock(self) -> None:
        try:
            _lock_exclusively(self._head)
        except OSError:
            raise Unusable(f"{self.path} is written by another server: give each its own file") from None

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, _PRIVATE)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise Unusable(f"{self.path} is not a file")

    def _mend(self, now: float) -> None:
        """Find where the chain ends, cut off what a kill has left of a line, and write both down."""
        line, torn, self._size = _read_end(self._descriptor)
        source = self.path
        if line is None and (older := rotated(self.path)):
            source = older[-1]
            line = _read_last(source)
        try:
            self._last = START if line is None else read_line(line)[0]
        except Broken as error:
            raise Unusable(
                f"the last line of {source} was tampered with ({error}): keep the files as evidence elsewhere, with "
                f"{self.path.name}.head, and start again"
            ) from None
        events: list[Mapping[str, object]] = []
        if torn:
            os.ftruncate(self._descriptor, self._size)
            said = {"cut_bytes": len(torn), "sha256": sha256(torn).hexdigest()}
            events.append({"time": write_time(now), "event": "mended", **said})
        events += self._compare(now)
        self.append(events)

    def _compare(self, now: float) -> list[Mapping[str, object]]:
        """What the head knows of that the files do not."""
        os.lseek(self._head, 0, os.SEEK_SET)
        data = os.read(self._head, 1024)
        if not data and self._last == START:
            return []
        event: dict[str, object] = {"time": write_time(now), "event": "missing"}
        try:
            head = read_head(data)
        except Broken:
            return [{**event, "what": "the head"}]
        if self._holds(head):
            more = self._last.sequence - head.sequence  # a kill came between a batch and its head, or they are forged
            return [{**event, "event": "unsealed", "lines": more}] if more else []
        return [{**event, "what": "lines", "last_seq": head.sequence, "last_hash": head.hash}]

    def _holds(self, head: Link) -> bool:
        """Tell whether the line of the head is there; after a kill it may be one of the last batch."""
        if head.sequence >= self._last.sequence or head == START:
            return head in (self._last, START)
        wanted = b'{"seq":%d,' % head.sequence, b',"hash":"%b"}\n' % head.hash.encode("ascii")
        for path in [self.path, *rotated(self.path)[-1:]]:
            with path.open("rb") as file:
                for line in file:
                    if line.startswith(wanted[0]):
                        return line.endswith(wanted[1])
        return False

    # --- writing ---

    def append(self, records: Sequence[Mapping[str, object]]) -> None:
        """Write records and wait until the disk has them: all, or none and an `OSError`."""
        last, lines = self._last, list[bytes]()
        for record in records:
            line, last = forge(record, last)
            lines.append(line)
        data = b"".join(lines)
        if self._size and self._size + len(data) > self._rotate_bytes:
            self._rotate()
        try:
            _write_all(self._descriptor, data)
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._last = last
        self._size += len(data)
        os.lseek(self._head, 0, os.SEEK_SET)
        _write_all(self._head, write_head(last))  # in place, in a block that it has: it needs no room on the disk

    def _rotate(self) -> None:
        number = max((int(each.suffix[1:]) for each in rotated(self.path)), default=0) + 1
        filled = self.path.with_name(f"{self.path.name}.{number:06}")
        os.close(self._descriptor)
        self._descriptor = -1
        try:
            self.path.rename(filled)
            self._open()
        except OSError:
            if filled.exists() and not self.path.exists():
                filled.rename(self.path)
            self._open()
            raise
        self._size = 0
        _sync_directory(self.path.parent)


def _read_end(descriptor: int) -> tuple[bytes | None, bytes, int]:
    """Return the last whole line without its line feed, what stands behind it, and the size without that."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    at = os.lseek(descriptor, max(end - _LONGEST_END, 0), os.SEEK_SET)
    whole, feed, torn = _read_all(descriptor, end - at).rpartition(b"\n")
    if at and not feed:
        raise Unusable("the log does not end in lines: keep it as evidence elsewhere, and start again")
    return (whole.rpartition(b"\n")[2] if feed else None), torn, end - len(torn)


def _read_last(path: Path) -> bytes | None:
    descriptor = os.open(path, os.O_RDONLY | _BINARY)
    try:
        return _read_end(descriptor)[0]
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_directory(path: Path) -> None:
    """Let the disk have a new name; Windows cannot open a directory, and does so by itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_written(path: Path) -> bool:
    """Tell whether a server has a log open."""
    try:
        descriptor = os.open(f"{path}.head", os.O_RDWR | _BINARY)
    except OSError:
        return False
    try:
        _lock_exclusively(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_exclusively(descriptor: int) -> None:
    """Lock a file against other processes; raises `OSError` where another has it."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 1024, os.SEEK_SET)  # beyond what is read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
