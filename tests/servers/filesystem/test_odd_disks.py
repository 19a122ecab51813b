"""A disk that does not answer: whoever asks it is told in time, and others are served. And one that knows no case."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.servers.filesystem.desk import SERVER, Desk, Json
from tests.transports.host import Host

APART = ["unshare", "--map-root-user", "--mount"]
PROGRAM = [sys.executable, str(Path(__file__).with_name("odd_disk.py"))]
PATIENCE = 1.0
MANY = 40  # more than there are threads
IN_TIME = "did not finish in time"


class Hung(Desk):
    """A desk beside a disk that does not answer."""

    def __init__(self, host: Host, era: str, folder: Path) -> None:
        super().__init__(host, era)
        self._disk = int((folder / "disk.pid").read_text())

    def ask(self, tool: str, /, **arguments: object) -> int:
        return self.host.ask("tools/call", name=tool, arguments=arguments, **self.extra)

    def hear(self, asked: int) -> str:
        """What a call was refused with."""
        answer = self.host.answer(asked)
        assert answer["result"].get("isError") is True, answer
        return str(answer["result"]["content"][0]["text"])

    def deafen(self) -> None:
        """From now on the disk answers nothing at all."""
        os.kill(self._disk, signal.SIGUSR1)

    def pull(self) -> None:
        """The disk is gone, and what waited for it fails."""
        os.kill(self._disk, signal.SIGKILL)


@pytest.fixture(params=["legacy", "modern"])
def hung(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[Hung]:
    """A server of two directories, of which one is on such a disk."""
    fuse = os.access("/dev/fuse", os.R_OK | os.W_OK) and shutil.which("unshare") is not None
    probe = [*APART, *PROGRAM, str(tmp_path / "probe"), "true"]
    (tmp_path / "probe").mkdir()
    if not fuse or subprocess.run(probe, check=False, timeout=10, capture_output=True).returncode:
        pytest.skip("needs /dev/fuse and a user who may mount in a namespace of his own (unshare)")
    folder, sound = tmp_path / "hung", tmp_path / "sound"
    folder.mkdir()
    sound.mkdir()
    (sound / "a.txt").write_text("sound\n")
    words = [*SERVER, str(sound), str(folder / "disk"), "--timeout", str(PATIENCE)]
    with Host([*APART, *PROGRAM, str(folder), *words]) as host:
        host.open()
        yield Hung(host, request.param, folder)


def on_disk(desk: Hung, name: str) -> str:
    """The path of a file on the disk that does not answer."""
    listed: Json = desk.data("list_allowed_directories")
    return f"{listed['directories'][1]['path']}/{name}"


def test_a_read_that_hangs_ends_in_time_and_others_go_on(hung: Hung) -> None:
    path = on_disk(hung, "hang.txt")
    assert hung.text("read_text_file", path=on_disk(hung, "good.txt")) == "good\n"
    asked = hung.ask("read_text_file", path=path)
    assert hung.text("read_text_file", path="a.txt") == "sound\n"
    assert IN_TIME in hung.hear(asked)
    assert hung.text("read_text_file", path="a.txt") == "sound\n"
    assert "does not exist" in hung.refusal("read_text_file", path=on_disk(hung, "none.txt"))


@pytest.mark.slow
def test_more_hanging_reads_than_threads_leave_the_server_at_work(hung: Hung) -> None:
    path = on_disk(hung, "hang.txt")
    for _ in range(2):
        asked = [hung.ask("read_text_file", path=path) for _ in range(MANY)]
        assert all(IN_TIME in hung.hear(each) for each in asked)
        assert hung.text("read_text_file", path="a.txt") == "sound\n"
    hung.pull()
    for _ in range(MANY):
        assert hung.text("read_text_file", path="a.txt") == "sound\n"
    assert hung.refusal("read_text_file", path=path)


@pytest.mark.slow
def test_a_write_that_hangs_holds_up_no_other(hung: Hung) -> None:
    asked = [hung.ask("write_file", path=on_disk(hung, name), content="x") for name in ("hang.new", "rename.new")]
    assert "Successfully" in hung.text("write_file", path="b.txt", content="x")
    assert all(IN_TIME in hung.hear(each) for each in asked)
    edit = {"oldText": "sound", "newText": "safe"}
    assert "+safe" in hung.text("edit_file", path="a.txt", edits=[edit])


@pytest.mark.slow
def test_a_directory_whose_disk_is_deaf_takes_no_other_with_it(hung: Hung) -> None:
    path = on_disk(hung, "good.txt")
    hung.deafen()
    asked = [hung.ask(tool, path=path) for tool in ("read_text_file", "get_file_info", "list_directory")]
    for _ in range(3):
        assert hung.text("read_text_file", path="a.txt") == "sound\n"
    assert "Successfully" in hung.text("write_file", path="b.txt", content="x")
    assert all(IN_TIME in hung.hear(each) for each in asked)
    hung.pull()


@pytest.mark.slow
def test_a_subscription_on_a_disk_that_is_deaf_takes_nothing_with_it(hung: Hung) -> None:
    paths = [on_disk(hung, name) for name in ("good.txt", "hang.txt")]
    sound: Json = hung.data("list_allowed_directories")["directories"][0]["path"]
    hung.deafen()
    for path in (*paths, f"{sound}/a.txt"):
        hung.host.request("resources/subscribe", uri=f"file://{path}")
    assert "Successfully" in hung.text("write_file", path="a.txt", content="new")
    told = hung.host.hear(lambda message: message.get("method") == "notifications/resources/updated", 30)
    assert told["params"]["uri"].endswith("a.txt")
    hung.pull()


@pytest.mark.slow
def test_when_too_many_calls_hang_more_are_refused_at_once(hung: Hung) -> None:
    path = on_disk(hung, "hang.txt")
    said = ""
    for _ in range(8):
        said = [hung.hear(each) for each in [hung.ask("read_text_file", path=path) for _ in range(MANY)]][-1]
        if "hang" in said:
            break
    assert "calls hang" in said
    hung.pull()
    assert hung.host.process.poll() is None


@pytest.mark.parametrize("name", [".env", ".ENV", ".e\u200cnv", ".\u200dEnv"])
def test_a_secret_is_denied_however_its_disk_lets_it_be_spelled(hung: Hung, name: str) -> None:
    assert hung.text("read_text_file", path=on_disk(hung, "GO\u200cOD.txt")) == "good\n"
    for tool, more in (("read_text_file", {}), ("read_media_file", {}), ("write_file", {"content": "x"})):
        assert "denied" in hung.refusal(tool, path=on_disk(hung, name), **more)
