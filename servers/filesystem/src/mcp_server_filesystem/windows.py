"""What is done with a name in an open directory, by handles of Windows: the same face as `unix`.

What is opened is checked by the path that the system itself knows its handle by (`name_open`), in which links, short
names and case are resolved.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from . import windows_calls as calls
from .windows_names import (
    MOUNT_POINT,
    NAME_SURROGATE,
    SYMLINK,
    check_name,
    read_final_path,
    read_path,
    read_reparse_point,
    write_path,
)

__all__ = ["read_path", "write_path"]

PATH_ONLY, FOLDER, LISTING, READING, WRITING = 1, 2, 3, 4, 5
CASE_FOLDS: Final = True
OPEN_IS_REPLACED: Final = False  # not by every file system
_HOW: Final = {  # rights, what to do and of which kind, flags of the descriptor
    PATH_ONLY: (calls.READ_ATTRIBUTES, (calls.OPEN, 0), os.O_RDONLY),
    FOLDER: (calls.READ_ATTRIBUTES | calls.TRAVERSE, (calls.OPEN, calls.DIRECTORY), os.O_RDONLY),
    LISTING: (calls.READ_ATTRIBUTES | calls.TRAVERSE | calls.LIST, (calls.OPEN, calls.DIRECTORY), os.O_RDONLY),
    READING: (calls.GENERIC_READ, (calls.OPEN, 0), os.O_RDONLY),
    WRITING: (
        calls.GENERIC_WRITE | calls.READ_ATTRIBUTES | calls.DELETE | calls.WRITE_DAC,
        (calls.CREATE, calls.NO_DIRECTORY),
        os.O_WRONLY,
    ),
}
_REPLACE, _AS_UNIX, _IN_SPITE = 0x01, 0x02, 0x40  # of a rename: FILE_RENAME_REPLACE_IF_EXISTS, …
_ENTRY: Final = struct.Struct("<II4q2qIII")
_EPOCH: Final = 116_444_736_000_000_000  # 1970 in tenths of microseconds since 1601

Place = tuple[int, str]
"""A descriptor of a directory, and a name in it."""


def open_root(path: str) -> tuple[int, str]:
    """Open a directory, links followed; gives its descriptor and its real name."""
    access, _, flags = _HOW[LISTING]
    opened = calls.to_descriptor(calls.open_path(write_path(path), access), flags)
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return opened, name_open(opened, "")
    except OSError:
        os.close(opened)
        raise


def find_real(path: str) -> str:
    """The real name of a path, as far as it is there."""
    try:
        opened, real = open_root(path)
    except OSError:
        return path.rstrip("/")
    os.close(opened)
    return real


def open_in(place: Place, flags: int, mode: int = 0o666) -> int:
    """Open a name; a link is refused with ELOOP. `mode` means nothing here."""
    del mode
    access, how, ours = _HOW[flags]
    handle = _open(place, access, how)
    try:
        tag = calls.reparse_tag(handle)
        if tag in (SYMLINK, MOUNT_POINT) or tag & NAME_SURROGATE:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    except OSError:
        calls.close(handle)
        raise
    opened = calls.to_descriptor(handle, ours)
    return opened if tag == 0 else look_through(opened, flags)


def _open(place: Place, access: int, how: tuple[int, int]) -> int:
    try:
        check_name(place[1])
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from None
    return calls.create(calls.handle_of(place[0]), place[1], access, how)


def look_through(itself: int, flags: int) -> int:
    """Open what a reparse point that is no link keeps elsewhere, as a file in the cloud; the same by its number.

    It is opened by its handle, as ReOpenFile does: its name may be a link by now.
    """
    access, how, ours = _HOW[flags]
    try:
        handle = calls.create(calls.handle_of(itself), "", access, how, itself=False)
        opened = calls.to_descriptor(handle, ours)
        before, after = os.fstat(itself), os.fstat(opened)
        if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
            os.close(opened)
            raise OSError(errno.EAGAIN, "it was replaced meanwhile")
        return opened
    finally:
        os.close(itself)


def reopen(folder: int, flags: int) -> int:
    """Open an open directory once more, for something else."""
    access, how, ours = _HOW[flags]
    return calls.to_descriptor(calls.create(calls.handle_of(folder), "", access, how), ours)


reopen_file = reopen
"""Open an open file once more, for something else."""


def name_open(opened: int, walked: str) -> str:
    """The name that the system knows an open file by; raises `OSError` (EXDEV) for what is on no drive."""
    del walked
    real = read_final_path(calls.final_path(calls.handle_of(opened)))
    if real is None:
        raise OSError(errno.EXDEV, "it is not on a drive of this machine")
    return real


def name_in(place: Place) -> str:
    """The name under which a directory has what is at a place: in its own case, and long; or the name as it is."""
    try:
        handle = _open(place, calls.READ_ATTRIBUTES, (calls.OPEN, 0))
    except OSError:
        return place[1]
    try:
        real = read_final_path(calls.final_path(handle))
        return place[1] if real is None else real.rpartition("/")[2]
    finally:
        calls.close(handle)


def status_in(place: Place) -> os.stat_result:
    """What is at a place, links not followed."""
    handle = _open(place, calls.READ_ATTRIBUTES, (calls.OPEN, 0))
    opened = calls.to_descriptor(handle, os.O_RDONLY)
    try:
        status = os.fstat(opened)
        tag = calls.reparse_tag(handle)
    finally:
        os.close(opened)
    if tag in (SYMLINK, MOUNT_POINT) or tag & NAME_SURROGATE:
        return os.stat_result((stat.S_IFLNK | 0o777, *status[1:]))
    return status


def read_link_in(place: Place) -> str:
    """The target of a link; raises `OSError` for what is none."""
    handle = _open(place, calls.READ_ATTRIBUTES, (calls.OPEN, 0))
    try:
        target = read_reparse_point(calls.reparse_data(handle))
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from None
    finally:
        calls.close(handle)
    if target is None:
        raise OSError(errno.EINVAL, "it is no link")
    return target


def make_folder_in(place: Place, mode: int = 0o777) -> None:
    """Make a directory; `mode` means nothing here."""
    del mode
    calls.close(_open(place, calls.READ_ATTRIBUTES, (calls.CREATE, calls.DIRECTORY)))


def replace_in(source: Place, target: Place) -> None:
    """Rename, in the place of what is at the target."""
    handle = _open(source, calls.DELETE | calls.READ_ATTRIBUTES, (calls.OPEN, 0))
    try:
        if not calls.set_information(handle, calls.RENAME_EX, _to(target, _REPLACE | _AS_UNIX | _IN_SPITE)):
            _demand(calls.set_information(handle, calls.RENAME, _to(target, _REPLACE)))
    finally:
        calls.close(handle)


def rename_exclusively(source: Place, target: Place) -> bool:
    """Rename so that nothing is ever replaced; raises `FileExistsError`. Always True: every file system here can."""
    handle = _open(source, calls.DELETE | calls.READ_ATTRIBUTES, (calls.OPEN, 0))
    try:
        _demand(calls.set_information(handle, calls.RENAME, _to(target, 0)))
    finally:
        calls.close(handle)
    return True


def link_in(source: Place, target: Place) -> None:
    """Give a file a second name; raises `FileExistsError`."""
    handle = _open(source, calls.READ_ATTRIBUTES, (calls.OPEN, 0))
    try:
        _demand(calls.set_information(handle, calls.LINK, _to(target, 0)))
    finally:
        calls.close(handle)


def copy_link_in(source: Place, target: Place) -> None:
    """Make a link like another one: that takes a privilege here, and is refused."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _to(target: Place, flags: int) -> bytes:
    """FILE_RENAME_INFORMATION and FILE_LINK_INFORMATION: flags, a directory, a name in it."""
    check_name(target[1])
    name = target[1].encode("utf-16-le", "surrogatepass")
    return struct.pack("<I4xQI", flags, calls.handle_of(target[0]), len(name)) + name + bytes(4)


