r"""Names and paths of Windows, as pure decisions: nothing here asks the system.

Inside this package a path is written as in a file URI, with slashes and one before the drive: `/C:/Users/me`. What a
caller writes comes in through `read_path`; what the system says of an open handle through `read_final_path`; the target
of a link through `read_reparse_point`. Formats and rules: Microsoft's "Naming Files, Paths, and Namespaces" and
[MS-FSCC] 2.1.2.
"""

from __future__ import annotations

import re
import struct
from typing import Final

SYMLINK: Final = 0xA000000C
MOUNT_POINT: Final = 0xA0000003  # a junction, or a volume that is mounted in a directory
NAME_SURROGATE: Final = 0x20000000  # a tag with this bit stands for another name
NOWHERE: Final = "/?"
"""In place of the target of a link that leads to a network or a device: it lies in no directory that is served."""

_RELATIVE: Final = 1
_DRIVE = re.compile(r"/?([A-Za-z]):(.*)", re.DOTALL)
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*\\/]')
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)


class BadName(ValueError):
    """A path that Windows would take for something else than a file in a directory of a drive; says why."""


def check_name(name: str) -> None:
    """Raise `BadName` for a name that Windows, or a program on it, would read as another one or as a device."""
    found = _FORBIDDEN.search(name)
    if found and found[0] == ":":
        raise BadName("a colon in a name opens another stream of a file")
    if found:
        raise BadName(f"{found[0]!a} stands in no file name")
    if name != name.rstrip(". ") or not name:
        raise BadName("dots and spaces at the end of a name are dropped by Windows, so that it means another file")
    if _DEVICES.fullmatch(name.partition(".")[0].rstrip(" ")):
        raise BadName("it is the name of a device")


def read_path(path: str) -> str:
    """Write a caller's path, absolute or relative, as it is written here; raises `BadName`."""
    text = path.replace("\\", "/")
    if text.startswith("//"):
        raise BadName("a network or device path is not served")
    found = _DRIVE.fullmatch(text)
    start, rest = "", text
    if found:
        start, rest = f"/{found[1].upper()}:", found[2]
        if not rest.startswith("/"):
            raise BadName("it counts from a directory that only the drive knows; write it with a slash after the colon")
    elif text.startswith("/"):
        raise BadName("it names no drive")
    for name in rest.split("/"):
        if name not in ("", ".", ".."):
            check_name(name)
    return start + rest


def read_final_path(path: str) -> str | None:
    r"""Write what the system calls an open handle (`\\?\C:\x`) as it is written here; None for what is on no drive."""
    found = re.fullmatch(r"\\\\\?\\([A-Za-z]):(\\.*)?", path, re.DOTALL)
    if found is None:
        return None
    return f"/{found[1].upper()}:{(found[2] or '').replace(chr(92), '/').rstrip('/')}"


def write_path(path: str) -> str:
    r"""Write a path of ours as Windows has it, `C:\x`; one that is not absolute stays."""
    found = _DRIVE.fullmatch(path)
    if found is None or not path.startswith("/"):
        return path
    return f"{found[1]}:{found[2].replace('/', chr(92)) or chr(92)}"


def read_reparse_point(data: bytes) -> str | None:
    """The target of a link from its reparse data, as it is written here; None for what is no link.

    A relative target counts from the directory of the link. Raises `ValueError` for damaged data.
    """
    if len(data) < 8:
        raise ValueError("the reparse data is cut")
    tag, size = struct.unpack_from("<IH", data)
    if tag not in (SYMLINK, MOUNT_POINT):
        return NOWHERE if tag & NAME_SURROGATE else None
    head = "<HHHHI" if tag == SYMLINK else "<HHHH"
    start = 8 + struct.calcsize(head)
    if len(data) < 8 + size or len(data) < start:
        raise ValueError("the reparse data is cut")
    offset, length, *_, last = struct.unpack_from(head, data, 8)
    name = data[start + offset : start + offset + length]
    if len(name) != length:
        raise ValueError("the reparse data is cut")
    return _read_target(name.decode("utf-16-le", "surrogatepass"), relative=tag == SYMLINK and last == _RELATIVE)


def _read_target(target: str, *, relative: bool) -> str:
    if relative:
        text = target.replace("\\", "/")
        return NOWHERE if text.startswith("/") or ":" in text else text
    text = target.removeprefix("\\??\\")
    found = re.fullmatch(r"([A-Za-z]):(\\.*)?", text, re.DOTALL)
    return NOWHERE if found is None else f"/{found[1].upper()}:{(found[2] or '').replace(chr(92), '/')}"
