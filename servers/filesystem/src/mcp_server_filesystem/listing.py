"""What directories hold: lists, sizes, what is known of one file, and trees."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from json.encoder import encode_basestring

from .confinement import Scope
from .content import to_source
from .descriptors import PATH_ONLY, READING, reopen_file, scan
from .errand import Errand
from .refusals import Refusal, explain, spell
from .stepping import Opened
from .system import read_birth
from .walking import Bounds, Entry, Walk, check_start, kind_of

MOST_ENTRIES = 50_000
_UNITS = ("B", "KB", "MB", "GB", "TB")


@dataclass(slots=True)  # not frozen: that takes four times as long to make, and there are many
class ListedEntry:
    """An entry of a directory: file, directory, symlink or other; `denied` where it is not for reading."""

    name: str
    type: str
    denied: bool = False
    size: int | None = None

    @property
    def label(self) -> str:
        """How the entry is marked in a text."""
        return "[DENIED]" if self.denied else "[DIR]" if self.type == "directory" else "[FILE]"


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries of a directory."""

    path: str
    entries: list[ListedEntry]
    truncated: bool = False
    note: str | None = None

    def __str__(self) -> str:
        lines = [f"{entry.label} {entry.name}" for entry in self.entries]
        return "\n".join([*lines, self.note] if self.note else lines)

    def fit(self, budget: int) -> Listing:
        """Keep as many entries as an answer of `budget` bytes can hold."""
        kept = _count_fitting(self.entries, budget)
        return replace(self, entries=self.entries[:kept], truncated=True, note=_say_cut(kept, self.entries, self.note))


