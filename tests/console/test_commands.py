"""`inspect`, `call` and `read` against real servers, each command in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.console.conftest import COMMAND, PATIENCE, Shell, program
from tests.served import serve

from mcp_kernel.console.program import main
from mcp_kernel.console.terminal import measure

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = f"{sys.executable} -m mcp_server_everything"
WRITER = """
from mcp_kernel import Server, run, Context
server = Server("writer", "1")

@server.tool()
async def repeat(text: str, times: int, tags: list[str], loud: bool = False) -> str:
    "Repeat a text."
    return repr((text, times, tags, loud))

@server.tool(read_only=True)
async def steer(ctx: Context) -> str:
    "Steer \\x1b[2J the terminal."
    return "\\x1b[2J"

@server.tool(read_only=True)
async def measure() -> dict[str, int]:
    "Give data."
    return {"metres": 7}

run(server)
"""


@pytest.fixture
def writer(tmp_path: Path) -> str:
    """The command of a server whose tools tell what they were given."""
    path = tmp_path / "writer.py"
    path.write_text(WRITER)
    return f"{sys.executable} '{path}'"


def test_a_server_is_shown_as_tables_that_fit_the_terminal(shell: Shell) -> None:
    done = shell.run("inspect", EVERYTHING)
    assert done.returncode == 0
    assert "mcp-server-everything 0.1.0 (Everything), revision 2026-07-28" in done.stdout
    for part in (
        "Tools: ",
        "of a model's context",
        "test_simple_text",
        "Resources: ",
        "Resource templates: ",
        "Prompts",
    ):
        assert part in done.stdout
    assert max(map(measure, done.stdout.splitlines())) <= 80


def test_a_server_is_shown_as_json_with_what_its_tools_cost(shell: Shell) -> None:
    shown = json.loads(shell.run("inspect", EVERYTHING, "--json", "--revision", "2025-06-18").stdout)
    assert shown["server"]["revision"] == "2025-06-18"
    assert shown["tokens"] == sum(tool["tokens"] for tool in shown["tools"])
    assert all(tool["tokens"] > 10 for tool in shown["tools"])
    assert shown["resources"]
    assert shown["resourceTemplates"]
    assert shown["prompts"]


def test_arguments_are_read_by_the_tool_s_schema(shell: Shell, writer: str) -> None:
    done = shell.run("call", writer, "repeat", "text=7", "times=7", 'tags:=["a"]', "loud=true")
    assert (done.stdout, done.returncode) == ("('7', 7, ['a'], True)\n", 0)
    given = '{"text": "x", "times": 1, "tags": []}'
    assert shell.run("call", writer, "repeat", "times=2", "--arguments", given).stdout == "('x', 2, [], False)\n"
    assert shell.run("call", writer, "repeat", "--arguments", "-", stdin=given).stdout == "('x', 1, [], False)\n"


def test_data_is_shown_once(shell: Shell, writer: str) -> None:
    assert json.loads(shell.run("call", writer, "measure").stdout) == {"metres": 7}
    assert json.loads(shell.run("call", writer, "measure", "--json").stdout)["structuredContent"] == {"metres": 7}


def test_a_program_gets_a_text_as_it_is_and_a_table_none_that_steers(shell: Shell, writer: str) -> None:
    assert shell.run("call", writer, "steer").stdout == "\x1b[2J\n"
    assert "\x1b" not in shell.run("inspect", writer).stdout


def test_a_tool_that_fails_makes_the_command_fail(shell: Shell) -> None:
    done = shell.run("call", EVERYTHING, "test_error_handling")
    assert (done.returncode, done.stdout) == (1, "This tool intentionally returns an error for testing\n")


def test_a_picture_is_described_and_saved_beside_what_is_there(shell: Shell) -> None:
    assert (
        "[image: image/png, 79 bytes; --save DIR saves it]"
        in shell.run("call", EVERYTHING, "test_image_content").stdout
    )
    for number in (1, 2):
        done = shell.run("call", EVERYTHING, "test_image_content", "--save", "pictures")
        path = shell.folder / "pictures" / f"test_image_content-{number}.png"
        assert path.name in done.stdout
        assert path.read_bytes().startswith(b"\x89PNG")


def test_progress_and_log_go_to_stderr(shell: Shell) -> None:
    done = shell.run("call", EVERYTHING, "test_tool_with_progress")
    assert "mcp-kernel: progress 50 of 100" in done.stderr
    assert "progress" not in done.stdout
    assert "mcp-kernel: info" in shell.run("call", EVERYTHING, "test_tool_with_logging").stderr


def test_a_question_is_declined_where_there_is_no_terminal(shell: Shell) -> None:
    done = shell.run("call", EVERYTHING, "test_elicitation", "message=Who are you?")
    assert "was declined, for there is no terminal: Who are you?" in done.stderr
    assert "decline" in done.stdout


def test_a_resource_is_read_as_text_and_as_bytes(shell: Shell) -> None:
    assert "static text resource" in shell.run("read", EVERYTHING, "test://static-text").stdout
    assert json.loads(shell.run("read", EVERYTHING, "test://static-text", "--json").stdout)["contents"]
    raw = subprocess.run(
        [*COMMAND, "read", EVERYTHING, "test://static-binary"],
        capture_output=True,
        timeout=PATIENCE,
        check=True,
        env=shell.environment,
    )
    assert raw.stdout.startswith(b"\x89PNG")
    assert "saved as" in shell.run("read", EVERYTHING, "test://static-binary", "--save", "x").stdout


def test_a_target_is_a_url(shell: Shell) -> None:
    with serve([sys.executable, "-m", "mcp_server_everything"]) as url:
        assert shell.run("call", url, "greet", "name=Ada", "--header", "X-Test: 1").stdout == "Hello, Ada!\n"


def test_a_target_is_a_name_in_a_host_s_file(shell: Shell) -> None:
    tells = program("import os, sys; sys.exit(os.environ['WORD'])", env={"WORD": "configured"})
    path = shell.write(mine=tells)
    done = shell.run("inspect", "mine")
    assert "mine of " in done.stderr
    assert "configured" in done.stderr
    assert "given" in shell.run("inspect", "mine", "--config", path, "--env", "WORD=given").stderr
    assert "it has mine" in shell.run("inspect", "other", "--config", path).stderr


def test_a_command_gets_no_variable_that_it_was_not_given(shell: Shell) -> None:
    words = f"{sys.executable} -c 'import os, sys; sys.exit(str(os.environ.get(\"TOKEN\")))'"
    assert "None" in shell.run("inspect", words, env={"TOKEN": "secret"}).stderr
    assert "secret" in shell.run("inspect", words, "--env", "TOKEN", env={"TOKEN": "secret"}).stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "COMMAND"),
        (["frobnicate"], "invalid choice"),
        (["inspect"], "TARGET"),
        (["inspect", "'"], "No closing quotation"),
        (["inspect", ""], "empty"),
        (["inspect", "x y", "--timeout", "0"], "is not a number above 0"),
        (["inspect", "x y", "--revision", "1999-01-01"], "invalid choice"),
        (["inspect", "x y", "--header", "A:b"], "--env K=V"),
        (["inspect", "http://127.0.0.1:9/", "--env", "A=b"], "--header K:V"),
        (["inspect", "x y", "--header", "secret"], "NAME:VALUE"),
        (["call", "x y", "tool", "word"], "key=value"),
        (["call", "x y", "tool", "--arguments", "[]"], "JSON object"),
        (["doctor"], "name its file"),
    ],
)
def test_bad_usage_is_told_in_one_line(
    words: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    try:
        code: object = main(words)
    except SystemExit as end:  # what the parser finds
        code = end.code
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert complaint in said.err


def test_a_value_that_the_schema_does_not_take_is_bad_usage(shell: Shell, writer: str) -> None:
    done = shell.run("call", writer, "repeat", "times=often")
    assert done.returncode == 2
    assert "times takes a value of the type integer" in done.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["inspect", "no-such-program --x"], "was not found on the PATH"),
        (["inspect", f"{sys.executable} -c 'import sys; sys.exit(\"no\\nlicence\")'"], "no | licence"),
        (["inspect", "http://127.0.0.1:9/mcp"], "cannot be reached"),
        (["inspect", f"{sys.executable} -c 'input(); input()'", "--timeout", "0.3"], "was not answered in 0.3 s"),
        (["inspect", "x", "--config", "missing.json"], "cannot be read"),
        (["call", EVERYTHING, "gret"], "did you mean greet"),
        (["read", EVERYTHING, "test://nothing"], "test://nothing"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(shell: Shell, words: list[str], complaint: str) -> None:
    done = shell.run(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr


def test_without_httpx_it_says_what_to_install(shell: Shell) -> None:
    source = (
        "import sys; sys.modules['httpx'] = None\n"
        "from mcp_kernel.console.program import main\n"
        "sys.exit(main(['inspect', 'http://127.0.0.1:9/mcp']))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'mcp-kernel[client]'" in done.stderr


def test_help_does_not_load_the_client() -> None:
    source = (
        "import sys\nfrom mcp_kernel.console.program import build_parser\n"
        "build_parser().format_help(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=PATIENCE, check=True)
    loaded = set(done.stdout.split())
    assert "mcp_kernel.console.program" in loaded
    assert not {"mcp_kernel.client", "httpx"} & loaded
