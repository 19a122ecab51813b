"""`mcp-kernel policy explain` says whether a role may do something, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.console.conftest import Shell

EXAMPLE = str(Path(__file__).parents[2] / "docs" / "auth.toml")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--as analyst query sql=x", 0, "analyst allows it, among query, list_tables, describe_table"),
        ("--as analyst query", 0, "tables that do not exist for it: audit_logs, credentials"),
        ("--as analyst insert_record table=logs", 1, "analyst does not allow insert_record; of tools it allows query,"),
        ("--as developer insert_record table=logs", 0, "tables that do not exist for it: credentials"),
        ("--as developer insert_record table=users", 1, 'but table may only be "logs", "events", "metrics"'),
        ("--as developer insert_record", 1, "it is left out, so that the tool's default must be one of these"),
        ("--as analyst --as developer query", 0, "tables that do not exist for it: credentials"),
        ("--as analyst db://schema", 1, "of resources it allows none (a role that names tools says so"),
        ("--as analyst prompt:write-query", 1, "of prompts it allows none (a role that names tools says so"),
        ("--as admin db://schema", 0, "admin allows it, among *"),
        ("--as admin prompt:write-query", 0, "allowed"),
        ("--as stranger query", 1, "stranger is no role of the file, and allows nothing"),
    ],
)
def test_the_answer_has_its_reason(shell: Shell, words: str, code: int, said: str) -> None:
    done = shell.run("policy", "explain", "--auth", EXAMPLE, *words.split())
    assert done.returncode == code, done
    assert done.stdout.splitlines()[0] == ("refused" if code else "allowed")
    assert said in done.stdout


def test_a_value_is_a_text_or_json_as_the_rule_has_it(shell: Shell) -> None:
    rule = 'arguments = { t = { id = ["42"], number = [42], on = [true] } }'
    (shell.folder / "auth.toml").write_text(f'[roles.a]\ntools = ["t"]\n{rule}\n')
    explain = ("policy", "explain", "--auth", "auth.toml", "--as", "a", "t")
    assert shell.run(*explain, "id=42", "number=42", "on=true").returncode == 0
    assert shell.run(*explain, "id:=42", "number=42", "on=true").returncode == 1
    assert shell.run(*explain, "id=42", 'number:="42"', "on=true").returncode == 1


def test_a_file_that_is_wrong_is_bad_usage(shell: Shell) -> None:
    (shell.folder / "auth.toml").write_text("[roles.a]\ntools = 3\n")
    done = shell.run("policy", "explain", "--auth", "auth.toml", "--as", "a", "t")
    assert done.returncode == 2
    assert "auth.toml:2: tools is a list" in done.stderr
    (shell.folder / "auth.toml").write_text("resource = 'x'\n")
    done = shell.run("policy", "explain", "--auth", "auth.toml", "--as", "a", "t")
    assert done.returncode == 2
    assert "the file has no [roles.NAME]" in done.stderr


def test_what_everyone_may_do_is_every_roles(shell: Shell) -> None:
    (shell.folder / "auth.toml").write_text('[roles.a]\ntools = ["t"]\n[roles.everyone]\ntools = ["u"]\n')
    done = shell.run("policy", "explain", "--auth", "auth.toml", "--as", "a", "u")
    assert done.stdout.splitlines() == [
        "allowed",
        "a does not allow u; of tools it allows t",
        "everyone allows it, among u",
    ]
