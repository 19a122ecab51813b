"""Fixtures of all tests: clients whose every message is judged by the oracle."""

from __future__ import annotations

import pytest
from tests.stage import Connect, Dial, judged_client, judged_wire


@pytest.fixture
def connect() -> Connect:
    """Open a client of a server in one of the revisions; a message that the oracle refuses fails the test."""
    return judged_client


@pytest.fixture
def dial() -> Dial:
    """Open a bare wire to a server, for tests of both eras at once or of broken messages."""
    return judged_wire
