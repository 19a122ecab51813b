"""The official conformance suite against `mcp-server-everything`: no failure and no warning, in any scenario.

There is no list of expected failures. The suite is pinned by `package-lock.json` and run once for each revision; here
each of its scenarios is a test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.conformance.scenarios import ALWAYS_SKIPPED, SCENARIOS
from tests.conformance.suite import Check, run_server, tell
from tests.interop.tap import Tap
from tests.served import serve
from tests.transports.guests import HttpJudge

COMMAND = [str(Path(sys.executable).with_name("mcp-server-everything"))]
CASES = [(revision, name) for revision, names in SCENARIOS.items() for name in names if name not in ALWAYS_SKIPPED]

Verdicts = dict[str, dict[str, list[Check]]]


@pytest.fixture(scope="module")
def verdicts(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """The checks of every scenario, by revision."""
    with serve(COMMAND) as url, Tap(int(urlsplit(url).port or 0)) as tap:
        through = f"http://127.0.0.1:{tap.port}/mcp"
        yield {
            revision: run_server(suite, through, revision, tmp_path_factory.mktemp(revision)) for revision in SCENARIOS
        }
        judge = HttpJudge()
        for sender, data in tap.messages:
            judge.observe(sender, data, malformed=sender == "client")  # the suite is wrong where a scenario wants it
        assert tap.messages
        judge.rule()


@pytest.mark.parametrize("revision", SCENARIOS)
def test_the_suite_runs_what_it_ran_when_it_was_pinned(revision: str, verdicts: Verdicts) -> None:
    assert sorted(verdicts[revision]) == sorted(SCENARIOS[revision])


@pytest.mark.parametrize(("revision", "scenario"), CASES)
def test_a_scenario_has_neither_failure_nor_warning(revision: str, scenario: str, verdicts: Verdicts) -> None:
    checks = verdicts[revision][scenario]
    assert [tell(check) for check in checks if check["status"] not in ("SUCCESS", "INFO")] == []
    assert any(check["status"] == "SUCCESS" for check in checks)


@pytest.mark.parametrize("scenario", sorted(ALWAYS_SKIPPED))
def test_what_the_suite_cannot_see_is_still_skipped_by_it(scenario: str, verdicts: Verdicts) -> None:
    assert {check["status"] for check in verdicts["2026-07-28"][scenario]} == {"SKIPPED"}
