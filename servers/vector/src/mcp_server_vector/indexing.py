"""Files into a collection, and out of it when they are gone: only what changed is read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from .folders import Folder, Mark, Unreadable
from .globs import Glob
from .refusals import Missing, Refusal
from .rules import MAX_ID, check_collection
from .store import Store
from .writing import Draft

_GROUP: Final = 200  # files; at 50 Chroma takes half as much again for each
_LARGE: Final = 100_000  # characters
_IN: Final = 500  # documents deleted at once; Chroma cannot take 33,000 and others want their turn

Progress: TypeAlias = Callable[[int, int, str], Awaitable[None]]


@dataclass(slots=True)
class Tally:
    """What became of the files."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@dataclass(slots=True)
class Group:
    """Files that are written together, since a write takes time however little it is of."""

    paths: list[str] = field(default_factory=list[str])
    drafts: list[Draft] = field(default_factory=list[Draft])
    skipped: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])  # path, id, why
    size: int = 0  # characters

    @property
    def is_full(self) -> bool:
        """Whether it is time to write; soon enough for others to get their turn, and for progress to be seen."""
        return len(self.paths) >= _GROUP or self.size > _LARGE


class Indexer:
    """Reads the files of some folders into collections; a document's id is its file's path."""

    def __init__(self, store: Store, folders: Sequence[Folder]) -> None:
        self.store = store
        self.folders = tuple(folders)

    async def index(self, paths: Sequence[str], collection: str, glob: str, progress: Progress | None = None) -> Tally:
        """Index files and directories, and take out what is no longer there; raises `Refusal`.

        No paths at all mean every directory that this server may read.
        """
        pattern = Glob(glob)
        places = [self._locate(path) for path in paths] if paths else [(folder, "") for folder in self._readable()]
        tally = Tally()
        for folder, place in places:
            await self.update(folder, [place], collection, pattern, tally, progress)
        return tally

    async def update(  # what to look at, and where to count
        self,
        folder: Folder,
        places: Sequence[str],
        collection: str,
        glob: Glob,
        tally: Tally,
        progress: Progress | None = None,
    ) -> None:
        """Bring places of a folder into step, of which none lies in another."""
        check_collection(collection)
        closed: list[str] = []
        found = await asyncio.to_thread(
            lambda: {path: mark for place in places for path, mark in folder.walk(place, glob, closed)}
        )
        known: set[str] = set()
        for place in places:
            known |= await self._known(collection, folder, place)
        marks = {name: mark for name, mark in (await self.store.marks(collection)).items() if name in known}
        files, done = iter(found.items()), 0
        while (group := await asyncio.to_thread(_read_some, folder, files, marks)).paths:
            await self._write(collection, group, known, tally)
            for each in group.paths:
                done += 1
                if progress is not None:
                    await progress(done, len(found), _show(each))
        gone = [name for name in known if (inner := folder.place(Path(name))) and inner not in found]
        gone = [name for name in gone if glob.matches(folder.place(Path(name)) or "")]
        gone = [name for name in gone if not any(Path(name).is_relative_to(folder.path / each) for each in closed)]
        await self._take_out(collection, gone, tally)

    async def _write(self, collection: str, group: Group, known: set[str], tally: Tally) -> None:
        tally.unchanged += len(group.paths) - len(group.drafts) - len(group.skipped)
        tally.skipped += [(_show(path), why) for path, _, why in group.skipped]
        if group.drafts:
            for indexed in await self.store.index_all(collection, group.drafts):
                setattr(tally, indexed.status, getattr(tally, indexed.status) + 1)
        gone = [name for _, name, _ in group.skipped if name in known]  # it became binary, or empty
        await self._take_out(collection, gone, tally)

    async def _take_out(self, collection: str, gone: Sequence[str], tally: Tally) -> None:
        for start in range(0, len(gone), _IN):
            deleted, _ = await self.store.delete(collection, gone[start : start + _IN])
            tally.deleted += len(deleted)

    async def _known(self, collection: str, folder: Folder, place: str) -> set[str]:
        if not _is_text(place):
            return set()
        try:
            return set(await self.store.ids_under(collection, str(folder.path / place) if place else str(folder.path)))
        except Missing:
            return set()

    def _readable(self) -> Sequence[Folder]:
        if not self.folders:
            raise Refusal("This server may read no files: start it with --files DIR or --watch DIR.")
        return self.folders

    def _locate(self, path: str) -> tuple[Folder, str]:
        if "\x00" in path:
            raise Refusal("A path holds no NUL characters.")
        given = Path(path).expanduser() if path.startswith("~") else Path(path)
        for folder in self._readable():
            place = folder.place(given)
            if place is not None and (given.is_absolute() or _exists(folder, place)):
                return folder, place
        names = ", ".join(str(folder.path) for folder in self.folders)
        raise Refusal(f"{path!r} is not in a directory that this server may read: {names}.")


def _read_some(folder: Folder, files: Iterator[tuple[str, Mark]], marks: Mapping[str, tuple[int, int]]) -> Group:
    """The next files, as many as are written together; those whose marks are known are not read."""
    group = Group()
    for path, mark in files:
        name, seen = str(folder.path / path), (mark.size, mark.modified)
        group.paths.append(path)
        if marks.get(name) != seen:
            try:
                draft = replace(_read(folder, path, name), mark=seen)
            except (Unreadable, Refusal) as problem:
                group.skipped.append((path, name, str(problem)))
            else:
                group.drafts.append(draft)
                group.size += len(draft.text)
        if group.is_full:
            break
    return group


def _read(folder: Folder, path: str, name: str) -> Draft:
    if not _is_text(name):
        raise Unreadable("its path is not UTF-8")
    if len(name) > MAX_ID:
        raise Unreadable(f"its path has more than {MAX_ID} characters")
    return Draft.make(folder.read(path), {"source": _shorten(name)}, name)


def _exists(folder: Folder, place: str) -> bool:
    return place == "" or os.path.lexists(folder.path / place)


def _is_text(path: str) -> bool:
    return all(not "\ud800" <= each <= "\udfff" for each in path)


def _show(path: str) -> str:
    """A path in one line of text, whatever bytes it has."""
    return path.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n")


def _shorten(name: str) -> str:
    return name if len(name.encode()) <= 1024 else f"…{name[-250:]}"
