"""Refusal: the one way in which the domain says no, and the system's errors put into its words."""

from __future__ import annotations

import errno
import os

from .descriptors import CASE_FOLDS, write_path

_WORDS = {
    errno.EACCES: "the permissions of this machine do not allow it",
    errno.EPERM: "this machine does not permit it",
    errno.EBUSY: "another program holds it; try again when that is done",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full; what was there is untouched. Free some space and try again",
    errno.EDQUOT: "the disk quota is used up; what was there is untouched",
    errno.EFBIG: "the file would be larger than this machine allows; what was there is untouched",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "its symbolic links lead in a circle, or are too many",
    errno.ENOTDIR: "a part of the path is a file and no directory",
    errno.EISDIR: "it is a directory",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.ENXIO: "it is a socket or a device, and no file",
    errno.EIO: "the device reported an input/output error",
    errno.EMFILE: "too many files are open; try again in a moment",
    errno.ENFILE: "too many files are open on this machine; try again in a moment",
}

# A line feed in a name would forge a line of a list, an escape what a terminal shows, and what turns the direction of
# writing (UAX 9) makes `gpj.exe` of `exe.jpg`.
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = {
    code: "".join(f"\\x{byte:02x}" for byte in chr(code).encode())
    for code in (*range(32), *range(127, 160), *_DIRECTIONS)
}


class Refusal(Exception):
    """An answer that says no: what is wrong and what to do next, written for a language model to read."""


class NotThere(Refusal):
    """Nothing is at this path."""


class Outside(Refusal):
    """The path leads out of the directories that are served; the same is said whether anything is there or not."""


class Denied(Refusal):
    """The file is one that is not read, such as a secret."""


def explain(error: OSError, path: str) -> Refusal:
    """Put an error of the system into words; `path` is what the caller asked for."""
    if error.errno in (errno.ENOENT, errno.ESTALE):
        return NotThere(f"{spell(path)} does not exist. list_directory shows what a directory holds.")
    if error.errno == errno.EEXIST:
        return Refusal(f"{spell(path)} exists already.")
    words = _WORDS.get(error.errno or 0) or (error.strerror or str(error)).lower()
    return Refusal(f"{spell(path)}: {words}.")


def spell(name: str) -> str:
    r"""Write a name so that JSON and a line can carry it: a byte that is not UTF-8, or of a control, becomes \xNN."""
    if CASE_FOLDS:
        name = write_path(name)
    if name.isascii() and name.isprintable():
        return name
    try:
        text = os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a surrogate pair, which came from a caller and is no name
        text = name.encode("utf-8", "backslashreplace").decode()
    return text.translate(_CONTROLS)
