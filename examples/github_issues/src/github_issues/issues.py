"""Issues, as GitHub describes them, read without trusting the shape of what came."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, cast

from .api import Api, Refused

State = Literal["open", "closed"]
_PAGE = 100  # the most that GitHub puts on a page of a list


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue; a pull request is one too, to GitHub. Times are ISO 8601, UTC."""

    repository: str
    number: int
    title: str
    body: str
    state: str
    author: str
    labels: tuple[str, ...]
    comments: int
    created_at: str
    updated_at: str
    url: str
    is_pull_request: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The best matches of a search. `total` counts all; `is_whole` is false where GitHub ran out of time."""

    issues: list[Issue]
    total: int
    is_whole: bool


class Issues:
    """The issues that one user's GitHub shows."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def get(self, repository: str, number: int) -> Issue:
        """One issue; raises `Missing` where there is none."""
        reply = await self.api.get(f"/repos/{repository}/issues/{number}")
        return read_issue(reply.value, repository)

    async def search(self, query: str, state: State | None, limit: int) -> Found:
        """Search by GitHub's own rules, the best match first; pull requests are left out."""
        words = [query, "is:issue", *([f"state:{state}"] if state else [])]
        answer = _members((await self.api.get("/search/issues", {"q": " ".join(words), "per_page": str(limit)})).value)
        found = [read_issue(each) for each in _items(answer.get("items"))]
        return Found(found, _number(answer, "total_count"), answer.get("incomplete_results") is not True)

    async def created_by(self, repository: str, login: str, pages: int) -> AsyncIterator[Issue]:
        """What a user created in a repository, the newest first, as far as so many pages of a hundred reach.

        This is the list and not the search: a search knows of an issue some time after it is there.
        """
        params = {"creator": login, "state": "all", "sort": "created", "direction": "desc", "per_page": str(_PAGE)}
        address: str | None = f"/repos/{repository}/issues"
        for page in range(pages):
            if address is None:
                return
            reply = await self.api.get(address, None if page else params)
            for each in _items(reply.value):
                yield read_issue(each, repository)
            address = reply.following

    async def whoami(self) -> str:
        """The login of the token's user."""
        return _text(_members((await self.api.get("/user")).value), "login")

    async def create(self, repository: str, title: str, body: str, labels: list[str]) -> Issue:
        """Create an issue; raises `Lost` where it is not known whether there is one now."""
        content = {"title": title, "body": body, **({"labels": labels} if labels else {})}
        return read_issue((await self.api.post(f"/repos/{repository}/issues", content)).value, repository)


def read_issue(value: object, repository: str = "") -> Issue:
    """Read GitHub's `Issue`; a search says of each in which repository it is."""
    issue = _members(value)
    user = issue.get("user")  # null where the account is gone, which GitHub shows as ghost
    return Issue(
        repository=repository or "/".join(_text(issue, "repository_url").split("/")[-2:]),
        number=_number(issue, "number"),
        title=_text(issue, "title"),
        body=_text(issue, "body", ""),
        state=_text(issue, "state"),
        author=_text(_members(user), "login") if user else "ghost",
        labels=tuple(_read_label(each) for each in _items(issue.get("labels", []))),
        comments=_number(issue, "comments"),
        created_at=_text(issue, "created_at"),
        updated_at=_text(issue, "updated_at"),
        url=_text(issue, "html_url"),
        is_pull_request="pull_request" in issue,
    )


def _read_label(value: object) -> str:
    return value if isinstance(value, str) else _text(_members(value), "name")


def _members(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Refused("GitHub's answer has changed, and cannot be read.")
    return cast("dict[str, object]", value)


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Refused("GitHub's answer has changed, and cannot be read.")
    return cast("list[object]", value)


def _text(value: dict[str, object], name: str, absent: str | None = None) -> str:
    found = value.get(name)
    if found is None and absent is not None:
        return absent
    if not isinstance(found, str):
        raise Refused(f"GitHub's answer has no {name}.")
    return found


def _number(value: dict[str, object], name: str) -> int:
    found = value.get(name)
    if not isinstance(found, int):
        raise Refused(f"GitHub's answer has no {name}.")
    return found
