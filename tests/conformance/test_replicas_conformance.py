"""The official suite against three replicas of `mcp-server-everything` behind a proxy that takes turns.

Nothing is sticky: sessions, streams, questions, tasks and subscriptions are served wherever their messages arrive.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.conformance.scenarios import ALWAYS_SKIPPED, SCENARIOS
from tests.conformance.suite import run_server, tell
from tests.conformance.test_conformance import COMMAND
from tests.interop.tap import Tap
from tests.operations.proxy import proxy
from tests.operations.redis import RedisServer
from tests.served import serve
from tests.transports.guests import HttpJudge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPLICAS = 3


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of the proxy."""
    monkeypatch.setenv("MCP_STATE_KEY", "one for all")
    with RedisServer() as store, ExitStack() as stack:
        options = ("--transport", "http", "--store", store.url)
        urls = [stack.enter_context(serve(COMMAND, options)) for _ in range(REPLICAS)]
        yield stack.enter_context(proxy(urls))


@pytest.mark.slow
@pytest.mark.parametrize("revision", SCENARIOS)
def test_the_suite_passes_through_a_proxy_without_stickiness(
    revision: str, endpoint: str, suite: Path, tmp_path: Path
) -> None:
    with Tap(int(urlsplit(endpoint).port or 0)) as tap:
        verdicts = run_server(suite, f"http://127.0.0.1:{tap.port}/mcp", revision, tmp_path)
        assert sorted(verdicts) == sorted(SCENARIOS[revision])
        wrong = {
            name: bad
            for name, checks in verdicts.items()
            if name not in ALWAYS_SKIPPED
            and (bad := [tell(check) for check in checks if check["status"] not in ("SUCCESS", "INFO")])
        }
        assert wrong == {}
        judge = HttpJudge()
        for sender, data in tap.messages:
            judge.observe(sender, data, malformed=sender == "client")  # the suite is wrong where a scenario wants it
        judge.rule()
