"""What fits a form and what does not, held against a JSON Schema validator."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mcp_kernel.protocol.forms import fits

TITLED: list[Any] = [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]
FIELDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "minLength": 1, "maxLength": 3},
    "whole": {"type": "integer", "minimum": -1, "maximum": 3},
    "price": {"type": "number", "minimum": 0.5, "maximum": 2},
    "flag": {"type": "boolean", "default": True},
    "one": {"type": "string", "enum": ["s", "l"], "enumNames": ["Small", "Large"]},
    "titled": {"type": "string", "oneOf": TITLED},
    "several": {"type": "array", "items": {"type": "string", "enum": ["s", "l"]}, "minItems": 1, "maxItems": 2},
    "titles": {"type": "array", "items": {"anyOf": TITLED}},
}
FORM: dict[str, Any] = {"type": "object", "properties": FIELDS, "required": ["text"]}

leaves = st.sampled_from([None, True, False, 0, 1, -1, -2, 4, 0.5, 1.5, 2.5, "", "s", "l", "abc", "abcd", "Small"])
values = leaves | st.lists(leaves, max_size=3) | st.just({"a": 1})
contents = st.fixed_dictionaries({}, optional=dict.fromkeys([*FIELDS, "unknown"], values)) | values


@given(contents)
def test_a_form_is_judged_as_json_schema_judges_it(content: object) -> None:
    assert fits(content, FORM) == cast("Any", Draft202012Validator(FORM)).is_valid(content)


@pytest.mark.parametrize("name", FIELDS)
@given(value=values)
def test_a_field_is_judged_as_json_schema_judges_it(name: str, value: object) -> None:
    form = {"type": "object", "properties": {name: FIELDS[name]}}
    assert fits({name: value}, form) == cast("Any", Draft202012Validator(form)).is_valid({name: value})


@pytest.mark.parametrize("content", [{}, {"anything": [1]}])
def test_a_form_without_fields_takes_anything(content: dict[str, Any]) -> None:
    assert fits(content, {"type": "object"})
    assert fits(content, {"type": "object", "properties": {}})
