"""One started sandbox for the tests that only use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.sandbox.playground import Playground

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def playground() -> Iterator[Playground]:
    """A sandbox that ends with the module's tests, and must leave nothing then."""
    with Playground() as started:
        yield started
