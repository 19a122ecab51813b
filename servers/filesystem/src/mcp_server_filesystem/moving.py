"""Moving files and directories: nothing is ever overwritten, and other devices are no obstacle."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass

from .confinement import Scope, Spot
from .denial import lies_in_git_folder
from .descriptors import (
    LISTING,
    READING,
    WRITING,
    Place,
    copy_link_in,
    copy_status,
    link_in,
    make_folder_in,
    open_in,
    remove_in,
    rename_exclusively,
    replace_in,
    scan,
    status_in,
    unlink_in,
)
from .errand import Errand
from .refusals import NotThere, Refusal, explain, spell
from .stepping import Opened
from .walking import Bounds, Walk

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
            if old.real == new.real:  # on Windows also by another case, which would be no error there
                raise FileExistsError(errno.EEXIST, "")
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
    fd = open_in((old.folder.fd, old.name), LISTING)
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


def _rename_carefully(source: Place, target: Place, status: os.stat_result) -> None:
    """Where the system has no rename that replaces nothing: a file gets a second name and then loses its first.

    A directory cannot have two. One that appears at the target in this very moment is replaced if it is empty, which
    loses nothing.
    """
    if not stat.S_ISDIR(status.st_mode):
        link_in(source, target)
        unlink_in(source)
        return
    with suppress(FileNotFoundError):
        status_in(target)
        raise FileExistsError(errno.EEXIST, "")
    replace_in(source, target)


def _carry(source: Place, target: Place, errand: Errand) -> None:
    """Move to another device: a whole copy under another name, put in place, and only then the old one removed."""
    temporary = f".{secrets.token_hex(8)}.tmp"
    copied = (target[0], temporary)
    try:
        _copy(source, copied, errand, 0)
        if not rename_exclusively(copied, target):
            _rename_carefully(copied, target, status_in(copied))
    finally:
        with suppress(OSError):
            remove_in(copied)
    remove_in(source)


def _copy(source: Place, target: Place, errand: Errand, level: int) -> None:
    errand.check()
    errand.seen += 1
    status = status_in(source)
    if stat.S_ISLNK(status.st_mode):
        copy_link_in(source, target)
    elif stat.S_ISREG(status.st_mode):
        _copy_file(source, target, errand)
    elif stat.S_ISDIR(status.st_mode):
        if level > _MOST_LEVELS:
            raise Refusal(f"The directory is more than {_MOST_LEVELS} levels deep. Move its parts one by one.")
        _copy_folder(source, target, errand, level)
    else:
        raise Refusal(f"{spell(source[1])} is a FIFO, a socket or a device, which is not moved to another device.")


def _copy_file(source: Place, target: Place, errand: Errand) -> None:
    with Opened(open_in(source, READING), "") as old, Opened(open_in(target, WRITING, 0o600), "") as new:
        while chunk := os.read(old.fd, _CHUNK):
            errand.check()
            view = memoryview(chunk)
            while view:
                view = view[os.write(new.fd, view) :]
        copy_status(old.fd, new.fd)
        os.fsync(new.fd)


def _copy_folder(source: Place, target: Place, errand: Errand, level: int) -> None:
    make_folder_in(target, 0o700)
    with Opened(open_in(source, LISTING), "") as old, Opened(open_in(target, LISTING), "") as new:
        with scan(old.fd) as found:
            names = [entry.name for entry in found]
        for name in names:
            _copy((old.fd, name), (new.fd, name), errand, level + 1)
        copy_status(old.fd, new.fd)
