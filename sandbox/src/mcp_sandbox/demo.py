"""The demo data: one coffee roastery, seen by every server in the form that it knows."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mcp_sandbox import desk, history, shop


class Lacking(Exception):
    """Something that a server needs is not on this machine; the text says what."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The places of the data in a folder, and what makes them."""

    folder: Path

    @property
    def shop(self) -> Path:
        """The shop as an SQLite database."""
        return self.folder / "shop.db"

    @property
    def script(self) -> Path:
        """The same shop as a script for psql."""
        return self.folder / "shop.sql"

    @property
    def repository(self) -> Path:
        """A git repository with history."""
        return self.folder / "price-list"

    @property
    def documents(self) -> Path:
        """The handbook, a folder of Markdown files."""
        return self.folder / "handbook"

    @property
    def tickets(self) -> Path:
        """What the support desk begins with."""
        return self.folder / "tickets.json"

    def make_shop(self) -> None:
        """Fill the SQLite file."""
        shop.write_database(self.shop)

    def make_script(self) -> None:
        """Write the shop for psql."""
        self.script.write_text(shop.write_script(), "utf-8")

    def make_repository(self) -> None:
        """Make the repository; raises `Lacking` without git."""
        git = shutil.which("git")
        if git is None:
            raise Lacking("git is not installed")
        try:
            history.make(git, self.repository)
        except history.Failed as failed:
            raise Lacking(f"git cannot make the repository: {failed}") from None

    def make_documents(self) -> None:
        """Copy the handbook."""
        self.documents.mkdir()
        for each in resources.files("mcp_sandbox").joinpath("documents").iterdir():
            (self.documents / each.name).write_bytes(each.read_bytes())

    def make_tickets(self) -> None:
        """Write the desk's customers and tickets."""
        self.tickets.write_text(json.dumps(desk.SEED, indent=2) + "\n", "utf-8")

    @property
    def is_made(self) -> bool:
        """Whether `make_all` has come to its end here: the tickets are the last."""
        return self.tickets.exists()

    def make_all(self) -> None:
        """Make everything; raises `Lacking` without git."""
        self.make_shop()
        self.make_script()
        self.make_repository()
        self.make_documents()
        self.make_tickets()
