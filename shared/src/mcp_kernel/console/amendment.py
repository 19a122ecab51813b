"""A change of somebody's file: shown before it is made, made whole or not at all, with what was there kept beside."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_kernel.console.leaks import is_secret_name
from mcp_kernel.console.terminal import Misuse

_MEMBER: Final = re.compile(r'("([^"\\]+)"\s*:\s*)"(?:\\.|[^"\\])*"')
_WIDEST: Final = 200  # characters of a line that is shown; a host's file may be a single line of a megabyte


@dataclass(frozen=True, slots=True)
class Amendment:
    """What a file holds, None where there is none, and what it is to hold."""

    path: Path
    before: str | None
    after: str

    @property
    def backup(self) -> Path:
        """Where the file goes that is replaced."""
        return self.path.with_name(f"{self.path.name}.mcp-kernel.bak")

    def difference(self) -> str:
        """The lines that change, with a few around them, as `diff -u` writes them."""
        lines = difflib.unified_diff(
            (self.before or "").splitlines(), self.after.splitlines(), str(self.path), "as it will be", lineterm=""
        )
        return "\n".join(line if len(line) <= _WIDEST else f"{line[:_WIDEST]} …" for line in map(_mask, lines))

    def write(self) -> None:
        """Make the change. Raises `Misuse` where the file is no longer what it was, and `OSError`."""
        path = Path(os.path.realpath(self.path))  # a link stays one
        if read(path) != self.before:
            raise Misuse(f"{self.path} was changed meanwhile, so that nothing was written; run this again")
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600  # an entry may hold a key
        if self.before is not None:
            mode = path.stat().st_mode & 0o777
            _replace(self.backup, self.before, mode)
        _replace(path, self.after, mode)


def _mask(line: str) -> str:
    """A line without the value of what has the name of a secret: lines around a change are other servers'."""
    return _MEMBER.sub(lambda found: f'{found[1]}"***"' if is_secret_name(found[2]) else found[0], line)


def read(path: Path) -> str | None:
    """The text of a file with its byte order mark and its line ends; None where there is no file. Raises `Misuse`."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise Misuse(f"{path} is not UTF-8, and is left alone") from None
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}") from None


def _replace(path: Path, text: str, mode: int) -> None:
    """Put a file in the place of another in one step: whoever reads sees the old one or the new one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
