"""Hosts' files: what each of them allows is read, and what is missing is named without a value being told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mcp_kernel import hosts
from mcp_kernel.client.configuration import (
    InputSpec,
    InvalidConfiguration,
    ServerEntry,
    find_configurations,
    load_configuration,
    read_configuration,
)

Json = dict[str, Any]
SECRET = "sk-9f8e7d6c"
VSCODE = """\
// servers of this folder
{
  "inputs": [
    {"type": "promptString", "id": "api-key", "description": "The key, \\"sk-…\\"", "password": true},
    {"type": "pickString", "id": "region", "options": ["eu", {"label": "America", "value": "us"}], "default": "eu",},
  ],
  /* the next one has // in a text */
  "servers": {
    "search": {
      "type": "http",
      "url": "https://${input:region}.host/mcp", // not a comment: "//"
      "headers": {"Authorization": "Bearer ${input:api-key}"},
    },
    "notes": {
      "type": "stdio",
      "command": "${workspaceFolder}/bin/notes",
      "args": ["--key", "${input:api-key}", "--odd", "/* ,] */,", "${env:LEVEL}", 8000],
      "env": {"HOME_OF": "${userHome}", "NAME": "${workspaceFolderBasename}", "PORT": 80, "GONE": null},
      "cwd": "${workspaceFolder}${/}data",
    },
  },
}
"""


def write(folder: Path, data: Json | str, name: str = "claude_desktop_config.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return path


def servers(**entries: object) -> Json:
    return {"mcpServers": entries}


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InvalidConfiguration) as caught:
        read_configuration(path, environment={"SET": SECRET}, **options)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_claude_desktop_file_is_read(tmp_path: Path) -> None:
    entry = {"command": "uvx", "args": ["mcp-server-git"], "env": {"TZ": "UTC"}}
    path = write(tmp_path, {"globalShortcut": "x", **servers(git=entry, web={"url": "https://host/mcp"})})
    assert read_configuration(path) == {
        "git": ServerEntry("git", "stdio", command="uvx", args=("mcp-server-git",), env={"TZ": "UTC"}),
        "web": ServerEntry("web", "http", url="https://host/mcp"),
    }


def test_a_vscode_file_is_read_with_inputs_comments_and_trailing_commas(tmp_path: Path) -> None:
    asked: list[InputSpec] = []

    def ask(spec: InputSpec) -> str:
        asked.append(spec)
        return {"api-key": SECRET, "region": "us"}[spec.id]

    folder = tmp_path / "project"
    path = write(folder, VSCODE, ".vscode/mcp.json")
    found = read_configuration(path, ask=ask, environment={"LEVEL": "3"}, home=tmp_path)
    search, notes = found["search"], found["notes"]
    assert (search.transport, search.url) == ("http", "https://us.host/mcp")
    assert search.headers == {"Authorization": f"Bearer {SECRET}"}
    assert notes.command == f"{folder}/bin/notes"
    assert notes.args == ("--key", SECRET, "--odd", "/* ,] */,", "3", "8000")
    assert notes.env == {"HOME_OF": str(tmp_path), "NAME": "project", "PORT": "80"}
    assert notes.cwd == f"{folder}{os.sep}data"
    assert sorted(spec.id for spec in asked) == ["api-key", "region"]
    assert InputSpec("api-key", description='The key, "sk-…"', password=True) in asked
    assert InputSpec("region", "pickString", default="eu", options=("eu", "us")) in asked


def test_an_input_that_nobody_is_asked_for_is_an_error_that_says_how_to_give_it(tmp_path: Path) -> None:
    path = write(tmp_path, VSCODE, ".vscode/mcp.json")
    text = refusal(path)
    assert "server 'search' needs ${input:region}: give a function as `ask`" in text
    assert "'region'" in text


def test_an_answer_must_be_one_of_the_options(tmp_path: Path) -> None:
    path = write(tmp_path, VSCODE, ".vscode/mcp.json")

    def ask(_: InputSpec) -> str:
        return SECRET

    assert "needs ${input:region}: it must be one of eu, us" in refusal(path, ask=ask)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${SET}", SECRET),
        ("${env:SET}", SECRET),
        ("a${SET}b${SET}", f"a{SECRET}b{SECRET}"),
        ("${SET:-other}", SECRET),
        ("${UNSET:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:b-c}", "a:b-c"),
        ("${EMPTY:-other}", ""),
        ("${NESTED}", "${SET}"),
        ("$SET", "$SET"),
        ("${name%.txt} ${1} ${} ${SET", "${name%.txt} ${1} ${} ${SET"),
    ],
)
def test_variables_of_claude_code_and_of_the_editors_are_put_in(tmp_path: Path, text: str, value: str) -> None:
    path = write(tmp_path, servers(x={"command": text, "args": [text], "env": {"K": text}}), ".mcp.json")
    environment = {"SET": SECRET, "EMPTY": "", "NESTED": "${SET}"}
    entry = read_configuration(path, environment=environment)["x"]
    assert (entry.command, entry.args, entry.env) == (value, (value,), {"K": value})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${TOKEN}", "needs ${TOKEN}: set the environment variable TOKEN"),
        ("${env:TOKEN}", "needs ${env:TOKEN}: set the environment variable TOKEN"),
        ("${SET} ${TOKEN}", "needs ${TOKEN}:"),
        ("${input:nothing}", "needs ${input:nothing}: the file's inputs have no id 'nothing'"),
        (
            "${workspaceFolder}/x",
            "needs ${workspaceFolder}: the file belongs to no folder; say which one as `workspace`",
        ),
        ("${command:pick}", "needs ${command:pick}: there is no such placeholder outside the editor"),
    ],
)
def test_a_placeholder_without_a_value_is_named_with_its_server(tmp_path: Path, text: str, why: str) -> None:
    path = write(tmp_path, servers(git={"command": "x", "args": [text]}))
    assert f"{path}: server 'git' {why}" in refusal(path)


def test_one_server_that_lacks_a_value_does_not_hide_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, servers(bad={"command": "${TOKEN}"}, good={"command": "x"}))
    loaded = load_configuration(path, environment={})
    assert loaded.names == ["bad", "good"]
    assert loaded.entry("good").command == "x"
    with pytest.raises(InvalidConfiguration, match="TOKEN"):
        loaded.entry("bad")
    with pytest.raises(InvalidConfiguration, match=r"there is no server 'none' in .*; it has bad, good"):
        loaded.entry("none")


@pytest.mark.parametrize("name", [".mcp.json", ".cursor/mcp.json", ".vscode/mcp.json"])
def test_the_folder_of_a_file_is_known_by_where_it_lies(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, servers(x={"command": "${workspaceFolder}"}), name)
    assert read_configuration(path)["x"].command == str(tmp_path)
    assert read_configuration(path, workspace="/other")["x"].command == "/other"
    assert "belongs to no folder" in refusal(path, home=tmp_path)


def test_a_repr_shows_no_value_that_may_be_secret(tmp_path: Path) -> None:
    url = f"https://user:{SECRET}@${{SET}}.host/{SECRET}?key={SECRET}"
    hidden = {"env": {"TOKEN": "${env:SHORT}"}, "args": ["--key", SECRET], "command": "run-${SET}"}
    path = write(tmp_path, servers(a=hidden, b={"url": url, "headers": {"X-Key": SECRET}}))
    found = read_configuration(path, environment={"SET": f"{SECRET}-more", "SHORT": SECRET})
    assert repr(found) == (
        "{'a': ServerEntry('a', transport='stdio', command='run-***', args=2, env=['TOKEN']), "
        "'b': ServerEntry('b', transport='http', url='https://***.host', headers=['X-Key'])}"
    )
    assert found["a"].redact(f"failed with {SECRET}-more, {SECRET}") == "failed with ***, ***"


def test_repr_of_a_password_that_was_asked_for_is_hidden(tmp_path: Path) -> None:
    path = write(tmp_path, VSCODE, ".vscode/mcp.json")
    loaded = load_configuration(
        path,
        environment={"LEVEL": "3", "OTHER": SECRET},
        ask=lambda spec: SECRET if spec.password else spec.default or "",
    )
    entry = loaded.entry("notes")
    assert SECRET in entry.args
    assert SECRET not in repr(entry)
    assert entry.redact(f"{SECRET} is wrong") == "*** is wrong"
    assert SECRET not in repr(vars(loaded))  # nor in what a traceback with values would show


@pytest.mark.parametrize("kind", ["http", "streamable-http", "streamableHttp", "sse"])
def test_the_transport_is_told_by_the_type(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, servers(x={"type": kind, "url": "https://host/mcp"}))
    assert read_configuration(path)["x"].transport == ("sse" if kind == "sse" else "http")


def test_variables_of_a_file_beside_it_are_added(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"# keys\nexport KEY='{SECRET}'\nLEVEL = 1\n\nBAD LINE\nURL=a=b\n")
    given = {"command": "x", "envFile": "${workspaceFolder}/.env", "env": {"LEVEL": "2"}}
    entry = read_configuration(write(tmp_path, servers(x=given), ".mcp.json"))["x"]
    assert entry.env == {"KEY": SECRET, "LEVEL": "2", "URL": "a=b"}
    assert entry.redact(SECRET) == "***"
    path = write(tmp_path, servers(x={"command": "x", "envFile": "none"}), ".mcp.json")
    assert "its envFile cannot be read: No such file" in refusal(path)


def test_claude_code_keeps_servers_of_one_folder_in_the_users_file(tmp_path: Path) -> None:
    projects = {"/work": servers(local={"command": "a"}, both={"command": "b"}), "/other": servers(no={})}
    path = write(tmp_path, {**servers(both={"command": "c"}), "projects": projects}, ".claude.json")
    assert list(read_configuration(path)) == ["both"]
    found = read_configuration(path, workspace="/work")
    assert {name: entry.command for name, entry in found.items()} == {"both": "b", "local": "a"}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("uvx", "it must be an object"),
        ({}, "it needs a command to start or a url to reach"),
        ({"command": "x", "url": "y"}, "one of the two"),
        ({"type": "http", "command": "x"}, "its type is http, so that it needs a url"),
        ({"type": "stdio", "url": "x"}, "its type is stdio, so that it needs a command"),
        ({"type": "ws", "url": "x"}, "its type must be stdio, http or sse"),
        ({"command": "x", "args": "a b"}, "args must be a list of texts"),
        ({"command": "x", "args": ["a", None]}, "args[1] must be a text"),
        ({"command": ["x"]}, "command must be a text"),
        ({"command": "x", "env": {"A": True}}, "env.A must be a text"),
        ({"command": "x", "env": ["A"]}, "env must be an object"),
    ],
)
def test_an_entry_that_makes_no_sense_says_what_is_wrong(tmp_path: Path, entry: object, why: str) -> None:
    text = refusal(write(tmp_path, servers(git=entry)))
    assert "server 'git': " in text
    assert why in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "it must hold an object with mcpServers or servers"),
        ('{"mcpServers": []x}', ":1:18: this is no JSON"),
        ('{\n  /* a\n b */ "mcpServers": {},\n  "x" 1\n}', ":4:7: this is no JSON"),
        ('{"mcpServers": ["x"]}', "mcpServers must be an object"),
        ('{"servers": {}, "inputs": {"x": 1}}', "inputs must be a list"),
        ('{"a": "' + '\\"' * 200_000, "this is no JSON"),
        ("/*" * 200_000, "this is no JSON"),
        ("[" * 200_000, "this is no JSON"),
        ("", "this is no JSON"),
    ],
)
def test_a_file_that_is_broken_is_named_with_the_place(tmp_path: Path, text: str, why: str) -> None:
    path = write(tmp_path, text)
    assert refusal(path).startswith(str(path))
    assert why in refusal(path)


def test_a_file_that_is_not_there_or_is_no_text_is_named(tmp_path: Path) -> None:
    assert "none.json cannot be read: No such file" in refusal(tmp_path / "none.json")
    (tmp_path / "x").write_bytes(b"\xff\xfe{")
    assert "x cannot be read: it is not UTF-8" in refusal(tmp_path / "x")


def test_a_host_without_servers_has_none(tmp_path: Path) -> None:
    assert read_configuration(write(tmp_path, "\ufeff{}")) == {}


@pytest.mark.parametrize("host", sorted(hosts.HOSTS))
def test_what_a_server_prints_for_a_host_is_read_back(tmp_path: Path, host: str) -> None:
    printed = hosts.configuration(host, "mcp-server-none", ["--db-path", "my notes.db"])
    [(name, entry)] = read_configuration(write(tmp_path, printed, hosts.file_name(host))).items()
    assert (name, entry.transport, entry.args[-2:]) == ("none", "stdio", ("--db-path", "my notes.db"))


@pytest.mark.parametrize(
    ("platform", "settings"),
    [("linux", ".config"), ("darwin", "Library/Application Support"), ("win32", "AppData/Roaming")],
)
def test_the_files_of_known_hosts_are_found_in_order(tmp_path: Path, platform: str, settings: str) -> None:
    folder, home = tmp_path / "project", tmp_path / "home"
    expected = {
        folder / ".mcp.json": "claude-code",
        folder / ".cursor/mcp.json": "cursor",
        home / settings / "Claude/claude_desktop_config.json": "claude-desktop",
        home / ".claude.json": "claude-code",
        home / settings / "Code/User/mcp.json": "vscode",
        home / ".cursor/mcp.json": "cursor",
    }
    for path in reversed(expected):
        write(path.parent, {}, path.name)
    found = find_configurations(folder, home=home, environment={}, platform=platform)
    assert list(found.items()) == list(expected.items())


def test_settings_may_lie_where_the_environment_says(tmp_path: Path) -> None:
    path = write(tmp_path / "Claude", {})
    for platform, variable in (("linux", "XDG_CONFIG_HOME"), ("win32", "APPDATA")):
        environment = {variable: str(tmp_path)}
        found = find_configurations(tmp_path, home=tmp_path, environment=environment, platform=platform)
        assert found == {path: "claude-desktop"}


def test_zed_and_windsurf_spell_some_things_in_their_own_way(tmp_path: Path) -> None:
    old = {"command": {"path": "x", "args": ["--a"], "env": {"B": "1"}}, "settings": {"a": 1}}
    new = {"source": "custom", "command": "y"}
    zed = {"old": old, "new": new, "extension": {"settings": {"a": 1}}}
    read = read_configuration(write(tmp_path, {"context_servers": zed, "theme": "x"}, "settings.json"))
    assert [(entry.command, entry.args) for entry in read.values()] == [("x", ("--a",)), ("y", ())]
    assert read["old"].env == {"B": "1"}
    windsurf = {"mcpServers": {"far": {"serverUrl": "https://example.com/mcp"}}}
    assert read_configuration(write(tmp_path, windsurf))["far"].url == "https://example.com/mcp"
