"""What follows pages for a newcomer notices what is not so."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from mcp_release.pages import NotSo, Shell, follow_page, read_blocks

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path) -> Generator[Shell]:
    with Shell(tmp_path, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, 20) as shell:
        yield shell


def follow(text: str, folder: Path, shell: Shell) -> list[str]:
    page = folder / "page.md"
    page.write_text(text)
    return follow_page(page, shell, lambda line: None)


def test_a_page_that_says_what_is_so_is_followed(tmp_path: Path, shell: Shell) -> None:
    assert follow("```sh\necho one; echo two\n```\n\n```text\none\ntwo\n```\n", tmp_path, shell) == []


def test_a_text_that_was_not_printed_is_noticed(tmp_path: Path, shell: Shell) -> None:
    with pytest.raises(NotSo, match=r"page\.md:5\nthree\n\n'three' is not in"):
        follow("```sh\necho one\n```\n\n```text\nthree\n```\n", tmp_path, shell)


def test_what_an_earlier_block_printed_does_not_count(tmp_path: Path, shell: Shell) -> None:
    with pytest.raises(NotSo, match="'one' is not in"):
        follow("```sh\necho one\n```\n```sh\necho two\n```\n```text\none\n```\n", tmp_path, shell)


@pytest.mark.parametrize("command", ["false", "no-such-program", "echo before; exit 3", "false; true"])
def test_a_command_that_fails_ends_it_there(command: str, tmp_path: Path, shell: Shell) -> None:
    with pytest.raises(NotSo, match=r"page\.md:1\n"):
        follow(f"```sh\n{command}\n```\n```sh\ntouch after\n```\n", tmp_path, shell)
    assert not (tmp_path / "after").exists()


def test_a_command_that_does_not_end_is_noticed(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with Shell(tmp_path, environment, 0.5) as shell, pytest.raises(NotSo, match="a block failed"):
        follow("```sh\ntail -f /dev/null\n```\n", tmp_path, shell)


def test_directory_and_jobs_are_kept_from_block_to_block(tmp_path: Path, shell: Shell) -> None:
    text = "```sh\nmkdir a && cd a\ntail -f /dev/null &\n```\n```sh\nkill %1\npwd\n```\n```text\n/a\n```\n"
    assert follow(text, tmp_path, shell) == []


def test_a_block_goes_into_a_file_before_its_end(tmp_path: Path, shell: Shell) -> None:
    follow("```python a.py\na = 1\n\nprint(a)\n```\n```python a.py 1\na = 2\n```\n", tmp_path, shell)
    assert (tmp_path / "a.py").read_text() == "a = 1\n\n\n\na = 2\n\nprint(a)\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_serves_is_waited_for_and_ended_as_by_ctrl_c(tmp_path: Path, shell: Shell) -> None:
    port = free_port()
    serve = f"python3 -m http.server --bind 127.0.0.1 {port}"
    mark = f"<!-- newcomer: waits for http://127.0.0.1:{port}/ -->\n"
    assert follow(f"{mark}```sh\n{serve}\n```\n```text\nGET /\n```\n", tmp_path, shell) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_what_does_not_serve_is_noticed(tmp_path: Path, shell: Shell) -> None:
    mark = f"<!-- newcomer: waits for http://127.0.0.1:{free_port()}/ -->\n"
    with pytest.raises(NotSo, match="did not answer"):
        follow(f"{mark}```sh\necho nothing\n```\n", tmp_path, shell)


def test_what_is_passed_by_is_told_with_its_reason(tmp_path: Path, shell: Shell) -> None:
    text = "<!-- newcomer: passes by: it takes\na desk -->\n```sh\nfalse\n```\n"
    assert follow(text, tmp_path, shell) == ["page.md:1 passed by: it takes a desk"]


def test_an_address_that_is_taken_is_told_and_passed_by(tmp_path: Path, shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"http://127.0.0.1:{other.getsockname()[1]}/"
        passed = follow(f"<!-- newcomer: waits for {address} -->\n```sh\nfalse\n```\n", tmp_path, shell)
    assert passed == [f"page.md:1 passed by: another program listens at {address}"]


def test_a_comment_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1: a newcomer cannot 'dances'"):
        read_blocks("<!-- newcomer: dances -->\n```sh\ntrue\n```\n")


def test_only_blocks_with_a_file_are_written() -> None:
    blocks = read_blocks("```python\nx = 1\n```\n```json\n{}\n```\n```sh\ntrue\n```\n")
    assert [block.kind for block in blocks] == ["sh"]
