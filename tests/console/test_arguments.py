"""What a person writes on the command line becomes what the tool's schema wants."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_kernel.console.arguments import fill_in, read_object, split_words
from mcp_kernel.console.terminal import Misuse

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "limit": {"type": "integer"},
        "ratio": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "name": {"type": ["string", "null"]},
        "on": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "kind": {"enum": ["a", "b"]},
        "level": {"enum": [1, 2]},
        "place": {"$ref": "#/$defs/a~1place"},
        "loop": {"$ref": "#/properties/loop"},
        "far": {"$ref": "https://elsewhere.example/schema.json"},
    },
    "$defs": {"a/place": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text=5", "5"),
        ("text=a=b c", "a=b c"),
        ("text=", ""),
        ("limit=5", 5),
        ("ratio=0.5", 0.5),
        ("ratio=null", None),
        ("name=null", "null"),
        ("name:=null", None),
        ("on=true", True),
        ('tags=["x", "y"]', ["x", "y"]),
        ("kind=a", "a"),
        ("level=2", 2),
        ('place={"x": 1}', {"x": 1}),
        ("loop=word", "word"),
        ("far=[1]", [1]),
        ("unknown=7", 7),
        ("unknown=word", "word"),
        ('text:="quoted"', "quoted"),
    ],
)
def test_a_value_is_read_by_the_schema(word: str, value: object) -> None:
    (read,) = fill_in(SCHEMA, split_words([word])).values()
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["limit"], "is written key=value"),
        (["=5"], "is written key=value"),
        (["limit:=five"], "is no JSON"),
        (["limit=five"], "limit takes a value of the type integer, as JSON, and 'five' is none"),
        (["tags=x"], "type array"),
        (["ratio=x"], "type null or number"),
        (["text=a", "text=b"], "text is given twice"),
    ],
)
def test_what_cannot_be_read_is_said(words: list[str], complaint: str) -> None:
    with pytest.raises(Misuse, match=complaint):
        fill_in(SCHEMA, split_words(words))


def test_arguments_as_json_are_an_object() -> None:
    assert read_object('{"a": [1]}') == {"a": [1]}
    for text in ("[1]", "{", ""):
        with pytest.raises(Misuse, match="--arguments"):
            read_object(text)
