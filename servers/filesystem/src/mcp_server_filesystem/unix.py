"""What is done with a name in an open directory, by the calls that Linux, macOS and their like have for it."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from contextlib import suppress
from typing import Final

from .spelling import fold

NOFOLLOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC
PATH_ONLY: Final = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK)
FOLDER: Final = PATH_ONLY | os.O_DIRECTORY
LISTING: Final = os.O_RDONLY | os.O_DIRECTORY
READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY  # a FIFO without a writer must not hold the call
WRITING: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
CASE_FOLDS: Final = False
OPEN_IS_REPLACED: Final = True
_LONGEST_OF_MACOS = 1024  # bytes of a path: MAXPATHLEN
ACCESS_LISTS: Final = ("system.posix_acl_access", "system.posix_acl_default")
_PRIVILEGES = stat.S_ISUID | stat.S_ISGID  # which a write by anybody but root would lift, too

Place = tuple[int, str]
"""A descriptor of a directory, and a name in it."""


def read_path(path: str) -> str:
    """A caller's path as it is written here; raises `ValueError` for what is none."""
    return path


def write_path(path: str) -> str:
    """A path as the system has it."""
    return path


def open_root(path: str) -> tuple[int, str]:
    """Open a directory, links followed; gives its descriptor and its real name."""
    real = os.path.realpath(path)
    return os.open(real, FOLDER | os.O_CLOEXEC), real


def find_real(path: str) -> str:
    """The real name of a path, as far as it is there."""
    return os.path.realpath(path)


def open_in(place: Place, flags: int, mode: int = 0o666) -> int:
    """Open a name; a link is refused, or with PATH_ONLY opened itself."""
    return os.open(place[1], flags | NOFOLLOW, mode, dir_fd=place[0])


def reopen(folder: int, flags: int) -> int:
    """Open an open directory once more, for something else."""
    return os.open(".", flags | os.O_CLOEXEC, dir_fd=folder)


def reopen_file(opened: int, flags: int) -> int:
    """Open an open file once more, for something else."""
    return os.open(f"/dev/fd/{opened}", flags | os.O_CLOEXEC)


def name_open(opened: int, walked: str) -> str:
    """The real name of what a walk along real names opened; on macOS, where case is none, as the system spells it."""
    return _ask_macos(opened, walked) if sys.platform == "darwin" else walked


def name_in(place: Place) -> str:
    """The name under which a directory has what is at a place, whether something is or not."""
    if sys.platform != "darwin":
        return place[1]
    try:
        # To open anything else may act on it.
        if stat.S_IFMT(status_in(place).st_mode) not in (
            stat.S_IFREG,
            stat.S_IFDIR,
        ):
            return place[1]
        opened = open_in(place, PATH_ONLY)
    except OSError:
        return place[1]
    try:
        return _ask_macos(opened, place[1])
    finally:
        os.close(opened)


def _ask_macos(opened: int, asked: str) -> str:
    """A path or name as the system spells it; as it was asked for where the system knows the file by another one.

    Of a file with several links it may be that.
    """
    import fcntl

    command = getattr(fcntl, "F_GETPATH")  # noqa: B009  # macOS alone has it
    told = os.fsdecode(fcntl.fcntl(opened, command, bytes(_LONGEST_OF_MACOS)).rstrip(b"\0"))
    found = told if "/" in asked else told.rpartition("/")[2]
    return found if fold(found) == fold(asked) else asked


def status_in(place: Place) -> os.stat_result:
    """What is at a place, links not followed."""
    return os.stat(place[1], dir_fd=place[0], follow_symlinks=False)


def read_link_in(place: Place) -> str:
    """The target of a link; raises `OSError` for what is none."""
    return os.readlink(place[1], dir_fd=place[0])


def make_folder_in(place: Place, mode: int = 0o777) -> None:
    """Make a directory."""
    os.mkdir(place[1], mode, dir_fd=place[0])


def replace_in(source: Place, target: Place) -> None:
    """Rename, in the place of what is at the target."""
    os.replace(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0])


