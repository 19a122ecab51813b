"""Writing: whole or not at all, what a file keeps, conflicts, edits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers.filesystem.conftest import open_scope
from tests.servers.filesystem.desk import Desk

from mcp_server_filesystem.confinement import Scope
from mcp_server_filesystem.diffing import make_diff
from mcp_server_filesystem.editing import Edit, apply_edits
from mcp_server_filesystem.errand import Errand
from mcp_server_filesystem.moving import move
from mcp_server_filesystem.refusals import Refusal
from mcp_server_filesystem.sandbox import Policy, Sandbox
from mcp_server_filesystem.writing import Edited, Mode, Written, edit_text, write_text

BOX = Sandbox([], Policy())


def write(scope: Scope, path: str, text: str, mode: Mode = "overwrite", etag: str | None = None) -> Written:
    return write_text(BOX, scope, path, text, (mode, etag))


def edit(scope: Scope, path: str, *edits: tuple[str, str], dry_run: bool = False, etag: str | None = None) -> Edited:
    return edit_text(BOX, scope, path, [Edit(old, new) for old, new in edits], (dry_run, etag))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def count_open(folder: Path = Path("/dev/fd")) -> int:
    return len(list(folder.iterdir()))


def test_a_file_keeps_its_mode_and_owner_and_other_names_keep_the_old(scope: Scope, served: Path) -> None:
    path = served / "script"
    path.write_text("old")
    path.chmod(0o751)
    if os.getuid() == 0:
        os.chown(path, 1234, 2345)
    (served / "other").hardlink_to(path)
    os.setxattr(path, "user.colour", b"red")
    before = path.stat()
    write(scope, "script", "new")
    after = path.stat()
    assert os.getxattr(path, "user.colour") == b"red"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert (path.read_text(), (served / "other").read_text()) == ("new", "old")
    assert names(served) == ["a.txt", "inner", "other", "script"]


@pytest.fixture
def lesser() -> list[str]:
    """Python as root without the right to act as the owner of any file."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        pytest.skip("it takes root, who can do without one of his rights")
    return [setpriv, "--bounding-set=-fowner", "--inh-caps=-fowner", "--", sys.executable]


def test_in_a_sticky_directory_nothing_is_left_of_a_write_that_is_not_permitted(
    lesser: list[str], tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "theirs").write_text("old")
    (shared / "theirs").chmod(0o666)
    for path, user in ((shared, 1234), (shared / "theirs", 4321)):
        os.chown(path, user, user)
    server = f"{sys.executable} -m mcp_server_filesystem {shared}"
    words = ["-m", "mcp_kernel", "call", server, "write_file", f"path={shared / 'theirs'}", "content=new"]
    done = subprocess.run([*lesser, *words], capture_output=True, text=True, timeout=60, check=False)
    assert "permit" in done.stdout, (done.stdout, done.stderr)
    assert (names(shared), (shared / "theirs").read_text()) == (["theirs"], "old")


def test_what_was_put_in_the_place_of_a_file_that_is_withdrawn_keeps_its_owner(
    lesser: list[str], tmp_path: Path
) -> None:
    victim, made = tmp_path / "victim", tmp_path / "made"
    victim.touch()
    made.touch()
    os.chown(victim, 4321, 4321)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    os.chown(shared, 1234, 1234)
    (shared / "f.tmp").hardlink_to(victim)
    code = (
        "import os, sys; from mcp_server_filesystem.unix import withdraw_in; "
        "withdraw_in((os.open(sys.argv[1], os.O_RDONLY), 'f.tmp'), os.stat(sys.argv[2]))"
    )
    done = subprocess.run([*lesser, "-c", code, shared, made], capture_output=True, text=True, timeout=60, check=False)
    assert "PermissionError" in done.stderr, done.stderr
    assert (victim.stat().st_uid, names(shared)) == (4321, ["f.tmp"])


def test_line_endings_and_encodings_stay(scope: Scope, served: Path) -> None:
    (served / "dos").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    edit(scope, "dos", ("one\ntwo", "1\n2"))
    assert (served / "dos").read_bytes() == b"1\r\n2\r\nthree\r\n"
    write(scope, "dos", "a\nb\n")
    assert (served / "dos").read_bytes() == b"a\r\nb\r\n"
    (served / "mixed").write_bytes(b"one\r\ntwo\nthree\r\nfour\r\n")
    edit(scope, "mixed", ("three", "3"), ("one", "1"))
    assert (served / "mixed").read_bytes() == b"1\r\ntwo\n3\r\nfour\r\n"
    (served / "mac").write_bytes(b"one\rtwo\rthree\r")
    edited = edit(scope, "mac", ("one\ntwo", "1\n2"), ("2\r", "2\n2a\n"))
    assert "end with CR" in (edited.note or "")
    assert (served / "mac").read_bytes() == b"1\r2\r2a\rthree\r"
    for encoding in ("utf-16", "utf-8-sig", "cp1252"):
        (served / "t").write_bytes("é one\n".encode(encoding))
        edit(scope, "t", ("one", "ü"))
        assert (served / "t").read_bytes() == "é ü\n".encode(encoding)
    with pytest.raises(Refusal, match="encoding"):
        edit(scope, "t", ("ü", "漢"))


