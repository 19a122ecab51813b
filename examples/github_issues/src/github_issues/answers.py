"""What the server answers: as data for programs, as text for models, with everything that people wrote marked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mcp_kernel import Untrusted

from .creation import Draft, Made
from .issues import Found, Issue

_EXCERPT = 300  # characters of an issue's text in a list
_ENVELOPE = 800  # bytes that one issue of a list takes besides its texts


@dataclass(frozen=True, slots=True)
class Line:
    """An issue in a list; `excerpt` is the beginning of its text."""

    repository: str
    number: int
    title: Untrusted
    state: str
    author: str
    labels: list[Untrusted]
    comments: int
    updated_at: str
    url: str
    excerpt: Untrusted


@dataclass(frozen=True, slots=True)
class Listed:
    """The best matches; `total` counts those that are left out, too, and `note` says how to see them."""

    issues: list[Line]
    total: int
    note: str | None = None

    def __str__(self) -> str:
        if not self.issues:
            return "Nothing was found."
        lines = [f"{each.repository}#{each.number} ({each.state}, by {each.author})" for each in self.issues]
        titles = (f"{each.repository}#{each.number}: {each.title}" for each in self.issues)
        fence = Untrusted("\n".join(titles), "GitHub issues").fenced
        return "\n".join([*lines, "\nWhat they are about:", fence, *([self.note] if self.note else [])])

    def fit(self, budget: int) -> Listed:
        """Keep the best matches that fit."""
        spent, kept = _ENVELOPE, 0
        for line in self.issues:
            spent += _ENVELOPE + 6 * (len(line.title) + len(line.excerpt))
            if spent > budget:
                break
            kept += 1
        return replace(self, issues=self.issues[:kept], note=_say_rest(kept, self.total))


@dataclass(frozen=True, slots=True)
class Document:
    """An issue as a whole, without its comments."""

    repository: str
    number: int
    kind: str
    title: Untrusted
    state: str
    author: str
    labels: list[Untrusted]
    comments: int
    created_at: str
    updated_at: str
    url: str
    body: Untrusted

    def __str__(self) -> str:
        source = self.body.source
        text = f"# {self.title}\n\nLabels: {', '.join(self.labels) or 'none'}\n\n{self.body}"
        return "\n".join(
            [
                f"{self.kind.capitalize()} {self.repository}#{self.number}, {self.state}, by {self.author}, "
                f"created {self.created_at}, updated {self.updated_at}, comments: {self.comments}",
                self.url,
                Untrusted(text, source).fenced,
            ]
        )

    def fit(self, budget: int) -> Document:
        """Cut the text; the rest is on GitHub."""
        room = max((budget - _ENVELOPE) // 7 - 2 * len(self.title), 0)  # in both forms, escaped in one
        left = (
            f"{self.body[:room]}\n[Cut: {room} of {len(self.body)} characters are shown; all of it is at {self.url}.]"
        )
        return replace(self, body=Untrusted(left, self.body.source))


@dataclass(frozen=True, slots=True)
class Created:
    """The issue is there. `is_new` is false where an earlier call with the same key created it."""

    repository: str
    number: int
    url: str
    is_new: bool
    labels_left_out: list[str]

    def __str__(self) -> str:
        what = "is created" if self.is_new else "was created by an earlier call with this key; nothing was created now"
        left = ", ".join(self.labels_left_out)
        note = f" GitHub left out the labels {left}: only who may write to the repository sets labels." if left else ""
        return f"Issue {self.repository}#{self.number} {what}: {self.url}{note}"


def locate(issue: Issue) -> str:
    """The URI of an issue."""
    return f"issue://{issue.repository}/{issue.number}"


def show_issue(issue: Issue) -> Document:
    """Everything of an issue, with what people wrote marked."""
    source = locate(issue)
    return Document(
        repository=issue.repository,
        number=issue.number,
        kind="pull request" if issue.is_pull_request else "issue",
        title=Untrusted(issue.title, source),
        state=issue.state,
        author=issue.author,
        labels=_mark(issue.labels, source),
        comments=issue.comments,
        created_at=issue.created_at,
        updated_at=issue.updated_at,
        url=issue.url,
        body=Untrusted(issue.body, source),
    )


def show_found(found: Found) -> Listed:
    """Issues as lines."""
    shown = len(found.issues)
    notes = [_say_rest(shown, found.total)] if shown < found.total else []
    if not found.is_whole:
        notes.append("GitHub ran out of time and may have missed some: ask for something narrower.")
    return Listed([_show_line(issue) for issue in found.issues], found.total, " ".join(notes) or None)


def show_made(made: Made, draft: Draft) -> Created:
    """What became of a draft."""
    issue = made.issue
    there = {label.casefold() for label in issue.labels}
    left = [label for label in draft.labels if label.casefold() not in there] if made.is_new else []
    return Created(issue.repository, issue.number, issue.url, made.is_new, left)


def _show_line(issue: Issue) -> Line:
    source = locate(issue)
    excerpt = issue.body if len(issue.body) <= _EXCERPT else f"{issue.body[:_EXCERPT]}…"
    return Line(
        repository=issue.repository,
        number=issue.number,
        title=Untrusted(issue.title, source),
        state=issue.state,
        author=issue.author,
        labels=_mark(issue.labels, source),
        comments=issue.comments,
        updated_at=issue.updated_at,
        url=issue.url,
        excerpt=Untrusted(excerpt, source),
    )


def _mark(labels: Iterable[str], source: str) -> list[Untrusted]:
    return [Untrusted(label, source) for label in labels]


def _say_rest(shown: int, total: int) -> str:
    return f"{shown} of {total} issues are shown. Add words, or qualifiers such as repo:OWNER/NAME, to see others."
