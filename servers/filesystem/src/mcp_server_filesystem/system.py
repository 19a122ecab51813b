"""System calls that Python does not offer: openat2, a rename that replaces nothing, the time of a file's birth."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from functools import cache

_OPENAT2 = 437  # the same on every architecture
_RENAMEAT2 = {"x86_64": 316, "aarch64": 276, "arm64": 276, "riscv64": 276, "armv7l": 382, "i686": 353, "ppc64le": 357}
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_RENAME_NOREPLACE = 1
_RENAME_EXCL = 4
_ATTEMPTS = 64  # a rename somewhere on the machine makes a path with ".." undecidable for a moment
_AT_EMPTY_PATH, _STATX_BTIME = 0x1000, 0x800
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def open_beneath(folder: int, path: str, flags: int, *, links: bool = True) -> int:
    """Open a path that cannot lead out of a directory, whatever is swapped meanwhile.

    Raises `OSError`: EXDEV where the path leads out (or through an absolute link), ENOSYS or EPERM where the system
    does not have openat2, EAGAIN where it could not tell.

    Args:
        folder: A descriptor of the directory.
        path: Relative to it, not empty.
        flags: As of `os.open`.
        links: Whether symbolic links are followed.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, "openat2 is Linux's own")
    how = _How(flags | os.O_CLOEXEC, 0, _BENEATH | _NO_MAGICLINKS | (0 if links else _NO_SYMLINKS))
    call, name, size = _library().syscall, os.fsencode(path), ctypes.sizeof(_How)
    code = errno.EAGAIN
    for _ in range(_ATTEMPTS):
        opened = int(call(_OPENAT2, folder, name, ctypes.byref(how), size))
        if opened >= 0:
            return opened
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code))


def rename_exclusively(source: tuple[int, str], target: tuple[int, str]) -> bool:
    """Rename so that nothing is ever replaced; False where the system or the file system cannot.

    Both are a descriptor of a directory and a name in it. Raises `OSError`, EEXIST where the target is there.
    """
    (old_folder, old), (new_folder, new) = source, target
    names = os.fsencode(old), os.fsencode(new)
    if sys.platform == "darwin":
        failed = _library().renameatx_np(old_folder, names[0], new_folder, names[1], _RENAME_EXCL)
    elif sys.platform.startswith("linux") and platform.machine() in _RENAMEAT2:
        number = _RENAMEAT2[platform.machine()]
        failed = _library().syscall(number, old_folder, names[0], new_folder, names[1], _RENAME_NOREPLACE)
    else:
        return False
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code))


def read_birth(opened: int) -> float | None:
    """When an open file was made; None where the system or the file system does not know."""
    status = os.fstat(opened)
    born: float | None = status.st_ctime if sys.platform == "win32" else getattr(status, "st_birthtime", None)
    statx = getattr(_library(), "statx", None) if sys.platform.startswith("linux") else None
    if born is not None or statx is None:
        return born
    buffer = ctypes.create_string_buffer(256)
    if statx(opened, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer):
        return None
    mask = int.from_bytes(buffer.raw[:4], sys.byteorder)
    seconds = int.from_bytes(buffer.raw[80:88], sys.byteorder, signed=True)
    nanoseconds = int.from_bytes(buffer.raw[88:92], sys.byteorder)
    return seconds + nanoseconds / 1e9 if mask & _STATX_BTIME else None
