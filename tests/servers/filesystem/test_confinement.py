"""What leads out is refused and what stays inside works, by either way of opening a path."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.filesystem.conftest import CANARY, open_scope

from mcp_server_filesystem.confinement import Scope
from mcp_server_filesystem.denial import Denial
from mcp_server_filesystem.errand import Errand
from mcp_server_filesystem.lines import Wish
from mcp_server_filesystem.listing import list_folder
from mcp_server_filesystem.moving import move
from mcp_server_filesystem.reading import read_text
from mcp_server_filesystem.refusals import Denied, NotThere, Outside, Refusal
from mcp_server_filesystem.sandbox import Directory, Policy, Sandbox
from mcp_server_filesystem.writing import make_folders, write_text


def read(scope: Scope, path: str | Path) -> str:
    return read_text(scope, str(path), Wish(), 0, Errand()).content


def write(scope: Scope, path: str | Path, text: str = "x") -> None:
    write_text(Sandbox([], Policy()), scope, str(path), text, ("overwrite", None))


def test_links_that_stay_inside_work(scope: Scope, served: Path, tmp_path: Path) -> None:
    (served / "relative").symlink_to("inner/b.txt")
    (served / "absolute").symlink_to(served / "inner")
    (served / "up").symlink_to("inner/../../served/a.txt")
    (served / "chain").symlink_to("relative")
    assert read(scope, "relative") == read(scope, "chain") == read(scope, "absolute/b.txt") == "inside\n"
    assert read(scope, "up").startswith("one")
    assert read(scope, served / ".." / "served" / "a.txt").startswith("one")
    assert read(scope, f"{served}/inner/../a.txt").startswith("one")
    write(scope, "chain", "new")
    assert (served / "inner" / "b.txt").read_text() == "new"
    assert (served / "chain").is_symlink()


@pytest.mark.parametrize(
    "target", ["/var/lib/hush-7741", "../hush-7741", "inner/../../hush-7741", "/proc/self/hush-7741"]
)
def test_where_a_link_that_leads_out_points_to_is_not_said(scope: Scope, served: Path, target: str) -> None:
    (served / "link").symlink_to(target)
    (served / "chain").symlink_to(served / "link")
    for path in ("link", "chain", "link/more"):
        for use in (read, write, list_folder):
            with pytest.raises(Refusal) as caught:
                use(scope, path)
            assert "hush" not in str(caught.value)


WAYS_OUT = [
    "../outside/secret.txt",
    "inner/../../outside/secret.txt",
    "../served-evil/secret.txt",
    "/etc/passwd",
    "/proc/self/root/etc/passwd",
    "link",
    "dir/secret.txt",
    "absolute",
    "chain",
    "inner/far",
]


@pytest.mark.parametrize("path", WAYS_OUT)
def test_what_leads_out_is_refused_whether_it_is_there_or_not(scope: Scope, served: Path, path: str) -> None:
    (served.parent / "served-evil").mkdir()
    (served.parent / "served-evil" / "secret.txt").write_text(CANARY)
    secret = served.parent / "outside" / "secret.txt"
    (served / "link").symlink_to("../outside/secret.txt")
    (served / "dir").symlink_to("../outside")
    (served / "absolute").symlink_to(secret)
    (served / "chain").symlink_to("link")
    (served / "inner" / "far").symlink_to("../../outside/secret.txt")
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(Outside) as refused:
            read(scope, path)
        said.append(str(refused.value))
        with pytest.raises(Refusal):
            write(scope, path)
        secret.unlink(missing_ok=True)
    assert said[0] == said[1]
    assert CANARY not in said[0]


def test_circles_of_links_end(scope: Scope, served: Path) -> None:
    (served / "p").symlink_to("q")
    (served / "q").symlink_to("p")
    with pytest.raises(Refusal, match="circle"):
        read(scope, "p")
    with pytest.raises(Refusal, match="circle"):
        write(scope, "p")


def test_what_is_no_file_is_refused_at_once(scope: Scope, served: Path) -> None:
    os.mkfifo(served / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(served / "s"))
        for name in ("fifo", "s", "inner"):
            with pytest.raises(Refusal, match=r"FIFO|socket|directory"):
                read(scope, name)
            with pytest.raises(Refusal, match=r"FIFO|socket|directory"):
                write(scope, name)


@pytest.mark.parametrize("name", [".env", ".ENV", ".env.local", "id_rsa", "x.pem", ".ssh/config", ".aws/credentials"])
def test_a_secret_is_neither_read_nor_written_nor_moved(scope: Scope, served: Path, name: str) -> None:
    (served / name).parent.mkdir(exist_ok=True)
    (served / name).write_text(CANARY)
    (served / "innocent.txt").symlink_to(name)
    top = name.partition("/")[0]
    assert [entry.denied for entry in list_folder(scope, ".").entries if entry.name == top] == [True]
    for path in (name, "innocent.txt"):
        with pytest.raises(Denied):
            read(scope, path)
        with pytest.raises(Denied):
            write(scope, path)
    with pytest.raises(Denied):
        move(scope, top, "free", Errand())
    assert (served / name).read_text() == CANARY


def test_examples_of_secrets_are_read_and_own_globs_replace_the_list(served: Path) -> None:
    (served / ".env.example").write_text("KEY=")
    (served / "keep").mkdir()
    (served / "keep" / "x.txt").write_text(CANARY)
    with open_scope(served) as scope:
        assert read(scope, ".env.example") == "KEY="
    with open_scope(served, policy=Policy(denial=Denial(["keep/*.txt", "!keep/ok.txt"]))) as scope:
        with pytest.raises(Denied):
            read(scope, "keep/x.txt")
        with pytest.raises(Refusal, match="denied"):
            move(scope, "keep", "other", Errand())
        write(scope, "keep/ok.txt", "fine")
        write(scope, ".env", "fine")


@pytest.mark.parametrize("path", [".git/hooks/pre-commit", ".git/config", ".GIT/config", ".git/modules/m/config"])
def test_what_git_would_run_is_not_written(scope: Scope, served: Path, path: str) -> None:
    (served / path).parent.mkdir(parents=True)
    (served / "free.txt").write_text("x")
    with pytest.raises(Refusal, match="git runs"):
        write(scope, path)
    with pytest.raises(Refusal, match="git runs"):
        move(scope, "free.txt", path, Errand())
    with pytest.raises(Refusal, match="git"):
        move(scope, path.partition("/")[0], "plain", Errand())
    with pytest.raises(Refusal, match="git"):
        move(scope, "inner", ".git", Errand())
    assert not (served / path).exists()


def test_directories_are_made_inside_only(scope: Scope, served: Path) -> None:
    (served / "dir").symlink_to("../outside")
    assert make_folders(scope, "x/y/z").created is True
    assert (served / "x" / "y" / "z").is_dir()
    assert make_folders(scope, "x").created is False
    for path in ("dir/new", "../outside/new", "a.txt/new"):
        with pytest.raises(Refusal):
            make_folders(scope, path)
    assert sorted(os.listdir(served.parent / "outside")) == ["secret.txt"]  # noqa: PTH208  # names


def test_names_that_are_not_utf_8_are_shown_and_understood(scope: Scope, served: Path) -> None:
    os.close(os.open(os.fsencode(served) + b"/caf\xe9.txt", os.O_CREAT | os.O_WRONLY))
    names = [entry.name for entry in list_folder(scope, ".").entries]
    assert "caf\\xe9.txt" in names
    assert read(scope, "caf\\xe9.txt") == ""
    with pytest.raises(NotThere):
        read(scope, "caf\\xe8.txt")


def race(swap: Callable[[], None], act: Callable[[], None], rounds: int) -> None:
    """Do something again and again while another thread swaps a link in and out."""
    done = threading.Event()

    def go_on() -> None:
        while not done.is_set():
            swap()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for _ in range(rounds):
            act()
    finally:
        done.set()
        thread.join(10)


@pytest.mark.slow
def test_a_link_that_is_swapped_in_wins_nothing(scope: Scope, served: Path, tmp_path: Path) -> None:
    victim, spare = served / "victim", tmp_path / "spare"
    victim.mkdir()
    (victim / "secret.txt").write_text("harmless")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    outcomes: set[str] = set()

    def swap() -> None:
        victim.rename(spare)
        (tmp_path / "link").rename(victim)
        victim.rename(tmp_path / "link")
        spare.rename(victim)

    def act() -> None:
        try:
            outcomes.add(read(scope, "victim/secret.txt"))
            write(scope, "victim/secret.txt", "harmless")
        except Refusal as refusal:
            outcomes.add(type(refusal).__name__)

    race(swap, act, 3000)
    assert CANARY not in outcomes
    assert "harmless" in outcomes
    assert len(outcomes) > 1, "nothing was swapped"
    assert (tmp_path / "outside" / "secret.txt").read_text() == CANARY
    assert len(list((tmp_path / "outside").iterdir())) == 1


def test_a_directory_that_is_made_anew_is_served_again(served: Path) -> None:
    sandbox = Sandbox([Directory(served / "inner")], Policy())
    with sandbox.scope() as scope:
        assert read(scope, "b.txt") == "inside\n"
    (served / "inner" / "b.txt").unlink()
    (served / "inner").rmdir()
    (served / "inner").mkdir()
    (served / "inner" / "b.txt").write_text("again")
    with sandbox.scope() as scope:
        assert read(scope, "b.txt") == "again"
    sandbox.close()


def test_another_case_of_a_read_only_directory_is_read_only_too(served: Path) -> None:
    (served / "INNER").mkdir()
    sandbox = Sandbox([Directory(served), Directory(served / "inner", writable=False)], Policy())
    with sandbox.scope() as scope:
        for name in ("inner", "INNER"):
            with pytest.raises(Refusal, match="reading only"):
                write(scope, f"{name}/new", "x")
        write(scope, "innermost", "x")
    sandbox.close()


def test_a_directory_that_is_gone_takes_no_other_with_it(served: Path) -> None:
    (served / "gone").mkdir()
    sandbox = Sandbox([Directory(served / "inner"), Directory(served / "gone")], Policy())
    with sandbox.scope() as scope:
        write(scope, str(served / "gone" / "a"), "x")
    (served / "gone" / "a").unlink()
    (served / "gone").rmdir()
    with sandbox.scope() as scope:
        assert read(scope, "b.txt") == "inside\n"
        for act in (read, write):
            with pytest.raises(Refusal, match="does not exist"):
                act(scope, str(served / "gone" / "a"))
    sandbox.close()


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "x" * 300, "a/" * 3000])
def test_what_no_file_can_be_called_is_refused(scope: Scope, path: str) -> None:
    for act in (read, write):
        with pytest.raises(Refusal):
            act(scope, path)


def test_what_is_denied_says_the_same_whether_it_is_there_or_not(scope: Scope, served: Path) -> None:
    (served / ".ssh").mkdir()
    (served / ".ssh" / "there").touch()
    for name in ("there", "absent"):
        with pytest.raises(Denied):
            read(scope, f".ssh/{name}")


def test_of_directories_inside_each_other_the_inner_one_decides_on_writing(served: Path) -> None:
    directories = [Directory(served), Directory(served / "inner", writable=False)]
    (served / "link").symlink_to("inner")
    with Sandbox(directories, Policy()).scope() as scope:
        for path in ("inner/b.txt", "link/b.txt", "inner/new.txt"):
            with pytest.raises(Refusal, match="reading only"):
                write(scope, path)
        for source, destination in (("inner", "other"), ("a.txt", "link/a.txt"), ("link/b.txt", "b.txt")):
            with pytest.raises(Refusal):
                move(scope, source, destination, Errand())
        write(scope, "a.txt", "fine")
