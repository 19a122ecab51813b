"""One revision shown: a commit with its patch, a tag, or a file or directory of a commit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from . import history
from .diffs import FLAGS, FileChange, cut_patch, list_files, parse_raw
from .history import Commit
from .names import check_revision, read_name, show, spell, trim, weigh
from .objects import Entry, parse_tree
from .pages import Place, check, digest, read_cursor, write_cursor
from .policy import MEMORY_CEILING
from .refusals import NothingThere, Refusal
from .revisions import resolve
from .tags import Tag, read_tag

if TYPE_CHECKING:
    from .repository import Repository

TREE: Final = re.compile(rb"tree ([0-9a-f]{40}(?:[0-9a-f]{24})?)\n")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a revision is: `kind` is commit, blob or tree.

    A commit comes with its difference from its first parent, and with the annotated tag that named it; a blob with its
    text, a tree with its entries.
    """

    kind: str
    revision: str
    hash: str
    commit: Commit | None = None
    text: str = ""
    files: list[FileChange] = field(default_factory=list[FileChange])
    entries: list[str] = field(default_factory=list[str])
    next_cursor: str | None = None
    notes: list[str] = field(default_factory=list[str])
    tag: Tag | None = None

    def __str__(self) -> str:
        return "\n".join(_word(self))


def _word(shown: Shown) -> Iterator[str]:
    if shown.tag is not None:
        yield str(shown.tag)
    if shown.commit is not None:
        yield str(shown.commit)
    if shown.kind == "tree":
        yield f"tree {shown.revision}\n"
        yield from shown.entries
    if shown.text:
        yield shown.text.rstrip("\n")
    yield from shown.notes
    if shown.next_cursor:
        yield f"[Cut: go on with cursor={shown.next_cursor}]"


