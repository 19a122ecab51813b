"""The file of `--auth`: what it says, and on which line."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings, strategies

from mcp_kernel.auth.resource.document import Document, Mistaken, read
from mcp_kernel.auth.resource.lines import find_lines
from mcp_kernel.server.principal import Principal, ask_for_scopes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = r'''resource = "x#" # one [
a.b . "c = d" = 1
[[keys]]
name = "alice"
note = """
  a "b" c\""" """""
roles = [ "first", # ]
  'second', ]
[[keys]]
name='bob'
[keys.more]
deep = {one = 1, two = [1, 2, {three = 2027-01-01 10:00:00}]}
[roles."x y".z]
nested = [[1, 2],
  [3]]
'''


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("resource",), 1),
        (("a", "b", "c = d"), 2),
        (("keys",), 3),
        (("keys", 0), 3),
        (("keys", 0, "note"), 5),
        (("keys", 0, "roles"), 7),
        (("keys", 0, "roles", 1), 8),
        (("keys", 1), 9),
        (("keys", 1, "name"), 10),
        (("keys", 1, "more"), 11),
        (("keys", 1, "more", "deep", "two", 2, "three"), 12),
        (("roles", "x y", "z"), 13),
        (("roles", "x y", "z", "nested", 1, 0), 15),
        (("keys", 0, "hash"), 3),  # is not there: its table is
        (("jwt",), 0),
    ],
)
def test_a_key_stands_on_its_line(tmp_path: Path, keys: tuple[str | int, ...], line: int) -> None:
    assert Document(tmp_path, TEXT).line(*keys) == line


def paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key and item of a table."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            yield from paths(inner, (*path, index))


def test_every_key_and_item_has_a_line() -> None:
    assert set(find_lines(TEXT)) == set(paths(tomllib.loads(TEXT)))


NAME = strategies.sampled_from(["a", "b-1", "x.y", "p=q", "#", "ü", 'q"t', "["])
SCALAR = strategies.sampled_from(["1", "-2.5e3", "true", "2027-01-01T10:00:00Z", '"""a\n"b" ]"""', "'''\n}'''", "'#'"])


def quote(name: str) -> str:
    return "'" + name + "'"


def write(value: object) -> str:
    """A value with a line of its own for each item."""
    if isinstance(value, list):
        return "[ # [\n" + "".join(f"{write(item)} ,\n" for item in cast("list[object]", value)) + "]"
    if isinstance(value, dict):
        members = cast("dict[str, object]", value).items()
        return "{" + ", ".join(f"{quote(name)} = {write(item)}" for name, item in members) + "}"
    return str(value)


VALUE = strategies.recursive(
    SCALAR, lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(NAME, inner, max_size=3)
)


@settings(max_examples=40, deadline=None)
@given(strategies.dictionaries(NAME, VALUE, max_size=5), strategies.lists(strategies.dictionaries(NAME, VALUE)))
def test_whatever_the_file_says_each_key_is_found(table: dict[str, object], items: list[dict[str, object]]) -> None:
    text = "".join(f"{quote(name)} = {write(value)}\n" for name, value in table.items())
    for item in items:
        text += "[[ 'the items' ]]\n" + "".join(f"{quote(name)} = {write(value)}\n" for name, value in item.items())
    found = find_lines(text)
    assert set(found) == set(paths(tomllib.loads(text)))
    written = text.split("\n")
    for path, line in found.items():
        if isinstance(path[-1], str) and path != ("the items",):
            assert quote(path[-1]) in written[line - 1]


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"a = 1\nb = \n", 2, "no TOML"),
        (b"a = 1\na = 2\n", 2, "no TOML"),
        (b'a = 1\nb = """\nc', 3, "no TOML"),
        (b"a = 1\nb = '\xff'\n", 2, "UTF-8"),
        (b"a = " + b"[" * 100_000, 0, "no TOML"),
        (b"#" * (4 * 1024 * 1024 + 1), 0, "larger"),
    ],
)
def test_a_file_that_is_none_is_told_with_its_line(tmp_path: Path, data: bytes, line: int, words: str) -> None:
    path = tmp_path / "auth.toml"
    path.write_bytes(data)
    with pytest.raises(Mistaken) as raised:
        read(path)
    (mistake,) = raised.value.mistakes
    assert mistake.line == line
    assert words in mistake.text


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(Mistaken, match="cannot be read"):
        read(tmp_path / name)


def test_mistakes_are_told_together_in_the_order_of_their_lines(tmp_path: Path) -> None:
    document = Document(tmp_path / "auth.toml", TEXT)
    document.complain("later", "roles", "x y")
    document.complain("sooner", "keys", 0, "name")
    document.complain("anywhere", "jwt")
    with pytest.raises(Mistaken) as raised:
        document.require_sound()
    file = tmp_path / "auth.toml"
    assert str(raised.value) == f"{file}: anywhere\n{file}:4: sooner\n{file}:13: later"


def test_a_file_without_mistakes_is_sound_also_with_line_ends_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "auth.toml"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    document = read(path)
    document.require_sound()
    assert document.table == tomllib.loads(TEXT)
    assert document.line("roles") == 13


def test_a_step_up_names_every_scope_and_where_to_get_them() -> None:
    told = dict(ask_for_scopes(Principal("ann", metadata="https://a.example/m"), ["mcp", "admin"]))
    assert told == {
        b"www-authenticate": b'Bearer error="insufficient_scope", scope="mcp admin", '
        b'resource_metadata="https://a.example/m"'
    }
    assert b"resource_metadata" not in dict(ask_for_scopes(Principal("ann"), ["mcp"]))[b"www-authenticate"]
