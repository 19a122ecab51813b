"""Putting new content in a file's place in one act: whoever looks sees all of the old or all of the new."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass

from .confinement import READING, Opened, Spot
from .content import check_regular, to_source
from .encodings import SAMPLE
from .errand import Errand
from .refusals import Refusal, explain, spell
from .sandbox import Sandbox
from .system import rename_exclusively

MOST_BYTES = 64 * 1024 * 1024
ABSENT = "absent"
_PRIVILEGES = stat.S_ISUID | stat.S_ISGID  # which a write by anybody but root would lift, too
_TEMPORARY = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Conflict(Refusal):
    """Somebody else changed the file."""


@dataclass(frozen=True, slots=True)
class Old:
    """What is in a file before it is replaced; of a sample only the first bytes, and no tag."""

    data: bytes
    etag: str


def read_old(spot: Spot, path: str, *, sample: bool = False) -> Old | None:
    """Read the file that is there, or its beginning; None for nothing."""
    try:
        fd = os.open(spot.name, READING | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=spot.folder.fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        status = spot.status()
        if status is not None and not stat.S_ISLNK(status.st_mode):
            check_regular(status, path)
        raise explain(error, path) from None
    with Opened(fd, spot.real) as opened:
        source = to_source(opened, path)
        if sample:
            return Old(source.read(SAMPLE, Errand()), "")
        if source.size > MOST_BYTES:
            raise Refusal(f"{spell(path)} has {source.size} bytes; {MOST_BYTES} are the most that is changed at once.")
        return Old(source.read(MOST_BYTES, Errand()), source.etag())


def replace_content(sandbox: Sandbox, spot: Spot, path: str, data: bytes, expected: str | None) -> str | None:
    """Put a file with these bytes at a spot, atomically; gives a remark where something could not be kept.

    Args:
        sandbox: Whose lock makes looking and replacing one act among the calls of this server.
        spot: Where.
        path: As the caller named it.
        data: The new bytes.
        expected: The tag that the old file must still have, ABSENT where nothing may be there; None for whatever.
    """
    old = spot.status()
    if old is not None and not stat.S_ISLNK(old.st_mode):
        check_regular(old, path)
    temporary = f".{spot.name[:60]}.{secrets.token_hex(6)}.tmp"
    if len(os.fsencode(temporary)) > 255:
        temporary = f".{secrets.token_hex(8)}.tmp"
    try:
        remark = _write(spot, temporary, data, old)
        with sandbox.writing:
            _check(spot, path, expected)
            _put(spot, temporary, exclusive=expected == ABSENT)
    except OSError as error:
        raise explain(error, path) from None
    finally:
        with suppress(OSError):  # it is gone when all went well
            os.unlink(temporary, dir_fd=spot.folder.fd)
    return remark


def _write(spot: Spot, name: str, data: bytes, old: os.stat_result | None) -> str | None:
    fd = os.open(name, _TEMPORARY, 0o666 if old is None else 0o600, dir_fd=spot.folder.fd)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        remark = None if old is None else _keep_owner(fd, old)
        if old is not None:
            os.fchmod(fd, stat.S_IMODE(old.st_mode) & ~_PRIVILEGES)
            _keep_attributes(spot, fd)
        os.fsync(fd)
    finally:
        os.close(fd)
    return remark


def _keep_attributes(spot: Spot, fd: int) -> None:
    """Keep access lists and other attributes, as far as the system has such; rights of a program are not kept."""
    if sys.platform != "linux":
        return
    with suppress(OSError), Opened(os.open(spot.name, READING | os.O_NOFOLLOW, dir_fd=spot.folder.fd), "") as old:
        for name in os.listxattr(old.fd):
            if not name.startswith("security."):
                os.setxattr(fd, name, os.getxattr(old.fd, name))


def _keep_owner(fd: int, old: os.stat_result) -> str | None:
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) == (old.st_uid, old.st_gid):
        return None
    for user, group in ((old.st_uid, old.st_gid), (-1, old.st_gid)):
        try:
            os.fchown(fd, user, group)
        except PermissionError:
            continue
        if user == old.st_uid or new.st_uid == old.st_uid:
            return None
    return f"The file belonged to user {old.st_uid} and now belongs to user {new.st_uid}: only root could keep that."


def _check(spot: Spot, path: str, expected: str | None) -> None:
    """Raise `Conflict` where the file is not what it should be, in the moment before it is replaced."""
    if expected and expected != ABSENT:
        found = read_old(spot, path)
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
    folder = spot.folder.fd
    if not exclusive:
        os.replace(temporary, spot.name, src_dir_fd=folder, dst_dir_fd=folder)
    elif not rename_exclusively((folder, temporary), (folder, spot.name)):
        os.link(temporary, spot.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
