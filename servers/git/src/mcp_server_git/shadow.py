"""The shadow of a repository: the directory in which git finds, instead of the repository's own, what it would obey.

Git takes its configuration, hooks and `info` from the common directory (GIT_COMMON_DIR). Ours has a configuration
that was written anew from the keys that are known to name no program, no hooks, and links to what is data: refs, logs,
objects. So a key that makes git run something is not switched off, it is never seen, known to us or not; and a file
that changes between our look and git's is of no use, since git does not look at it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .configuration import (
    HARMLESS_EXTENSIONS,
    Setting,
    Situation,
    expand,
    find_home,
    is_true,
    read_file,
    read_user,
    select,
    user_files,
    write,
)
from .fencing import INSTALLED, Fence
from .layout import Layout
from .policy import LARGEST_HEAP, Policy
from .references import References
from .refusals import Refusal
from .runner import Program, Runner

LINKED: Final = ("refs", "packed-refs", "logs", "shallow", "worktrees", "reftable")
FIXED: Final = """\
[core]
	hooksPath = "/dev/null"
	fsmonitor = "false"
	attributesFile = "/dev/null"
	protectHFS = "true"
	protectNTFS = "true"
	quotePath = "false"
	bigFileThreshold = "64m"
	multiPackIndex = "false"
[gc]
	auto = "0"
[maintenance]
	auto = "false"
[protocol]
	allow = "never"
[submodule]
	recurse = "false"
[log]
	showSignature = "false"
[commit]
	gpgSign = "false"
[i18n]
	logOutputEncoding = "UTF-8"
[advice]
	detachedHead = "false"
"""
"""What holds for every repository. Git's defaults would do for most; said all the same, for a reader and a later git.

Not for `multiPackIndex`: such an index names packs, and git takes them from wherever a name leads, as `../../outside`.
"""

PLACES: Final = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE")
"""What a hook must know of our environment; the rest would only narrow what the git commands in it can do."""

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address, as far as they are configured."""

    name: str | None
    email: str | None

    @property
    def is_known(self) -> bool:
        """Whether a commit can be made in this name."""
        return bool(self.name and self.email)


@dataclass(frozen=True, slots=True)
class Manner:
    """What is known of a repository from its configuration and the user's, and matters outside of git."""

    author: Person
    committer: Person
    filters: frozenset[str]
    signs: bool
    hooks: Path
    is_owned: bool
    is_partial: bool
    upstreams: Mapping[str, tuple[str, str]]


@dataclass(slots=True, weakref_slot=True)
class Workshop:
    """Where the shadows are kept while the server runs."""

    program: Program
    policy: Policy
    environment: Mapping[str, str]
    _folder: str | None = None
    _count: int = 0

    def make_room(self) -> Path:
        """Make a directory for one shadow."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="mcp-server-git-")
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._count += 1
        place = Path(self._folder) / str(self._count)
        place.mkdir(mode=0o700)
        return Path(os.path.realpath(place))

    def close(self) -> None:
        """Remove the shadows."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


