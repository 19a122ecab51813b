"""Creating an issue once, however often its creation is asked for.

GitHub has no idempotency keys. So whoever gives one has a mark at the end of the issue's text, a comment that readers
do not see: a digest of the key, and one of what was to be created. Before anything is created under a key, the issues
that the token's user created are looked through for its mark; where an answer was lost, they are looked through until
GitHub has either carried the request out or given it up.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from .api import Lost, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .issues import Issue, Issues

PAGES: Final = 10
"""How far back a mark is looked for: pages of a hundred issues of the token's user in the repository."""
SETTLING: Final = 15.0
"""Seconds after which a request whose answer was lost is done or never will be: GitHub gives it up after 10."""

_PAUSE: Final = 2.0  # seconds between two looks for an issue whose creation is in doubt
_KEPT: Final = 1_000  # keys that are remembered here, so that a repeated call need not ask GitHub
_MARK: Final = re.compile(r"<!-- mcp-key ([0-9a-f]{32}) ([0-9a-f]{16}) -->")


@dataclass(frozen=True, slots=True)
class Draft:
    """An issue to be created."""

    repository: str
    title: str
    body: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands at the end of an issue that was created under a key."""

    key: str
    content: str

    @classmethod
    def of(cls, draft: Draft, key: str, owner: str) -> Mark:
        """The mark of a draft under a key; `owner` is whose key it is, where several people use the server."""
        scope = json.dumps([owner, draft.repository.casefold(), key])
        content = json.dumps([draft.title, draft.body, sorted(draft.labels)])
        return cls(sha256(scope.encode()).hexdigest()[:32], sha256(content.encode()).hexdigest()[:16])

    def __str__(self) -> str:
        return f"<!-- mcp-key {self.key} {self.content} -->"


@dataclass(frozen=True, slots=True)
class Made:
    """An issue that is there; `is_new` tells whether this call created it."""

    issue: Issue
    is_new: bool


@dataclass(slots=True)
class _Attempt:
    """What is known of a key: the issue, or since when it is in doubt (by the loop's clock)."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    callers: int = 0
    sent_at: float | None = None
    found: tuple[Mark, Issue] | None = None


class Creation:
    """Creates issues. Calls with the same key wait for one another, as far as they come through one process."""

    def __init__(self, issues: Issues, settling: float = SETTLING) -> None:
        self._issues = issues
        self._settling = settling
        self._attempts: OrderedDict[str, _Attempt] = OrderedDict()
        self._login: str | None = None

    async def create(self, draft: Draft, key: str | None = None, owner: str = "") -> Made:
        """Create an issue, or return what an earlier call with the same key created; raises `Refused`."""
        if key is None:
            return Made(await self._create_unkeyed(draft), is_new=True)
        mark = Mark.of(draft, key, owner)
        async with self._attempt(mark.key) as attempt:
            if attempt.found is None:
                attempt.found = await self._find(draft.repository, mark, attempt.sent_at)
            if attempt.found is not None:
                return Made(_same(mark, *attempt.found), is_new=False)
            issue = await self._create_marked(draft, mark, attempt)
            attempt.found = (mark, issue)
            return Made(issue, is_new=True)

    async def _create_unkeyed(self, draft: Draft) -> Issue:
        try:
            return await self._post(draft, "")
        except Lost as error:
            raise Refused(
                f"{error} Whether the issue was created is not known. Look for it with search_issues in a minute, "
                "before you try again; with an idempotency_key you may simply call again."
            ) from None

    async def _create_marked(self, draft: Draft, mark: Mark, attempt: _Attempt) -> Issue:
        attempt.sent_at = sent_at = asyncio.get_running_loop().time()
        try:
            issue = await self._post(draft, f"\n\n{mark}")
        except Lost as error:
            try:
                found = await self._find(draft.repository, mark, sent_at)
            except Refused as other:  # it stays in doubt, and the next call looks again
                raise Refused(
                    f"{error} Whether the issue was created could not be found out. {other} "
                    "Then call again with the same idempotency_key."
                ) from None
            attempt.sent_at = None
            if found is None:
                raise Refused(f"{error} No issue was created. Call again with the same idempotency_key.") from None
            return found[1]
        except Refused:
            attempt.sent_at = None
            raise
        attempt.sent_at = None
        return issue

    async def _post(self, draft: Draft, tail: str) -> Issue:
        # A mark in the text itself, copied from another issue, would be taken for that issue's.
        body = _MARK.sub("", draft.body).rstrip() + tail
        return await self._issues.create(draft.repository, draft.title, body.lstrip("\n"), list(draft.labels))

    async def _find(self, repository: str, mark: Mark, sent_at: float | None) -> tuple[Mark, Issue] | None:
        """The issue with a mark; while a request is in doubt, it is looked for until that is settled."""
        now = asyncio.get_running_loop().time
        until = now() if sent_at is None else sent_at + self._settling
        while True:
            is_last = now() >= until
            found = await self._look(repository, mark)
            if found is not None or is_last:
                return found
            await asyncio.sleep(min(_PAUSE, max(until - now(), 0.0)))

    async def _look(self, repository: str, mark: Mark) -> tuple[Mark, Issue] | None:
        if self._login is None:
            self._login = await self._issues.whoami()
        # Nobody else's issues: a key that can be guessed must not let others stand in the way.
        async for issue in self._issues.created_by(repository, self._login, PAGES):
            written = list(_MARK.finditer(issue.body))
            if written and written[-1][1] == mark.key:
                return Mark(*written[-1].groups()), issue
        return None

    @asynccontextmanager
    async def _attempt(self, key: str) -> AsyncGenerator[_Attempt]:
        attempt = self._attempts.setdefault(key, _Attempt())
        self._attempts.move_to_end(key)
        attempt.callers += 1
        try:
            async with attempt.lock:
                yield attempt
        finally:
            attempt.callers -= 1
            surplus = list(self._attempts)[: max(len(self._attempts) - _KEPT, 0)]
            for old in surplus:
                if not self._attempts[old].callers:
                    del self._attempts[old]


def _same(mark: Mark, written: Mark, issue: Issue) -> Issue:
    """The issue under a key; raises `Refused` where something else was created under it."""
    if written.content != mark.content:
        raise Refused(
            f"This idempotency_key was used for issue {issue.number}, with another title, body or labels. "
            "Nothing was created. Give another key for another issue."
        )
    return issue
