"""Annotated tags: who made one, when, and what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .moments import write_moment
from .names import trim, weigh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .repository import Repository

_TAGGER: Final = re.compile(rb"(.*?) ?<([^<>]*)> (-?\d{1,12}) ([+-]\d{4})")
_SIGNATURE: Final = re.compile(r"^-----BEGIN (?:PGP|SSH) [A-Z ]+-----$.*", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tag:
    """An annotated tag. `date` is ISO 8601 with the zone of whoever made it; a signature is told of, not checked."""

    name: str
    tagger: str | None
    tagger_email: str | None
    date: str | None
    message: str
    signed: bool = False

    def __str__(self) -> str:
        return "\n".join(_word(self))


def _word(tag: Tag) -> Iterator[str]:
    yield f"Tag: {tag.name}{' (signed; the signature was not checked)' if tag.signed else ''}"
    if tag.tagger is not None:
        yield f"Tagger: {tag.tagger} <{tag.tagger_email}>"
        yield f"Date: {tag.date}"
    yield f"Message: {tag.message}\n"


async def read_tag(repository: Repository, revision: str, room: int) -> Tag | None:
    """Read what a tag of this name says, in so many bytes; None where there is none, or it is but a name."""
    name = revision.removeprefix("refs/").removeprefix("tags/")
    identity = repository.references.find(f"refs/tags/{name}")
    found = None if identity is None else await repository.objects.read(identity)
    return _parse(found[1], name, room) if found is not None and found[0] == "tag" else None


def _parse(data: bytes, name: str, room: int) -> Tag:
    head, _, body = data.partition(b"\n\n")
    line = next((line[7:] for line in head.split(b"\n") if line.startswith(b"tagger ")), b"")
    who = _TAGGER.fullmatch(line)
    text = body.decode("utf-8", "replace")
    message = _SIGNATURE.sub("", text)
    kept = message.rstrip()
    if weigh(kept) > room:
        kept = f"{trim(kept, room)}\n[The message is cut; it has {len(message.rstrip())} characters.]"
    if who is None:
        return Tag(name, None, None, None, kept, message != text)
    tagger, email = (each.decode("utf-8", "replace") for each in who.groups()[:2])
    return Tag(name, tagger, email, write_moment(who[3].decode(), who[4].decode()), kept, message != text)
