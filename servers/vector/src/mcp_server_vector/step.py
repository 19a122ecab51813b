"""The keyword index in step with Chroma: what it keeps of chunks, and how it is made to match."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, Iterable, Sequence

from .chunks import HEADING, Chunk, Collection
from .keywords import Entry, Keywords


def to_entry(chunk: Chunk) -> Entry:
    """What the keyword index keeps of a chunk."""
    heading = str(chunk.metadata.get(HEADING, ""))
    text = f"{heading}\n{chunk.text}" if heading and heading not in chunk.text else chunk.text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return Entry(chunk.id, chunk.document, digest, text)


def to_entries(chunks: Iterable[Chunk]) -> list[Entry]:
    """What the keyword index keeps of chunks."""
    return [to_entry(chunk) for chunk in chunks]


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
