"""JSON-RPC 2.0 as the standard has it: what is a message, what is none, and nothing lost on the way."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle import SPEC

from mcp_kernel.errors import INVALID_REQUEST, PARSE_ERROR, ProtocolError
from mcp_kernel.protocol.jsonrpc import (
    Failure,
    InvalidMessage,
    Message,
    Notification,
    Prepared,
    Request,
    Response,
    decode,
    encode,
    encode_result,
    to_bytes,
)

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = sorted((SPEC / "2026-07-28" / "examples").glob("*/*.json"))
HUGE = 10**4299  # the longest integer that Python reads back without being asked to

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = st.one_of(st.integers(-HUGE, HUGE), texts)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=4)
messages = st.one_of(
    st.builds(Request, ids, texts, objects),
    st.builds(Notification, texts, objects),
    st.builds(Response, ids, objects),
    st.builds(Failure, st.none() | ids, st.integers(-(2**31), 2**31), texts, values),
)


def read(**members: Any) -> object:
    return decode(json.dumps({"jsonrpc": "2.0", **members}).encode())


def refusal(data: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode(data)
    return caught.value


def code_of(data: bytes) -> int:
    """The code that the data is refused with, 0 for a message."""
    try:
        decode(data)
    except ProtocolError as error:
        return error.code
    return 0


def refusal_of(**members: Any) -> InvalidMessage:
    error = refusal(json.dumps({"jsonrpc": "2.0", **members}).encode())
    assert isinstance(error, InvalidMessage)
    assert error.code == INVALID_REQUEST
    return error


@given(messages)
def test_what_is_encoded_decodes_to_the_same(message: Message) -> None:
    data = encode(message)
    assert b"\n" not in data
    assert decode(data) == message


@given(objects)
def test_bytes_are_plain_json(value: dict[str, Any]) -> None:
    assert json.loads(to_bytes(value)) == value


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_protocol_error(data: bytes) -> None:
    assert code_of(data) in (0, PARSE_ERROR, INVALID_REQUEST)


@given(st.recursive(values, lambda inner: st.fixed_dictionaries({}, optional={"id": inner, "method": inner})))
def test_no_json_raises_anything_but_a_protocol_error(value: object) -> None:
    assert code_of(json.dumps(value).encode()) in (0, INVALID_REQUEST)


@pytest.mark.parametrize("identifier", [0, -1, 2**53 + 1, 10**30, HUGE, "", "1", "\u0000", "ünï", "\U0001f600"])
def test_an_id_is_echoed_exactly(identifier: int | str) -> None:
    request = read(id=identifier, method="ping")
    assert request == Request(identifier, "ping", {})
    answer = json.loads(encode(Response(identifier, {})))
    assert (type(answer["id"]), answer["id"]) == (type(identifier), identifier)
    assert json.loads(encode(Failure(identifier, 1, "no")))["id"] == identifier


@pytest.mark.parametrize("identifier", [None, True, False, 1.0, 1.5, [], {}, [1]])
def test_an_id_is_a_string_or_an_integer(identifier: object) -> None:
    error = refusal_of(id=identifier, method="ping")
    assert error.id is None


def test_an_exponent_makes_no_integer() -> None:
    assert refusal(b'{"jsonrpc":"2.0","id":1e2,"method":"ping"}').code == INVALID_REQUEST


def test_an_integer_too_long_to_handle_is_refused_at_once() -> None:
    began = time.perf_counter()
    assert refusal(b'{"jsonrpc":"2.0","id":%b,"method":"x"}' % (b"9" * 2_000_000)).code == PARSE_ERROR
    assert refusal(b'{"jsonrpc":"2.0","method":"x","params":{"n":-%b}}' % (b"9" * 2_000_000)).code == PARSE_ERROR
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("version", [None, "1.0", 2.0, 2, "2.00", ["2.0"]])
def test_the_version_is_that_of_the_standard(version: object) -> None:
    assert refusal_of(id=7, method="ping", jsonrpc=version).id == 7


def test_a_message_without_a_version_is_none() -> None:
    assert refusal(b'{"id":7,"method":"ping"}').code == INVALID_REQUEST


@pytest.mark.parametrize("params", [None, [], [1], "x", 1, True])
def test_params_are_an_object_or_absent(params: object) -> None:
    assert refusal_of(id=7, method="ping", params=params).id == 7


@pytest.mark.parametrize("method", [1, True, [], {}])
def test_a_method_is_a_string(method: object) -> None:
    assert refusal_of(id=7, method=method).id == 7


def test_a_message_of_nothing_is_none() -> None:
    assert refusal_of().id is None
    assert refusal_of(id=7).id == 7
    assert refusal_of(id=7, method=None).id == 7


@pytest.mark.parametrize(
    "members",
    [
        {"result": {}, "error": {"code": 1, "message": "no"}},
        {"method": "ping", "result": {}},
        {"method": "ping", "error": {"code": 1, "message": "no"}},
    ],
)
def test_a_message_is_one_of_request_result_and_error(members: dict[str, Any]) -> None:
    refusal_of(id=7, **members)


@pytest.mark.parametrize("result", [None, 1, "x", [], True])
def test_a_result_is_an_object(result: object) -> None:
    refusal_of(id=7, result=result)


@pytest.mark.parametrize("identifier", [None, True, 1.5, []])
def test_a_result_needs_an_id(identifier: object) -> None:
    refusal_of(id=identifier, result={})


@pytest.mark.parametrize(
    "error",
    [
        None,
        "no",
        [],
        {},
        {"code": 1},
        {"message": "no"},
        {"code": "1", "message": "no"},
        {"code": 1.5, "message": "no"},
    ],
)
def test_an_error_has_an_integer_code_and_a_message(error: object) -> None:
    refusal_of(id=7, error=error)


def test_an_error_may_lack_the_id_that_nobody_could_read() -> None:
    expected = Failure(None, -32700, "no")
    error = {"code": -32700, "message": "no"}
    assert read(error=error) == expected
    assert read(error=error, id=None) == expected
    assert b'"id"' not in encode(expected)


def test_the_data_of_an_error_travels() -> None:
    assert read(id=1, error={"code": 1, "message": "no", "data": [1]}) == Failure(1, 1, "no", [1])
    assert json.loads(encode(Failure(1, 1, "no", {"uri": "a:b"})))["error"]["data"] == {"uri": "a:b"}
    assert "data" not in json.loads(encode(Failure(1, 1, "no", None, status=400)))["error"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1}{}',
        b"{'a':1}",
        b'{"a":1,}',
        b"[1,]",
        b'{"a":01}',
        b'"\xff"',
        b'{"a":"\x01"}',
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        "{}".encode("utf-16"),
        b"{}\x00",
        b"// no\n{}",
    ],
)
def test_what_is_no_json_in_utf_8_is_a_parse_error(data: bytes) -> None:
    assert refusal(data).code == PARSE_ERROR


def test_nesting_without_end_is_refused_and_not_followed() -> None:
    assert refusal(b"[" * 5_000_000).code == PARSE_ERROR
    assert refusal(b'{"a":' * 1_000_000).code == PARSE_ERROR


@pytest.mark.parametrize("data", [b"1", b'"x"', b"null", b"true", b"[]"])
def test_a_message_is_an_object(data: bytes) -> None:
    assert refusal(data).code == INVALID_REQUEST


def test_of_a_member_that_stands_twice_the_last_counts() -> None:
    assert decode(b'{"jsonrpc":"2.0","id":1,"id":"b","method":"a","method":"ping"}') == Request("b", "ping", {})


def test_members_that_the_standard_does_not_know_are_passed_over() -> None:
    assert read(id=1, method="ping", session="x", _meta={}) == Request(1, "ping", {})


def test_a_batch_is_read_member_by_member() -> None:
    batch = decode(b'[{"jsonrpc":"2.0","id":1,"method":"a"},1,{"jsonrpc":"2.0","method":"b"},{"id":3,"method":"c"},[]]')
    assert isinstance(batch, list)
    kinds = [type(member) for member in batch]
    assert kinds == [Request, InvalidMessage, Notification, InvalidMessage, InvalidMessage]
    assert [member.id for member in batch if isinstance(member, InvalidMessage)] == [None, 3, None]


# JSON-RPC 2.0, section 7: the standard's own examples of what is refused.
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', PARSE_ERROR),
        (b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID_REQUEST),
        (b'[{"jsonrpc": "2.0", "method": "sum", "id": "1"},{"jsonrpc": "2.0", "method"]', PARSE_ERROR),
        (b"[]", INVALID_REQUEST),
    ],
)
def test_the_examples_of_the_standard(data: bytes, code: int) -> None:
    assert refusal(data).code == code


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_becomes_null(value: float) -> None:
    assert to_bytes({"a": [value]}) == b'{"a":[null]}'


@pytest.mark.parametrize("value", ["\ud800", "a\udcffb", {"\udcff": 1}, [{"a": "\udfff"}]])
def test_a_lone_surrogate_is_spelled_out(value: object) -> None:
    text = to_bytes(value).decode()
    assert "\\\\ud" in text
    json.loads(text)


@given(st.text(max_size=10))
def test_every_text_of_python_can_be_sent(text: str) -> None:
    assert isinstance(json.loads(to_bytes({text: text})), dict)


def test_a_prepared_result_travels_as_it_is() -> None:
    assert encode_result("a", Prepared(b'{"x":1}')) == b'{"jsonrpc":"2.0","id":"a","result":{"x":1}}'


@pytest.mark.skipif(not EXAMPLES, reason="the official examples do not lie in ../shared/spec")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_official_example_survives_the_codec(path: Path) -> None:
    example = json.loads(path.read_bytes())
    carriers: list[Message] = [
        Request(1, "x", {"example": example}),
        Notification("x", {"example": example}),
        Response(1, {"example": example}),
        Failure(1, 1, "x", example),
    ]
    for carrier in carriers:
        assert decode(encode(carrier)) == carrier
    if "jsonrpc" in example:
        message = decode(path.read_bytes())
        assert not isinstance(message, list)
        assert json.loads(encode(message)) == example


def test_a_text_cut_in_the_middle_of_a_character_does_not_cost_the_answer() -> None:
    request = decode(b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"text":"\\ud83d"}}')
    assert request == Request(1, "m", {"text": "\ud83d"})
    for broken in (b'{"a": "\\ud83d", "b": NaN}', b'["\\ud83d"', b'"\\ud83d" \xff'):
        with pytest.raises(ProtocolError, match="Not valid JSON"):
            decode(broken)
