"""Editing the text of JSON with comments: one value changes, and not a character beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_kernel.client.configuration import parse_text
from mcp_kernel.console.jsonc import NoObject, put, take

SERVER: dict[str, Any] = {"command": "/bin/x", "args": ["--a", "b"]}
PATH = ("servers", "new")

MANNERS = {
    "nothing": "",
    "an empty object": "{}",
    "an empty object with a comment": "{\n  // mine\n}\n",
    "another key": '{\n    "theme": "dark"\n}\n',
    "a trailing comma and comments": '{\n  "theme": "dark", // why\n  /* last */\n}\n',
    "a comment behind the last": '{\n  "servers": {\n    "a": {} // A\n  } // all\n}\n',
    "tabs": '{\n\t"servers": {\n\t\t"a": {"command": "a"}\n\t}\n}\n',
    "one line": '{"servers": {"a": {"command": "a"}}, "x": [1, {"y": "}"}]}',
    "an empty section": '{\n  "servers": {},\n  "x": "// no comment"\n}',
    "line ends of Windows": '{\r\n  "servers": {\r\n    "a": {}\r\n  }\r\n}\r\n',
    "a byte order mark": '\ufeff{\n  "servers": {"a": 1}\n}',
    "braces that share a line": '{ "servers": { "a": 1,\n  "b": "\\"}" } }',
}


def parse(text: str) -> dict[str, Any]:
    return dict(parse_text(Path("x.json"), text)) if text.strip("\ufeff \n") else {}


def comments(text: str) -> list[str]:
    return [
        piece for piece in re.findall(r'"(?:\\.|[^"\\])*"|//[^\r\n]*|/\*.*?\*/', text, re.DOTALL) if piece[0] == "/"
    ]


@pytest.mark.parametrize("text", MANNERS.values(), ids=MANNERS)
def test_a_value_comes_in_and_goes_out_again(text: str) -> None:
    before = parse(text)
    fuller = put(text, PATH, SERVER)
    assert parse(fuller) == {**before, "servers": {**before.get("servers", {}), "new": SERVER}}
    assert [each.strip() for each in comments(fuller)] == [each.strip() for each in comments(text)]
    assert fuller.count("\r\n") == (fuller.count("\n") if "\r\n" in text else 0)
    assert fuller.startswith("\ufeff") == text.startswith("\ufeff")
    gone = take(fuller, PATH)
    if before.get("servers"):
        assert gone == text or "share" in text or '"b"' in text
    assert parse(gone) == {**before, "servers": before.get("servers", {})}


def test_what_is_added_looks_like_what_is_there() -> None:
    text = '{\n\t"servers": {\n\t\t"a": {} // A\n\t}\n}\n'
    assert put(text, ("servers", "b"), {"command": "b"}) == (
        '{\n\t"servers": {\n\t\t"a": {}, // A\n\t\t"b": {\n\t\t\t"command": "b"\n\t\t}\n\t}\n}\n'
    )
    assert put('{"a": 1}', ("b",), 2) == '{"a": 1, "b": 2}'
    assert put('{\n    "a": 1,\n}', ("b",), 2) == '{\n    "a": 1,\n    "b": 2,\n}'


def test_a_value_that_is_there_is_replaced_in_its_place() -> None:
    text = '{\n  // of a\n  "a": [1, 2], // old\n  "b": 2\n}'
    assert put(text, ("a",), []) == '{\n  // of a\n  "a": [], // old\n  "b": 2\n}'


def test_a_key_that_is_there_twice_is_changed_where_it_counts_and_removed_everywhere() -> None:
    text = '{"a": 1, "a": 2, "b": 3}'
    assert put(text, ("a",), 4) == '{"a": 1, "a": 4, "b": 3}'
    assert parse(take(text, ("a",))) == {"b": 3}


def test_what_is_not_there_is_not_taken_out() -> None:
    assert take('{"a": {}}', ("servers", "b")) == '{"a": {}}'
    assert take('{"servers": {"a": 1}}', ("servers", "b")) == '{"servers": {"a": 1}}'


@pytest.mark.parametrize("text", ['{"servers": []}', '{"servers": null}', "[1]"])
def test_what_is_no_object_is_left_alone(text: str) -> None:
    with pytest.raises(NoObject):
        put(text, PATH, SERVER)
    with pytest.raises(NoObject):
        take(text, PATH)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab"\\/*{}[],:\n é', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"/ ', max_size=3), inner, max_size=3),
    max_leaves=8,
)
GAPS = st.sampled_from(["", " ", "\n", "\n  ", "\t", " // c }\n", " /* { */ ", "\r\n"])


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """A value as somebody may have typed it."""
    gap = lambda: draw(GAPS)  # noqa: E731  # as short as it is often used
    if not isinstance(value, dict | list) or not value:
        return gap() + json.dumps(value) + gap()
    if isinstance(value, dict):
        parts = [f"{gap()}{json.dumps(key)}{gap()}:{draw(written(each))}" for key, each in value.items()]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]  # as JSON is
    else:
        parts = [draw(written(each)) for each in value]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]  # as JSON is
    inside = ",".join(parts) + ("," + gap() if draw(st.booleans()) else "")
    return gap() + ("{%s}" if isinstance(value, dict) else "[%s]") % inside + gap()


TREES = st.dictionaries(
    st.sampled_from(["servers", "x", "y"]),
    st.dictionaries(st.sampled_from(["new", "a", "b"]), VALUES, max_size=3),
    max_size=3,
)


@given(st.data())
def test_nothing_else_changes_however_a_file_is_written(data: st.DataObject) -> None:
    tree = data.draw(TREES)
    text = data.draw(written(tree))
    fuller = put(text, PATH, SERVER)
    assert parse(fuller) == {**tree, "servers": {**tree.get("servers", {}), "new": SERVER}}
    gone = take(fuller, PATH)
    rest = {key: value for key, value in tree.get("servers", {}).items() if key != "new"}
    assert parse(gone) == {**tree, "servers": rest}
    if "new" not in tree.get("servers", {}):
        assert comments(fuller) == comments(text)
        assert comments(gone) == comments(text)
