"""Moving files and directories: nothing is ever overwritten, and other devices are no obstacle."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass

from .confinement import LISTING, Opened, Scope, Spot
from .denial import lies_in_git_folder
from .errand import Errand
from .refusals import NotThere, Refusal, explain, spell
from .system import rename_exclusively
from .walking import Bounds, Walk

_COPIED = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1024 * 1024
_MOST_LEVELS = 64


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved, and where it is now."""

    source: str
    destination: str

    def __str__(self) -> str:
        return f"Successfully moved {self.source} to {self.destination}"


def move(scope: Scope, source: str, destination: str, errand: Errand) -> Moved:
    """Move or rename a file, a link or a directory; raises `Refusal` where the destination is taken."""
    with scope.spot(source, follow=False) as old, scope.spot(destination, follow=False) as new:
        scope.admit_writing(old.real, source)
        scope.admit_writing(new.real, destination)
        status = old.status()
        if status is None:
            raise NotThere(f"{spell(source)} does not exist. list_directory shows what a directory holds.")
        if not stat.S_ISREG(status.st_mode):
            _check_repository(old, new, source)
        if stat.S_ISDIR(status.st_mode):
            _check_folder(scope, old, new, source, errand)
        try:
            _rename(old, new, status, errand)
        except FileExistsError:
            raise Refusal(
                f"Destination already exists: {spell(destination)}. Nothing was moved; choose another name."
            ) from None
        except OSError as error:
            raise explain(error, source if error.errno == errno.ENOENT else destination) from None
    return Moved(spell(source), spell(destination))


def _check_repository(old: Spot, new: Spot, source: str) -> None:
    """Raise `Refusal` for what may hold hooks and configuration, or lead to some, and would come or go by a rename."""
    if lies_in_git_folder(old.real) or lies_in_git_folder(new.real):
        raise Refusal(f"{spell(source)} is, or would be, a part of a repository's own directory. Let git, or the user.")


def _check_folder(scope: Scope, old: Spot, new: Spot, source: str, errand: Errand) -> None:
    """Raise `Refusal` for a directory that holds what is served, or secrets that a new place would not tell."""
    if new.real.startswith(f"{old.real}/"):
        raise Refusal(f"{spell(source)} cannot be moved into itself.")
    if any(f"{anchor.real}/".startswith(f"{old.real}/") for anchor in scope.anchors):
        raise Refusal(f"{spell(source)} is, or holds, one of the allowed directories, and is not moved.")
    if not scope.denial.spans_folders:
        return
    fd = os.open(old.name, LISTING | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=old.folder.fd)
    before, after = scope.relative(old.real), scope.relative(new.real)
    with Opened(fd, old.real) as start:
        walk = Walk(scope, start, Bounds(gitignore=False), errand)
        for folder in walk.folders():
            for name, _, _ in folder.entries:
                path = f"{folder.path}{name}"
                if scope.denial.denies(f"{before}/{path}") and not scope.denial.denies(f"{after}/{path}"):
                    raise Refusal(
                        f"{spell(source)} holds files that are denied, and would not be at the new place. "
                        "Nothing was moved."
                    )
    if walk.tally.cut or walk.tally.notes:
        raise Refusal(f"{spell(source)} is too large to be sure that it holds nothing that is denied. Move its parts.")


def _rename(old: Spot, new: Spot, status: os.stat_result, errand: Errand) -> None:
    source, target = (old.folder.fd, old.name), (new.folder.fd, new.name)
    try:
        if rename_exclusively(source, target):
            return
        _rename_carefully(source, target, status)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _carry(source, target, errand)


def _rename_carefully(source: tuple[int, str], target: tuple[int, str], status: os.stat_result) -> None:
    """Where the system has no rename that replaces nothing: a file gets a second name and then loses its first.

    A directory cannot have two. One that appears at the target in this very moment is replaced if it is empty, which
    loses nothing.
    """
    if not stat.S_ISDIR(status.st_mode):
        os.link(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0], follow_symlinks=False)
        os.unlink(source[1], dir_fd=source[0])
        return
    with suppress(FileNotFoundError):
        os.stat(target[1], dir_fd=target[0], follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, "")
    os.rename(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0])


def _carry(source: tuple[int, str], target: tuple[int, str], errand: Errand) -> None:
    """Move to another device: a whole copy under another name, put in place, and only then the old one removed."""
    temporary = f".{secrets.token_hex(8)}.tmp"
    copied = (target[0], temporary)
    try:
        _copy(source, copied, errand, 0)
        status = os.stat(temporary, dir_fd=target[0], follow_symlinks=False)
        if not rename_exclusively(copied, target):
            _rename_carefully(copied, target, status)
    finally:
        with suppress(OSError):
            _remove(copied)
    _remove(source)


def _copy(source: tuple[int, str], target: tuple[int, str], errand: Errand, level: int) -> None:
    errand.check()
    errand.seen += 1
    (folder, name), (new_folder, new_name) = source, target
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=folder), new_name, dir_fd=new_folder)
    elif stat.S_ISREG(status.st_mode):
        _copy_file(source, target, errand)
    elif stat.S_ISDIR(status.st_mode):
        if level > _MOST_LEVELS:
            raise Refusal(f"The directory is more than {_MOST_LEVELS} levels deep. Move its parts one by one.")
        _copy_folder(source, target, errand, level)
    else:
        raise Refusal(f"{spell(name)} is a FIFO, a socket or a device, which is not moved to another device.")


def _copy_file(source: tuple[int, str], target: tuple[int, str], errand: Errand) -> None:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        Opened(os.open(source[1], flags, dir_fd=source[0]), "") as old,
        Opened(os.open(target[1], _COPIED, 0o600, dir_fd=target[0]), "") as new,
    ):
        while chunk := os.read(old.fd, _CHUNK):
            errand.check()
            view = memoryview(chunk)
            while view:
                view = view[os.write(new.fd, view) :]
        _keep(old.fd, new.fd)
        os.fsync(new.fd)


def _copy_folder(source: tuple[int, str], target: tuple[int, str], errand: Errand, level: int) -> None:
    os.mkdir(target[1], 0o700, dir_fd=target[0])
    flags = LISTING | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        Opened(os.open(source[1], flags, dir_fd=source[0]), "") as old,
        Opened(os.open(target[1], flags, dir_fd=target[0]), "") as new,
    ):
        for name in os.listdir(old.fd):  # noqa: PTH208  # a descriptor
            _copy((old.fd, name), (new.fd, name), errand, level + 1)
        _keep(old.fd, new.fd)


def _keep(old: int, new: int) -> None:
    """Give a copy the owner, the mode and the times of what it was made from, as far as this user may."""
    status = os.fstat(old)
    mode = stat.S_IMODE(status.st_mode)
    try:
        os.fchown(new, status.st_uid, status.st_gid)
    except PermissionError:
        mode &= ~(stat.S_ISUID | stat.S_ISGID)  # of another user, these are other rights
    os.fchmod(new, mode)
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))


def _remove(place: tuple[int, str]) -> None:
    folder, name = place
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        shutil.rmtree(name, dir_fd=folder)  # goes by descriptors, and follows no link
    else:
        os.unlink(name, dir_fd=folder)
