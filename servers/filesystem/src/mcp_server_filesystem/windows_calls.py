"""The calls of Windows that open, change and describe a file by a handle, through ctypes. For 64 bits.

A name is opened relative to the handle of its directory (NtCreateFile with RootDirectory), and a reparse point is
opened itself, so that no name is looked up twice and nothing is followed. Structures and numbers are those of the
Windows Driver Kit (ntifs.h, ntstatus.h).
"""

from __future__ import annotations

import ctypes
import errno
import os
from ctypes import c_int64, c_size_t, c_uint32, c_void_p
from functools import cache
from importlib import import_module
from typing import Final

SYNCHRONIZE, DELETE, READ_CONTROL, WRITE_DAC = 0x100000, 0x10000, 0x20000, 0x40000
LIST, TRAVERSE, READ_ATTRIBUTES = 0x01, 0x20, 0x80
GENERIC_READ, GENERIC_WRITE = 0x120089, 0x120116
OPEN, CREATE = 1, 2
DIRECTORY, NO_DIRECTORY = 0x01, 0x40
REPARSE_ATTRIBUTE: Final = 0x400
BASIC, LINK, RENAME, DISPOSITION, TAG = 4, 11, 10, 13, 35
RENAME_EX, DISPOSITION_EX = 65, 64
_ITSELF, _IN_STEP = 0x200000, 0x20  # FILE_OPEN_REPARSE_POINT, FILE_SYNCHRONOUS_IO_NONALERT
_SHARED = 7  # others may read, write and delete meanwhile, as on every other system
_WITHOUT_CASE = 0x40
_GET_REPARSE_POINT = 0x900A8
_FULL_DIRECTORY = 2
_NO_MORE_FILES = 0x80000006
_NOT_SUPPORTED = (0xC00000BB, 0xC0000002, 0xC0000003, 0xC000000D, 0xC0000010)  # the last by FAT
_ERRORS: Final = {
    0xC0000034: errno.ENOENT,
    0xC000003A: errno.ENOENT,
    0xC0000056: errno.ENOENT,  # it is being deleted
    0xC0000033: errno.EINVAL,
    0xC0000035: errno.EEXIST,
    0xC0000103: errno.ENOTDIR,
    0xC00000BA: errno.EISDIR,
    0xC0000101: errno.ENOTEMPTY,
    0xC00000D4: errno.EXDEV,
    0xC0000275: errno.EINVAL,  # no reparse point
    0xC0000022: errno.EACCES,
    0xC0000043: errno.EBUSY,  # somebody has it open and does not share it
    0xC0000121: errno.EACCES,
    0xC000007F: errno.ENOSPC,
}


class _Text(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("most", ctypes.c_uint16), ("buffer", c_void_p))


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("folder", c_void_p),
        ("name", ctypes.POINTER(_Text)),
        ("attributes", c_uint32),
        ("security", c_void_p),
        ("quality", c_void_p),
    )


class _Status(ctypes.Structure):
    _fields_ = (("status", c_void_p), ("information", c_size_t))


@cache
def _system() -> ctypes.CDLL:
    return ctypes.CDLL("ntdll")


@cache
def _kernel() -> ctypes.CDLL:
    return ctypes.CDLL("kernel32")


def _check(status: int) -> None:
    code = status & 0xFFFFFFFF
    if code >= 0xC0000000:
        number = _ERRORS.get(code)
        if number is None:
            raise OSError(
                0, f"the system answered {code:#x}", None, int(_system().RtlNtStatusToDosError(c_uint32(code)))
            )
        raise OSError(number, os.strerror(number))


def handle_of(descriptor: int) -> int:
    """The handle behind a descriptor."""
    return int(import_module("msvcrt").get_osfhandle(descriptor))  # a module of Windows alone


def to_descriptor(handle: int, flags: int) -> int:
    """Make a descriptor that owns a handle."""
    binary, private = 0x8000, 0x80  # O_BINARY, O_NOINHERIT
    try:
        return int(import_module("msvcrt").open_osfhandle(handle, flags | binary | private))
    except OSError:
        close(handle)
        raise


def close(handle: int) -> None:
    """Close a handle that no descriptor owns."""
    _kernel().CloseHandle(c_void_p(handle))


