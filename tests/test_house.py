"""The rules of the house, held. Beside each rule stands a sample that breaks it: a check that cannot fail is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.house import code, layers, workspace
from tests.house.source import ROOT, Module, read

import mcp_kernel

if TYPE_CHECKING:
    from pathlib import Path

KERNEL = read("shared/src")
SERVERS = read("servers/*/src")
TESTS = read("tests")
AGENT = read("examples/support_agent/src")
EXAMPLES = read("examples/*/src")
SHIPPED = [*KERNEL, *SERVERS, *EXAMPLES]
EVERYTHING = [*SHIPPED, *TESTS, *read("benchmarks", "release/src", "sandbox/src")]

# Public doors with more options than a function inside the house may have. Options are given by name, each has a
# default, and a reader meets them one at a time, so that the limit, which is about calls, does not serve them.
MANY_OPTIONS = frozenset(
    {
        "mcp_kernel.client.client.Client.__init__",
        "mcp_kernel.server.server.Server.__init__",
        "mcp_kernel.server.server.Server.tool",
        "mcp_server_git.server_reading._add_history.git_log",
        "mcp_server_vector.server._add_reading.semantic_search",
    }
)


def sample(source: str, name: str = "mcp_kernel.server.tools") -> list[Module]:
    return [Module(name, source)]


def test_the_house_is_found() -> None:
    assert {module.name for module in KERNEL} >= {"mcp_kernel", "mcp_kernel.protocol.jsonrpc"}
    assert any(module.name.startswith("mcp_server_") for module in SERVERS)
    assert "support_agent.steps" in {module.name for module in AGENT}


def test_imports_point_down() -> None:
    assert layers.upward_imports(KERNEL) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("mcp_kernel.errors", "import mcp_kernel.protocol.jsonrpc"),
        ("mcp_kernel.protocol.jsonrpc", "from mcp_kernel.server.server import Server"),
        ("mcp_kernel.protocol.jsonrpc", "from mcp_kernel import server"),
        ("mcp_kernel.protocol.jsonrpc", "from ..server import tools"),
        ("mcp_kernel.server.tools", "from mcp_kernel import Server"),
        ("mcp_kernel.server.tools", "def f():\n    from mcp_kernel.transports import stdio"),
        ("mcp_kernel.server.tools", "if TYPE_CHECKING:\n    from mcp_kernel.auth import jwt"),
        ("mcp_kernel.server.tools", "importlib.import_module('mcp_kernel.cli')"),
        ("mcp_kernel.transports.http", "import mcp_kernel.auth.bearer"),
        ("mcp_kernel.client.client", "from mcp_kernel.server import server"),
        ("mcp_kernel.testing.memory", "from mcp_kernel.cli import run"),
        ("mcp_kernel.extras", ""),
    ],
)
def test_an_import_that_points_up_or_aside_is_seen(name: str, source: str) -> None:
    assert layers.upward_imports(sample(source, name))


def test_the_protocol_does_no_io() -> None:
    assert layers.impurities(KERNEL) == []


@pytest.mark.parametrize("culprit", [*sorted(layers.IMPURE), "httpx", "pydantic", "anyio.abc", "typing_extensions"])
def test_an_impure_import_of_the_protocol_is_seen(culprit: str) -> None:
    source = f"if TYPE_CHECKING:\n    import {culprit}"
    assert layers.impurities(sample(source, "mcp_kernel.protocol.framing"))
    assert not layers.impurities(sample("import json, pydantic_core", "mcp_kernel.protocol.framing"))


def test_third_parties_have_one_home() -> None:
    assert layers.strangers(KERNEL) == []


@pytest.mark.parametrize("culprit", layers.HOMES)
def test_a_third_party_away_from_home_is_seen(culprit: str) -> None:
    assert layers.strangers(sample(f"from {culprit}.x import y"))
    homes = [f"mcp_kernel.{home}" for home in layers.HOMES[culprit]]
    assert not layers.strangers([Module(home, f"import {culprit}") for home in homes])


def test_heavy_packages_are_imported_by_the_function_that_needs_them() -> None:
    assert layers.early_imports(SHIPPED) == []


@pytest.mark.parametrize("culprit", sorted(layers.LATE))
def test_an_early_heavy_import_is_seen(culprit: str) -> None:
    assert layers.early_imports(sample(f"class C:\n    import {culprit}"))
    assert not layers.early_imports(sample(f"def f():\n    import {culprit}"))


def test_only_the_keepers_of_an_era_decide_on_it() -> None:
    assert layers.era_branches(KERNEL) == []


@pytest.mark.parametrize(
    "source",
    [
        "if era: ...",
        "x = 1 if peer.is_modern else 2",
        "match session.era:\n    case _: ...",
        "[a for a in b if LEGACY]",
    ],
)
def test_a_decision_on_an_era_is_seen(source: str) -> None:
    assert layers.era_branches(sample(source))
    assert not layers.era_branches(sample(source, "mcp_kernel.server.exchange"))
    assert not layers.era_branches(sample("if general: ..."))


def test_servers_use_the_front_door() -> None:
    assert layers.private_doors(SERVERS, mcp_kernel.__all__) == []


def test_the_agent_uses_the_doors_of_a_client() -> None:
    assert layers.back_doors(AGENT, mcp_kernel.__all__) == []


@pytest.mark.parametrize(
    "source",
    ["import mcp_server_git.cli", "from mcp_kernel.client.session import Session", "from mcp_kernel import server"],
)
def test_an_agent_at_the_back_door_is_seen(source: str) -> None:
    assert layers.back_doors(sample(source, "example.agent"), ["Client"])
    front = "from mcp_kernel import Client\nfrom mcp_kernel.client import Tool\nfrom mcp_kernel.cli import positive\n"
    assert not layers.back_doors(sample(front, "example.agent"), ["Client"])


@pytest.mark.parametrize(
    "source",
    [
        "from mcp_kernel.server.server import Server",
        "from mcp_kernel import protocol",
        "import mcp_kernel.protocol.jsonrpc",
        "def f():\n    import mcp_server_git.repository",
    ],
)
def test_a_server_at_the_back_door_is_seen(source: str) -> None:
    assert layers.private_doors(sample(source, "mcp_server_x.server"), ["Server"])


def test_the_front_door_is_open() -> None:
    source = "from mcp_kernel import Server, cli\nfrom mcp_kernel.toolkits.sql import tools\nimport mcp_kernel.cli\n"
    assert not layers.private_doors(sample(source, "mcp_server_x.server"), ["Server"])


def test_domains_do_not_know_that_mcp_exists() -> None:
    assert layers.knowing_domains(SERVERS) == []


def test_a_domain_that_knows_is_seen() -> None:
    source = "from mcp_kernel import ToolError"
    assert layers.knowing_domains(sample(source, "mcp_server_x.database"))
    assert not layers.knowing_domains(sample(source, "mcp_server_x.server"))


def test_files_are_short() -> None:
    assert code.long_files(EVERYTHING) == []


def test_a_long_file_is_seen() -> None:
    assert code.long_files(sample("x = 1\n" * 401))
    assert not code.long_files(sample("x = 1\n" * 400))


def test_functions_are_short() -> None:
    assert code.long_functions(EVERYTHING) == []


def test_a_long_function_is_seen() -> None:
    docstring = '    """\n' + "words\n" * 50 + '    """\n'
    assert code.long_functions(sample("class C:\n  async def f(self):\n" + "    x = 1\n" * 40))
    assert not code.long_functions(sample("def f():\n" + docstring + "    x = 1\n" * 39))


def test_functions_take_few_parameters() -> None:
    assert code.many_parameters(EVERYTHING, MANY_OPTIONS) == []


def test_many_parameters_are_seen() -> None:
    assert code.many_parameters(sample("def f(a, b, c, d, *, e, f, g): ..."), [])
    assert not code.many_parameters(sample("class C:\n  def f(self, a, b, c, d, *, e, f): ..."), [])
    exempt = ["mcp_kernel.server.tools.f"]
    assert not code.many_parameters(sample("def f(a, *, b, c, d, e, f, g, h): ..."), exempt)
    assert code.many_parameters(sample("def f(a, b, c, d, e, f, g): ..."), exempt)


def test_every_exemption_is_of_a_function_that_needs_it() -> None:
    excused = {line.split()[0] for line in code.many_parameters(EVERYTHING, [])}
    assert excused >= MANY_OPTIONS


def test_modules_are_named_for_what_they_are() -> None:
    assert code.empty_names(EVERYTHING) == []


@pytest.mark.parametrize("name", ["mcp_kernel.utils", "mcp_kernel.common.text", "mcp_server_x.helpers"])
def test_a_module_named_for_nothing_is_seen(name: str) -> None:
    assert code.empty_names(sample("", name))


def test_modules_hold_no_state() -> None:
    assert code.shared_state(SHIPPED) == []


@pytest.mark.parametrize(
    "source",
    [
        "sessions = {}",
        "_seen: set[str] = set()",
        "CACHE = {}\ndef f(): CACHE[1] = 2",
        "CACHE = defaultdict(list)\ndef f(): CACHE.clear()",
        "FOUND = []\ndef f(): FOUND.append(1)",
        "def f():\n    global x\n    x = 1",
    ],
)
def test_state_of_a_module_is_seen(source: str) -> None:
    assert code.shared_state(sample(source))
    assert not code.shared_state(sample("__all__ = ['x']\n_TABLE = {'a': 1}\ndef f(x): return {**_TABLE, 'b': x}"))


def test_whoever_silences_a_check_says_why() -> None:
    assert code.bare_excuses(EVERYTHING) == []


@pytest.mark.parametrize("excuse", ["type: ignore", "noqa", "noqa: E501", "pyright: ignore[x]"])
def test_an_excuse_without_a_reason_is_seen(excuse: str) -> None:
    assert code.bare_excuses(sample(f"x = 1  # {excuse}"))
    assert not code.bare_excuses(sample("x = 1  # noqa: S608, E501  # the table's name is quoted above"))


def test_public_signatures_say_what_they_take_and_give() -> None:
    assert code.loose_signatures(SHIPPED) == []


@pytest.mark.parametrize("source", ["def f(x: Any): ...", "class C:\n  def f(self) -> dict[str, typing.Any]: ..."])
def test_a_loose_signature_is_seen(source: str) -> None:
    assert code.loose_signatures(sample(source))
    assert not code.loose_signatures(sample(source.replace("def f", "def _f")))


def test_tests_are_named_by_sentences() -> None:
    assert code.short_test_names(TESTS) == []


def test_a_test_without_a_sentence_is_seen() -> None:
    assert code.short_test_names(sample("def test_drop(): ..."))
    assert not code.short_test_names(sample("def test_a_declined_question_ends_the_call(): ..."))


def test_tests_do_not_sleep() -> None:
    assert code.sleeps(TESTS) == []


@pytest.mark.parametrize("source", ["time.sleep(0.1)", "await asyncio.sleep(delay)", "sleep(10)"])
def test_a_sleep_is_seen(source: str) -> None:
    assert code.sleeps(sample(f"async def f():\n    {source}"))
    assert not code.sleeps(sample("async def f():\n    await asyncio.sleep(0)"))


def test_public_names_are_the_documented_ones() -> None:
    page = (ROOT / "docs" / "reference" / "mcp_kernel.md").read_text("utf-8")
    assert workspace.documented_names(page) == set(mcp_kernel.__all__)


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")]
    assert sorted(numbers) == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_documented_names_are_read_from_headings() -> None:
    page = "# API\n\n### `Server`\n\n### `run(server)`\n\n```python\n# `Nothing`\n```\n\n## `Part`\n"
    assert workspace.documented_names(page) == {"Server", "run"}


def test_packages_agree_on_their_dependencies() -> None:
    assert workspace.disagreements(workspace.projects(ROOT)) == []


def project(name: str, *dependencies: str) -> workspace.Project:
    return {"name": name, "version": "1.0", "dependencies": list(dependencies), "groups": {}}


def test_packages_that_disagree_are_seen() -> None:
    one = project("one", "aiosqlite>=1")
    assert workspace.disagreements({"one": one, "two": project("two", "aiosqlite>=2")})
    assert workspace.disagreements({"one": one, "two": project("two", "one==0.9")})
    assert not workspace.disagreements({"one": one, "two": project("two", "one==1.0", "AIOSQLite[x]>=1; x", "one")})


@pytest.mark.parametrize("server", sorted((ROOT / "servers").iterdir()), ids=lambda path: path.name)
def test_a_server_has_the_skeleton_of_all(server: Path) -> None:
    found = workspace.projects(ROOT)[server.name]
    assert workspace.missing_parts(server) + workspace.misnamed(server.name, found) == []


def test_a_server_without_a_skeleton_is_seen(tmp_path: Path) -> None:
    count = len(workspace.SKELETON) + len(workspace.PACKAGE_SKELETON) + len(["the domain"])
    assert len(workspace.missing_parts(tmp_path)) == count
    assert len(workspace.misnamed("x", project("y"))) == 2