@dataclass(slots=True)
class Shadow:
    """Keeps the shadow of one repository in step with what it stands for."""

    layout: Layout
    workshop: Workshop
    _place: Path | None = None
    _stamps: dict[Path, Stamp | None] = field(default_factory=dict[Path, "Stamp | None"])
    _runner: Runner | None = None
    _manner: Manner | None = None

    def prepare(self) -> tuple[Runner, Manner]:
        """Give what runs git here; the configuration is read again where a file of it has changed."""
        if self._runner is not None and self._manner is not None and self._is_current():
            return self._runner, self._manner
        self._stamps = {}
        own = self._read_own()
        user = self._read_user(own)
        if self._place is None:
            self._place = self._build(self.workshop.make_room())
        excludes = _find_excludes(user, self.workshop.environment)
        text = write([*_describe_format(self.layout, own), *select([*user, *_without_format(own)])]) + FIXED
        if excludes:
            text += write([Setting("core", "", "excludesFile", excludes)])
        _replace(self._place / "config", text)
        trust = [each for each in own if each.section != "safe"]  # a repository cannot vouch for itself
        self._manner = _read_manner(self.layout, [*user, *trust], self.workshop.environment)
        self.close()
        self._runner = self._start(self._place, self._manner, excludes)
        return self._runner, self._manner

    def prepare_for_hooks(self) -> Runner:
        """Give a runner without a fence and with the user's environment, for a commit that runs hooks."""
        runner, _ = self.prepare()
        kept = {key: value for key, value in self.workshop.environment.items() if not key.startswith("GIT_")}
        inner = {
            key: value for key, value in runner.environment.items() if key in PLACES or key[-5:] in ("_NAME", "EMAIL")
        }
        return Runner(self.workshop.program, {**kept, **inner}, str(self.layout.top), None)

    def close(self) -> None:
        """Start nothing more."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def hide(self, text: str) -> str:
        """Say of a text of git's the repository's own place where it names the shadow."""
        return text if self._place is None else text.replace(str(self._place), str(self.layout.common_dir))

    def _is_current(self) -> bool:
        return all(_stamp(path) == stamp for path, stamp in self._stamps.items())

    def _read_user(self, own: list[Setting]) -> list[Setting]:
        found: list[Setting] = []
        head = self.layout.git_dir / "HEAD"
        self._stamps[head] = _stamp(head)
        current = References(self.layout).head()
        urls = tuple(each.value for each in own if (each.section, each.key) == ("remote", "url") and each.value)
        home = find_home(self.workshop.environment)
        situation = Situation(self.layout.git_dir, home, current.branch if current else None, urls)
        for top in user_files(self.workshop.environment):
            for path, settings in read_user(top, situation):
                self._stamps[path] = _stamp(path)
                found += settings
        return found

    def _read_own(self) -> list[Setting]:
        common = self.layout.common_dir / "config"
        self._stamps[common] = _stamp(common)
        own = read_file(common)
        if any(each.path == "extensions.worktreeconfig" and is_true(each.value) for each in own):
            special = self.layout.git_dir / "config.worktree"
            self._stamps[special] = _stamp(special)
            own += [each for each in read_file(special) if each.section != "extensions"]
        return own

    def _build(self, place: Path) -> Path:
        for name in LINKED:
            (place / name).symlink_to(self.layout.common_dir / name)
        (place / "HEAD").symlink_to(self.layout.common_dir / "HEAD")
        (place / "info").mkdir()
        for name in ("exclude", "attributes"):
            (place / "info" / name).symlink_to(self.layout.common_dir / "info" / name)
        return place

    def _start(self, place: Path, manner: Manner, excludes: str | None) -> Runner:
        layout, program = self.layout, self.workshop.program
        environment = {
            # Nothing can be found to run, git itself included: it would look into a submodule by running itself
            # there, with the submodule's configuration.
            "PATH": str(place / "nothing"),
            "GIT_EXEC_PATH": str(place / "nothing"),
            "HOME": str(place),
            "XDG_CONFIG_HOME": str(place),
            "LC_ALL": "C",
            "GIT_DIR": str(layout.git_dir),
            "GIT_COMMON_DIR": str(place),
            "GIT_OBJECT_DIRECTORY": str(layout.objects),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_PAGER": "cat",
            "GIT_EDITOR": "false",
            "GIT_SEQUENCE_EDITOR": "false",
            "GIT_ASKPASS": "false",
            "GIT_SSH_COMMAND": "false",
            **_name(manner),
        }
        if layout.work_tree is not None:
            environment["GIT_WORK_TREE"] = str(layout.work_tree)
        if timezone := self.workshop.environment.get("TZ"):
            environment["TZ"] = timezone
        fence = None
        if program.fenced:
            own = tuple({str(each) for each in (layout.git_dir, layout.common_dir, layout.top, place)})
            readable = (*INSTALLED, *map(str, layout.alternates), *([excludes] if excludes else []))
            programs = (program.path, *program.loader)
            is_fixed = self.workshop.policy.read_only
            fence = Fence(programs, (*readable, *own), ()) if is_fixed else Fence(programs, readable, own)
        return Runner(program, environment, str(layout.top), fence, LARGEST_HEAP)


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_bytes(text.encode("utf-8", "surrogateescape"))
    temporary.replace(path)


def _describe_format(layout: Layout, own: list[Setting]) -> list[Setting]:
    """Write the format of the repository (gitrepository-layout); raises `Refusal` for one that is not known."""
    version = next((each.value for each in reversed(own) if each.path == "core.repositoryformatversion"), "0") or "0"
    extensions = {each.key: each for each in own if each.section == "extensions" and not each.name}
    if version not in ("0", "1"):
        raise Refusal(f"The repository's format version {version[:20]!r} is not known here; 0 and 1 are.")
    kept = [each for key, each in extensions.items() if key in ("objectformat", "refstorage")]
    unknown = sorted(set(extensions) - HARMLESS_EXTENSIONS - {"objectformat", "refstorage"})
    if unknown and version == "1":
        raise Refusal(f"The repository uses the format extension {unknown[0][:50]!r}, which is not known here.")
    if version == "0":
        kept = []
    is_bare = "true" if layout.work_tree is None else "false"
    has_logs = any((each / "logs").is_dir() for each in (layout.common_dir,))
    return [
        Setting("core", "", "repositoryformatversion", "1" if kept else "0"),
        Setting("core", "", "bare", is_bare),
        Setting("core", "", "logAllRefUpdates", "true" if has_logs else "false"),
        *select(kept),
    ]


def _without_format(own: list[Setting]) -> list[Setting]:
    return [each for each in own if each.section != "extensions"]


def _find_excludes(user: list[Setting], environment: Mapping[str, str]) -> str | None:
    """Give the user's own file of patterns to ignore, where there is one."""
    given = next((each.value for each in reversed(user) if each.path == "core.excludesfile"), None)
    home = find_home(environment)
    if given:
        path = expand(given, home)
    else:
        path = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "ignore"
    path = Path(os.path.realpath(path))
    return str(path) if path.is_file() else None


