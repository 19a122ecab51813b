"""The server as its users start it: over stdio, or over HTTP in one process for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from tests.served import serve
from tests.servers.everything.wires import COMMAND, Enter, visit


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The URL of a server that serves HTTP."""
    with serve(COMMAND) as found:
        yield found


@pytest.fixture(params=["stdio", "http"])
def enter(request: pytest.FixtureRequest) -> Enter:
    """Open a client over each transport."""
    return partial(visit, request.getfixturevalue("url") if request.param == "http" else None)
