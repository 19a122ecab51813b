"""A person at the terminal answers questions, and Ctrl-C leaves no child behind."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest
from tests.console.conftest import COMMAND, PATIENCE, Shell

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


class Desk:
    """A command on a terminal of its own, and whoever sits there."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self.master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        self.process = subprocess.Popen(
            [*COMMAND, *words], stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=shell.environment
        )
        os.close(slave)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready = select.select([self.master], [], [], max(deadline - time.monotonic(), 0))[0]
            assert ready, f"{text!r} did not come: {self.seen}"
            self.seen += os.read(self.master, 65536).decode()
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> str:
        output = self.process.communicate(timeout=PATIENCE)[0]
        os.close(self.master)
        return output.decode()


def test_a_form_is_filled_in_on_the_terminal(shell: Shell) -> None:
    desk = Desk(shell, "call", EVERYTHING, "test_elicitation_sep1034_defaults")
    desk.wait_for("Check these values")
    for question, answer in (
        ("name [John Doe]: ", "Ada\n"),
        ("age [30]: ", "old\n"),
        ("try again", ""),
        ("age [30]: ", "36\n"),
        ("score [95.5]: ", "\n"),
        ("status (active, inactive, pending) [active]: ", "pending\n"),
        ("verified (yes, no) [True]: ", "no\n"),
    ):
        desk.wait_for(question)
        desk.type(answer)
    output = desk.end()
    assert "{'name': 'Ada', 'age': 36, 'score': 95.5, 'status': 'pending', 'verified': False}" in output


def test_ctrl_d_declines(shell: Shell) -> None:
    desk = Desk(shell, "call", EVERYTHING, "test_elicitation", "message=Who?")
    desk.wait_for(": ")
    desk.wait_for(": ")
    desk.type("\x04")
    desk.wait_for("Declined.")
    assert "decline" in desk.end()


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
