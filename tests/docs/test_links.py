"""What the pages link to is there, and what they say of files is so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.house.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "servers/*/README.md", "examples/**/README.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def dead_links(page: Path, text: str) -> list[str]:
    """Links of a page to files that are not there, or to headings that they do not have."""
    found: list[str] = []
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for target in LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in headings(path.read_text("utf-8"))):
            found.append(target)
    return found


def headings(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    assert dead_links(page, page.read_text("utf-8")) == []


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# A `title`, long\n")
    text = "[x](b.md#a-title-long) [y](b.md#short) [z](c.md) [w](https://example.com/)\n```sh\n[v](d.md)\n```\n"
    assert dead_links(tmp_path / "a.md", text) == ["b.md#short", "c.md"]


def test_every_page_of_the_documentation_is_on_its_map() -> None:
    text = (ROOT / "docs/README.md").read_text("utf-8")
    linked = {(ROOT / "docs" / target.partition("#")[0]).resolve() for target in LINK.findall(text)}
    apart = {ROOT / "docs/README.md", *(ROOT / "docs/decisions").glob("0*.md"), *(ROOT / "docs/reference").glob("*.md")}
    assert [page for page in (ROOT / "docs").rglob("*.md") if page not in linked | apart] == []


def test_test_files_that_a_page_names_are_there() -> None:
    pages = [page for page in PAGES if page.parts[-2] != "decisions"]
    named = {name for page in pages for name in re.findall(r"`(tests/[\w/.]+)`", page.read_text("utf-8"))}
    assert named
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).exists()] == []