async def read_revision(repository: Repository, revision: str, cursor: str | None) -> Shown:
    """Show a commit, or what `REVISION:PATH` names."""
    check_revision(revision)
    name, colon, _ = revision.partition(":")
    if colon and name:
        return await _show_path(repository, revision, cursor)
    (commit,) = await resolve(repository, revision)
    place, room = read_cursor(cursor), repository.policy.room
    tag = None if cursor else await read_tag(repository, revision, room // 6)
    room -= 0 if tag is None else weigh(str(tag)) + 300
    return replace(await _show_commit(repository, revision, commit, place, room), tag=tag)


async def _show_commit(repository: Repository, revision: str, commit: str, place: Place, room: int) -> Shown:
    # A merge is shown as what it brought to its first parent; git's own choice shows only how conflicts were resolved.
    command = ["show", history.FORMAT, *history.PLAIN, "--diff-merges=first-parent", "--ignore-submodules=dirty"]
    command += [*FLAGS, commit, "--"]
    output = await repository.demand(command, limit=min(place.offset + room * 4, MEMORY_CEILING))
    (found,) = history.parse(output.data)[:1] or (None,)
    if found is None:
        raise Refusal("The commit's message is larger than one answer.")
    rest = _skip_record(output.data)
    files, start = parse_raw(rest)
    if start < 0:
        raise Refusal("The commit touches more files than one answer can list. Compare parts of it with git_diff.")
    fingerprint = digest(commit)
    check(place, fingerprint)
    listed, weight = list_files(files, room // 3)
    found = history.shorten(found, room // 3)
    body = rest[start + place.offset :]
    text, used = cut_patch(body, room - weight - weigh(found.message) - 1_000, whole=not output.cut)
    more = used < len(body) or output.cut
    notes = [f"files lists {len(listed)} of {len(files)}."] if len(listed) < len(files) else []
    following = write_cursor(Place(place.offset + used, fingerprint)) if more else None
    return Shown("commit", revision, commit, found, text, listed, [], following, notes)


def _skip_record(data: bytes) -> bytes:
    at = 0
    for _ in range(history.FIELDS):
        at = data.index(b"\0", at) + 1
    return re.sub(rb"^[\x00\n]+", b"", data[at:], count=1)


async def _show_path(repository: Repository, revision: str, cursor: str | None) -> Shown:
    name, _, path = revision.partition(":")
    (commit,) = await resolve(repository, name)
    entry, data = await read_path(repository, commit, read_name(path) if path.strip("/.") else b"")
    place, room = read_cursor(cursor), repository.policy.room
    fingerprint = digest(entry.hash)
    check(place, fingerprint)
    if entry.kind == "commit":
        return Shown(
            "commit", revision, entry.hash, notes=["This is a submodule: its commits are in a repository of its own."]
        )
    if entry.kind == "tree":
        entries = [
            f"{spell(each.name)}{'/' if each.kind == 'tree' else ''}" for each in parse_tree(data, len(entry.hash) // 2)
        ]
        page = _page(entries, place.offset, room)
        more = place.offset + len(page) < len(entries)
        following = write_cursor(Place(place.offset + len(page), fingerprint)) if more else None
        return Shown("tree", revision, entry.hash, entries=page, next_cursor=following)
    if b"\0" in data[:8_000]:
        note = (
            f"This is a binary file of {len(data)} bytes. Read it as the resource git://{repository.name}/{name}/{path}"
        )
        return Shown("blob", revision, entry.hash, notes=[note])
    text, used = cut_text(data[place.offset :], room)
    more = place.offset + used < len(data)
    following = write_cursor(Place(place.offset + used, fingerprint)) if more else None
    return Shown("blob", revision, entry.hash, text=text, next_cursor=following)


def _page(entries: list[str], offset: int, room: int) -> list[str]:
    page: list[str] = []
    for each in entries[offset:]:
        room -= weigh(each) + 2
        if room < 0 and page:
            break
        page.append(each)
    return page


def cut_text(data: bytes, room: int) -> tuple[str, int]:
    """Cut a file to what fits, after a whole line if there is one; gives the text and how many bytes it stands for."""
    text = data[: room + 1].decode("utf-8", "replace")
    if len(data) <= room and weigh(text) <= room:
        return text, len(data)
    kept = trim(text, room)
    lines = kept.count("\n")
    if lines and kept.endswith("\n"):
        return kept, sum(len(line) for line in data[: room + 1].split(b"\n")[:lines]) + lines
    size = max(room // 6, 1)
    while size < len(data) and data[size] & 0xC0 == 0x80:  # not in the middle of a character
        size += 1
    return data[:size].decode("utf-8", "replace"), size


async def read_path(repository: Repository, commit: str, path: bytes) -> tuple[Entry, bytes]:
    """Walk from a commit to what lies at a path; gives its entry and content. Raises `NothingThere`."""
    parts = [each for each in path.split(b"/") if each and each != b"."]
    kind, data = await read_object(repository, commit)
    if kind != "commit":
        raise NothingThere(f"{commit} is no commit.")
    top = TREE.match(data)
    if top is None:
        raise Refusal(f"The commit {commit[:12]} is damaged: it names no tree. `git fsck` tells more.")
    entry = Entry("40000", top[1].decode(), b"")
    content = (await read_object(repository, entry.hash))[1]
    for part in parts:
        found = None
        if entry.kind == "tree":
            found = next((each for each in parse_tree(content, len(entry.hash) // 2) if each.name == part), None)
        if found is None:
            raise NothingThere(
                f"There is no {show(spell(path), 300)} in the commit {commit[:12]}. git_show lists a directory."
            )
        entry = found
        content = b"" if entry.kind == "commit" else (await read_object(repository, entry.hash))[1]
    return entry, content


async def read_object(repository: Repository, identity: str) -> tuple[str, bytes]:
    """Read an object: from the database in this process, or by git where that cannot."""
    repository.ready()
    found = await repository.objects.read(repository.references.replace(identity))
    if found is not None:
        return found
    output = await repository.demand(["cat-file", "--batch"], stdin=f"{identity}\n".encode())
    head, _, data = output.data.partition(b"\n")
    parts = head.decode("utf-8", "replace").split()
    if len(parts) != 3 or output.cut or len(data) < int(parts[2]):
        raise NothingThere(f"The object {identity} is missing from {repository.name}, or larger than can be read here.")
    return parts[1], data[: int(parts[2])]
