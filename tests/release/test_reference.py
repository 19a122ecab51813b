"""The reference is what the docstrings say, and says something of every public name."""

from __future__ import annotations

import re
import shutil
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from mcp_release.docstrings import first_sentence, to_markdown
from mcp_release.reference import PACKAGES, build_pages, find_drift
from mcp_release.workspace import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_the_reference_is_what_the_docstrings_say() -> None:
    assert find_drift(build_pages()) == []


def test_a_page_that_drifted_or_is_left_over_is_seen(tmp_path: Path) -> None:
    pages = {tmp_path / "a.md": "a\n", tmp_path / "b.md": "b\n"}
    (tmp_path / "a.md").write_text("older\n")
    (tmp_path / "c.md").write_text("no package has it any more\n")
    assert [line.split()[0] for line in find_drift(pages)] == ["a.md", "b.md", "c.md"]


@pytest.mark.parametrize("package", ["mcp_kernel", "mcp_kernel.client", "mcp_kernel.auth", "mcp_kernel.toolkits.sql"])
def test_every_public_name_has_a_heading_and_a_sentence(package: str) -> None:
    names = import_module(package).__all__
    part = "toolkits" if package.endswith(".sql") else package.rpartition(".")[2]
    index = (ROOT / "docs/reference/README.md").read_text("utf-8")
    page = (ROOT / f"docs/reference/{part}.md").read_text("utf-8")
    for name in names:
        shown = f"sql.{name}" if part == "toolkits" else name
        assert f"### `{shown}`\n" in page
        assert re.search(rf"^\| \[`{re.escape(shown)}`\]\({part}\.md#\w+\) \| \S.*[.:] \|$", index, re.MULTILINE), shown


def test_a_public_name_without_a_docstring_stands_with_nothing_to_say(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "shared/src", tmp_path / "shared/src", ignore=shutil.ignore_patterns("files", "__pycache__"))
    module = tmp_path / "shared/src/mcp_kernel/errors.py"
    module.write_text(
        re.sub(r'(class Declined\(ToolError\):\n) +""".*?"""\n', r"\1", module.read_text(), flags=re.DOTALL)
    )
    index = build_pages(tmp_path)[tmp_path / "docs/reference/README.md"]
    assert "| [`Declined`](mcp_kernel.md#declined) |  |" in index


def test_methods_and_parameters_of_a_name_are_shown() -> None:
    page = build_pages()[ROOT / "docs/reference/mcp_kernel.md"]
    assert "#### `Server.tool`\n" in page
    assert "    read_only: bool = False,\n" in page
    assert "- `read_only`: It changes nothing.\n" in page
    assert "elicit(key: str, message: str, form: type[T]) -> T\n" in page
    assert "`Server._executor`" not in page


def test_every_package_of_the_reference_has_its_page() -> None:
    names = {path.name for path in build_pages()}
    assert names == {"README.md", *(f"{package.rpartition('.')[2]}.md" for package in PACKAGES)}


def test_a_docstring_becomes_markdown() -> None:
    text = "Do it.\n\n    with x:\n        pass\n\nArgs:\n    a: One\n        thing.\n    b: Another."
    assert to_markdown(text) == "Do it.\n\n```python\nwith x:\n    pass\n```\n\n- `a`: One thing.\n- `b`: Another.\n"
    assert to_markdown("Nothing") == "Nothing\n"
    assert to_markdown("") == ""


def test_the_first_sentence_says_what_a_thing_is() -> None:
    assert first_sentence("A thing\nof two lines. More.\n\nRest.") == "A thing of two lines."
    assert first_sentence("What `a.b` is: this. More.\n\nRest.") == "What `a.b` is: this. More."
