"""Headers that repeat the body: what they mean, and when the two differ (basic/transports/streamable-http)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_kernel.errors import ProtocolError
from mcp_kernel.protocol.jsonrpc import Request
from mcp_kernel.protocol.mirroring import compare, compare_arguments, decode, encode, find_mirrored, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "2026-07-28"
TOOL = {"mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": "drop"}
CALL = Request(1, "tools/call", {"name": "drop", "arguments": {}})


def base64(text: str) -> str:
    return f"=?base64?{text}?="


def refused(comparison: Callable[[], None]) -> bool:
    """Whether a comparison finds a difference, and says so as the specification has it."""
    try:
        comparison()
    except ProtocolError as error:
        found = (error.code, error.status)
    else:
        return False
    assert found == (-32020, 400)
    return True


def is_refused(headers: dict[str, str], request: Request = CALL) -> bool:
    return refused(lambda: compare(headers, VERSION, request))


def differs(header: str | None, value: object) -> bool:
    """Whether a header of a parameter is refused beside an argument; None leaves the header out."""
    headers = {} if header is None else {"mcp-param-x": header}
    return refused(lambda: compare_arguments(headers, {"x": ("x",)}, {"arguments": {"x": value}}))


# --- the form of a value ---


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("us-west1", "us-west1"),
        ("Hello, 世界", base64("SGVsbG8sIOS4lueVjA==")),
        (" padded ", base64("IHBhZGRlZCA=")),
        ("line1\nline2", base64("bGluZTEKbGluZTI=")),
        ("=?base64?literal?=", base64("PT9iYXNlNjQ/bGl0ZXJhbD89")),
        ("a\tb", "a\tb"),
        ("", ""),
        ("=?base64?=", base64("PT9iYXNlNjQ/PQ==")),
        ("=?base64??=", base64("PT9iYXNlNjQ/Pz0=")),
    ],
)
def test_values_travel_as_the_specification_shows(value: str, header: str) -> None:
    assert encode(value) == header
    assert decode(header) == value


@given(st.text())
def test_every_text_survives_the_trip_as_visible_ascii(value: str) -> None:
    value = value.encode("utf-8", "replace").decode()
    header = encode(value)
    assert decode(header) == value
    assert decode(f" {header}\t") == value
    assert all(" " <= character <= "~" or character == "\t" for character in header)


@pytest.mark.parametrize("header", ["=?BASE64?eA==?=", "=?Base64?eA==?=", "=?base64?eA==", "eA==?=", "=?base64?="])
def test_what_only_looks_like_the_base64_form_is_taken_as_it_is(header: str) -> None:
    assert decode(header) == header


@pytest.mark.parametrize(
    "content",
    ["eA", "eA=", "eA===", "eHg==", "=eA=", "e A==", "eA==eA==", "e-_=", "eA==\n", "%%%%", "gA==", "7aCA", "é"],
)
def test_base64_that_is_not_whole_or_not_utf8_is_refused(content: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(base64(content))
    assert (caught.value.code, caught.value.status) == (-32020, 400)


@pytest.mark.parametrize("header", ["caf\xe9", "a\x00b", "a\x7fb", "a\nb", "a\rb", "\x0bx", "世"])
def test_characters_that_no_header_may_hold_are_refused(header: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(header)
    assert caught.value.code == -32020


# --- version, method, name ---


def test_headers_that_say_what_the_body_says_pass() -> None:
    assert not is_refused(TOOL)
    assert not is_refused({name: f"\t {value} " for name, value in TOOL.items()})
    assert not is_refused({**TOOL, "mcp-name": base64("ZHJvcA==")})


@pytest.mark.parametrize("name", TOOL)
@pytest.mark.parametrize("value", [None, "", "x", "{}x", "{}, {}", "{}\n{}", "{upper}", "{}\xa0"])
def test_a_header_that_is_missing_or_says_something_else_is_refused(name: str, value: str | None) -> None:
    headers = dict(TOOL)
    own = headers.pop(name)
    if value is not None:
        headers[name] = value.replace("{upper}", own.swapcase()).replace("{}", own)
    assert is_refused(headers) or headers == TOOL


def test_only_the_name_has_a_base64_form() -> None:
    assert is_refused({**TOOL, "mcp-method": base64("dG9vbHMvY2FsbA==")})
    assert is_refused({**TOOL, "mcp-protocol-version": base64("MjAyNi0wNy0yOA==")})


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("tools/call", {"name": "a"}, "a"),
        ("prompts/get", {"name": "a"}, "a"),
        ("resources/read", {"uri": "file:///a", "name": "b"}, "file:///a"),
        ("tasks/get", {"taskId": "t"}, "t"),
    ],
)
def test_the_name_is_that_of_what_is_asked_for(method: str, params: dict[str, Any], name: str) -> None:
    headers = {**TOOL, "mcp-method": method}
    assert not is_refused({**headers, "mcp-name": name}, Request(1, method, params))
    assert is_refused({**headers, "mcp-name": "other"}, Request(1, method, params))
    del headers["mcp-name"]
    assert is_refused(headers, Request(1, method, params))


def test_a_method_that_names_nothing_needs_no_name() -> None:
    headers = {"mcp-protocol-version": VERSION, "mcp-method": "tools/list"}
    assert not is_refused(headers, Request(1, "tools/list", {}))
    assert not is_refused({**headers, "mcp-name": "whatever"}, Request(1, "tools/list", {"name": 1}))


@pytest.mark.parametrize("name", [base64("echo"), "=?base64?!?=", "\xe9cho", "echo\n", "echo\0"])
def test_a_header_that_is_spelled_as_the_name_and_means_another_or_nothing_is_refused(name: str) -> None:
    request = Request(1, "tools/call", {"name": name})
    headers = {"mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": name}
    assert is_refused(headers, request)
    assert not is_refused({**headers, "mcp-name": encode(name)}, request)


@pytest.mark.parametrize("name", [None, 1, ["drop"], {"drop": 1}])
def test_a_name_that_is_no_text_equals_no_header(name: object) -> None:
    assert is_refused(TOOL, Request(1, "tools/call", {"name": name}))


# --- parameters ---


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("us-west1", "us-west1"),
        ("", ""),
        (base64("IHBhZGRlZCA="), " padded "),
        ("42", 42),
        ("42.0", 42),
        ("4.2e1", 42),
        ("042", 42),
        (base64("NDI="), 42),
        ("-7", -7),
        ("0", 0),
        ("-0", 0),
        (str(2**70), 2**70),
        ("42", 42.0),
        ("true", True),
        ("false", False),
        (None, None),
    ],
)
def test_a_header_that_says_what_the_argument_says_passes(header: str | None, value: object) -> None:
    assert not differs(header, value)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (None, "x"),
        (None, ""),
        (None, 0),
        (None, False),
        ("null", None),
        ("", None),
        ("US-WEST1", "us-west1"),
        ("a\nb", "a\nb"),
        ("43", 42),
        ("42.5", 42),
        ("4_2", 42),
        ("4_2.0", 42),
        ("+42", 42),
        ("0x2a", 42),
        (base64("2aTZog=="), 42),  # ٤٢
        (base64("IDQy"), 42),
        ("", 0),
        ("nan", 0),
        ("inf", 2**1024),
        ("1e400", 2**1024),
        (f"{2**53}.0", 2**53 + 1),
        ("9" * 5000, 1),
        ("1e999999999", 1),
        ("True", True),
        ("1", True),
        ("", False),
        ("1", "01"),
        ("true", "TRUE"),
        ("['a']", ["a"]),
        ("{}", {}),
        (base64("eA"), "x"),
    ],
)
def test_a_header_that_differs_from_the_argument_is_refused(header: str | None, value: object) -> None:
    assert differs(header, value)


@pytest.mark.parametrize("arguments", [None, {}, {"a": None}, {"a": 1}, {"a": []}, [], {"a": {"b": None}}])
def test_an_argument_that_is_not_there_expects_no_header(arguments: object) -> None:
    mirrored = {"deep": ("a", "b")}
    compare_arguments({}, mirrored, {"arguments": arguments})
    with pytest.raises(ProtocolError):
        compare_arguments({"mcp-param-deep": "x"}, mirrored, {"arguments": arguments})


def test_headers_that_no_tool_declares_are_passed_over() -> None:
    compare_arguments({"mcp-param-other": "\x00"}, {}, {"arguments": {"other": "x"}})


def test_a_nested_argument_is_compared_at_its_path() -> None:
    compare_arguments({"mcp-param-deep": "x"}, {"deep": ("a", "b")}, {"arguments": {"a": {"b": "x"}, "b": "y"}})


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (0, "0"), ("", ""), (None, None), ([], None)])
def test_what_stands_for_a_value_is_what_the_other_side_compares(value: object, text: str | None) -> None:
    assert to_text(value) == text
    assert not differs(text if text is None else encode(text), value) or value == []


# --- annotations ---


def test_annotations_are_found_along_chains_of_properties() -> None:
    deep: dict[str, Any] = {"type": "object", "properties": {"b": {"type": "integer", "x-mcp-header": "Deep-Id"}}}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"a": deep, "c": {"type": "string", "x-mcp-header": "Top"}},
    }
    assert find_mirrored(schema) == {"deep-id": ("a", "b"), "top": ("c",)}
    assert find_mirrored({"type": "object"}) == {}


@pytest.mark.parametrize(
    "described",
    [
        {"type": "string", "x-mcp-header": ""},
        {"type": "string", "x-mcp-header": "has space"},
        {"type": "string", "x-mcp-header": "colon:"},
        {"type": "string", "x-mcp-header": "line\r\nInjected"},
        {"type": "string", "x-mcp-header": "ümlaut"},
        {"type": "string", "x-mcp-header": 7},
        {"type": "number", "x-mcp-header": "N"},
        {"type": "object", "x-mcp-header": "O"},
        {"x-mcp-header": "None"},
        {"type": "array", "items": {"type": "string", "x-mcp-header": "Item"}},
        {"anyOf": [{"type": "string", "x-mcp-header": "Either"}]},
    ],
)
def test_an_annotation_that_the_specification_forbids_is_refused(described: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="x-mcp-header"):
        find_mirrored({"type": "object", "properties": {"a": described}})


def test_one_header_for_two_properties_is_refused_whatever_its_case() -> None:
    same = {"a": {"type": "string", "x-mcp-header": "Id"}, "b": {"type": "string", "x-mcp-header": "ID"}}
    with pytest.raises(ValueError, match="twice"):
        find_mirrored({"type": "object", "properties": same})
