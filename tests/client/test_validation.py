"""Structured results against their schema; both come from the server, and neither is trusted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from mcp_kernel.client.failures import InvalidAnswer
from mcp_kernel.client.validation import OutputCheck, check_output

Json = dict[str, Any]

ROWS: Json = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/row"}}, "total": {"type": "integer"}},
    "required": ["rows"],
    "additionalProperties": False,
    "$defs": {"row": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}}}},
}
EVIL = "(a+)+$"
VICTIM = "a" * 40 + "!"


def refusal(schema: Json, structured: object, seconds: float = 5.0) -> str:
    with pytest.raises(InvalidAnswer) as caught:
        check_output(schema, structured, most_seconds=seconds)
    return str(caught.value)


def test_a_result_that_fits_is_let_through() -> None:
    check_output(ROWS, {"rows": [{"name": "ada"}, {}], "total": 2})


@pytest.mark.parametrize(
    ("structured", "where", "why"),
    [
        ({"rows": [{}, {"name": 5}]}, "$.rows[1].name", "5 is not of type 'string'"),
        ({"rows": [{"name": "Ada"}]}, "$.rows[0].name", "does not match"),
        ({"rows": [], "total": 1.5}, "$.total", "not of type 'integer'"),
        ({"total": 1}, "$", "'rows' is a required property"),
        ({"rows": [], "more": 1}, "$", "'more' is not allowed"),
        ([], "$", "not of type 'object'"),
        (None, "$", "not of type 'object'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path_and_the_reason(structured: object, where: str, why: str) -> None:
    text = refusal(ROWS, structured)
    assert f"at {where}: " in text
    assert why in text


def test_one_check_serves_many_results() -> None:
    check = OutputCheck(ROWS)
    check.check({"rows": []})
    with pytest.raises(InvalidAnswer):
        check.check({"rows": 1})
    check.check({"rows": []})


def test_a_reason_that_quotes_a_large_value_is_cut() -> None:
    assert len(refusal({"type": "integer"}, "x" * 1_000_000)) < 500


@pytest.mark.parametrize(
    ("dialect", "schema", "structured"),
    [
        ("https://json-schema.org/draft/2020-12/schema", {"prefixItems": [{"type": "string"}]}, [1]),
        ("http://json-schema.org/draft-07/schema#", {"items": [{"type": "string"}]}, [1]),
        ("http://json-schema.org/draft-04/schema#", {"minimum": 1, "exclusiveMinimum": True}, 1),
    ],
)
def test_the_dialect_is_the_one_that_the_schema_names(dialect: str, schema: Json, structured: object) -> None:
    assert "at $" in refusal({"$schema": dialect, **schema}, structured)


def test_a_schema_that_names_no_dialect_is_of_2020_12() -> None:
    assert "at $[0]" in refusal({"prefixItems": [{"type": "string"}]}, [1])
    check_output({"$schema": "urn:none-that-is-known", "type": "array"}, [])


def test_formats_are_not_asserted() -> None:
    check_output({"type": "string", "format": "date-time"}, "tomorrow")


@pytest.mark.parametrize(
    "schema",
    [{"type": "text"}, {"properties": []}, {"required": "name"}, {"minLength": -1}, {"$schema": [], "type": "object"}],
)
def test_a_broken_schema_is_named_as_such(schema: Json) -> None:
    assert "outputSchema" in refusal(schema, {})


@pytest.mark.parametrize("ref", ["http://127.0.0.1:9/schema.json", "file:///etc/passwd", "other.json"])
def test_a_reference_to_elsewhere_is_not_followed(ref: str) -> None:
    text = refusal({"type": "object", "properties": {"x": {"$ref": ref}}}, {"x": 1})
    assert f"{ref!r}, which is not inside it" in text


def test_a_reference_to_nothing_inside_is_named() -> None:
    assert "'/$defs/none', which is not inside it" in refusal({"$ref": "#/$defs/none"}, 1)


def test_a_reference_does_not_open_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def open_anything(*arguments: object, **_: object) -> None:
        opened.append(arguments)

    monkeypatch.setattr("socket.socket.connect", open_anything)
    monkeypatch.setattr("urllib.request.urlopen", open_anything)
    refusal({"$id": "http://127.0.0.1:9/base.json", "$ref": "next.json"}, 1)
    assert opened == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$ref": "#", "unevaluatedProperties": False},
    ],
)
def test_a_schema_that_refers_to_itself_without_end_is_refused(schema: Json) -> None:
    assert "without end" in refusal(schema, {"x": 1})


def test_a_tree_may_refer_to_itself() -> None:
    tree: Json = {"type": "object", "properties": {"sub": {"$ref": "#"}}, "additionalProperties": False}
    check_output(tree, {"sub": {"sub": {}}})
    assert "at $.sub.sub:" in refusal(tree, {"sub": {"sub": 1}})


def test_a_schema_that_doubles_its_work_is_stopped() -> None:
    steps: Json = {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)}
    start = time.monotonic()
    text = refusal({"$defs": {**steps, "40": {"type": "object"}}, "$ref": "#/$defs/0"}, {}, seconds=0.2)
    assert "takes longer than 0.2 s" in text
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("schema", "structured"),
    [
        ({"pattern": EVIL}, VICTIM),
        ({"additionalProperties": False, "patternProperties": {EVIL: {}}}, {VICTIM: 1}),
        ({"unevaluatedProperties": False, "patternProperties": {EVIL: {}}, "required": ["x"]}, {VICTIM: 1}),
        ({"propertyNames": {"pattern": EVIL}}, {VICTIM: 1}),
        # One dialect inside another must not bring back the engine that backtracks.
        ({"allOf": [{"$schema": "http://json-schema.org/draft-07/schema#", "pattern": EVIL}]}, VICTIM),
        ({"const": {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": EVIL}, "$ref": "#/const"}, VICTIM),
    ],
)
def test_a_pattern_that_explodes_elsewhere_takes_no_time_here(schema: Json, structured: object) -> None:
    program = (
        "import json, sys\nfrom mcp_kernel.client.validation import InvalidAnswer, check_output\n"
        "schema, value = json.load(sys.stdin)\n"
        "try:\n    check_output(schema, value)\nexcept InvalidAnswer as error:\n    print(error)\n"
    )
    # In a process of its own: a search that hangs inside the engine could not be stopped from here.
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, input=json.dumps([schema, structured]), capture_output=True, text=True, timeout=20, check=True
    )
    assert "outputSchema" in done.stdout


def test_a_pattern_that_cannot_be_decided_is_not_asserted() -> None:
    check_output({"pattern": "^(?!x)"}, "x")
    check_output({"additionalProperties": False, "patternProperties": {"^(?!y)": {}}}, {"x": 1})
    check_output({"pattern": "^(a?){50000}$"}, "b" * 100_000)


def test_patterns_are_searched_and_end_where_the_text_ends() -> None:
    check_output({"pattern": "b"}, "abc")
    assert "does not match" in refusal({"pattern": "c$"}, "abc\n")
    check_output({"pattern": r"^\p{L}+$"}, "größe")
    assert "at $.x1" in refusal({"patternProperties": {"^x": {"type": "string"}}}, {"x1": 1, "y": 1})


def test_unevaluated_properties_are_refused() -> None:
    schema: Json = {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}
    check_output(schema, {"a": 1})
    assert "Unevaluated" in refusal(schema, {"b": 1})


@pytest.mark.parametrize(("items", "unique"), [([1, True, "1", None, [1], {"a": 1}], True), ([1, 1.0], False)])
def test_items_are_equal_as_json_has_it(items: list[object], *, unique: bool) -> None:
    if unique:
        check_output({"uniqueItems": True}, items)
    else:
        assert "not all different" in refusal({"uniqueItems": True}, items)


def test_many_items_that_cannot_be_sorted_are_compared_in_time() -> None:
    check_output({"uniqueItems": True}, [{"id": n, "kind": None} for n in range(50_000)])
    mixed = [n if n % 2 else str(n) for n in range(20_000)]
    assert "no valid JSON Schema" in refusal({"required": mixed}, {})


def test_the_package_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(Exception, match=r'pip install "mcp-kernel\[validation\]"'):
        check_output({}, {})
