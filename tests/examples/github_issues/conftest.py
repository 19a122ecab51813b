"""GitHub, as far as it is about issues, on this machine."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.examples.github_issues.hub import Hub, listening


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def url(hub: Hub) -> Generator[str]:
    with listening(hub) as url:
        yield url
