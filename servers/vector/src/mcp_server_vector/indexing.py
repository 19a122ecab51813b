"""Files into a collection, and out of it when they are gone: only what changed is read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from .folders import Folder, Mark, Unreadable
from .globs import Glob
from .refusals import Missing, Refusal
from .rules import MAX_ID, check_collection
from .store import Store
from .writing import Draft

_GROUP: Final = 50
_LARGE: Final = 100_000  # characters

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
    marks: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    skipped: list[str] = field(default_factory=list[str])

    @property
    def is_full(self) -> bool:
        """Whether it is time to write; soon enough for others to get their turn, and for progress to be seen."""
        return len(self.paths) >= _GROUP or sum(len(draft.text) for draft in self.drafts) > _LARGE


class Indexer:
    """Reads the files of some folders into collections; a document's id is its file's path."""

    def __init__(self, store: Store, folders: Sequence[Folder]) -> None:
        self.store = store
        self.folders = tuple(folders)

    async def index(self, paths: Sequence[str], collection: str, glob: str, progress: Progress | None = None) -> Tally:
        """Index files and directories, and take out what is no longer there; raises `Refusal`."""
        pattern = Glob(glob)
        places = [self._locate(path) for path in (paths or ["."])]
        tally = Tally()
        for folder, place in places:
            await self.update(folder, place, collection, pattern, tally, progress)
        return tally

    async def update(  # what to look at, and where to count
        self,
        folder: Folder,
        place: str,
        collection: str,
        glob: Glob,
        tally: Tally,
        progress: Progress | None = None,
    ) -> None:
        """Bring one place of a folder into step."""
        check_collection(collection)
        found = dict(await asyncio.to_thread(lambda: list(folder.walk(place, glob))))
        known = await self._known(collection, folder, place)
        marks = await self.store.marks(collection)
        group = Group()
        for number, (path, mark) in enumerate(found.items(), 1):
            name = str(folder.path / path)
            if name in known and marks.get(name) == (mark.size, mark.modified):
                tally.unchanged += 1
            else:
                await self._read(folder, path, mark, tally, group)
            group.paths.append(path)
            if group.is_full or number == len(found):
                await self._write(collection, group, known, tally)
                for done, each in enumerate(group.paths, number - len(group.paths) + 1):
                    if progress is not None:
                        await progress(done, len(found), each)
                group = Group()
        gone = [name for name in known if (inner := folder.place(Path(name))) and inner not in found]
        gone = [name for name in gone if glob.matches(folder.place(Path(name)) or "")]
        if gone:
            deleted, _ = await self.store.delete(collection, gone)
            tally.deleted += len(deleted)

    async def _read(self, folder: Folder, path: str, mark: Mark, tally: Tally, group: Group) -> None:
        name = str(folder.path / path)
        try:
            if len(name) > MAX_ID:
                raise Unreadable(f"its path has more than {MAX_ID} characters")
            text = await asyncio.to_thread(folder.read, path)
            group.drafts.append(Draft.make(text, {"source": _shorten(name)}, name))
            group.marks[name] = (mark.size, mark.modified)
        except (Unreadable, Refusal) as problem:
            tally.skipped.append((path, str(problem)))
            group.skipped.append(name)

    async def _write(self, collection: str, group: Group, known: set[str], tally: Tally) -> None:
        if group.drafts:
            for indexed in await self.store.index_all(collection, group.drafts):
                setattr(tally, indexed.status, getattr(tally, indexed.status) + 1)
            await self.store.keep_marks(collection, group.marks)
        gone = [name for name in group.skipped if name in known]  # it became binary, or empty
        for start in range(0, len(gone), _GROUP):
            deleted, _ = await self.store.delete(collection, gone[start : start + _GROUP])
            tally.deleted += len(deleted)

    async def _known(self, collection: str, folder: Folder, place: str) -> set[str]:
        try:
            return set(await self.store.ids_under(collection, str(folder.path / place) if place else str(folder.path)))
        except Missing:
            return set()

    def _locate(self, path: str) -> tuple[Folder, str]:
        if not self.folders:
            raise Refusal("This server may read no files: start it with --files DIR or --watch DIR.")
        if "\x00" in path:
            raise Refusal("A path holds no NUL characters.")
        given = Path(path).expanduser() if path.startswith("~") else Path(path)
        for folder in self.folders:
            place = folder.place(given)
            if place is not None and (given.is_absolute() or _exists(folder, place)):
                return folder, place
        names = ", ".join(str(folder.path) for folder in self.folders)
        raise Refusal(f"{path!r} is not in a directory that this server may read: {names}.")


def _exists(folder: Folder, place: str) -> bool:
    return place == "" or os.path.lexists(folder.path / place)


def _shorten(name: str) -> str:
    return name if len(name.encode()) <= 1024 else f"…{name[-250:]}"
