"""A JSON file of notes: read whole, written whole, never half. It knows nothing of MCP."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from filelock import FileLock


@dataclass(frozen=True, slots=True)
class Note:
    """A note; its id counts from 1 and is not used again while a later one is there."""

    id: int
    title: str
    text: str


class Unreadable(Exception):
    """The file is not what it should be; the text says what to do."""


class Missing(Exception):
    """There is no such note; the text says which there are."""


class Notebook:
    """The notes in a file `{"notes": [{"id": 1, "title": "…", "text": "…"}]}`, made when the first is written.

    It is read for every call, so that what an editor or another process wrote is seen; two processes that write in the
    same moment are told apart by a lock beside the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = Lock()  # of this process's threads, which need not look for the file's again and again

    def read(self) -> list[Note]:
        """All notes, in the order of the file; raises `Unreadable`."""
        try:
            whole: Any = json.loads(self.path.read_text("utf-8"))
            return [Note(int(each["id"]), str(each["title"]), str(each["text"])) for each in whole["notes"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            problem = f"{type(error).__name__}: {error}"
            raise Unreadable(f"{self.path} is no file of notes ({problem}). Mend it, or start with another.") from None

    def find(self, identifier: int) -> Note:
        """One note; raises `Missing`."""
        notes = self.read()
        for note in notes:
            if note.id == identifier:
                return note
        known = ", ".join(str(note.id) for note in notes) or "none yet"
        raise Missing(f"There is no note {identifier}. The notes are: {known}.")

    def add(self, title: str, text: str) -> Note:
        """Write one more note."""

        def change(notes: list[Note]) -> Note:
            added = Note(max((note.id for note in notes), default=0) + 1, title, text)
            notes.append(added)
            return added

        return self._change(change)

    def remove(self, identifier: int) -> Note:
        """Take a note out; raises `Missing`."""

        def change(notes: list[Note]) -> Note:
            note = self.find(identifier)
            notes.remove(note)
            return note

        return self._change(change)

    def _change(self, change: Callable[[list[Note]], Note]) -> Note:
        """Read, change and write, alone; the new file takes the old one's place at once or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._turn, FileLock(self.path.with_name(f".{self.path.name}.lock"), poll_interval=0.005):
            notes = self.read()
            changed = change(notes)
            whole = json.dumps({"notes": [asdict(note) for note in notes]}, indent=2, ensure_ascii=False)
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(whole + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            return changed
