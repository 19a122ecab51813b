"""The blocks of the pages do what they say, in the environment of the checkout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.house.source import ROOT

from mcp_release.pages import Shell, follow_page, read_blocks

FOLDERS = ("topics", "servers", "transports")
PAGES = [
    page
    for folder in FOLDERS
    for page in sorted((ROOT / "docs" / folder).glob("*.md"))
    if read_blocks(page.read_text("utf-8"))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_blocks_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    path = f"{Path(sys.prefix, 'bin')}{os.pathsep}{os.environ['PATH']}"
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    environment = {**kept, "PATH": path, "HOME": str(tmp_path), "COLUMNS": "100", "CHECKOUT": str(ROOT)}
    with Shell(tmp_path, environment, 60) as shell:
        follow_page(page, shell, print)


def test_pages_with_blocks_are_found() -> None:
    assert {"elicitation", "tasks", "roots"} <= {page.stem for page in PAGES}
