"""Files at a revision, as resources have them, and the completion of their addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .names import check_revision, read_name, show, spell
from .objects import parse_tree
from .refusals import NothingThere, Refusal
from .revisions import resolve
from .showing import read_path

if TYPE_CHECKING:
    from .repository import Repository

INDEX: Final = "INDEX"
LARGEST: Final = 10 * 1024 * 1024  # bytes of one resource
MOST: Final = 100  # values of one completion


async def read_file(repository: Repository, revision: str, path: str) -> str | bytes:
    """Read a file at a revision, or in the index; a directory gives its names. Raises `NothingThere`."""
    name = read_name(path)
    if revision == INDEX:
        data = await _read_staged(repository, name)
    else:
        check_revision(revision)
        (commit,) = await resolve(repository, revision)
        entry, data = await read_path(repository, commit, name)
        if entry.kind == "tree":
            entries = parse_tree(data, len(entry.hash) // 2)
            return "\n".join(spell(each.name) + "/" * (each.kind == "tree") for each in entries)
    if len(data) > LARGEST:
        raise Refusal(f"{show(path, 300)} has {len(data)} bytes; {LARGEST} are the most that are read at once.")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    return data if "\0" in text else text


async def _read_staged(repository: Repository, name: bytes) -> bytes:
    if b"\n" in name:
        raise NothingThere("No file with a line break in its name can be read from the index.")
    output = await repository.demand(["cat-file", "--batch"], stdin=b":0:" + name + b"\n", limit=LARGEST + 1_000)
    head, _, data = output.data.partition(b"\n")
    found = re.fullmatch(rb"[0-9a-f]+ blob (\d+)", head)
    if found is None:
        raise NothingThere(f"There is no {show(spell(name), 300)} in the index.")
    if output.cut:
        raise Refusal(f"{show(spell(name), 300)} has more than {LARGEST} bytes, the most that are read at once.")
    return data[: int(found[1])]


async def identify(repository: Repository, revision: str, path: str) -> str | None:
    """Give what changes exactly when a resource does; None while there is nothing."""
    try:
        name = read_name(path)
        if revision == INDEX:
            output = await repository.run(
                ["cat-file", "--batch-check"], stdin=b":0:" + name.replace(b"\n", b"") + b"\n"
            )
            return output.data.decode("utf-8", "replace")
        (commit,) = await resolve(repository, revision)
        return (await read_path(repository, commit, name))[0].hash
    except Refusal:
        return None


async def complete_revisions(repository: Repository, prefix: str) -> list[str]:
    """Give HEAD, INDEX, branches and tags that begin so."""
    output = await repository.demand(
        ["for-each-ref", "--format=%(refname)", "--sort=-committerdate", "refs/heads/", "refs/tags/", "refs/remotes/"]
    )
    names = ["HEAD", INDEX]
    found = output.data.decode("utf-8", "replace").split("\n")[:-1]
    names += [re.sub(r"^refs/(heads|tags|remotes)/", "", each) for each in found]
    return [each for each in names if each.startswith(prefix)][:MOST]


async def complete_paths(repository: Repository, revision: str, prefix: str) -> list[str]:
    """Give the entries of the directory that is typed, those that begin so."""
    directory, _, start = prefix.rpartition("/")
    (commit,) = await resolve(repository, "HEAD" if revision == INDEX else revision)
    entry, data = await read_path(repository, commit, read_name(directory) if directory else b"")
    if entry.kind != "tree":
        return []
    names = [(spell(each.name), each.kind == "tree") for each in parse_tree(data, len(entry.hash) // 2)]
    above = f"{directory}/" if directory else ""
    return [f"{above}{name}{'/' * is_tree}" for name, is_tree in names if name.startswith(start)][:MOST]
