"""The official conformance suite against the client: no failure, in any scenario, scored or not.

There is no list of expected failures. `client.py` beside this file is the driver that the suite starts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.conformance.scenarios import CLIENT_SCENARIOS
from tests.conformance.suite import Check, run_client, tell
from tests.stage import judge_transcript

DRIVER = f"{sys.executable} {Path(__file__).with_name('client.py')}"
CASES = [(revision, name) for revision, names in CLIENT_SCENARIOS.items() for name in names]

Verdicts = dict[str, dict[str, list[Check]]]


@pytest.fixture(scope="module")
def verdicts(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """The checks of every scenario, by revision."""
    transcript = tmp_path_factory.mktemp("watched") / "transcript"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATCHED", str(transcript))
        found = {
            revision: run_client(suite, DRIVER, revision, tmp_path_factory.mktemp(revision))
            for revision in CLIENT_SCENARIOS
        }
    assert judge_transcript(transcript, contrary=True)  # the suite's servers are wrong where a scenario wants it
    return found


@pytest.mark.parametrize("revision", CLIENT_SCENARIOS)
def test_the_suite_runs_what_it_ran_when_it_was_pinned(revision: str, verdicts: Verdicts) -> None:
    assert sorted(verdicts[revision]) == sorted(CLIENT_SCENARIOS[revision])


@pytest.mark.parametrize(("revision", "scenario"), CASES)
def test_a_scenario_has_no_failure(revision: str, scenario: str, verdicts: Verdicts) -> None:
    checks = verdicts[revision][scenario]
    assert [tell(check) for check in checks if check["status"] == "FAILURE"] == []
    assert any(check["status"] == "SUCCESS" for check in checks)
