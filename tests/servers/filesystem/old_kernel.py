"""Runs a program as under a kernel that has neither openat2 nor a rename that replaces nothing.

    python old_kernel.py PROGRAM [ARGUMENT]…

A seccomp filter answers both with ENOSYS, for the program and all that it starts. The other flags of renameat2 work.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

RENAMEAT2 = {"x86_64": 316, "aarch64": 276}
OPENAT2 = 437
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.ENOSYS
NUMBER, FIFTH = 0, 48  # where a filter sees the number of a call, and its fifth argument
NOREPLACE = 1


def close() -> None:
    """Put this process under the filter, for good."""
    steps = [
        (LOAD, 0, 0, NUMBER),
        (EQUAL, 4, 0, OPENAT2),
        (EQUAL, 0, 2, RENAMEAT2[platform.machine()]),
        (LOAD, 0, 0, FIFTH),
        (EQUAL, 1, 0, NOREPLACE),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    library = ctypes.CDLL(None, use_errno=True)
    for call in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SET_SECCOMP, FILTER, program, 0, 0)):
        if library.prctl(*call):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    close()
    os.execvp(sys.argv[1], sys.argv[1:])  # that is its purpose