def _demand(done: bool) -> None:
    if not done:
        raise OSError(errno.EOPNOTSUPP, "the file system cannot do that")


def unlink_in(place: Place) -> None:
    """Remove a file, a link or an empty directory."""
    handle = _open(place, calls.DELETE | calls.READ_ATTRIBUTES, (calls.OPEN, 0))
    try:
        delete, as_unix = 0x01, 0x02
        if not calls.set_information(handle, calls.DISPOSITION_EX, struct.pack("<I", delete | as_unix)):
            _demand(calls.set_information(handle, calls.DISPOSITION, b"\x01"))
    finally:
        calls.close(handle)


def withdraw_in(place: Place, made: os.stat_result | None) -> None:
    """Remove a file that was made here."""
    unlink_in(place)


def remove_in(place: Place) -> None:
    """Remove a file, a link, or a directory with all that it holds; follows no link."""
    if stat.S_ISDIR(status_in(place).st_mode):
        folder = open_in(place, LISTING)
        try:
            with scan(folder) as found:
                names = [entry.name for entry in found]
            for name in names:
                remove_in((folder, name))
        finally:
            os.close(folder)
    unlink_in(place)


class Entry:
    """An entry of a directory, with the face of `os.DirEntry` as far as it is needed; links are never followed."""

    __slots__ = ("_size", "_tag", "_times", "_type", "name")

    def __init__(self, name: str, attributes: int, tag: int, size: int, times: tuple[int, int, int]) -> None:
        self.name = name
        is_link = attributes & calls.REPARSE_ATTRIBUTE and (tag in (SYMLINK, MOUNT_POINT) or tag & NAME_SURROGATE)
        self._type = stat.S_IFLNK if is_link else stat.S_IFDIR if attributes & 0x10 else stat.S_IFREG
        self._size = size
        self._times = times

    def is_file(self, *, follow_symlinks: bool = False) -> bool:
        """Whether it is a file."""
        return self._type == stat.S_IFREG and not follow_symlinks

    def is_dir(self, *, follow_symlinks: bool = False) -> bool:
        """Whether it is a directory."""
        return self._type == stat.S_IFDIR and not follow_symlinks

    def is_symlink(self) -> bool:
        """Whether it is a link, of whatever kind."""
        return self._type == stat.S_IFLNK

    def stat(self, *, follow_symlinks: bool = False) -> os.stat_result:
        """Its size and times."""
        del follow_symlinks
        accessed, modified, made = ((each - _EPOCH) / 1e7 for each in self._times)
        named = {"st_mtime_ns": (self._times[1] - _EPOCH) * 100}
        return os.stat_result((self._type | 0o666, 0, 0, 1, 0, 0, self._size, accessed, modified, made), named)


