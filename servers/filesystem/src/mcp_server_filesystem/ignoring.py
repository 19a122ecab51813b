"""`.gitignore`: what a project does not count as its own, so that walks leave it out."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from .descriptors import READING, open_in
from .globs import MOST_CHARACTERS, Names, is_special, translate

NAME = ".gitignore"
_MOST_BYTES = 256 * 1024
_MOST_PATTERNS = 2_000


@dataclass(frozen=True, slots=True)
class _Pattern:
    expression: re.Pattern[str]
    by_name: bool
    only_folders: bool
    negated: bool


class Rules:
    """The patterns of one file; `base` is the directory that they count from, with a slash at its end, or empty.

    `is_cut` says that the file has more of them than are followed: they are somebody else's, and take time to compile.
    """

    def __init__(self, base: str, text: str) -> None:
        self.base = base
        self._patterns: list[_Pattern] = []
        candidates: list[str] = []
        lines, room = text.splitlines(), MOST_CHARACTERS
        self.is_cut = len(lines) > _MOST_PATTERNS
        for line in lines[:_MOST_PATTERNS]:
            read = _read_line(line)
            if read is None:
                continue
            pattern, name = read
            room -= len(name) if is_special(name) else 0
            if room < 0:
                self.is_cut = True
                break
            self._patterns.insert(0, pattern)
            candidates.append(name)
        self._candidates = Names(candidates)

    def judge(self, folder: str, name: str, is_folder: bool) -> bool | None:
        """True: left out; False: kept by an exception; None: nothing is said of it."""
        if not self._candidates.match(name):
            return None
        path = folder[len(self.base) :] + name
        for pattern in self._patterns:  # the last line that fits decides
            if pattern.only_folders and not is_folder:
                continue
            if pattern.expression.match(name if pattern.by_name else path):
                return not pattern.negated
        return None


def judge(chain: Sequence[Rules], folder: str, name: str, is_folder: bool) -> bool:
    """Tell whether an entry is left out; the innermost file that says anything decides."""
    for rules in reversed(chain):
        verdict = rules.judge(folder, name, is_folder)
        if verdict is not None:
            return verdict
    return False


def read_rules(folder: int, base: str, name: str = NAME) -> Rules | None:
    """Read the patterns in an open directory; None where there are none."""
    try:
        fd = open_in((folder, name), READING)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return Rules(base, os.read(fd, _MOST_BYTES).decode("utf-8", "surrogateescape"))
    except OSError:
        return None
    finally:
        os.close(fd)


def _read_line(line: str) -> tuple[_Pattern, str] | None:
    """The pattern of a line, and the part of it that the last name of a path must fit; None for no pattern."""
    if line.startswith("#"):
        return None
    line = re.sub(r"(?<!\\)[ \t]+$", "", line)
    negated = line.startswith("!")
    glob = line[1:] if negated else line
    only_folders = glob.endswith("/")
    glob = glob.rstrip("/")
    if not glob or len(glob) > 1000:
        return None
    by_name = "/" not in glob
    last = re.sub(r"(?<!\\)[{}]", r"\\\g<0>", glob.rpartition("/")[2])  # braces mean themselves
    return _Pattern(re.compile(f"(?s:{translate(glob)})\\Z"), by_name, only_folders, negated), last
