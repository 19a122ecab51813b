"""Revisions: what a caller calls a commit, turned into its hash before it goes on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .names import check_revision, show
from .references import HASH
from .refusals import NothingThere, Refusal

if TYPE_CHECKING:
    from .repository import Repository

FIELDS: Final = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64}) (\w+) \d+")


async def resolve(repository: Repository, *names: str, kind: str = "commit") -> list[str]:
    """Give the hash of the commit (or tree) that each name stands for; raises `NothingThere`.

    Names go to git on its stdin, where no name can be an option; a branch, HEAD and a full hash need no git at all.
    """
    for name in names:
        check_revision(name)
    known = [_read(repository, name) if kind == "commit" else None for name in names]
    asked = [name for name, found in zip(names, known, strict=True) if found is None]
    answers = iter(await _ask(repository, asked, kind) if asked else [])
    return [found if found is not None else next(answers) for found in known]


def _read(repository: Repository, name: str) -> str | None:
    """Resolve HEAD or a branch by reading; None for all else, which git decides."""
    if name in ("HEAD", "@"):
        head = repository.references.head()
        return head.commit if head else None
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9._/-]*", name) is None or ".." in name or HASH.match(name):
        return None
    if re.fullmatch(r"[0-9a-f]{4,}", name) or any(
        repository.references.has(f"{each}{name}") for each in ("refs/", "refs/tags/")
    ):
        return None
    if name.isupper() or name.startswith("refs/"):
        return None
    return repository.references.find(f"refs/heads/{name}")


async def _ask(repository: Repository, names: list[str], kind: str) -> list[str]:
    # All that follows `:/` is searched for in messages, and what it finds is a commit.
    lines = "".join(f"{name}\n" if name.startswith(":/") else f"{name}^{{{kind}}}\n" for name in names).encode()
    output = await repository.run(["cat-file", "--batch-check"], stdin=lines, seconds=repository.policy.resolve_seconds)
    found: list[str] = []
    for name, line in zip(names, [*output.data.decode().split("\n"), *("" for _ in names)], strict=False):
        match = FIELDS.fullmatch(line)
        if match is None or match[2] != kind:
            raise NothingThere(_explain(repository, name, line))
        found.append(match[1])
    return found


def _explain(repository: Repository, name: str, line: str) -> str:
    if line.endswith(" ambiguous"):
        return f"{show(name)} is ambiguous: several objects begin so. Give more digits of the hash."
    head = repository.references.head()
    if head is not None and head.commit is None and name.startswith(("HEAD", "@")):
        return f"There is no commit yet on the branch {head.branch}, so {show(name)} stands for nothing."
    return (
        f"There is no revision {show(name)} in {repository.name}. git_branch lists the branches, git_log the commits."
    )


def split_range(target: str) -> tuple[str, str, str] | None:
    """Split `A..B` and `A...B` into both ends (HEAD where one is left out) and what stands between; None for a name."""
    check_revision(target)
    if target.startswith(":/") or "^{/" in target:
        return None
    found = re.fullmatch(r"(.*?)(\.{2,3})(.*)", target)
    if found is None:
        return None
    left, dots, right = found.groups()
    if ".." in right or right.startswith("."):
        raise Refusal(f"{show(target)} is no range: give A..B or A...B.")
    return left or "HEAD", dots, right or "HEAD"
