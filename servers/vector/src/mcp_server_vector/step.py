"""The keyword index in step with Chroma: what it keeps of chunks, and how it is made to match."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, Iterable, Sequence
from pathlib import Path

from .chunks import HEADING, Chunk, Collection
from .keywords import Entry, Keywords
from .refusals import Refusal
from .vectors import REMOTE, Chroma


def to_entry(chunk: Chunk) -> Entry:
    """What the keyword index keeps of a chunk."""
    heading = str(chunk.metadata.get(HEADING, ""))
    text = f"{heading}\n{chunk.text}" if heading and heading not in chunk.text else chunk.text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return Entry(chunk.id, chunk.document, digest, text)


def to_entries(chunks: Iterable[Chunk]) -> list[Entry]:
    """What the keyword index keeps of chunks."""
    return [to_entry(chunk) for chunk in chunks]


async def check_not_lost(keywords: Keywords, chroma: Chroma, folder: Path) -> None:
    """Refuse to take a database that was emptied or lost for a new one: that would throw away what is left of it."""
    if not chroma.is_blank() or await keywords.recall("stamp") in (None, REMOTE):
        return
    if chunks := await keywords.count_all():
        raise Refusal(
            f"The database {folder / 'chroma.sqlite3'} is empty or gone, though {chunks} passages were indexed in it: "
            "something other than this server did that. Put it back from a backup and call again; to begin anew "
            f"without them, move {folder} away first."
        )


async def bring_in_step(keywords: Keywords, collection: Collection, pages: AsyncIterable[Sequence[Chunk]]) -> None:
    """Make the keyword index hold what Chroma holds, under the lock; `pages` are all chunks of the collection."""
    await keywords.add_collection(collection.uuid)
    left = await keywords.hashes(collection.uuid)
    async for page in pages:
        changed = [each for each in to_entries(page) if left.pop(each.chunk, None) != each.hash]
        if changed:
            async with keywords.writing():
                await keywords.remove_chunks(collection.uuid, [entry.chunk for entry in changed])
                await keywords.put(collection.uuid, changed)
    if left:
        async with keywords.writing():
            await keywords.remove_chunks(collection.uuid, left)