class scan:  # noqa: N801  # stands in the place of os.scandir
    """Go through the entries of an open directory."""

    def __init__(self, folder: int) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __iter__(self) -> Iterator[Entry]:
        handle, again = calls.handle_of(self._folder), True
        while data := calls.read_directory(handle, again=again):
            yield from read_entries(data)
            again = False


def read_entries(data: bytes) -> Iterator[Entry]:
    """The entries of a directory from FILE_FULL_DIR_INFORMATION, but for `.` and `..`."""
    at = 0
    while True:
        step, _, made, accessed, modified, _, size, _, attributes, length, tag = _ENTRY.unpack_from(data, at)
        start = at + _ENTRY.size
        name = data[start : start + length].decode("utf-16-le", "surrogatepass")
        if name not in (".", ".."):
            yield Entry(name, attributes, tag, size, (accessed, modified, made))
        if not step:
            return
        at += step


def read_at(opened: int, size: int, offset: int) -> bytes:
    """Read from an open file, which no other thread reads."""
    os.lseek(opened, offset, os.SEEK_SET)
    return os.read(opened, size)


def make_blocking(opened: int) -> None:
    """Have reads wait for the disk, as they do."""
    del opened


def inherit(new: int, old: int, status: os.stat_result, made: os.stat_result) -> str | None:
    """Give a file that takes another one's place its access list, as far as this user may."""
    del status, made
    with suppress(OSError):
        calls.copy_access_list(calls.handle_of(old), calls.handle_of(new))
    return None


def copy_status(old: int, new: int) -> None:
    """Give a copy the times and attributes of what it was made from, as far as this user may."""
    with suppress(OSError):
        calls.set_information(calls.handle_of(new), calls.BASIC, calls.read_basic(calls.handle_of(old)))
