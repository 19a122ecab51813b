"""A repository that may be served: its places, its shadow, and how git is run on it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .area import Area
from .layout import Layout, discover
from .links import LinkCheck, separate
from .objects import Objects
from .policy import LARGEST_HEAP, MEMORY_CEILING, Policy
from .references import References
from .refusals import NothingThere, Refusal
from .runner import Output, Program, Runner
from .shadow import Manner, Shadow, Workshop

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST: Final = 64  # repositories that are kept ready


class Repository:
    """One repository. Everything that git does for it goes through `run` or `demand`."""

    def __init__(self, layout: Layout, workshop: Workshop) -> None:
        self.layout = layout
        self.policy = workshop.policy
        self.references = References(layout)
        self.objects = Objects(layout)
        self._writing = asyncio.Lock()
        self._links = LinkCheck(layout)
        self._shadow = Shadow(layout, workshop)

    @property
    def name(self) -> str:
        """The name of the repository's directory."""
        top = self.layout.top
        return top.name or "root"

    @property
    def manner(self) -> Manner:
        """What the configuration says that matters outside of git."""
        return self.ready()[1]

    def ready(self) -> tuple[Runner, Manner]:
        """Check what may have changed since the last call; raises `Refusal`."""
        self._links.check()
        self.references.head()
        return self._shadow.prepare()

    @asynccontextmanager
    async def changing(self) -> AsyncGenerator[None]:
        """Keep others out while the repository is changed, and the change out of what lies elsewhere."""
        async with self._writing:
            await asyncio.to_thread(separate, self.layout)
            yield

    def work_tree(self) -> Path:
        """Give the work tree; raises `Refusal` where there is none."""
        if self.layout.work_tree is None:
            raise Refusal(
                f"{self.name} is a bare repository: it has no work tree and no index. Its commits can be read."
            )
        return self.layout.work_tree

    def has_submodules(self) -> bool:
        """Tell whether there is a file that lists submodules; where it leads, if it is a link, makes no difference."""
        return os.path.lexists(self.layout.top / ".gitmodules")

    def is_merging(self) -> bool:
        """Tell whether a merge is in progress."""
        return os.path.lexists(self.layout.git_dir / "MERGE_HEAD")

    async def run(
        self,
        arguments: Sequence[str | bytes],
        *,
        stdin: bytes = b"",
        limit: int = MEMORY_CEILING,
        skip: int = 0,
        seconds: float | None = None,
        sieve: Callable[[bytes], bytes] | None = None,
    ) -> Output:
        """Run git, whatever it says; raises `Refusal` only when time is over or the repository may not be used."""
        runner, _ = self.ready()
        seconds = seconds or self.policy.call_seconds
        return await runner.run(arguments, seconds, stdin=stdin, limit=limit, skip=skip, sieve=sieve)

    async def run_with_hooks(self, arguments: Sequence[str | bytes], *, stdin: bytes, seconds: float) -> Output:
        """Run git so that it runs the repository's hooks: programs, with all that the user may do."""
        self.ready()
        runner = self._shadow.prepare_for_hooks()
        try:
            return await runner.run(["-c", f"core.hooksPath={self.manner.hooks}", *arguments], seconds, stdin=stdin)
        finally:
            runner.close()

    async def demand(
        self, arguments: Sequence[str | bytes], *, stdin: bytes = b"", limit: int = MEMORY_CEILING, skip: int = 0
    ) -> Output:
        """Run git and raise `Refusal` with its own words when it fails."""
        output = await self.run(arguments, stdin=stdin, limit=limit, skip=skip)
        if output.code and not output.cut:
            raise Refusal(self.explain(output))
        return output

    def explain(self, output: Output) -> str:
        """Put a failure into words for a model."""
        said = self._shadow.hide(output.errors.strip()) or f"it ended with code {output.code}"
        lines = [line for line in said.splitlines() if not line.startswith("hint:")]
        text = "\n".join(lines[:20])[:2_000].removeprefix("fatal: ").removeprefix("error: ")
        if "index.lock" in text or ".lock': File exists" in text:
            return (
                "Another git process is working in this repository, or one that crashed left a lock file behind "
                f"(git: {text.splitlines()[0]}). Try again; if it stays, remove that file."
            )
        if "ut of memory" in text or "mmap failed" in text:
            return (
                f"Git needed more than {LARGEST_HEAP >> 20} MiB of memory for this and was stopped: something in the "
                "repository is very large, or made to be. Ask for less: a path, fewer commits."
            )
        if "unable to read" in text and self.manner.is_partial:
            return (
                "This is a partial clone, and an object that this needs was never fetched. This server never uses the "
                "network: fetch it with git, then call again."
            )
        return f"Git refused: {text}"

    def warn(self, errors: str) -> list[str]:
        """Give git's warnings, each once and not too many, as notes for an answer."""
        lines = [line[:300] for line in self._shadow.hide(errors).splitlines() if line.startswith("warning: ")]
        found = list(dict.fromkeys(lines))
        return found if len(found) <= 3 else [*found[:3], f"warning: {len(found) - 3} more like these"]

    def close(self) -> None:
        """Start nothing more here."""
        self._shadow.close()
        self.objects.close()


class Repositories:
    """The repositories in use, by their places; `ceiling` is the area of the command line."""

    def __init__(
        self, paths: Sequence[Path], policy: Policy | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.policy = policy or Policy()
        self.ceiling = Area.of(paths)
        self._environment = dict(os.environ if environment is None else environment)
        self._workshop: Workshop | None = None
        self._open: dict[Layout, Repository] = {}
        self._known: set[Path] = set()  # directories of the command line that are repositories themselves

    def start(self) -> Workshop:
        """Look for git; raises `Refusal` where there is none that can be used."""
        if self._workshop is None:
            self._workshop = Workshop(Program.find(), self.policy, self._environment)
        return self._workshop

    def check(self) -> None:
        """See whether git and the directories of the command line can be used; raises `Refusal`."""
        self.start()
        for path in self.ceiling.directories:
            try:
                os.scandir(path).close()
            except OSError as error:
                raise Refusal(f"{path} cannot be read: {error.strerror}.") from None
            try:
                self.find(str(path), self.ceiling)
                self._known.add(path)
            except NothingThere:  # a directory of repositories, unless it was one itself
                if path in self._known:
                    raise

    def find(self, path: str | None, area: Area) -> Repository:
        """Find the repository at a path that a caller gave; raises `Refusal`."""
        repository = self.open(discover(area.locate(path), area))
        repository.ready()
        return repository

    def open(self, layout: Layout) -> Repository:
        """Give the repository with these places."""
        repository = self._open.pop(layout, None)
        if repository is None:
            repository = Repository(layout, self.start())
            if len(self._open) >= MOST:
                self._open.pop(next(iter(self._open))).close()
        self._open[layout] = repository
        return repository

    def listed(self, area: Area) -> list[Repository]:
        """The repositories that an area's directories are; one that cannot be used is passed over."""
        found: list[Repository] = []
        for path in area.directories:
            try:
                repository = self.find(str(path), area)
            except (Refusal, OSError):
                continue
            if repository not in found:
                found.append(repository)
        return found

    def close(self) -> None:
        """Stop everything, and remove what was made."""
        for repository in self._open.values():
            repository.close()
        self._open.clear()
        if self._workshop is not None:
            self._workshop.close()
            self._workshop = None