def create(folder: int | None, name: str, access: int, how: tuple[int, int], *, itself: bool = True) -> int:
    """Open or make what is called `name` in an open directory, or with an empty name that directory once more.

    Gives a handle. Raises `OSError`.

    Args:
        folder: The handle of the directory; None for a path of the system's own.
        name: One name, without a separator.
        access: Rights, as SYNCHRONIZE.
        how: OPEN or CREATE, and DIRECTORY, NO_DIRECTORY or 0.
        itself: Whether a reparse point is opened itself, and not what it stands for.
    """
    buffer = ctypes.create_unicode_buffer(name)
    size = len(name.encode("utf-16-le", "surrogatepass"))
    text = _Text(size, size, ctypes.cast(buffer, c_void_p))
    attributes = _Attributes(ctypes.sizeof(_Attributes), folder, ctypes.pointer(text), _WITHOUT_CASE, None, None)
    handle, said = c_void_p(), _Status()
    disposition, kind = how
    _check(
        _system().NtCreateFile(
            ctypes.byref(handle),
            c_uint32(access | SYNCHRONIZE),
            ctypes.byref(attributes),
            ctypes.byref(said),
            None,
            c_uint32(0x80),  # FILE_ATTRIBUTE_NORMAL
            c_uint32(_SHARED),
            c_uint32(disposition),
            c_uint32(kind | _IN_STEP | (_ITSELF if itself else 0)),
            None,
            c_uint32(0),
        )
    )
    return handle.value or 0


def open_path(path: str, access: int) -> int:
    r"""Open a directory by its whole path (`C:\x`), links followed. Gives a handle; raises `OSError`."""
    return create(None, f"\\??\\{path}", access, (OPEN, DIRECTORY), itself=False)


def final_path(handle: int) -> str:
    """The name that the system knows an open file by, links and short names resolved; raises `OSError`."""
    size = 512
    while True:
        buffer = ctypes.create_unicode_buffer(size)
        length = int(_kernel().GetFinalPathNameByHandleW(c_void_p(handle), buffer, c_uint32(size), c_uint32(0)))
        if length == 0:
            raise OSError(errno.EXDEV, "the system has no path for it")
        if length < size:
            return buffer.value
        size = length + 1


def reparse_tag(handle: int) -> int:
    """The tag of a reparse point; 0 for what is none."""
    buffer, said = (c_uint32 * 2)(), _Status()
    _check(_system().NtQueryInformationFile(c_void_p(handle), ctypes.byref(said), buffer, c_uint32(8), TAG))
    return int(buffer[1]) if buffer[0] & REPARSE_ATTRIBUTE else 0


def reparse_data(handle: int) -> bytes:
    """What a reparse point holds; raises `OSError` for what is none."""
    buffer, said = ctypes.create_string_buffer(16 * 1024), _Status()
    nothing, code, size = c_uint32(0), c_uint32(_GET_REPARSE_POINT), c_uint32(len(buffer))
    call = _system().NtFsControlFile
    _check(call(c_void_p(handle), None, None, None, ctypes.byref(said), code, None, nothing, buffer, size))
    return buffer.raw[: said.information]


def set_information(handle: int, kind: int, data: bytes) -> bool:
    """Change something of an open file; False where this system does not know how. Raises `OSError`."""
    said = _Status()
    call = _system().NtSetInformationFile
    status = call(c_void_p(handle), ctypes.byref(said), data, c_uint32(len(data)), c_uint32(kind)) & 0xFFFFFFFF
    if status in _NOT_SUPPORTED:
        return False
    _check(status)
    return True


def read_basic(handle: int) -> bytes:
    """The times and attributes of an open file, as `set_information` takes them (FILE_BASIC_INFORMATION)."""
    buffer, said = (c_int64 * 5)(), _Status()
    _check(_system().NtQueryInformationFile(c_void_p(handle), ctypes.byref(said), buffer, c_uint32(40), BASIC))
    return bytes(buffer)


def read_directory(handle: int, *, again: bool) -> bytes:
    """The next entries of a directory (FILE_FULL_DIR_INFORMATION), `again` from the first; empty at the end."""
    buffer, said = ctypes.create_string_buffer(64 * 1024), _Status()
    call = _system().NtQueryDirectoryFile
    size, kind = c_uint32(len(buffer)), c_uint32(_FULL_DIRECTORY)
    status = call(c_void_p(handle), None, None, None, ctypes.byref(said), buffer, size, kind, 0, None, int(again))
    if status & 0xFFFFFFFF == _NO_MORE_FILES:
        return b""
    _check(status)
    return buffer.raw[: said.information]


def copy_access_list(old: int, new: int) -> None:
    """Give an open file the access list of another; handles with READ_CONTROL and WRITE_DAC. Raises `OSError`."""
    library, access_list = ctypes.CDLL("advapi32"), c_uint32(4)
    needed = c_uint32()
    library.GetKernelObjectSecurity(c_void_p(old), access_list, None, c_uint32(0), ctypes.byref(needed))
    buffer = ctypes.create_string_buffer(max(needed.value, 1))
    size = c_uint32(len(buffer))
    if not (
        library.GetKernelObjectSecurity(c_void_p(old), access_list, buffer, size, ctypes.byref(needed))
        and library.SetKernelObjectSecurity(c_void_p(new), access_list, buffer)
    ):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))
