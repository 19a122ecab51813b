"""Branches: listed, made, and switched to without losing work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from .names import check_branch, check_revision, show, weigh
from .refusals import NothingThere, Refusal
from .revisions import resolve

if TYPE_CHECKING:
    from .repository import Repository

Kind = Literal["local", "remote", "all"]
PLACES: Final[dict[str, list[str]]] = {
    "local": ["refs/heads/"],
    "remote": ["refs/remotes/"],
    "all": ["refs/heads/", "refs/remotes/"],
}
KEEP: Final = "Nothing was changed. Commit that work first (git_add, git_commit), or move it away."
FORMAT: Final = "--format=%(refname)%00%(objectname)%00%(symref)"


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch; `upstream` is what it follows."""

    name: str
    commit: str
    is_remote: bool
    is_current: bool = False
    upstream: str | None = None


@dataclass(frozen=True, slots=True)
class Branches:
    """The branches; `detached_at` is the commit that is checked out where no branch is."""

    branches: list[Branch] = field(default_factory=list[Branch])
    current: str | None = None
    detached_at: str | None = None
    truncated: bool = False

    def __str__(self) -> str:
        return "\n".join(_word(self)) or "No branches match."


def _word(found: Branches) -> Iterator[str]:
    if found.detached_at:
        yield f"* (HEAD detached at {found.detached_at[:12]})"
    for each in found.branches:
        yield f"{'*' if each.is_current else ' '} {'remotes/' if each.is_remote else ''}{each.name}"
    if found.truncated:
        yield "[Cut to the size of one answer: narrow it with contains or branch_type.]"


@dataclass(frozen=True, slots=True)
class Moved:
    """A branch that was made or switched to."""

    message: str
    branch: str | None
    commit: str | None
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return "\n".join([self.message, *self.notes])


async def list_branches(repository: Repository, kind: Kind, contains: str | None, not_contains: str | None) -> Branches:
    """List branches, those with or without a commit in their history."""
    head = repository.references.head()
    if head is None or contains or not_contains:
        refs = await _ask_refs(repository, kind, contains, not_contains)
    else:
        repository.ready()
        refs = await asyncio.to_thread(_read_refs, repository, kind)
    current = head.branch if head else await _ask_head(repository)
    branches: list[Branch] = []
    left = repository.policy.room
    for name, commit in refs.items():
        if commit is None:
            continue
        is_remote = name.startswith("refs/remotes/")
        short = name.removeprefix("refs/remotes/" if is_remote else "refs/heads/")
        upstream = None if is_remote else _find_upstream(repository, short)
        left -= weigh(short) + weigh(upstream or "") + 200
        if left < 0:
            break
        branches.append(Branch(short, commit, is_remote, not is_remote and short == current, upstream))
    detached = head.commit if head and head.branch is None else None
    return Branches(branches, current, detached, left < 0)


def _read_refs(repository: Repository, kind: Kind) -> dict[str, str | None]:
    return {name: value for place in PLACES[kind] for name, value in repository.references.list(place).items()}


async def _ask_refs(
    repository: Repository, kind: Kind, contains: str | None, not_contains: str | None
) -> dict[str, str | None]:
    given = [each for each in (contains, not_contains) if each]
    hashes = iter(await resolve(repository, *given))
    limits = [f"--contains={next(hashes)}"] if contains else []
    limits += [f"--no-contains={next(hashes)}"] if not_contains else []
    output = await repository.demand(["for-each-ref", FORMAT, *limits, *PLACES[kind]])
    lines = (line.split("\0") for line in output.data.decode("utf-8", "surrogateescape").split("\n")[:-1])
    return {name: None if symbolic else commit for name, commit, symbolic in lines}


def _find_upstream(repository: Repository, branch: str) -> str | None:
    """Give the branch that another one follows, as git names it in short."""
    found = repository.manner.upstreams.get(branch)
    if found is None:
        return None
    remote, target = found
    name = f"refs/remotes/{remote}/{target}" if remote != "." else f"refs/heads/{target}"
    return name.split("/", 2)[2] if repository.references.has(name) else None


async def _ask_head(repository: Repository) -> str | None:
    output = await repository.run(["symbolic-ref", "--short", "--quiet", "HEAD"])
    return output.data.decode("utf-8", "replace").strip() or None


async def create_branch(repository: Repository, name: str, base: str | None) -> Moved:
    """Make a branch at a revision; nothing is checked out."""
    check_branch(name)
    (commit,) = await resolve(repository, base or "HEAD")
    if repository.references.has(f"refs/heads/{name}"):
        raise Refusal(f"The branch {name} exists already. Choose another name, or go to it with git_checkout.")
    async with repository.changing():
        await repository.demand(["branch", "--no-track", "--end-of-options", name, commit])
    head = repository.references.head()
    origin = base or (head.branch if head and head.branch else commit[:12])
    return Moved(f"Created branch '{name}' from '{origin}'", name, commit)


async def checkout(repository: Repository, name: str) -> Moved:
    """Switch to a branch, or to a commit without one; whatever would be lost by it makes git refuse."""
    repository.work_tree()
    check_revision(name)
    before = repository.references.head()
    async with repository.changing():
        if repository.references.has(f"refs/heads/{name}"):
            command = ["switch", "--quiet", "--no-guess", "--no-overwrite-ignore", "--end-of-options", name]
        else:
            command = await _leave_branches(repository, name)
        output = await repository.run(
            ["-c", "checkout.guess=false", *command], seconds=repository.policy.call_seconds * 4
        )
    if output.code:
        said = repository.explain(output)
        raise Refusal(said if "overwritten" not in said else f"{said}\n{KEEP}")
    head = repository.references.head()
    notes = repository.warn(output.errors)
    if repository.manner.filters:
        notes.append(
            f"Filters are configured ({', '.join(sorted(repository.manner.filters)[:5])}) and were not run: files "
            "under one are checked out as they are stored."
        )
    if repository.has_submodules():
        notes.append("Submodules were left as they are.")
    branch = head.branch if head else name
    if branch is None:
        notes.append("HEAD is detached: make a branch with git_create_branch before committing.")
        return Moved(f"Switched to commit {head.commit if head else name}", None, head.commit if head else None, notes)
    verb = "Already on" if before is not None and before.branch == branch else "Switched to"
    return Moved(f"{verb} branch '{branch}'", branch, head.commit if head else None, notes)


async def _leave_branches(repository: Repository, name: str) -> list[str]:
    """Say how to go where no local branch is: to a new one for that of a remote, or to a commit."""
    try:
        (commit,) = await resolve(repository, name)
    except NothingThere:
        pattern = f"refs/remotes/*/{check_branch(name)}"
        output = await repository.demand(["for-each-ref", "--format=%(objectname) %(refname)", pattern])
        found = output.data.decode("utf-8", "replace").split("\n")[:-1]
        if len(found) == 1:
            commit, _, _ = found[0].partition(" ")
            return ["switch", "--quiet", "--no-track", "--no-overwrite-ignore", "--create", name, commit]
        if found:
            raise Refusal(
                f"{len(found)} remotes have a branch {show(name)}: give its full name, as origin/{name}."
            ) from None
        raise
    return ["switch", "--quiet", "--detach", "--no-overwrite-ignore", commit]