@dataclass(frozen=True, slots=True)
class SizedListing:
    """The entries of a directory with their sizes, and their sum."""

    path: str
    entries: list[ListedEntry]
    files: int
    directories: int
    total_size: int
    truncated: bool = False
    note: str | None = None

    def __str__(self) -> str:
        lines = [_size_line(entry) for entry in self.entries]
        lines += ["", f"Total: {self.files} files, {self.directories} directories"]
        lines.append(f"Combined size: {format_size(self.total_size)}")
        return "\n".join([*lines, self.note] if self.note else lines)

    def fit(self, budget: int) -> SizedListing:
        """Keep as many entries as an answer of `budget` bytes can hold; the sums stay those of all."""
        kept = _count_fitting(self.entries, budget)
        return replace(self, entries=self.entries[:kept], truncated=True, note=_say_cut(kept, self.entries, self.note))


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is known of a file or directory."""

    path: str
    type: str
    size: int
    created: str | None
    modified: str
    accessed: str
    permissions: str
    writable: bool
    denied: bool = False
    etag: str | None = None

    def __str__(self) -> str:
        known: dict[str, object] = {
            "size": self.size,
            "created": self.created or "unknown",
            "modified": self.modified,
            "accessed": self.accessed,
            "isDirectory": str(self.type == "directory").lower(),
            "isFile": str(self.type == "file").lower(),
            "permissions": self.permissions,
        }
        if self.denied:
            known["denied"] = "true"
        if self.etag:
            known["etag"] = self.etag
        return "\n".join(f"{key}: {value}" for key, value in known.items())


@dataclass(frozen=True, slots=True)
class AllowedDirectory:
    """A directory that may be used."""

    path: str
    writable: bool


@dataclass(frozen=True, slots=True)
class AllowedDirectories:
    """The directories that this call could use."""

    directories: list[AllowedDirectory]

    def __str__(self) -> str:
        lines = [f"{each.path}{'' if each.writable else ' (read-only)'}" for each in self.directories]
        return "\n".join(["Allowed directories:", *lines])


def list_allowed(scope: Scope) -> AllowedDirectories:
    """The directories of a scope."""
    return AllowedDirectories([AllowedDirectory(spell(each.path), each.writable) for each in scope.anchors])


def list_folder(scope: Scope, path: str, most: int = MOST_ENTRIES) -> Listing:
    """List a directory by name, as far as `most` entries go."""
    entries, note = _scan(scope, path, most, sized=False)
    return Listing(spell(path), entries, note is not None, note)


def list_sized(scope: Scope, path: str, by_size: bool, most: int = MOST_ENTRIES) -> SizedListing:
    """List a directory with sizes, by name or the largest first, as far as `most` entries go."""
    entries, note = _scan(scope, path, most, sized=True)
    if by_size:
        entries.sort(key=lambda entry: (-(entry.size or 0), entry.name))
    folders = sum(entry.type == "directory" for entry in entries)
    return SizedListing(
        spell(path),
        entries,
        len(entries) - folders,
        folders,
        sum(entry.size or 0 for entry in entries),
        note is not None,
        note,
    )


def describe(scope: Scope, path: str) -> FileInfo:
    """Tell what is known of a file or directory, of a denied one too."""
    with scope.open(path, PATH_ONLY) as opened:
        status = os.fstat(opened.fd)
        denied = scope.is_denied(opened.real)
        kind = "directory" if stat.S_ISDIR(status.st_mode) else "file" if stat.S_ISREG(status.st_mode) else "other"
        born = read_birth(opened.fd)
        return FileInfo(
            path=spell(path),
            type=kind,
            size=status.st_size,
            created=None if born is None else _format_time(born),
            modified=_format_time(status.st_mtime),
            accessed=_format_time(status.st_atime),
            permissions=f"{stat.S_IMODE(status.st_mode):03o}"[-3:],
            writable=scope.anchor_of(opened.real).writable and not denied,
            denied=denied,
            etag=None if denied or kind != "file" else _find_etag(opened, path),
        )


def draw_tree(scope: Scope, path: str, bounds: Bounds, most_bytes: int, errand: Errand) -> tuple[str, list[str]]:
    """Draw a directory and all below it as JSON, and say what it leaves out."""
    room = most_bytes - 1024
    children: dict[str, list[Entry]] = {}
    with check_start(scope, path) as start:
        walk = Walk(scope, start, bounds, errand)
        for folder in walk.folders():
            children[folder.path] = folder.entries
            if not most_bytes:
                continue
            weights = [_weigh(entry, folder.level) for entry in folder.entries]
            kept = _count_while(weights, room)
            room -= sum(weights)
            if room < 0:
                children[folder.path] = folder.entries[:kept]
                walk.tally.cut = (
                    "the whole tree is larger than an answer may be; the upper levels are shown. "
                    "Ask for a smaller directory, use excludePatterns or maxDepth."
                )
                break
    lines: list[str] = []
    _draw(children, "", "  ", lines)
    return "\n".join(["[", *lines, "]"]) if lines else "[]", walk.tally.remarks()


def _draw(children: dict[str, list[Entry]], folder: str, pad: str, lines: list[str]) -> None:
    inner = f"{pad}  "
    start, end = f'{pad}{{\n{inner}"name": ', f"\n{pad}}},"
    file, directory, mark = f',\n{inner}"type": "file"', f',\n{inner}"type": "directory"', f',\n{inner}"denied": true'
    for name, kind, denied in children.get(folder, ()):
        quoted = encode_basestring(name if name.isascii() else spell(name))
        if kind != "directory":
            lines.append(f"{start}{quoted}{file}{mark if denied else ''}{end}")
            continue
        below = f"{folder}{name}/"
        lines.append(f"{start}{quoted}{directory}{mark if denied else ''},")
        if children.get(below):
            lines.append(f'{inner}"children": [')
            _draw(children, below, f"{inner}  ", lines)
            lines.append(f"{inner}]{end}")
        else:
            lines.append(f'{inner}"children": []{end}')
    if lines:
        lines[-1] = lines[-1].removesuffix(",")


def _weigh(entry: Entry, level: int) -> int:
    """How many bytes an entry takes in a tree, at most."""
    name, kind, _ = entry
    size = len(name) if name.isalnum() and name.isascii() else 2 * len(os.fsencode(name))
    return size + 16 * level + 70 + (8 * level + 30 if kind == "directory" else 0)


def format_size(size: int) -> str:
    """A number of bytes for people."""
    if size <= 0:
        return "0 B"
    unit = min((size.bit_length() - 1) // 10, len(_UNITS) - 1)
    return f"{size / 1024**unit:.2f} {_UNITS[unit]}" if unit else f"{size} B"


def _scan(scope: Scope, path: str, most: int, *, sized: bool) -> tuple[list[ListedEntry], str | None]:
    with check_start(scope, path) as opened:
        relative = scope.relative(opened.real)
        folder = f"{relative}/" if relative else ""
        listed: list[ListedEntry] = []
        denies = scope.denial.denies_entry
        try:
            with scan(opened.fd) as found:
                entries = list(islice(found, most))
                may_deny = scope.denial.candidates.touch([entry.name for entry in entries])
                for entry in entries:
                    name, kind = entry.name, kind_of(entry)
                    size = _size(entry) if sized and kind != "directory" else None
                    listed.append(ListedEntry(spell(name), kind, may_deny and denies(folder, name), size))
                is_cut = len(listed) == most and next(found, None) is not None
        except OSError as error:
            raise explain(error, path) from None
    listed.sort(key=lambda entry: entry.name)
    return listed, f"Partial: there are more than {most} entries, and no more are looked at." if is_cut else None


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:  # gone meanwhile
        return 0


def _size_line(entry: ListedEntry) -> str:
    size = "" if entry.type == "directory" else format_size(entry.size or 0).rjust(10)
    return f"{entry.label} {entry.name.ljust(30)} {size}"


def _find_etag(opened: Opened, path: str) -> str | None:
    """The tag of a file of which only the place is open; None where it may not be read."""
    try:
        with Opened(reopen_file(opened.fd, READING), opened.real) as readable:
            return to_source(readable, path).etag()
    except (OSError, Refusal):
        return None


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _count_fitting(entries: Sequence[ListedEntry], budget: int) -> int:
    return _count_while([len(entry.name.encode("utf-8", "replace")) * 2 + 80 for entry in entries], budget - 600)


def _count_while(weights: Sequence[int], room: int) -> int:
    for index, weight in enumerate(weights):
        room -= weight
        if room < 0:
            return index
    return len(weights)


def _say_cut(kept: int, entries: Sequence[ListedEntry], note: str | None) -> str:
    said = (
        f"Cut: {kept} of {len(entries)} entries are shown, to stay within what an answer may hold. "
        "search_files finds the others by a pattern."
    )
    return f"{said} {note}" if note else said
