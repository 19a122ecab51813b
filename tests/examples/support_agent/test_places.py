"""Where the tickets are: a server of several, one that is down, one that has none; and what bad usage is told."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.stage import in_both_eras

from support_agent.cli import build_parser, main

if TYPE_CHECKING:
    from tests.examples.support_agent.conftest import Office


def module(name: str, *words: str) -> dict[str, Any]:
    """An entry of a host's file that starts a server of the checkout."""
    return {"command": sys.executable, "args": ["-m", f"mcp_server_{name}", *words]}


@in_both_eras
def test_the_desk_is_one_of_several_servers(office: Office, revision: str) -> None:
    shop = module("sqlite", "--db-path", str(office.folder / "shop.db"), "--sample")
    desk = module("ticketing", "--db-path", str(office.folder / "tickets.db"))
    done = office.run("--servers", office.write(shop=shop, desk=desk), "--revision", revision)
    assert (done.returncode, done.stderr) == (0, "")
    assert "   tools of shop, desk: query, list_tables," in done.stdout
    assert "   the desk is desk\n" in done.stdout
    assert "Ticket 42 is closed." in done.stdout


def test_a_server_that_is_down_keeps_nobody(office: Office) -> None:
    desk = module("ticketing", "--db-path", str(office.folder / "tickets.db"))
    done = office.run("--servers", office.write(broken={"command": "no-such-program"}, desk=desk))
    assert (done.returncode, done.stderr) == (0, "")
    assert "left out: broken, for it has no answer: " in done.stdout
    assert "Ticket 42 is closed." in done.stdout


@pytest.mark.parametrize(
    ("servers", "complaint"),
    [
        ({}, "There is no tool 'close_ticket'"),
        ({"everything": module("everything")}, "There is no tool 'close_ticket'"),
        ({"a": module("ticketing"), "b": module("ticketing")}, "Say which: a__close_ticket, b__close_ticket"),
    ],
)
def test_without_one_desk_nothing_is_done(office: Office, servers: dict[str, Any], complaint: str) -> None:
    done = office.run("--servers", office.write(**servers))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--url", "http://127.0.0.1:9/mcp"], "cannot be reached"),
        (["--servers", "missing.json"], "cannot be read"),
        (["--ticket", "7"], "There is no ticket 7"),
        (["--db-path", "."], "cannot be opened"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(office: Office, words: list[str], complaint: str) -> None:
    done = office.run(*words)
    assert done.returncode == 1
    assert done.stderr.startswith("support-agent: ")
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--ticket", "forty-two"], "a ticket has a number"),
        (["--ticket", "0"], "a ticket has a number"),
        (["--url", "stdio"], "http://127.0.0.1:8000/mcp"),
        (["--url", "http://x", "--db-path", "y"], "not allowed with"),
        (["--revision", "1999-01-01"], "invalid choice"),
        (["--policy", "guess"], "invalid choice"),
        (["--timeout", "0"], "not a number above 0"),
        (["--model", "gpt-5"], "set ANTHROPIC_API_KEY"),
        (["--api", "openai"], "needs the variable OPENAI_API_KEY"),
        (["close"], "unrecognized arguments"),
    ],
)
def test_bad_usage_is_told_in_one_line(
    words: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OLLAMA_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(variable, raising=False)
    try:
        code: object = main(words)
    except SystemExit as end:  # what the parser finds
        code = end.code
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert complaint in said.err


def test_the_page_names_every_option() -> None:
    page = (Path(__file__).parents[3] / "examples" / "support_agent" / "README.md").read_text("utf-8")
    options = set(re.findall(r"--[a-z-]+", build_parser().format_help())) - {"--help", "--version", "--transport"}
    assert {option for option in options if f"`{option}" not in page} == set()
    assert set(re.findall(r"^\| `(--[a-z-]+)", page, re.MULTILINE)) <= options
