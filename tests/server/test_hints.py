"""What `hints` knows without pydantic is what pydantic says of the same types."""

from __future__ import annotations

import copy
import dataclasses
import enum
from typing import Annotated, Any, Literal, Optional, cast

import pytest
from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MaxLen, MinLen, MultipleOf
from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from mcp_kernel.server import schema
from mcp_kernel.server.schema import Output, ask_pydantic


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Only(enum.Enum):
    ONE = "one"


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    name: str
    color: Color = Color.RED
    children: list[Tree] = dataclasses.field(default_factory=list["Tree"])
    near: Point | None = None


@dataclasses.dataclass(kw_only=True)
class Base:
    first: str


@dataclasses.dataclass(kw_only=True)
class Derived(Base):
    points: dict[str, list[Point]]
    any_value: object = None


NATIVE: list[Any] = [
    str,
    int,
    float,
    bool,
    None,
    object,
    Any,
    list,
    dict,
    list[int],
    list[list[str]],
    dict[str, int],
    dict[str, Any],
    int | None,
    Optional[str],  # noqa: UP045  # both spellings of an optional
    int | str | None,
    str | list[str],
    Literal["a", "b"],
    Literal["a"],
    Literal[1, 2],
    Color,
    Level,
    Only,
    list[Color],
    Point,
    Tree,
    list[Tree],
    Derived,
    dict[str, Tree] | None,
    Annotated[int, Ge(1), Le(10)],
    Annotated[int, Gt(1), Lt(10)],
    Annotated[float, Interval(ge=0, lt=1)],
    Annotated[int, MultipleOf(3)],
    Annotated[str, MinLen(1), MaxLen(5)],
    Annotated[list[int], Len(1, 3)],
    Annotated[dict[str, int], MinLen(1)],
]
VALUES: list[Any] = [
    None, True, 0, 1, 2, 3, 9, -1, 10**30, 0.5, 1.0, float("inf"), "", "a", "b", "red", "one", "1", "abcdef", b"a",
    [], [1], ["a"], ["1"], [[]], [["x"]], ["red"], [1, 2, 3, 4], {}, {"a": 1}, {"a": "1"}, {1: 1}, {"x": 1},
    {"x": "2", "y": 3}, {"x": 1, "z": 1}, {"name": "n"}, {"name": "n", "color": "blue", "near": {"x": 1}},
    {"name": "n", "children": [{"name": "m", "children": []}]}, {"name": "n", "children": [{}]},
    {"first": "f", "points": {"p": [{"x": 1}]}}, {"first": "f", "points": {"p": [{}]}, "any_value": [1]},
]  # fmt: skip


def titleless(value: Any) -> Any:
    """A schema without the titles that pydantic derives, and without its descriptions of enums."""
    if isinstance(value, dict):
        kept = {key: titleless(item) for key, item in cast("dict[str, Any]", value).items()}
        if not isinstance(kept.get("title"), dict):
            kept.pop("title", None)
        return kept
    return [titleless(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def resolved(described: Any, root: Any) -> Any:
    """A schema with its root reference put in place, which pydantic writes either way."""
    reference = described.get("$ref", "")
    return root["$defs"][reference.rpartition("/")[2]] if reference else described


@pytest.mark.parametrize("hint", NATIVE, ids=str)
def test_the_json_schema_is_the_one_that_pydantic_writes(hint: Any) -> None:
    ours = Output(hint, "a test").schema
    theirs = titleless(TypeAdapter(hint).json_schema())
    assert {k: v for k, v in ours.items() if k != "$defs"} == {
        k: v for k, v in resolved(theirs, theirs).items() if k != "$defs"
    }
    for name, described in cast("dict[str, Any]", ours.get("$defs", {})).items():
        assert described == theirs["$defs"][name]


@pytest.mark.parametrize("hint", NATIVE, ids=str)
def test_what_is_valid_is_what_pydantic_finds_valid(hint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(hint: object) -> None:
        pytest.fail(f"asked pydantic of {hint}")

    monkeypatch.setattr(schema, "ask_pydantic", refuse)
    core, _ = schema._compile(hint)  # pyright: ignore[reportPrivateUsage]  # what Output and Form are made of
    ours, theirs = SchemaValidator(core), TypeAdapter(hint)
    for value in VALUES:
        assert judged(ours.validate_python, value) == judged(theirs.validate_python, value), value


def judged(validate: Any, value: Any) -> Any:
    try:
        return "valid", validate(copy.deepcopy(value))
    except ValidationError as error:
        return "invalid", [(each["type"], each["loc"]) for each in error.errors()]


def test_results_are_encoded_as_pydantic_encodes_them() -> None:
    tree = Tree("root", Color.BLUE, [Tree("leaf")], Point(1, float("nan")))
    assert Output(Tree, "a test").to_json(tree) == TypeAdapter(Tree).dump_json(tree)


def test_a_type_that_hints_does_not_know_is_left_to_pydantic() -> None:
    core, described, _ = ask_pydantic(set[int])
    assert core["type"] == "set"
    assert described == {"items": {"type": "integer"}, "type": "array", "uniqueItems": True}
