"""Roles of the `--auth` file: what they allow, what several of them allow together, and mistakes in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from mcp_kernel.auth.policy import Pattern, Policy, read_policy
from mcp_kernel.auth.resource.document import Mistaken, read
from mcp_kernel.auth.resource.following import AuthFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcp_kernel.auth.resource.document import Document

CLASSICAL = """
[roles.analyst]
tools = ["query", "list_tables", "describe_table"]
deny_tables = ["audit_logs", "credentials"]

[roles.developer]
tools = ["query", "list_tables", "describe_table", "insert_record"]
deny_tables = ["credentials"]
arguments = { insert_record = { table = ["logs", "events", "metrics"] } }

[roles.admin]
tools = ["*"]

[roles.reader]
resources = ["db://tables/*"]
prompts = ["write-*"]
deny_tables = ["ledger"]

[roles.other]
tools = ["hello"]
"""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return load(tmp_path, CLASSICAL)


def load(folder: Path, text: str) -> Policy:
    path = folder / "auth.toml"
    path.write_text(text, "utf-8")
    document = read(path)
    policy = read_policy(document)
    document.require_sound()
    return policy


def mistakes(folder: Path, text: str) -> list[tuple[int, str]]:
    with pytest.raises(Mistaken) as caught:
        load(folder, text)
    return [(each.line, each.text) for each in caught.value.mistakes]


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("query", "query", True),
        ("query", "query2", False),
        ("*", "", True),
        ("list_*", "list_tables", True),
        ("list_*", "list_", True),
        ("list_*", "a_list_", False),
        ("*_tables", "list_tables", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*bb*c", "abc", False),
        ("*ab*ab*", "xabx", False),
        ("*ab*ab*", "abab", True),
        ("a.c", "abc", False),
        ("[ab]?", "[ab]?", True),
        ("query", "Query", False),
        ("query", "query\n", False),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_for_others(pattern: str, name: str, fits: bool) -> None:
    assert Pattern(pattern).fits(name) is fits


def test_a_pattern_takes_no_longer_than_the_name_is_long() -> None:
    began = time.perf_counter()
    assert not Pattern("*".join("aaaaaaaaaaaaaaaab")).fits("a" * 1_000_000)
    assert time.perf_counter() - began < 1  # a matcher that goes back takes longer than anybody waits


def test_nothing_is_allowed_that_is_not_said(policy: Policy) -> None:
    analyst = policy.view_of(["analyst"])
    assert analyst.allows("tools", "query")
    assert not analyst.allows("tools", "insert_record")
    assert not analyst.allows("resources", "db://schema")
    assert not analyst.allows("prompts", "write-query")
    assert not policy.view_of(["reader"]).allows("tools", "query")


@pytest.mark.parametrize("names", [[], ["nobody"], ["Analyst"], ["analyst "]])
def test_an_unknown_role_allows_nothing(policy: Policy, names: list[str]) -> None:
    view = policy.view_of(names)
    assert not any(view.allows(sort, "query") for sort in ("tools", "resources", "prompts"))
    assert view is policy.view(None)


def test_a_star_of_tools_alone_is_everything(policy: Policy, tmp_path: Path) -> None:
    admin = policy.view_of(["admin"])
    assert admin.allows("resources", "db://schema")
    assert admin.allows("prompts", "write-query")
    assert admin.denied_tables("tools", "query") == frozenset()
    narrowed = load(tmp_path, '[roles.a]\ntools = ["*"]\nprompts = []').view_of(["a"])
    assert narrowed.allows("tools", "query")
    assert not narrowed.allows("resources", "db://schema")
    assert not narrowed.allows("prompts", "write-query")
    withheld = load(tmp_path, '[roles.a]\ntools = ["*"]\ndeny_tables = ["x"]').view_of(["a"])
    assert withheld.allows("resources", "db://schema")
    assert withheld.denied_tables("resources", "db://schema") == {"x"}


def test_arguments_are_held_to_the_values_of_the_rule(policy: Policy) -> None:
    developer = policy.view_of(["developer"])
    assert developer.allows("tools", "insert_record")
    assert developer.allows("tools", "insert_record", {"table": "logs", "data": {"a": 1}})
    others: list[dict[str, object]] = [
        {"table": "credentials"},
        {"table": "LOGS"},
        {"table": ["logs", "x"]},
        {"table": []},
        {},
    ]
    for refused in others:
        assert not developer.allows("tools", "insert_record", refused)
    assert developer.allows("tools", "insert_record", {"table": ["logs", "events"]})
    assert '"logs", "events", "metrics"' in developer.explain("insert_record", {"table": "x"})


def test_values_are_compared_as_json_has_them(tmp_path: Path) -> None:
    view = load(tmp_path, '[roles.a]\ntools = ["t"]\narguments = { t = { n = [1], f = [0.5, true] } }').view_of(["a"])
    assert view.allows("tools", "t", {"n": 1, "f": True})
    assert view.allows("tools", "t", {"n": 1, "f": 0.5})
    for n in (True, "1", 1.0, None, {"a": 1}):
        assert not view.allows("tools", "t", {"n": n, "f": True})


def test_a_table_is_denied_by_the_roles_that_allow_the_call(policy: Policy) -> None:
    both = policy.view_of(["analyst", "developer"])
    assert both.denied_tables("tools", "query") == {"credentials"}
    assert policy.view_of(["analyst", "other"]).denied_tables("tools", "query") == {"audit_logs", "credentials"}
    assert policy.view_of(["analyst", "admin"]).denied_tables("tools", "query") == frozenset()
    mixed = policy.view_of(["analyst", "reader"])
    assert mixed.denied_tables("tools", "query") == {"audit_logs", "credentials"}
    assert mixed.denied_tables("resources", "db://tables/x") == {"ledger"}


@pytest.mark.parametrize(
    "uri", ["db://tables/../secret", "db://tables/%2e%2E/secret", "db://tables/..\\x", "db://tables/./x"]
)
def test_a_uri_that_leads_back_fits_only_the_star(policy: Policy, uri: str) -> None:
    assert policy.view_of(["reader"]).allows("resources", "db://tables/plain")
    assert not policy.view_of(["reader"]).allows("resources", uri)
    assert policy.view_of(["admin"]).allows("resources", uri)


def test_equal_roles_have_one_view(policy: Policy) -> None:
    assert policy.view_of(["analyst", "other"]) is policy.view_of(["other", "x", "analyst", "analyst"])


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    text = """[roles.a]
tools = "query"
tables = []
deny_tables = ["x", 3, ""]
[roles.b]
tools = ["t"]
metrics = 1
[roles.b.arguments.t]
n = [1, [2]]
m = 3
[roles.b.arguments.u]
n = []
[roles.b.arguments]
v = 1
[roles]
c = "x"
"""
    found = mistakes(tmp_path, text)
    assert [line for line, _ in found] == [2, 3, 4, 4, 7, 9, 10, 11, 14, 14, 16]
    assert any("tools is a list" in said for _, said in found)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\n[[keys]]\nname = 'a'\n[[keys]]\nname = 'b'\n", 2),
        ("a = 1\n\n[jwt]\n", 3),
        ("a = 1\n", 0),
        ("[limits]\n[roles]\n", 2),
        ("[roles]\n[[certificates]]\nname = 'a'\n", 2),
    ],
)
def test_a_file_without_roles_is_a_mistake_that_says_what_to_write(tmp_path: Path, text: str, line: int) -> None:
    ((found, said),) = mistakes(tmp_path, text)
    assert found == line
    assert 'add the two lines [roles.everyone] and tools = ["*"]' in said
    view = load(tmp_path, text.replace("[roles]\n", "") + '[roles.everyone]\ntools = ["*"]\n').view_of([])
    assert all(view.allows(sort, "anything") for sort in ("tools", "resources", "prompts"))


def test_a_change_that_takes_all_roles_away_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, seconds, used = tmp_path / "auth.toml", iter(range(10)), list[Policy]()

    def govern(document: Document) -> Callable[[], None]:
        policy = read_policy(document)
        return lambda: used.append(policy)

    path.write_text("[[keys]]\n[roles.a]\ntools = ['t']\n")
    file = AuthFile(path, [govern], clock=lambda: float(2 * next(seconds)))
    file.load()
    path.write_text("[[keys]]\n")
    file.look()
    assert len(used) == 1
    assert f"what it said before stays.\n{path}:1: nobody may do anything" in caplog.text


def test_everyone_holds_the_role_of_everyone_beside_his_own(tmp_path: Path) -> None:
    policy = load(tmp_path, CLASSICAL + '[roles.everyone]\ntools = ["hello"]\n')
    assert policy.view_of(["nobody"]).allows("tools", "hello")
    assert not policy.view_of(["nobody"]).allows("tools", "query")
    analyst = policy.view_of(["analyst"])
    assert analyst.allows("tools", "hello")
    assert analyst.denied_tables("tools", "query") == {"audit_logs", "credentials"}
    assert policy.view_of(["everyone"]) is policy.view_of([])


def test_a_role_beside_everyone_who_may_do_everything_is_a_mistake(tmp_path: Path) -> None:
    all_may = '[roles.everyone]\ntools = ["*"]\n'
    found = mistakes(tmp_path, all_may + '[roles.clerk]\ntools = ["query"]\n')
    assert [line for line, _ in found] == [3]
    assert "takes nothing away" in found[0][1]
    for narrower in ("prompts = []\n", "deny_tables = ['x']\n", "[roles.everyone.arguments.t]\nn = [1]\n"):
        load(tmp_path, all_may + narrower + '[roles.clerk]\ntools = ["query"]\n')


def test_roles_that_are_no_table_are_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "\nroles = 3") == [(2, "roles is a table of names and what is said of each")]
