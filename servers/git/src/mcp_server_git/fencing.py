"""A fence around the thread that starts git, held by the Linux kernel (Landlock): its children have it too.

Inside it git can read its own installation and the one repository, write to that repository, execute itself and
nothing else, and open no TCP connection. What is refused elsewhere by care is refused here by the kernel, be it a
configuration key of a later git, a link that was swapped in between, or a flaw in git's own checks.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CREATE, ADD_RULE, RESTRICT = 444, 445, 446  # system call numbers, the same on every architecture but alpha
VERSION, PATH_BENEATH, NO_NEW_PRIVILEGES = 1, 1, 38
OLDEST: Final = 2  # the first version under which a file can be renamed into another directory, as git does
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, DEVICE_CONTROL = 1, 2, 4, 8, 1 << 14, 1 << 15
ALL: Final = {2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
ON_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_CONTROL
TCP: Final = 3  # bind and connect
SCOPES: Final = 3  # abstract sockets and signals stay inside
INSTALLED: Final = (
    "/usr",
    "/lib",
    "/lib64",
    "/lib32",
    "/opt",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/urandom",
)


@dataclass(frozen=True, slots=True)
class Fence:
    """What the children may do: programs to execute, places to read, places to write."""

    programs: tuple[str, ...]
    readable: tuple[str, ...]
    writable: tuple[str, ...]

    def close(self) -> None:
        """Put the calling thread inside, for good; nothing happens where the kernel has no Landlock."""
        version = supported()
        if version < OLDEST:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        everything = ALL[min(version, 5)]
        attributes = struct.pack("=QQQ", everything, TCP if version >= 4 else 0, SCOPES if version >= 6 else 0)
        size = 24 if version >= 6 else 16 if version >= 4 else 8
        rules = _check(libc.syscall(CREATE, attributes, ctypes.c_size_t(size), 0))
        try:
            reading = READ_FILE | READ_DIR
            for paths, access in (
                (self.programs, EXECUTE | READ_FILE),
                (self.readable, reading),
                (self.writable, everything & ~EXECUTE & ~DEVICE_CONTROL),
                ((os.devnull,), READ_FILE | WRITE_FILE),
            ):
                _allow(libc, rules, paths, access & everything)
            _check(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
            _check(libc.syscall(RESTRICT, rules, 0))
        finally:
            os.close(rules)


def supported() -> int:
    """The version of Landlock that the kernel has; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(int(ctypes.CDLL(None).syscall(CREATE, None, ctypes.c_size_t(0), VERSION)), 0)


def _allow(libc: ctypes.CDLL, rules: int, paths: Iterable[str], access: int) -> None:
    for path in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what is not there needs no rule
        try:
            allowed = access if Path(path).is_dir() else access & ON_FILES
            rule = struct.pack("=Qi", allowed, place)
            _check(libc.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0))
        finally:
            os.close(place)


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def find_loader(program: str) -> tuple[str, ...]:
    """Give the loader that the kernel starts for a program (PT_INTERP of an ELF file); none for a static one."""
    with Path(program).open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or head[:5] != b"\x7fELF\x02":
            return ()
        order = "<" if head[5] == 1 else ">"
        (start,) = struct.unpack_from(f"{order}Q", head, 32)
        size, count = struct.unpack_from(f"{order}HH", head, 54)
        file.seek(start)
        table = file.read(size * count)
        for number in range(count):
            kind, _, offset, _, _, length = struct.unpack_from(f"{order}IIQQQQ", table, number * size)
            if kind == 3:
                file.seek(offset)
                name = os.fsdecode(file.read(length).rstrip(b"\0"))
                return (name, os.path.realpath(name))
    return ()
