"""Staging, unstaging and committing."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .area import Area
from .history import relative
from .layout import look
from .links import LinkCheck
from .names import spell
from .refusals import NothingThere, Refusal
from .runner import Output

if TYPE_CHECKING:
    from .repository import Repository

LONGEST_MESSAGE: Final = 1_000_000
HOOKS: Final = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit")
HOOK_SECONDS: Final = 50.0
VERBOSE: Final = re.compile(rb"^(?:add|remove) '(.*?)'\n(?=add '|remove '|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Staged:
    """What was staged, or taken back from the index."""

    message: str
    files: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return "\n".join([self.message, *self.notes])


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit that was made. `hooks_run` and `signed` say what became of hooks and of signing."""

    hash: str
    branch: str | None
    summary: str
    hooks_run: bool
    signed: bool = False
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return "\n".join([f"Changes committed successfully with hash {self.hash}", self.summary, *self.notes])


async def add(repository: Repository, files: Sequence[str]) -> Staged:
    """Stage files, or whole directories of them."""
    repository.work_tree()
    if not files:
        raise Refusal('files is empty: name at least one file or directory, or "." for everything.')
    paths = [relative(repository, each) for each in files]
    if any(b".git" in path.lower().split(b"/") for path in paths):
        raise Refusal("What lies in .git is the repository itself, and cannot be staged.")
    async with repository.changing():
        changed = await _list_changed(repository, paths)
        strangers = await asyncio.to_thread(_find_strangers, repository, changed)
        changed = [name for name in changed if name not in strangers]
        if repository.manner.filters:
            await _refuse_filtered(repository, changed)
        by_name = bool(strangers) or repository.has_submodules()
        output = Output(b"", "", 1) if by_name else await repository.run(["add", "--verbose", "--", *paths])
        if by_name or (output.code and "submodule" in output.errors):
            output = await _add_one_by_one(repository, changed)
        if output.code:
            raise Refusal(repository.explain(output))
    staged = [spell(name) for name in VERBOSE.findall(output.data)]
    notes = [*repository.warn(output.errors), *_say_left_out(strangers)]
    if len(staged) > 200:
        notes.append(f"files lists 200 of {len(staged)}.")
    if not staged:
        notes.append("Nothing of this differed from what is staged already.")
    return Staged("Files staged successfully", staged[:200], notes)


async def _add_one_by_one(repository: Repository, changed: Sequence[bytes]) -> Output:
    """Stage files by name: asked for a directory, git would run itself in each unchanged submodule below it."""
    if not changed:
        return Output(b"", "", 0)
    names = _end_each(changed)
    return await repository.run(["add", "--verbose", "--pathspec-from-file=-", "--pathspec-file-nul"], stdin=names)


def _end_each(names: Sequence[bytes]) -> bytes:
    return b"".join(name + b"\0" for name in names)


async def _list_changed(repository: Repository, paths: Sequence[bytes]) -> list[bytes]:
    """Give the names of the files below some paths that would be staged; that of a new repository ends in a slash."""
    listed = await repository.demand(["ls-files", "-z", "-m", "-o", "--exclude-standard", "--", *paths])
    return [name for name in dict.fromkeys(listed.data.split(b"\0")) if name]


def _find_strangers(repository: Repository, changed: Sequence[bytes]) -> set[bytes]:
    """Give the repositories among the files that lead out: what is staged of one is what its HEAD says, read by git.

    Raises `Refusal` where nothing else would be staged.
    """
    layout = repository.layout
    own = Area.of([layout.top, layout.git_dir, layout.common_dir])
    found: set[bytes] = set()
    for name in changed:
        place = layout.top / os.fsdecode(name)
        if place.is_dir() and not place.is_symlink():
            try:
                nested = look(Path(os.path.realpath(place)), own)
                if nested is not None:
                    LinkCheck(nested).check()
            except NothingThere:
                continue
            except Refusal:
                found.add(name)
    if found and len(found) == len(changed):
        raise Refusal(f"Nothing was staged. {_say_left_out(found)[0]}")
    return found


def _say_left_out(strangers: set[bytes]) -> list[str]:
    if not strangers:
        return []
    named = ", ".join(spell(name) for name in sorted(strangers)[:5])
    more = f" and {len(strangers) - 5} more" if len(strangers) > 5 else ""
    return [
        f"Left out: {named}{more}, repositories of their own whose git directories lie elsewhere, or lead out. Stage "
        "these with git itself."
    ]


