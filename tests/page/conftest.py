"""A browser, and the servers whose pages it opens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from tests.page.browsing import CHROMIUM, Person, chromium, page_of, visit
from tests.served import serve

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser

EVERYTHING = str(Path(sys.executable).with_name("mcp-server-everything"))
GIT = str(Path(sys.executable).with_name("mcp-server-git"))
PROGRAMS = Path(__file__).parent / "programs"
SQLITE = str(Path(sys.executable).with_name("mcp-server-sqlite"))


class Visit(Protocol):
    """Opens the page of a server in a window of the browser."""

    def __call__(self, url: str, *, contrary: bool = ..., **options: object) -> AbstractContextManager[Person]: ...


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of a module; it brings an event loop, which no other module must meet."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is on the PATH (Debian: apt-get install chromium)")
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def look(browser: Browser) -> Visit:
    return partial(visit, browser)


@pytest.fixture(scope="module")
def everything() -> Iterator[str]:
    """The URL of a server with every feature."""
    with page_of([EVERYTHING]) as url:
        yield url


@pytest.fixture(scope="module")
def serve_program() -> Iterator[Callable[[str], str]]:
    """Start a program of these tests; gives its URL."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(serve([sys.executable, str(PROGRAMS / name)]))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server on the sample database."""
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    with page_of([SQLITE, "--db-path", str(path), "--sample"]) as url:
        yield url
