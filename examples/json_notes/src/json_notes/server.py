"""The server: `json-notes --file notes.json`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Len
from pydantic import Field

from mcp_kernel import Context, ResourceLink, ResourceNotFound, Server
from mcp_kernel.cli import CommandLine

from . import __version__
from .notebook import Missing, Note, Notebook, Unreadable

Title = Annotated[str, Len(1, 200)]
Text = Annotated[str, Len(1, 20_000)]
Number = Annotated[int, Field(ge=1)]


@dataclass
class Confirm:
    """What the user is asked before a note is gone."""

    sure: bool


def build(notebook: Notebook) -> Server:
    """Make the server of one file."""
    server = Server(
        "json-notes",
        __version__,
        title="Notes",
        instructions="The user's notes. Search them before you answer what they may know; add what they want kept.",
        tool_errors=(Missing, Unreadable),
    )
    _add_resources(server, notebook)
    _add_tools(server, notebook)
    return server


def _add_resources(server: Server, notebook: Notebook) -> None:
    @server.resource("notes://all", name="notes", title="All notes", mime_type="application/json")
    def everything() -> list[Note]:  # pyright: ignore[reportUnusedFunction]  # registered
        """Every note."""
        return notebook.read()

    @server.resource("notes://{id}", name="note", title="A note", mime_type="text/markdown")
    def one(id: Number) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """One note."""
        try:
            note = notebook.find(id)
        except Missing as missing:
            raise ResourceNotFound(str(missing)) from None
        return f"# {note.title}\n\n{note.text}"

    @server.complete("notes://{id}", "id")
    def identifiers(typed: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        return [str(note.id) for note in notebook.read() if str(note.id).startswith(typed)]

    @server.watcher
    async def watch(uris: Iterable[str]) -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        """Tell subscribers when anybody writes the file: this server, another one, or an editor."""
        from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]  # a part of its signature is untyped

        folder = notebook.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        async for _ in awatch(folder, watch_filter=lambda change, path: Path(path).name == notebook.path.name):
            for uri in uris:  # those that somebody is subscribed to now: all are in the one file
                server.changed(uri)


def _add_tools(server: Server, notebook: Notebook) -> None:
    @server.tool(read_only=True)
    def search_notes(words: Annotated[str, Len(1, 200)]) -> list[Note]:  # pyright: ignore[reportUnusedFunction]  # registered
        """Find the notes that contain every one of some words.

        Args:
            words: Words, in any order; upper and lower case are the same.
        """
        wanted = words.casefold().split()
        return [note for note in notebook.read() if all(w in f"{note.title}\n{note.text}".casefold() for w in wanted)]

    @server.tool(destructive=False)
    def add_note(title: Title, text: Text) -> list[str | ResourceLink]:  # pyright: ignore[reportUnusedFunction]  # registered
        """Keep a note.

        Args:
            title: What it is about, in a line.
            text: The note, as markdown.
        """
        note = notebook.add(title, text)
        return [f"Note {note.id} is kept.", ResourceLink(f"notes://{note.id}", note.title, mime_type="text/markdown")]

    @server.tool(destructive=True)
    async def remove_note(id: Number, ctx: Context) -> str:  # pyright: ignore[reportUnusedFunction]  # registered
        """Remove a note for good; the user is asked first.

        Args:
            id: The note's number.
        """
        note = notebook.find(id)
        await ctx.elicit("confirm", f"Remove the note “{note.title}”? It cannot be brought back.", Confirm)
        notebook.remove(id)
        return f"Note {id} is gone."


def main() -> None:
    """Start the server with the arguments of this process."""
    line = CommandLine("json-notes", __version__, "Notes in a JSON file, for an assistant to search and to keep.")
    options = line.add_argument_group("options of this server")
    options.add_argument("--file", type=Path, default=Path("notes.json"), metavar="FILE", help="the JSON file")
    arguments = line.parse_args()
    notebook = Notebook(arguments.file.absolute())
    line.serve(build(notebook), arguments, str(notebook.path))
