"""A person at the terminal answers questions, and Ctrl-C leaves no child behind."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.console.conftest import COMMAND, PATIENCE, Shell
from tests.seat import Seat

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = f"{sys.executable} -m mcp_server_everything"
# Says its process id, and then neither answers nor ends when it is asked to.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1], "w") as pipe:
    pipe.write(str(os.getpid()))
time.sleep(60)
"""


def sit(shell: Shell, *words: str) -> Seat:
    return Seat([*COMMAND, *words], shell.environment)


def test_a_form_is_filled_in_on_the_terminal(shell: Shell) -> None:
    seat = sit(shell, "call", EVERYTHING, "test_elicitation_sep1034_defaults")
    seat.wait_for("Check these values")
    for question, answer in (
        ("name [John Doe]: ", "Ada\n"),
        ("age [30]: ", "old\n"),
        ("try again", ""),
        ("age [30]: ", "36\n"),
        ("score [95.5]: ", "\n"),
        ("status (active, inactive, pending) [active]: ", "pending\n"),
        ("verified (yes, no) [True]: ", "no\n"),
    ):
        seat.wait_for(question)
        seat.type(answer)
    output = seat.end()
    assert "{'name': 'Ada', 'age': 36, 'score': 95.5, 'status': 'pending', 'verified': False}" in output


def test_ctrl_d_declines(shell: Shell) -> None:
    seat = sit(shell, "call", EVERYTHING, "test_elicitation", "message=Who?")
    seat.wait_for(": ")
    seat.wait_for(": ")
    seat.type("\x04")
    seat.wait_for("Declined.")
    assert "decline" in seat.end()


def test_what_a_server_says_cannot_steer_the_terminal(shell: Shell) -> None:
    master, slave = pty.openpty()
    words = [*COMMAND, "call", EVERYTHING, "greet", "name=\x1b[2J"]
    subprocess.run(words, stdout=slave, timeout=PATIENCE, check=True, env=shell.environment)
    assert os.read(master, 65536).decode().strip() == "Hello, \\x1b[2J!"
    os.close(slave)
    os.close(master)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", ["inspect", "doctor"])
def test_a_command_that_is_interrupted_leaves_no_child(
    shell: Shell, tmp_path: Path, command: str, number: int, code: int
) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = [sys.executable, str(tmp_path / "stubborn.py"), str(pipe)]
    target = (
        shell.write("mcp.json", x={"command": words[0], "args": words[1:]}) if command == "doctor" else " ".join(words)
    )
    with subprocess.Popen([*COMMAND, command, target], stderr=subprocess.PIPE, env=shell.environment) as process:
        child = int(pipe.read_text())
        process.send_signal(number)
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == code
    assert b"Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