async def _refuse_filtered(repository: Repository, changed: Sequence[bytes]) -> None:
    """Raise `Refusal` where a file would be staged raw that a filter should change (LFS, encryption).

    Filters are not run, and without one a large or a secret file would go into the history as it is.
    """
    if not changed:
        return
    marked = await repository.demand(["check-attr", "-z", "--stdin", "filter"], stdin=_end_each(changed))
    fields = marked.data.split(b"\0")
    triples = zip(fields[0::3], fields[2::3], strict=False)
    held = [spell(path) for path, value in triples if value.decode("utf-8", "replace") in repository.manner.filters]
    if held:
        more = f" and {len(held) - 5} more" if len(held) > 5 else ""
        raise Refusal(
            f"Nothing was staged: {', '.join(held[:5])}{more} must go through a filter (as git-lfs or git-crypt), and "
            "this server runs none. Stage these with git itself, or name other files."
        )


async def reset(repository: Repository) -> Staged:
    """Take everything back from the index; the work tree keeps every change."""
    repository.work_tree()
    if repository.is_merging():
        raise Refusal(
            "A merge is in progress, and unstaging everything would forget what it brought. Conclude it with "
            "git_commit, or end it with git itself (git merge --abort)."
        )
    async with repository.changing():
        output = await repository.demand(["reset", "--mixed", "--quiet", "--no-recurse-submodules"])
    return Staged("All staged changes reset", [], repository.warn(output.errors))


async def commit(repository: Repository, message: str) -> Committed:
    """Commit what is staged, in the name of the configured user."""
    repository.work_tree()
    if not message.strip():
        raise Refusal("The message is empty. Say what the commit changes and why.")
    if "\0" in message or len(message) > LONGEST_MESSAGE:
        raise Refusal("The message holds a NUL character, or is longer than a million characters.")
    try:
        text = message.encode()
    except UnicodeEncodeError:
        raise Refusal("The message holds a lone surrogate, which is no valid text. Send well-formed Unicode.") from None
    manner = repository.manner
    if not (manner.author.is_known and manner.committer.is_known):
        raise Refusal(
            "Git does not know who commits. Set it once: git config --global user.name NAME, and the same for "
            "user.email ADDRESS; then call again."
        )
    runs_hooks = repository.policy.run_hooks and manner.is_owned
    command = ["commit", "--no-gpg-sign", "--no-status", "--cleanup=whitespace", "--file=-"]
    async with repository.changing():
        if runs_hooks:
            output = await repository.run_with_hooks(command, stdin=text, seconds=HOOK_SECONDS)
        else:
            output = await repository.run([*command, "--no-verify"], stdin=text)
    if output.code:
        raise Refusal(_explain(repository, output.data, repository.explain(output)))
    head = repository.references.head()
    branch, identity = (head.branch, head.commit or "") if head else (None, "")
    said = output.data.decode("utf-8", "replace")
    if not identity:
        identity = (await repository.demand(["rev-parse", "HEAD"])).data.decode().strip()
    summary = re.search(r"^ *\d+ files? changed.*$", said, re.MULTILINE)
    notes = [*repository.warn(output.errors), _say_hooks(repository, runs_hooks=runs_hooks)]
    return Committed(
        identity, branch, summary[0].strip() if summary else "no files changed", hooks_run=runs_hooks, notes=notes
    )


def _explain(repository: Repository, said: bytes, otherwise: str) -> str:
    text = said.decode("utf-8", "replace")
    if "unmerged" in otherwise or "unmerged" in text or "conflict" in otherwise:
        return (
            "There are unresolved conflicts. Resolve them, stage the files with git_add, then commit. git_status lists "
            "them."
        )
    if (
        "in submodule" in otherwise
        or "othing to commit" in text
        or "no changes added" in text
        or "nothing added" in text
    ):
        return (
            "Nothing is staged, so there is nothing to commit. Stage files with git_add first; git_status lists them."
        )
    return otherwise


def _say_hooks(repository: Repository, *, runs_hooks: bool) -> str:
    """Say what became of hooks and of signing, and which hooks there are."""
    manner = repository.manner
    found = [name for name in HOOKS if os.access(manner.hooks / name, os.X_OK) and (manner.hooks / name).is_file()]
    if runs_hooks:
        note = f"Hooks were run: {', '.join(found) or 'there are none'}. Signing was skipped."
    else:
        note = "Hooks and signing were skipped."
        if found and repository.policy.run_hooks:
            note += f" The hooks {', '.join(found)} are another user's; safe.directory would trust that repository."
        elif found:
            note += f" The repository has the hooks {', '.join(found)}; the server runs them only with --run-hooks."
    if manner.signs:
        note += " commit.gpgSign is on, and the commit is not signed."
    return note
