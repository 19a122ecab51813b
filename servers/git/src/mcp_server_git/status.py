"""The state of the work tree and the index, read from `git status --porcelain=v2`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from .names import spell, weigh

if TYPE_CHECKING:
    from .repository import Repository

WORDS: Final = {
    "M": "modified",
    "T": "type changed",
    "A": "new file",
    "D": "deleted",
    "R": "renamed",
    "C": "copied",
    "U": "unmerged",
}
CONFLICTS: Final = {
    "DD": "both deleted",
    "AU": "added by us",
    "UD": "deleted by them",
    "UA": "added by them",
    "DU": "deleted by us",
    "AA": "both added",
    "UU": "both modified",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One file and what happened to it; `old_path` where it was renamed or copied."""

    path: str
    change: str
    old_path: str | None = None

    def __str__(self) -> str:
        name = f"{self.old_path} -> {self.path}" if self.old_path else self.path
        return f"{self.change}: {name}"


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a repository. `branch` is None when HEAD is detached, `commit` when there is none yet.

    `truncated` says that the lists are cut; the counts are always whole.
    """

    branch: str | None
    commit: str | None
    upstream: str | None = None
    ahead: int | None = None
    behind: int | None = None
    staged: list[Change] = field(default_factory=list[Change])
    unstaged: list[Change] = field(default_factory=list[Change])
    untracked: list[str] = field(default_factory=list[str])
    conflicted: list[Change] = field(default_factory=list[Change])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    in_progress: str | None = None
    truncated: bool = False
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return "Repository status:\n" + "\n".join(_word(self))


def _word(status: Status) -> Iterator[str]:
    if status.branch is not None:
        yield f"On branch {status.branch}"
    else:
        yield f"HEAD detached at {(status.commit or '')[:12]}"
    if status.commit is None:
        yield "No commits yet"
    if status.upstream is not None:
        yield _word_upstream(status)
    if status.in_progress:
        yield f"In progress: {status.in_progress}"
    for title, changes in (
        ("Changes to be committed", status.staged),
        ("Changes not staged for commit", status.unstaged),
        ("Unmerged paths (conflicts)", status.conflicted),
    ):
        if changes:
            yield f"{title}:"
            yield from (f"\t{change}" for change in changes)
    if status.untracked:
        yield "Untracked files:"
        yield from (f"\t{path}" for path in status.untracked)
    if not any(status.counts.values()):
        yield "nothing to commit, working tree clean"
    if status.truncated:
        counts = ", ".join(f"{count} {kind}" for kind, count in status.counts.items() if count)
        yield f"[The lists are cut to the size of one answer; in all: {counts}. git_diff_staged and git_diff_unstaged "
        yield "page through the changes.]"
    yield from status.notes


def _word_upstream(status: Status) -> str:
    if status.ahead is None or status.behind is None:
        return f"The upstream {status.upstream} is gone."
    if not status.ahead and not status.behind:
        return f"Up to date with {status.upstream}."
    return f"Compared with {status.upstream}: {status.ahead} ahead, {status.behind} behind."


async def read_status(repository: Repository) -> Status:
    """Ask git for the status, without writing to the index and without looking into submodules."""
    repository.work_tree()
    # `--ignore-submodules` must be said here: a `.gitmodules` overrules the configuration, and git would run itself
    # inside a submodule, with the submodule's own configuration.
    output = await repository.demand(
        ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--ignore-submodules=all"]
    )
    status = _parse(output.data)
    notes: list[str] = []
    if repository.has_submodules():
        staged = await _staged_submodules(repository) if status.commit else []
        status.staged.extend(staged)
        status.counts["staged"] += len(staged)
        notes.append("Submodules are not looked into; give a submodule's path as repo_path for its own status.")
    if repository.manner.filters and status.unstaged:
        named = ", ".join(sorted(repository.manner.filters)[:5])
        notes.append(f"Filters are configured ({named}) and not run here: files under one may show as modified.")
    notes += repository.warn(output.errors)
    return _fit(replace(status, in_progress=_find_progress(repository), notes=notes), repository.policy.room)


async def _staged_submodules(repository: Repository) -> list[Change]:
    """Changes of submodules in the index, which `--ignore-submodules=all` leaves out; no work tree is looked at."""
    from .diffs import parse_raw

    output = await repository.demand(
        ["diff-index", "--cached", "--raw", "-z", "--ignore-submodules=dirty", "HEAD", "--"]
    )
    return [
        Change(each.path, WORDS["M" if each.status == "modified" else each.status[0].upper()])
        for each in parse_raw(output.data)[0]
        if each.is_submodule
    ]


def _parse(data: bytes) -> Status:
    head: dict[str, str] = {}
    status = Status(None, None)
    fields = iter(data.split(b"\0"))
    for line in fields:
        match line[:2]:
            case b"# ":
                key, _, value = line[2:].decode("utf-8", "replace").partition(" ")
                head[key] = value
            case b"1 ":
                _add(status, line.split(b" ", 8), None)
            case b"2 ":
                *parts, _, path = line.split(b" ", 9)
                _add(status, [*parts, path], next(fields, b""))
            case b"u ":
                parts = line.split(b" ", 10)
                status.conflicted.append(Change(spell(parts[10]), CONFLICTS.get(parts[1].decode(), "unmerged")))
            case b"? ":
                status.untracked.append(spell(line[2:]))
            case _:
                continue
    return _describe(status, head)


def _add(status: Status, parts: list[bytes], old: bytes | None) -> None:
    """Add the line of one file: its two letters, its path, its path before."""
    staged, unstaged = parts[1].decode()
    path = spell(parts[8])
    before = None if old is None else spell(old)
    if staged != ".":
        status.staged.append(Change(path, WORDS.get(staged, staged), before if staged in "RC" else None))
    if unstaged != ".":
        status.unstaged.append(Change(path, WORDS.get(unstaged, unstaged), before if unstaged in "RC" else None))


def _describe(status: Status, head: dict[str, str]) -> Status:
    branch, commit = head.get("branch.head", ""), head.get("branch.oid", "")
    ahead, _, behind = head.get("branch.ab", "").partition(" ")
    return replace(
        status,
        branch=None if branch == "(detached)" else branch,
        commit=None if commit == "(initial)" else commit,
        upstream=head.get("branch.upstream"),
        ahead=int(ahead) if ahead else None,
        behind=-int(behind) if behind else None,
        counts={
            "staged": len(status.staged),
            "unstaged": len(status.unstaged),
            "untracked": len(status.untracked),
            "conflicted": len(status.conflicted),
        },
    )


def _find_progress(repository: Repository) -> str | None:
    git_dir = repository.layout.git_dir
    for name, what in (
        ("rebase-merge", "rebase"),
        ("rebase-apply", "rebase"),
        ("MERGE_HEAD", "merge"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
        ("BISECT_LOG", "bisect"),
    ):
        if (git_dir / name).exists():
            return what
    return None


def _fit(status: Status, room: int) -> Status:
    """Cut the lists to what fits, conflicts and staged files first."""
    left = room - sum(weigh(note) for note in status.notes)
    cut = False
    kept: dict[str, list[Change]] = {}
    for name in ("conflicted", "staged", "unstaged"):
        changes: list[Change] = []
        for each in getattr(status, name):
            left -= weigh(each.path) + weigh(each.old_path or "") + len(each.change) + 45
            if left < 0:
                cut = True
                break
            changes.append(each)
        kept[name] = changes
    untracked: list[str] = []
    for path in status.untracked:
        left -= weigh(path) + 2
        if left < 0:
            cut = True
            break
        untracked.append(path)
    return replace(status, **kept, untracked=untracked, truncated=cut)
