"""Runs a command beside a disk that is odd: a FUSE file system of its own, which is often silent and knows no case.

    unshare --map-root-user --mount python odd_disk.py FOLDER COMMAND...

FOLDER/disk is the disk. It has `.env` too, and finds its files as HFS+ does: by their names without case and without
joiners of no width. `good.txt` on it is read; the reads of `hang.txt`, the making of whatever has "hang" in its
name, and every rename are never answered. FOLDER/disk.pid names the process behind it: after SIGUSR1 it answers
nothing at all, and when it is killed all that waits for it fails. It ends with the command. The numbers are those of
linux/fuse.h, version 7.31.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import stat
import struct
import sys
from pathlib import Path

LOOKUP, FORGET, GETATTR, SETATTR, UNLINK, OPEN, READ, WRITE, RELEASE = 1, 2, 3, 4, 10, 14, 15, 16, 18
FSYNC, FLUSH, INIT, RENAME = 20, 25, 26, 45
OPENDIR, READDIR, RELEASEDIR, CREATE, INTERRUPT, FORGET_MANY = 27, 28, 29, 35, 36, 42
UNANSWERED = (FORGET, INTERRUPT, FORGET_MANY, RENAME)
HEAD = struct.Struct("<IIQQIIII")
TOP, GOOD, HANGING, SECRET, MADE = 1, 2, 3, 4, 5
FILES = {"good.txt": GOOD, "hang.txt": HANGING, ".env": SECRET}
TEXT = b"good\n"
PDEATHSIG = 1


class Disk:
    """What the kernel asks, and the answers."""

    def __init__(self, device: int) -> None:
        self._device = device
        self._deaf = False
        signal.signal(signal.SIGUSR1, self._stop_listening)

    def serve(self) -> None:
        """Answer until the file system is gone."""
        while True:
            try:
                request = os.read(self._device, 1 << 20)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                raise
            _, code, unique, node, *_ = HEAD.unpack_from(request)
            answer = None if self._deaf or code in UNANSWERED else self._answer(code, node, request[HEAD.size :])
            if answer is not None:
                failure, body = (answer, b"") if isinstance(answer, int) else (0, answer)
                os.write(self._device, struct.pack("<IiQ", 16 + len(body), -failure, unique) + body)

    def _stop_listening(self, *_: object) -> None:
        self._deaf = True

    def _answer(self, code: int, node: int, body: bytes) -> bytes | int | None:
        """The body of an answer, an error's number, or nothing at all."""
        if code == LOOKUP:
            found = FILES.get(level(body.rstrip(b"\0")))
            return errno.ENOENT if found is None else enter(found)
        if code == READ:
            (offset,) = struct.unpack_from("<Q", body, 8)
            return None if node == HANGING else TEXT[offset:]
        if code == CREATE:
            return None if b"hang" in body[16:] else enter(MADE) + bytes(16)
        answers = {
            WRITE: struct.pack("<II", struct.unpack_from("<I", body, 16)[0] if code == WRITE else 0, 0),
            INIT: struct.pack("<4I2H2I2H8I", 7, 31, 1 << 17, 0, 12, 9, 1 << 17, 1, 32, 0, *[0] * 8),
            **dict.fromkeys((GETATTR, SETATTR), bytes(16) + describe(node)),
            **dict.fromkeys((OPEN, OPENDIR), bytes(16)),
            **dict.fromkeys((READDIR, UNLINK, FSYNC, FLUSH, RELEASE, RELEASEDIR), b""),
        }
        return answers.get(code, errno.ENOSYS)


def level(name: bytes) -> str:
    """A name as this disk compares it."""
    return name.decode().replace("\u200c", "").replace("\u200d", "").casefold()


def enter(node: int) -> bytes:
    """What a name leads to, which the kernel is not to remember: struct fuse_entry_out."""
    return struct.pack("<5Q", node, 0, 0, 0, 0) + describe(node)


def describe(node: int) -> bytes:
    """What `stat` says: struct fuse_attr."""
    mode = stat.S_IFDIR | 0o755 if node == TOP else stat.S_IFREG | 0o644
    return struct.pack("<6Q10I", node, len(TEXT), 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def mount(device: int, place: Path) -> None:
    """Mount the disk; raises `OSError`."""
    library = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40755,user_id={os.getuid()},group_id={os.getgid()},allow_other".encode()
    if library.mount(b"hung", os.fsencode(place), b"fuse", 6, options):  # no set-user-id, no devices
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def main() -> None:
    """Mount, leave a process to serve, become the command."""
    folder = Path(sys.argv[1])
    place = folder / "disk"
    place.mkdir()
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    mount(device, place)
    command = os.getpid()
    served = os.fork()
    if not served:
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        if os.getppid() == command:
            Disk(device).serve()
        os._exit(0)
    (folder / "disk.pid").write_text(str(served))
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