def test_what_was_replaced_is_let_go_and_the_room_of_much_of_it_at_once(served: Path) -> None:
    (served / "large").write_bytes(b"x" * 2_000_000)
    before = count_open()
    with open_scope(served) as scope:
        opened = count_open()
        write(scope, "large", "new")
        assert count_open() == opened
        write(scope, "a.txt", "new")
        edit(scope, "a.txt", ("new", "newer"))
        with pytest.raises(Refusal):
            edit(scope, "a.txt", ("absent", ""))
        assert count_open() == opened + 2
    assert count_open() == before


def test_a_server_that_writes_keeps_nothing_open(desk: Desk) -> None:
    folder = Path(f"/proc/{desk.host.process.pid}/fd")
    if not folder.is_dir():
        pytest.skip("this system does not show what a process has open")
    desk.text("write_file", path="a.txt", content="0")
    before = count_open(folder)
    for number in range(30):
        desk.text("write_file", path="a.txt", content=str(number))
    desk.text("read_text_file", path="a.txt")
    assert count_open(folder) < before + 5  # the last one may be on its way


def test_modes_create_and_append(scope: Scope, served: Path) -> None:
    assert write(scope, "n", "a\n", "create").created is True
    with pytest.raises(Refusal, match="exists"):
        write(scope, "n", "b\n", "create")
    write(scope, "n", "b\n", "append")
    assert (served / "n").read_text() == "a\nb\n"


def test_what_somebody_else_changed_is_not_overwritten(scope: Scope, served: Path) -> None:
    etag = write(scope, "n", "mine").etag
    assert write(scope, "n", "mine again", etag=etag).etag != etag
    (served / "n").write_text("theirs")
    for attempt in (lambda: write(scope, "n", "x", etag=etag), lambda: edit(scope, "n", ("theirs", "x"), etag=etag)):
        with pytest.raises(Refusal, match="somebody else"):
            attempt()
    (served / "n").unlink()
    with pytest.raises(Refusal, match="does not exist"):
        write(scope, "n", "x", etag=etag)
    assert not (served / "n").exists()


def test_of_writers_with_the_same_tag_one_wins(scope: Scope, served: Path) -> None:
    etag = write(scope, "n", "start").etag
    won: list[int] = []
    gate = threading.Barrier(8)

    def attempt(number: int) -> None:
        gate.wait(10)
        try:
            write(scope, "n", f"writer {number}", etag=etag)
        except Refusal:
            return
        won.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [f"writer {number}" for number in won] == [(served / "n").read_text()]


def test_all_edits_are_made_or_none(scope: Scope, served: Path) -> None:
    with pytest.raises(Refusal, match="edit 2 of 2"):
        edit(scope, "a.txt", ("one", "1"), ("nowhere", "x"))
    assert (served / "a.txt").read_text() == "one\ntwo\nthree\n"
    dry = edit(scope, "a.txt", ("one", "1"), dry_run=True)
    assert "-one\n+1\n two\n" in dry.diff
    assert (served / "a.txt").read_text() == "one\ntwo\nthree\n"


def test_an_old_text_that_is_missing_or_ambiguous_says_where(scope: Scope, served: Path) -> None:
    (served / "p.py").write_text("def first():\n    return 1\n\n\ndef second():\n    return 1\n")
    with pytest.raises(Refusal, match=r"lines 2, 6"):
        edit(scope, "p.py", ("    return 1", "    return 2"))
    with pytest.raises(Refusal, match=r"(?s)line 5.*def second"):
        edit(scope, "p.py", ("def secnd():", "x"))
    with pytest.raises(Refusal, match="empty"):
        edit(scope, "p.py", ("", "x"))


EDITS = st.lists(st.tuples(st.text("ab\n", max_size=4), st.text("abc\n", max_size=4)), max_size=4)


