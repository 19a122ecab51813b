"""Packs, read through GitPython's object database, gitdb: one object at a time, every step of a delta under a fence.

Of gitdb only the formats are used. Its own way to an object follows a chain without end, gives a delta whatever memory
it asks for, and reads `alternates` by rules that are not git's; and `git`, the package above it, looks for the program
git on the PATH and runs it as soon as it is imported.
"""

from __future__ import annotations

import os
import stat
import time
from functools import cache
from pathlib import Path
from typing import Final, Protocol, cast

TYPES: Final = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
OFFSET_DELTA, REFERENCE_DELTA = 6, 7
DEEPEST: Final = 4_095  # deltas upon deltas, as in git
LARGEST: Final = 10 * 1024 * 1024  # bytes of one object, and of all deltas that make one


_Stamp = tuple[int, int]


class _Entry(Protocol):
    """What gitdb gives of an entry of a pack; `size` is what it is said to have, deltas as they are stored."""

    type_id: int
    size: int
    delta_info: int | bytes | memoryview

    def read(self) -> bytes: ...


class _Pack(Protocol):
    def stream(self, offset: int) -> _Entry: ...


class _Index(Protocol):
    def sha_to_index(self, sha: bytes) -> int | None: ...
    def offset(self, number: int) -> int: ...


class _Entity(Protocol):
    """A pack with its index: `gitdb.pack.PackEntity`, which has no types."""

    def pack(self) -> _Pack: ...
    def index(self) -> _Index: ...


class Packs:
    """The packs of one object directory. What is damaged raises whatever Python says of it."""

    def __init__(self, objects: Path) -> None:
        self._folder = objects / "pack"
        self._entities: dict[str, _Entity] = {}

    def update(self) -> None:
        """Look which packs there are."""
        from gitdb.pack import PackEntity  # pyright: ignore[reportMissingTypeStubs]  # it has none

        names: set[str] = set()
        if self._folder.is_dir():
            names = {each.name for each in self._folder.iterdir() if each.name.startswith("pack-")}
        stems = sorted(name[:-4] for name in names if name.endswith(".idx") and f"{name[:-4]}.pack" in names)
        found: dict[str, _Entity] = {}
        for stem in stems:
            path = str(self._folder / stem)
            if _is_as_mapped(path):
                found[path] = self._entities.get(path) or cast("_Entity", PackEntity(f"{path}.pack"))
        self._entities = found

    def read(self, identity: bytes, deadline: float) -> tuple[str, bytes] | None:
        """Give an object's type and content; None where there is none, or more of it than is read here."""
        for path, entity in self._entities.items():
            if not _is_as_mapped(path):
                continue
            number = entity.index().sha_to_index(identity)
            if number is not None:
                return _build(entity, entity.index().offset(number), deadline)
        return None


def _is_as_mapped(path: str) -> bool:
    """Tell whether a pack and its index are the files that gitdb maps, or has mapped, into memory.

    It keeps a map under its path for good, and to read there what was cut off the file since ends the process.
    """
    stamps = _look(path)
    return bool(stamps) and stamps == _first_seen(path)


@cache
def _first_seen(path: str) -> list[_Stamp]:
    return _look(path)


def _look(path: str) -> list[_Stamp]:
    """Which files a pack and its index are, and how long; empty where one is no file: a FIFO would never answer."""
    try:
        found = [os.lstat(f"{path}.{kind}") for kind in ("idx", "pack")]
    except OSError:
        return []
    return [(each.st_ino, each.st_size) for each in found] if all(stat.S_ISREG(each.st_mode) for each in found) else []


def _build(entity: _Entity, offset: int, deadline: float) -> tuple[str, bytes] | None:
    deltas: list[bytes] = []
    left = LARGEST
    for _ in range(DEEPEST):
        if offset <= 0 or time.monotonic() > deadline:
            return None
        entry = entity.pack().stream(offset)
        left -= entry.size
        if left < 0:
            return None
        data = entry.read()
        if entry.type_id in TYPES:
            for delta in reversed(deltas):
                if time.monotonic() > deadline:
                    return None
                data = apply_delta(data, delta)
            return TYPES[entry.type_id], data
        deltas.append(data)
        base = entry.delta_info
        if isinstance(base, int):
            offset -= base
            continue
        number = entity.index().sha_to_index(bytes(base))
        if number is None:
            return None
        offset = entity.index().offset(number)
    return None


def apply_delta(base: bytes, delta: bytes) -> bytes:
    """Make an object of another one and a delta (gitformat-pack); raises for one that is damaged or too large."""
    source, at = _read_size(delta, 0)
    target, at = _read_size(delta, at)
    if source != len(base) or target > LARGEST:
        raise ValueError("the delta belongs to another object, or makes a larger one than is read here")
    made = bytearray()
    while at < len(delta):
        code = delta[at]
        at += 1
        if code & 0x80:
            start, at = _read_bytes(delta, at, code & 0x0F)
            size, at = _read_bytes(delta, at, code >> 4 & 0x07)
            made += base[start : start + (size or 0x10000)]
        elif code:
            made += delta[at : at + code]
            at += code
        else:
            raise ValueError("the delta holds a step that is not known")
        if len(made) > target:
            break
    if len(made) != target:
        raise ValueError("the delta makes an object of another size than it says")
    return bytes(made)


def _read_size(data: bytes, at: int) -> tuple[int, int]:
    size = shift = 0
    while shift < 64:
        byte = data[at]
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return size, at
    raise ValueError("the delta's size is not a number")


def _read_bytes(data: bytes, at: int, present: int) -> tuple[int, int]:
    """Read a number of which `present` tells, bit by bit, the bytes that are there."""
    value = shift = 0
    while present:
        if present & 1:
            value |= data[at] << shift
            at += 1
        present >>= 1
        shift += 8
    return value, at
