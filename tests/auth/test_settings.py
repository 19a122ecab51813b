"""What the file of `--auth` says about who is let in, and its mistakes, each with its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.auth.entrance import key_lines

from mcp_kernel.auth.resource.document import Document, read
from mcp_kernel.auth.resource.settings import Introspection, Jwt, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLE = Path(__file__).parents[2] / "docs" / "auth.toml"
SERVER = Path(sys.executable).with_name("mcp-server-everything")
JWT = '[jwt]\nissuer = "https://i.example"\n'
ASKED = '[introspection]\nissuer = "https://i.example"\nurl = "https://i.example/i"\nclient_id = "me"\n'


def settings_of(text: str, path: Path = Path("auth.toml"), public_url: str = "") -> tuple[Settings, list[str]]:
    document = Document(path, text)
    settings = read_settings(document, public_url)
    return settings, [f"{mistake.line}: {mistake.text}" for mistake in sorted(document.mistakes)]


def test_the_commented_example_is_sound() -> None:
    document = read(EXAMPLE)
    settings = read_settings(document)
    document.require_sound()
    assert [key.name for key in settings.keys] == ["alice", "nightly-report"]
    assert settings.keys[1].expires == 2051222400.0  # 2035-01-01T00:00:00Z
    assert isinstance(settings.tokens, Jwt)
    assert settings.tokens.grants.required_scopes == ("mcp",)


def test_the_alternative_of_the_example_is_sound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_INTROSPECTION_SECRET", "s3cret")
    text = EXAMPLE.read_text()
    before, _, after = text.partition("[jwt]")
    middle, mark, rest = after.partition("# [introspection]")
    told, end, roles = rest.partition("# role_claim, default_role")
    lines = told.replace("\n# ", "\n")
    settings, mistakes = settings_of(f"{before}{mark[2:]}{lines}{end}{roles}")
    assert mistakes == []
    assert "issuer" in middle
    assert isinstance(settings.tokens, Introspection)
    assert settings.tokens.secret == "s3cret"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["0: nobody is let in"]),
        ("keys = 1\n", ["1: keys is an array of tables"]),
        ("keys = [1]\n", ["1: keys[0] is a table", "1: keys[0].hash is missing", "1: keys[0].name is missing"]),
        (
            "resorce = 'https://a.example/mcp'\n" + key_lines("a", "k"),
            ["1: resorce is unknown; did you mean resource?"],
        ),
        ("resource = 'a.example/mcp'\n" + key_lines("a", "k"), ["1: resource is a whole URL"]),
        ("resource = 'http://a.example/mcp'\n" + key_lines("a", "k"), ["1: resource is not encrypted"]),
        ("resource = 'http://127.0.0.1.evil.example/'\n" + key_lines("a", "k"), ["1: resource is not encrypted"]),
        ("resource = 'https://a.example/\"x'\n" + key_lines("a", "k"), ["1: resource is a whole URL"]),
        ("resource = 'https://u@a.example/mcp?x#y'\n" + key_lines("a", "k"), ["1: resource has no user"]),
        (key_lines("a", "k") + key_lines("a", "l"), ["5: a key is named a already"]),
        (key_lines("a", "k") + key_lines("b", "k"), ["6: this hash is that of a's key"]),
        (key_lines("a", "k", "rolls = []"), ["4: keys[0].rolls is unknown; did you mean roles?"]),
        (key_lines("a", "k", "roles = 'x'"), ["4: keys[0].roles is a list of texts"]),
        (key_lines("a", "k", "roles = [\n'x',\n'y']", "[roles.x]"), ["6: the role y is unknown"]),
        (key_lines("a", "k", "scopes = ['a b']"), ["4: a scope has no spaces"]),
        (key_lines("a", "k", "expires = '2027-01-01'"), ["4: expires is a date without quotes"]),
        (key_lines("a", "k", "expires = 2027-01-01T00:00:00"), ["4: expires is a date without quotes"]),
        ("[[keys]]\nname = 'a'\nhash = 'sha256:12'\n", ["3: a hash is sha256:"]),
        ("[[keys]]\nname = 'a'\nhash = 'mcp_the-key-itself'\n", ["3: a hash is sha256:"]),
        ("[[keys]]\nname = 7\nhash = ''\n", ["2: keys[0].name is a text", "3: keys[0].hash is a text"]),
        ("[jwt]\n", ["1: jwt.issuer is missing"]),
        ("jwt = 'x'\n", ["1: jwt is a table", "1: jwt.issuer is missing"]),
        (JWT + "jwks_url = 'http://i.example/keys'\n", ["3: jwks_url is not encrypted"]),
        (JWT + "algorithms = ['ES256',\n'HS256', 'none']\n", ["4: HS256 is not safe here", "4: none is not safe here"]),
        (JWT + "algorithms = []\n", ["3: no token would do"]),
        (JWT + "leeway = 61\n", ["3: jwt.leeway is a whole number from 0 to 60"]),
        (JWT + "leeway = true\n", ["3: jwt.leeway is a whole number"]),
        (JWT + "default_role = 'x'\n", ["3: the role x is unknown; add [roles.x]"]),
        (JWT + "required_scopes = 'mcp'\n", ["3: jwt.required_scopes is a list"]),
        (ASKED, ["1: say where the secret is"]),
        (ASKED + "client_secret = 'x'\n", ["5: no secret stands in this file"]),
        (ASKED + "client_secret_env = 'MCP_TEST_UNSET'\n", ["5: the variable MCP_TEST_UNSET is not set"]),
        (ASKED + "client_secret_file = 'no-such-file'\n", ["5: the secret's file cannot be read"]),
        (ASKED + "client_secret_env = 'A'\nclient_secret_file = 'b'\n", None),
        (JWT + ASKED.replace("client_id", "client_secret_file = '/dev/null'\nclient_id"), None),
    ],
)
def test_each_mistake_is_told_with_its_line(text: str, expected: Sequence[str] | None) -> None:
    mistakes = settings_of(text)[1]
    if expected is None:
        assert mistakes
        return
    assert len(mistakes) == len(expected), mistakes
    for mistake, start in zip(mistakes, expected, strict=True):
        assert mistake.startswith(start)


def test_the_command_line_stands_in_place_of_the_file() -> None:
    text = "resource = 'https://a.example/mcp'\n" + JWT
    assert settings_of(text)[0].resource == "https://a.example/mcp"
    assert settings_of(text, public_url="https://b.example/mcp")[0].resource == "https://b.example/mcp"


@pytest.mark.parametrize(
    ("options", "text", "words"),
    [
        (["--transport", "http"], "a = 1\n[jwt]\nb = 2\n", ["toml:1: a is unknown", "toml:2: jwt.issuer", "toml:3: "]),
        (["--transport", "http"], JWT, ["auth.toml:1: resource is missing"]),
        (["--transport", "http"], key_lines("a", "k"), ["auth.toml:1: nobody may do anything", "[roles.everyone]"]),
        ([], key_lines("a", "k"), ["--auth is for HTTP", "add --transport http"]),
        (["--transport", "http", "--public-url", "a.example"], key_lines("a", "k"), ["--public-url is a whole URL"]),
        (
            ["--transport", "http", "--trusted-proxy", "10.0.0.1/8"],
            key_lines("a", "k"),
            ["--trusted-proxy is a network"],
        ),
    ],
)
def test_a_server_does_not_start_with_mistakes(tmp_path: Path, options: list[str], text: str, words: list[str]) -> None:
    (tmp_path / "auth.toml").write_text(text)
    command = [str(SERVER), *options, "--auth", "auth.toml", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, input="", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [["--public-url", "https://a.example/mcp"], ["--trusted-proxy", "10.0.0.0/8"]])
def test_what_is_about_tokens_is_nothing_without_the_file(options: list[str]) -> None:
    command = [str(SERVER), "--transport", "http", "--port", "0", *options]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "add --auth FILE" in done.stderr