@given(st.text("ab\n", max_size=60), EDITS)
@settings(max_examples=150, deadline=None)
def test_edits_do_what_python_s_replace_does(text: str, edits: list[tuple[str, str]]) -> None:
    expected: str | None = text
    for old, new in edits:
        unique = expected is not None and old and expected.find(old) >= 0 and expected.find(old) == expected.rfind(old)
        expected = expected.replace(old, new) if expected is not None and unique else None
    try:
        found: str | None = apply_edits(text, [Edit(old, new) for old, new in edits])
    except Refusal:
        found = None
    assert found == expected


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_diff_takes_one_text_to_the_other(before: list[str], after: list[str]) -> None:
    old, new = ("".join(f"{line}\n" for line in lines) for lines in (before, after))
    diff = make_diff(old, new, "f", context=100)
    if old == new:
        assert diff == ""
        return
    body = [line for line in diff.splitlines()[4:] if not line.startswith("@@")]
    assert [line[1:] for line in body if line[0] in " -"] == before
    assert [line[1:] for line in body if line[0] in " +"] == after


def test_a_full_disk_leaves_the_old_file_whole(served: Path) -> None:
    (served / "n").write_text("old")
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from mcp_server_filesystem import sandbox, writing, refusals\nfrom pathlib import Path\n"
        "box = sandbox.Sandbox([sandbox.Directory(Path(sys.argv[1]))], sandbox.Policy())\n"
        "with box.scope() as scope:\n"
        "    try: writing.write_text(box, scope, 'n', 'x' * 100_000, ('overwrite', None))\n"
        "    except refusals.Refusal as refusal: print(refusal)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, served], capture_output=True, text=True, timeout=20, check=True
    )
    assert "untouched" in said.stdout
    assert (served / "n").read_text() == "old"
    assert names(served) == ["a.txt", "inner", "n"]


def test_a_disk_that_is_full_keeps_what_it_had(tmp_path: Path) -> None:
    words = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], check=False, timeout=10).returncode:
        pytest.skip("no file system can be mounted here")
    program = Path(__file__).with_name("full_disk.py")
    run = subprocess.run(
        [*words, sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, timeout=50, check=True
    )
    said = json.loads(run.stdout)
    assert len(said["refusals"]) == 6
    assert [each for each in said["refusals"].values() if "disk is full; what was there is untouched" not in each] == []
    assert said["same"]
    assert said["on"] == ["filler", "old.txt"]
    assert said["kept"] == ["large.txt", "tree/large.txt"]


@pytest.mark.slow
def test_a_killed_writer_leaves_the_old_or_the_new_file_whole(served: Path) -> None:
    program = (
        "import sys\nfrom mcp_server_filesystem import sandbox, writing\nfrom pathlib import Path\n"
        "box = sandbox.Sandbox([sandbox.Directory(Path(sys.argv[1]))], sandbox.Policy())\n"
        "print('ready', flush=True)\n"
        "for number in range(10**6):\n"
        "    with box.scope() as scope:\n"
        "        writing.write_text(box, scope, 'n', str(number % 10) * 300_000, ('overwrite', None))\n"
        "        print(number, flush=True)\n"
    )
    (served / "n").write_text("0" * 300_000)
    for rounds in range(1, 9):
        with subprocess.Popen([sys.executable, "-c", program, served], stdout=subprocess.PIPE) as process:
            assert process.stdout
            for _ in range(rounds):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        text = (served / "n").read_text()
        assert len(text) == 300_000
        assert len(set(text)) == 1


def test_moving_across_devices_moves_all(served: Path) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == served.stat().st_dev:
        pytest.skip("there is no second device")
    other = shm / f"moved-{os.getpid()}"
    other.mkdir()
    try:
        (served / "inner" / "link").symlink_to("b.txt")
        (served / "inner" / "b.txt").chmod(0o640)
        with open_scope(served, other) as scope:
            move(scope, "inner", str(other / "there"), Errand())
            move(scope, "a.txt", str(other / "a.txt"), Errand())
            with pytest.raises(Refusal, match="already exists"):
                move(scope, str(other / "a.txt"), str(other / "there"), Errand())
        assert (names(served), names(other)) == ([], ["a.txt", "there"])
        assert (other / "there" / "link").read_text() == "inside\n"
        assert (other / "there" / "b.txt").stat().st_mode & 0o777 == 0o640
    finally:
        subprocess.run(["rm", "-rf", other], check=True, timeout=10)


def test_moving_overwrites_nothing_and_goes_nowhere_odd(scope: Scope, served: Path) -> None:
    (served / "empty").mkdir()
    for source, destination in (("a.txt", "inner/b.txt"), ("inner", "empty"), ("a.txt", "a.txt")):
        with pytest.raises(Refusal, match="already exists"):
            move(scope, source, destination, Errand())
    for source, destination in (("inner", "inner/below"), ("a.txt", "../outside/x"), ("none", "x"), (".", "x")):
        with pytest.raises(Refusal):
            move(scope, source, destination, Errand())
    assert (served / "a.txt").read_text().startswith("one")
    assert names(served) == ["a.txt", "empty", "inner"]
