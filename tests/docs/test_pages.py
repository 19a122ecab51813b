"""What the pages tell a newcomer to type does what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.pages import read_blocks, run_page
from tests.house.source import ROOT

DOCS = ROOT / "docs"


@pytest.mark.slow
def test_the_tutorial_is_followed_to_the_letter(tmp_path: Path) -> None:
    (tmp_path / "mcp-servers").symlink_to(ROOT)
    run_page(DOCS / "tutorial.md", tmp_path, 400)
    assert "notes" in (tmp_path / ".config/Claude/claude_desktop_config.json").read_text()


def write(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text)
    return page


def test_a_page_that_says_what_is_not_so_is_noticed(tmp_path: Path) -> None:
    run_page(write(tmp_path, "```sh\necho one; echo two\n```\n\n```text\none\ntwo\n```\n"), tmp_path, 20)
    with pytest.raises(AssertionError, match="'three' is not in"):
        run_page(write(tmp_path, "```sh\necho one\n```\n\n```text\nthree\n```\n"), tmp_path, 20)
    with pytest.raises(AssertionError, match="a block failed"):
        run_page(write(tmp_path, "```sh\nfalse\n```\n"), tmp_path, 20)


def test_what_an_earlier_block_printed_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="'one' is not in"):
        run_page(write(tmp_path, "```sh\necho one\n```\n```sh\necho two\n```\n```text\none\n```\n"), tmp_path, 20)


def test_a_block_goes_into_a_file_before_its_end(tmp_path: Path) -> None:
    page = "```python a.py\na = 1\n\nprint(a)\n```\n```python a.py 1\na = 2\n```\n```sh\ncat a.py\n```\n"
    run_page(write(tmp_path, page), tmp_path, 20)
    assert (tmp_path / "a.py").read_text() == "a = 1\n\n\n\na = 2\n\nprint(a)\n"


def test_only_blocks_with_a_file_are_written(tmp_path: Path) -> None:
    blocks = read_blocks(write(tmp_path, "```python\nx = 1\n```\n```json\n{}\n```\n```sh\ntrue\n```\n"))
    assert [block.kind for block in blocks] == ["sh"]
