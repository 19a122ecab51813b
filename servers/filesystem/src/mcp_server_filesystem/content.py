"""What is in a file: opened for reading if it is one, its bytes, and a tag that changes with them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from .confinement import Scope
from .descriptors import READING, make_blocking, read_at
from .errand import Errand
from .refusals import Refusal, explain, spell
from .stepping import Opened

MOST_BYTES = 10 * 1024 * 1024
HASHED = 1024 * 1024
_CHUNK = 1024 * 1024
_SPARE = 4096  # bytes asked for beyond a file's end: it may have grown, and in /proc none has a size
_KINDS = (
    (stat.S_ISDIR, "a directory: list_directory shows what it holds"),
    (stat.S_ISFIFO, "a FIFO (a pipe between programs), which is not read"),
    (stat.S_ISSOCK, "a socket, which is not read"),
    (stat.S_ISCHR, "a device, which is not read"),
    (stat.S_ISBLK, "a device, which is not read"),
)


@dataclass(slots=True)
class Source:
    """A regular file, open for reading; `whole` are its bytes, read at once where they are few."""

    opened: Opened
    status: os.stat_result
    whole: bytes | None = None

    @property
    def size(self) -> int:
        """In bytes."""
        return self.status.st_size if self.whole is None else len(self.whole)

    def read(self, most: int, errand: Errand, offset: int = 0) -> bytes:
        """Read up to `most` bytes from `offset` on."""
        if self.whole is not None:
            return self.whole[offset : offset + most]
        chunks: list[bytes] = []
        while most > 0:
            errand.check()
            asked = min(most, _CHUNK, max(self.status.st_size - offset, 0) + _SPARE)
            chunk = read_at(self.opened.fd, asked, offset)
            if not chunk:
                break
            chunks.append(chunk)
            most -= len(chunk)
            offset += len(chunk)
            if len(chunk) < asked and offset == self.status.st_size:  # its end, which need not be asked for
                break
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def etag(self) -> str:
        """A tag of what the file holds: of its bytes, or of a large file its identity, size and times."""
        if self.whole is not None:
            return hash_bytes(self.whole)
        now = os.fstat(self.opened.fd)
        told = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        return hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest()


@contextmanager
def open_source(scope: Scope, path: str) -> Generator[Source]:
    """Open a file for reading; raises `Refusal` for what is denied, or is no regular file."""
    scope.admit_asking(path)
    with scope.open(path, READING) as opened:
        scope.admit_reading(opened.real, path)
        try:
            yield to_source(opened, path)
        except OSError as error:  # the disk
            raise explain(error, path) from None


def to_source(opened: Opened, path: str, few: int = HASHED) -> Source:
    """Take a descriptor as a file to read, at once where it has few bytes; raises `Refusal` where it is none."""
    status = os.fstat(opened.fd)
    check_regular(status, path)
    make_blocking(opened.fd)
    source = Source(opened, status)
    if status.st_size <= few:
        try:
            data = source.read(few + 1, Errand())
        except OSError as error:
            raise explain(error, path) from None
        source.whole = data if len(data) <= few else None
    return source


def check_regular(status: os.stat_result, path: str) -> None:
    """Raise `Refusal` for what is no file."""
    if stat.S_ISREG(status.st_mode):
        return
    kind = next((words for test, words in _KINDS if test(status.st_mode)), "no regular file")
    raise Refusal(f"{spell(path)} is {kind}.")


def hash_bytes(data: bytes) -> str:
    """The tag of a file that holds these bytes."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()