def link_in(source: Place, target: Place) -> None:
    """Give a file a second name; raises `FileExistsError`."""
    os.link(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0], follow_symlinks=False)


def copy_link_in(source: Place, target: Place) -> None:
    """Make a link like another one."""
    os.symlink(read_link_in(source), target[1], dir_fd=target[0])


def unlink_in(place: Place) -> None:
    """Remove a file or a link."""
    os.unlink(place[1], dir_fd=place[0])


def withdraw_in(place: Place, made: os.stat_result | None) -> None:
    """Remove a file that was made here; in a sticky directory, what belongs to another user by now is taken back.

    Only the file that was made is, by what it was then: the directory's owner may have put a link to somebody else's
    under its name.
    """
    try:
        unlink_in(place)
    except PermissionError:
        if made is None:
            raise
        fd = open_in(place, READING)
        try:
            found = os.fstat(fd)
            if os.path.samestat(found, made) and found.st_nlink == 1:
                os.fchown(fd, os.geteuid(), -1)
        finally:
            os.close(fd)
        unlink_in(place)


def remove_in(place: Place) -> None:
    """Remove a file, a link, or a directory with all that it holds; follows no link."""
    if stat.S_ISDIR(status_in(place).st_mode):
        shutil.rmtree(place[1], dir_fd=place[0])  # goes by descriptors
    else:
        unlink_in(place)


scan = os.scandir
"""Go through the entries of an open directory."""

read_at = os.pread
"""Read from an open file: descriptor, bytes, offset."""


def make_blocking(opened: int) -> None:
    """Have reads wait for the disk."""
    os.set_blocking(opened, True)


def inherit(new: int, old: int, status: os.stat_result, made: os.stat_result) -> str | None:
    """Give a file that takes another one's place its owner, mode and access lists; a remark where it cannot be."""
    remark = _keep_owner(new, status, made)
    os.fchmod(new, _keep_attributes(new, old, stat.S_IMODE(status.st_mode) & ~_PRIVILEGES))
    return remark


def _keep_attributes(new: int, old: int, mode: int) -> int:
    """Keep access lists and other attributes, as far as the system has such; rights of a program are not kept.

    Gives the mode that the new file may have: with an access list, the group's rights in a mode are the most that
    anybody on the list has, and without the list the group would have them.
    """
    kept = _list_attributes(old)
    for name in _list_attributes(new):
        if name in ACCESS_LISTS and name not in kept:  # its directory gave it one
            with suppress(OSError):
                os.removexattr(new, name)
    for name in kept:
        try:
            os.setxattr(new, name, os.getxattr(old, name))
        except OSError:
            mode &= ~stat.S_IRWXG if name in ACCESS_LISTS else ~0
    return mode


def _list_attributes(opened: int) -> list[str]:
    if sys.platform != "linux":
        return []
    try:
        return [name for name in os.listxattr(opened) if not name.startswith("security.")]
    except OSError:
        return []


def _keep_owner(new: int, old: os.stat_result, now: os.stat_result) -> str | None:
    if (now.st_uid, now.st_gid) == (old.st_uid, old.st_gid):
        return None
    for user, group in ((old.st_uid, old.st_gid), (-1, old.st_gid)):
        try:
            os.fchown(new, user, group)
        except PermissionError:
            continue
        if user == old.st_uid or now.st_uid == old.st_uid:
            return None
    return f"The file belonged to user {old.st_uid} and now belongs to user {now.st_uid}: only root could keep that."


def copy_status(old: int, new: int) -> None:
    """Give a copy owner, mode, access lists and times of what it was made from, as far as this user may."""
    status = os.fstat(old)
    mode = stat.S_IMODE(status.st_mode)
    try:
        os.fchown(new, status.st_uid, status.st_gid)
    except PermissionError:
        mode &= ~_PRIVILEGES  # of another user, these are other rights
    os.fchmod(new, _keep_attributes(new, old, mode))
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