def _read_manner(layout: Layout, settings: list[Setting], environment: Mapping[str, str]) -> Manner:
    values = {each.path: each.value or "" for each in settings if not each.name}
    hooks = values.get("core.hookspath")
    place = (
        layout.common_dir / "hooks"
        if not hooks
        else (layout.work_tree or layout.git_dir) / expand(hooks, find_home(environment))
    )
    followed: dict[str, dict[str, str]] = {}
    for each in settings:
        if each.section == "branch" and each.name and each.key in ("remote", "merge"):
            followed.setdefault(each.name, {})[each.key] = (each.value or "").removeprefix("refs/heads/")
    return Manner(
        _find_person("author", values, environment),
        _find_person("committer", values, environment),
        frozenset(
            each.name for each in settings if each.section == "filter" and each.key in ("clean", "smudge", "process")
        ),
        is_true(values.get("commit.gpgsign", "false")),
        place.absolute(),
        _is_owned(layout, settings, find_home(environment)),
        is_partial=any(
            each.key in ("promisor", "partialclonefilter") or each.key == "partialclone" for each in settings
        ),
        upstreams={name: (each["remote"], each["merge"]) for name, each in followed.items() if len(each) == 2},
    )


def _is_owned(layout: Layout, settings: list[Setting], home: Path) -> bool:
    """Tell whether the repository belongs to the user, or is one that the user trusts (safe.directory).

    Only programs of such a repository may be run, and only with --run-hooks. What is merely read needs no owner.
    """
    places = {layout.git_dir, layout.common_dir, layout.top}
    if not hasattr(os, "geteuid") or all(each.stat().st_uid == os.geteuid() for each in places):
        return True
    trusted = [each.value or "" for each in settings if each.path == "safe.directory"]
    return "*" in trusted or any(os.path.realpath(expand(each, home)) == str(layout.top) for each in trusted if each)


def _find_person(role: str, values: Mapping[str, str], environment: Mapping[str, str]) -> Person:
    def find(what: str) -> str | None:
        given = environment.get(f"GIT_{role.upper()}_{what.upper()}")
        found = given or values.get(f"{role}.{what}") or values.get(f"user.{what}")
        clean = " ".join(re.sub(r"[\x00-\x1f\x7f<>]", " ", found or "").split())
        return clean or None

    return Person(find("name"), find("email") or (environment.get("EMAIL") or None))


def _name(manner: Manner) -> dict[str, str]:
    """Who writes: reflogs need somebody even where nobody is configured; commits ask `is_known` first."""
    return {
        "GIT_AUTHOR_NAME": manner.author.name or "unknown",
        "GIT_AUTHOR_EMAIL": manner.author.email or "unknown@localhost",
        "GIT_COMMITTER_NAME": manner.committer.name or "unknown",
        "GIT_COMMITTER_EMAIL": manner.committer.email or "unknown@localhost",
    }
