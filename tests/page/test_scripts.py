"""The page's scripts, held to what keeps them safe to read and safe to run; beside each rule what breaks it."""

from __future__ import annotations

import re
from typing import Final

import pytest
from tests.house.source import ROOT

FILES: Final = ROOT / "shared/src/mcp_kernel/page/files"
SCRIPTS: Final = sorted(FILES.glob("*.js"))
LONGEST: Final = 300
FORBIDDEN: Final = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML|srcdoc"
    r"|\beval\b|new Function|import\(|localStorage|sessionStorage|indexedDB|document\.cookie|postMessage"
    r"|\.style\b|https?://(?!\$)[a-z]"
)


def offences(script: str) -> list[str]:
    """What a script says that this page's scripts must not; comments may name what they warn of."""
    code = re.sub(r"^\s*(//|\*|/\*).*$", "", script, flags=re.MULTILINE)
    return [match[0] for match in FORBIDDEN.finditer(code)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_makes_no_markup_keeps_nothing_and_stays_short(script: object) -> None:
    text = (FILES / str(getattr(script, "name", script))).read_text()
    assert offences(text) == []
    assert len(text.splitlines()) <= LONGEST
    assert text.startswith("// "), "a script says what it is for"


@pytest.mark.parametrize(
    "culprit",
    [
        "a.innerHTML = b",
        "localStorage.token = t",
        "eval(x)",
        "await import(x)",
        "a.style.left = 0",
        "fetch('http://x')",
    ],
)
def test_what_is_forbidden_is_seen(culprit: str) -> None:
    assert offences(f"const a = 1;\n{culprit};")


def test_the_document_runs_nothing_of_its_own() -> None:
    index = (FILES / "index.html").read_text()
    assert re.findall(r"<script[^>]*>", index) == ['<script type="module" src="page/main.js">']
    assert not re.search(r"<style|\son\w+=|\sstyle=|javascript:|http", index)
