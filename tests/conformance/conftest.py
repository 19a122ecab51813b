"""The suite itself, for the tests of servers and of clients."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.conformance.suite import Missing, fetch, find_node


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the conformance suite; a skip where it cannot be had, in CI a failure."""
    try:
        folder = fetch(tmp_path_factory.mktemp("cache"))
        find_node(folder)
    except Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the conformance suite was not run: {missing}")
    return folder
