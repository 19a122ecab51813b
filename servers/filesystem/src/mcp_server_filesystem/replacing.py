"""Putting new content in a file's place in one act: whoever looks sees all of the old or all of the new."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .confinement import Spot
from .content import HASHED, check_regular, to_source
from .descriptors import (
    OPEN_IS_REPLACED,
    READING,
    WRITING,
    inherit,
    link_in,
    open_in,
    rename_exclusively,
    replace_in,
    unlink_in,
    withdraw_in,
)
from .encodings import SAMPLE
from .errand import Errand
from .refusals import Refusal, explain, spell
from .sandbox import Sandbox
from .stepping import Opened

MOST_BYTES = 64 * 1024 * 1024
ABSENT = "absent"


class Conflict(Refusal):
    """Somebody else changed the file."""


@dataclass(frozen=True, slots=True)
class Old:
    """A file before it is replaced, still open; of a sample only the first bytes, and no tag."""

    opened: Opened
    status: os.stat_result
    data: bytes
    etag: str


@contextmanager
def read_old(spot: Spot, path: str, *, sample: bool = False) -> Generator[Old | None]:
    """Read the file that is there, or its beginning, and hold it open; None for nothing."""
    try:
        fd = open_in((spot.folder.fd, spot.name), READING)
    except FileNotFoundError:
        fd = -1
    except OSError as error:
        status = spot.status()
        if status is not None and not stat.S_ISLNK(status.st_mode):
            check_regular(status, path)
        raise explain(error, path) from None
    with Opened(fd, spot.real) as opened:
        yield None if fd < 0 else _read(opened, path, sample=sample)


def _read(opened: Opened, path: str, *, sample: bool) -> Old:
    source = to_source(opened, path, SAMPLE if sample else HASHED)
    if sample:
        return Old(opened, source.status, source.read(SAMPLE, Errand()), "")
    if source.size > MOST_BYTES:
        raise Refusal(f"{spell(path)} has {source.size} bytes; {MOST_BYTES} are the most that is changed at once.")
    return Old(opened, source.status, source.read(MOST_BYTES, Errand()), source.etag())


def replace_content(spot: Spot, path: str, data: bytes, old: Old | None, how: tuple[Sandbox, str | None]) -> str | None:
    """Put a file with these bytes at a spot, atomically; gives a remark where something could not be kept.

    The new bytes are on the disk before they take the place of the old ones. The new entry of the directory is not
    waited for: after a power cut the name may have the old file, whole.

    Args:
        spot: Where.
        path: As the caller named it.
        data: The new bytes.
        old: What was found there. Where it is small it stays open, since the system frees a file that has lost its
            name when it is closed, and that takes as long as all of a small write but the disk: who answers first
            and closes then need not wait for it. The room of a large one is free again before the answer.
        how: The sandbox, whose lock makes looking and replacing one act among the calls of this server; and the tag
            that the old file must still have, ABSENT where nothing may be there, None for whatever.
    """
    sandbox, expected = how
    temporary = f".{spot.name[:60]}.{secrets.token_hex(6)}.tmp"
    if len(os.fsencode(temporary)) > 255:
        temporary = f".{secrets.token_hex(8)}.tmp"
    try:
        fd = open_in((spot.folder.fd, temporary), WRITING, 0o666 if old is None else 0o600)
    except OSError as error:
        raise explain(error, path) from None
    heritage = None if old is None else (old, os.fstat(fd))
    try:
        remark = _write(fd, data, heritage)
        with sandbox.writing(spot.folder.fd):
            _check(spot, path, expected)
            if old is not None and (old.status.st_size > HASHED or not OPEN_IS_REPLACED):
                old.opened.close()
            _put(spot, temporary, exclusive=expected == ABSENT)
    except BaseException as error:
        with suppress(OSError):  # somebody else may have removed it
            withdraw_in((spot.folder.fd, temporary), heritage and heritage[1])
        if isinstance(error, OSError):
            raise explain(error, path) from None
        raise
    return remark


def _write(fd: int, data: bytes, heritage: tuple[Old, os.stat_result] | None) -> str | None:
    """Write and flush; `heritage` is the file whose owner and rights the new one gets, and what it has until then."""
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        remark = None
        if heritage is not None:
            old, made = heritage
            remark = inherit(fd, old.opened.fd, old.status, made)
        os.fsync(fd)
    finally:
        os.close(fd)
    return remark


def _check(spot: Spot, path: str, expected: str | None) -> None:
    """Raise `Conflict` where the file is not what it should be, in the moment before it is replaced."""
    if expected and expected != ABSENT:
        with read_old(spot, path) as found:
            check_etag(None if found is None else found.etag, expected, path)


def check_etag(found: str | None, expected: str, path: str) -> None:
    """Raise `Conflict` where a tag is not the one that was expected."""
    if found is None:
        raise Conflict(f"{spell(path)} does not exist any more, but ifMatch names it. Nothing was written.")
    if found != expected:
        raise Conflict(
            f"{spell(path)} was changed by somebody else since it was read: its etag is {found}, not {expected}. "
            "Nothing was written. Read it again, and make the change to what it is now."
        )


def _put(spot: Spot, temporary: str, *, exclusive: bool) -> None:
    source, target = (spot.folder.fd, temporary), (spot.folder.fd, spot.name)
    if not exclusive:
        replace_in(source, target)
    elif not rename_exclusively(source, target):
        link_in(source, target)
        unlink_in(source)
