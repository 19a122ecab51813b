"""A server that is told to end before it serves ends as well as one that serves: with 0, and with nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.transports.host import PATIENCE, surroundings, until

if TYPE_CHECKING:
    from collections.abc import Sequence

HTTP = ("--transport", "http", "--port", "0")
SSE = ("--transport", "sse", "--port", "0")
WORKERS = (*HTTP, "--workers", "3", "--store", "unix:///nowhere/redis.sock")
SEVERAL = pytest.param(WORKERS, id="workers")

# Once it has got so far (it imports a module, or does what the interpreter tells auditors) it gets a signal.
WATCHED = """
import os, sys
stage, number, turn = sys.argv.pop(1), int(sys.argv.pop(1)), int(sys.argv.pop(1))
def tell(event, facts):
    global turn
    if stage == event or (event == "import" and facts[0] == stage):
        turn -= 1
        if turn == 0 and "MCP_WORKER" not in os.environ:
            os.kill(os.getpid(), number)
sys.addaudithook(tell)
from mcp_server_everything.cli import main
main()
"""


def start(*words: str, group: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(),
        start_new_session=group,
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [pytest.param(HTTP, id="http"), pytest.param(SSE, id="sse"), SEVERAL])
def test_a_signal_upon_the_line_with_the_address_ends_it_well(options: Sequence[str]) -> None:
    for _ in range(3):
        with start("-m", "mcp_server_everything", *options) as process:
            assert process.stderr is not None
            while "serves http://" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            assert "Traceback" not in process.stderr.read()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_that_are_told_with_their_parent_leave_it_to_end_well(number: signal.Signals) -> None:
    """As a terminal or a service manager tells them."""
    for turn in (0, 1, 3):
        with start("-m", "mcp_server_everything", *WORKERS, "--log-level", "info", group=True) as process:
            assert process.stderr is not None
            for _ in range(1 + turn):  # what it says of itself, then that a worker has started
                assert process.stderr.readline()
            os.killpg(process.pid, number)
            assert process.wait(PATIENCE) == 0
            assert "Traceback" not in process.stderr.read()


# Its workers do nothing but say who they are.
PARENT = """
import os, signal, socket, sys
if "MCP_WORKER" in os.environ:
    sys.stderr.write(f"{os.getpid()}\\n")
    signal.pause()
from mcp_kernel.workers import Workers
with socket.create_server(("127.0.0.1", 0)) as listener:
    sys.exit(Workers([listener], 3, 5.0, sys.stderr.write).run())
"""


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the states of processes are Linux's")
def test_a_parent_whose_workers_have_ended_when_it_is_told_misses_none() -> None:
    with start("-c", PARENT) as process:
        assert process.stderr is not None
        workers = [int(process.stderr.readline()) for _ in range(3)]
        process.send_signal(signal.SIGSTOP)
        until(lambda: state(process.pid) == "T")
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        until(lambda: {state(worker) for worker in workers} == {"Z"})
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == ""


STAGES: list[tuple[Sequence[str], str, int]] = [
    (HTTP, "mcp_kernel.serving", 1),
    (HTTP, "socket.bind", 1),
    (HTTP, "uvicorn", 1),
    (HTTP, "mcp_kernel.connections", 1),
    (HTTP, "uvloop", 1),
    ((*HTTP, "--metrics"), "mcp_kernel.deployment", 1),
    (SSE, "uvicorn", 1),
    (WORKERS, "socket.bind", 1),
    (WORKERS, "subprocess.Popen", 1),
    (WORKERS, "subprocess.Popen", 2),
    (WORKERS, "subprocess.Popen", 3),
    ((*WORKERS, "--metrics"), "mcp_kernel.operations.gathering", 1),
    ((), "mcp_kernel.transports.stdio", 1),
    ((), "mcp_kernel.transports.reading", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("options", "stage", "turn"), STAGES)
def test_a_signal_at_any_stage_of_the_start_ends_it_well(options: Sequence[str], stage: str, turn: int) -> None:
    with start("-c", WATCHED, stage, str(int(signal.SIGTERM)), str(turn), *options) as process:
        assert process.stderr is not None
        code, said = process.wait(PATIENCE), process.stderr.read()
    assert (code, "Traceback" in said) == (0, False), said


@pytest.mark.slow
@pytest.mark.parametrize(("options", "code"), [(HTTP, 0), ((), 130)])
def test_ctrl_c_while_it_starts_shows_no_traceback(options: Sequence[str], code: int) -> None:
    stage = "uvicorn" if options else "mcp_kernel.transports.reading"
    with start("-c", WATCHED, stage, str(int(signal.SIGINT)), "1", *options) as process:
        assert process.stderr is not None
        assert process.wait(PATIENCE) == code
        assert "Traceback" not in process.stderr.read()
