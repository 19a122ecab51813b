"""A server on this machine that answers as GitHub documents for issues, and fails as a test wants it to."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from github_issues.api import Api

Json = dict[str, Any]
LOGIN, TOKEN, REPOSITORY = "monalisa", "github_pat_11CANARY0000", "octo-org/octo-repo"


@dataclass(frozen=True)
class Answer:
    """A status, a value and headers; without a status the connection is closed instead."""

    status: int | None
    value: object = None
    headers: Mapping[str, str] | None = None


LOST = Answer(None)
BAD_GATEWAY = Answer(502, {"message": "Server Error"})


class Hub:
    """What is on GitHub. `after` holds, for the next requests of a method, what becomes of them once carried out."""

    def __init__(self) -> None:
        self.issues: list[Json] = []
        self.asked: list[str] = []
        self.instead: deque[Answer] = deque()  # answers to the next requests, which are not carried out
        self.after: deque[Answer] = deque()  # answers to the next POSTs, which are
        self.late: list[Json] = []  # what is carried out when the list has been asked for twice more
        self.is_late = False
        self.then: Answer | None = None  # the answer to the request after the one that is late
        self.soon = 0  # when a limit ends
        self.may_label = True
        self.is_indexed = True
        self.moved: dict[str, str] = {}  # where a repository's path leads now
        self.held: threading.Event | None = None  # POSTs are carried out when it is set
        self.arrived = threading.Event()  # set by a POST
        self.looked = threading.Event()  # set by a list
        self.lock = threading.Lock()

    def create(self, content: Mapping[str, Any], author: str = LOGIN) -> Json:
        """Put an issue in, in the form of GitHub's own example of it, as far as somebody reads it."""
        with self.lock:
            number = len(self.issues) + 1
            issue: Json = {
                "id": number,
                "node_id": "MDU6SXNzdWUx",
                "url": f"https://api.github.com/repos/{REPOSITORY}/issues/{number}",
                "repository_url": f"https://api.github.com/repos/{REPOSITORY}",
                "html_url": f"https://github.com/{REPOSITORY}/issues/{number}",
                "number": number,
                "state": "open",
                "title": content["title"],
                "body": content.get("body") or None,
                "user": {"login": author, "id": 1, "type": "User", "site_admin": False},
                "labels": [{"id": 1, "name": name, "color": "f29513"} for name in content.get("labels", ())]
                if self.may_label
                else [],
                "locked": False,
                "comments": 0,
                "created_at": "2026-04-22T13:33:48Z",
                "updated_at": "2026-04-22T13:33:48Z",
                "closed_at": None,
                "author_association": "COLLABORATOR",
            }
            self.issues.append(issue)
            return issue

    def answer(self, method: str, path: str, asked: Json, content: Json) -> Answer:
        if self.instead:
            return self.instead.popleft()
        if path in self.moved:
            return Answer(301 if method == "GET" else 307, {"message": "Moved"}, {"Location": self.moved[path]})
        if path == "/user":
            return Answer(200, {"login": LOGIN, "id": 1, "type": "User"})
        if path == "/search/issues":
            return self._search(asked)
        if path.rpartition("/")[2] == "issues" and method == "POST":
            return self._post(content)
        if path == f"/repos/{REPOSITORY}/issues":
            return self._list(asked)
        found = [issue for issue in self.issues if path == f"/repos/{REPOSITORY}/issues/{issue['number']}"]
        return Answer(200, found[0]) if found else Answer(404, {"message": "Not Found", "status": "404"})

    def _post(self, content: Json) -> Answer:
        self.arrived.set()
        if self.held is not None:
            self.held.wait(10)
        after = self.after.popleft() if self.after else None
        if self.is_late:
            self.is_late = False
            self.late = [content]
            self.instead.extend([self.then] if self.then else [])
            return LOST
        issue = self.create(content)
        return after or Answer(201, issue)

    def _list(self, asked: Json) -> Answer:
        if self.late and sum("creator" in line for line in self.asked[-2:]) == 2:
            self.create(self.late.pop())
        chosen = [issue for issue in self.issues if issue["user"]["login"] == asked["creator"]]
        assert (asked["state"], asked["sort"], asked["direction"]) == ("all", "created", "desc")
        page, size = int(asked.get("page", "1")), int(asked["per_page"])
        shown = chosen[::-1][(page - 1) * size : page * size]
        following = urlencode({**asked, "page": page + 1})
        link = f'<{{url}}/repos/{REPOSITORY}/issues?{following}>; rel="next", <{{url}}/x?page=9>; rel="last"'
        self.looked.set()
        return Answer(200, shown, {"Link": link} if page * size < len(chosen) else {})

    def _search(self, asked: Json) -> Answer:
        words = asked["q"].split()
        assert "is:issue" in words
        plain = [word.casefold() for word in words if ":" not in word]
        states = [word.removeprefix("state:") for word in words if word.startswith("state:")]
        found = [
            issue
            for issue in self.issues
            if self.is_indexed
            and all(word in f"{issue['title']} {issue['body']}".casefold() for word in plain)
            and issue["state"] in (states or ["open", "closed"])
        ]
        size = int(asked["per_page"])
        return Answer(200, {"total_count": len(found), "incomplete_results": False, "items": found[:size]})


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def do_GET(self) -> None:  # the name that http.server calls
        self._serve("GET")

    def do_POST(self) -> None:  # likewise
        self._serve("POST")

    def _serve(self, method: str) -> None:
        parts = urlsplit(self.path)
        content = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or "{}")
        self.hub.asked.append(f"{method} {self.path}")
        assert self.headers["User-Agent"]
        assert self.headers["X-GitHub-Api-Version"] == "2022-11-28"
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        said = self.headers.get("Authorization")
        if said not in (None, f"Bearer {TOKEN}"):
            answer = Answer(401, {"message": "Bad credentials", "status": "401"})
        else:
            answer = self.hub.answer(method, parts.path, asked, content)
        if answer.status is None:
            self.close_connection = True
            return
        body = json.dumps(answer.value).encode()
        place = f"http://{self.headers['Host']}"
        self.send_response(answer.status)
        for name, value in {"X-RateLimit-Remaining": "4999", **(answer.headers or {})}.items():
            self.send_header(name, value.replace("{url}", place).replace("{soon}", str(self.hub.soon)))
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def listening(hub: Hub) -> Generator[str]:
    """Serve what is on GitHub; gives the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (_Door,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="hub", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        if hub.held is not None:
            hub.held.set()
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def asking(url: str, token: str | None = TOKEN) -> AsyncGenerator[Api]:
    """GitHub's API at a URL, whose connections are closed at the end."""
    api = Api(url, token)
    try:
        yield api
    finally:
        await api.close()
