"""URI templates: the RFC's own tables for expansion, the stated rules and their cost for matching."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mcp_kernel.protocol import uri_reading
from mcp_kernel.protocol.uri_template import LONGEST_URI, UriTemplate

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

# RFC 6570, section 3.2, the variables and the tables of sections 3.2.1 to 3.2.9.
RFC_VALUES: dict[str, str | list[str] | dict[str, str]] = {
    "count": ["one", "two", "three"],
    "dom": ["example", "com"],
    "dub": "me/too",
    "hello": "Hello World!",
    "half": "50%",
    "var": "value",
    "who": "fred",
    "base": "http://example.com/home/",
    "path": "/foo/bar",
    "list": ["red", "green", "blue"],
    "keys": {"semi": ";", "dot": ".", "comma": ","},
    "v": "6",
    "x": "1024",
    "y": "768",
    "empty": "",
    "empty_keys": [],
}

RFC_TABLES = """
{count} one,two,three
{count*} one,two,three
{/count} /one,two,three
{/count*} /one/two/three
{;count} ;count=one,two,three
{;count*} ;count=one;count=two;count=three
{?count} ?count=one,two,three
{?count*} ?count=one&count=two&count=three
{&count*} &count=one&count=two&count=three
{var} value
{hello} Hello%20World%21
{half} 50%25
O{empty}X OX
O{undef}X OX
{x,y} 1024,768
{x,hello,y} 1024,Hello%20World%21,768
?{x,empty} ?1024,
?{x,undef} ?1024
?{undef,y} ?768
{var:3} val
{var:30} value
{list} red,green,blue
{list*} red,green,blue
{keys} semi,%3B,dot,.,comma,%2C
{keys*} semi=%3B,dot=.,comma=%2C
{+var} value
{+hello} Hello%20World!
{+half} 50%25
{base}index http%3A%2F%2Fexample.com%2Fhome%2Findex
{+base}index http://example.com/home/index
O{+empty}X OX
O{+undef}X OX
{+path}/here /foo/bar/here
here?ref={+path} here?ref=/foo/bar
up{+path}{var}/here up/foo/barvalue/here
{+x,hello,y} 1024,Hello%20World!,768
{+path,x}/here /foo/bar,1024/here
{+path:6}/here /foo/b/here
{+list} red,green,blue
{+list*} red,green,blue
{+keys} semi,;,dot,.,comma,,
{+keys*} semi=;,dot=.,comma=,
{#var} #value
{#hello} #Hello%20World!
{#half} #50%25
foo{#empty} foo#
foo{#undef} foo
{#x,hello,y} #1024,Hello%20World!,768
{#path,x}/here #/foo/bar,1024/here
{#path:6}/here #/foo/b/here
{#list} #red,green,blue
{#list*} #red,green,blue
{#keys} #semi,;,dot,.,comma,,
{#keys*} #semi=;,dot=.,comma=,
{.who} .fred
{.who,who} .fred.fred
{.half,who} .50%25.fred
www{.dom*} www.example.com
X{.var} X.value
X{.empty} X.
X{.undef} X
X{.var:3} X.val
X{.list} X.red,green,blue
X{.list*} X.red.green.blue
X{.keys} X.semi,%3B,dot,.,comma,%2C
X{.keys*} X.semi=%3B.dot=..comma=%2C
X{.empty_keys} X
X{.empty_keys*} X
{/who} /fred
{/who,who} /fred/fred
{/half,who} /50%25/fred
{/who,dub} /fred/me%2Ftoo
{/var} /value
{/var,empty} /value/
{/var,undef} /value
{/var,x}/here /value/1024/here
{/var:1,var} /v/value
{/list} /red,green,blue
{/list*} /red/green/blue
{/list*,path:4} /red/green/blue/%2Ffoo
{/keys} /semi,%3B,dot,.,comma,%2C
{/keys*} /semi=%3B/dot=./comma=%2C
{;who} ;who=fred
{;half} ;half=50%25
{;empty} ;empty
{;v,empty,who} ;v=6;empty;who=fred
{;v,bar,who} ;v=6;who=fred
{;x,y} ;x=1024;y=768
{;x,y,empty} ;x=1024;y=768;empty
{;x,y,undef} ;x=1024;y=768
{;hello:5} ;hello=Hello
{;list} ;list=red,green,blue
{;list*} ;list=red;list=green;list=blue
{;keys} ;keys=semi,%3B,dot,.,comma,%2C
{;keys*} ;semi=%3B;dot=.;comma=%2C
{?who} ?who=fred
{?half} ?half=50%25
{?x,y} ?x=1024&y=768
{?x,y,empty} ?x=1024&y=768&empty=
{?x,y,undef} ?x=1024&y=768
{?var:3} ?var=val
{?list} ?list=red,green,blue
{?list*} ?list=red&list=green&list=blue
{?keys} ?keys=semi,%3B,dot,.,comma,%2C
{?keys*} ?semi=%3B&dot=.&comma=%2C
{&who} &who=fred
{&half} &half=50%25
?fixed=yes{&x} ?fixed=yes&x=1024
{&x,y,empty} &x=1024&y=768&empty=
{&x,y,undef} &x=1024&y=768
{&var:3} &var=val
{&list} &list=red,green,blue
{&list*} &list=red&list=green&list=blue
{&keys} &keys=semi,%3B,dot,.,comma,%2C
{&keys*} &semi=%3B&dot=.&comma=%2C
"""


@pytest.mark.parametrize("row", RFC_TABLES.strip().splitlines())
def test_expansion_follows_the_tables_of_the_rfc(row: str) -> None:
    template, _, expected = row.partition(" ")
    assert UriTemplate(template).expand(RFC_VALUES) == expected


def test_expansion_encodes_text_outside_ascii_and_keeps_what_is_encoded_in_a_reserved_value() -> None:
    assert UriTemplate("ü/{a}{+b}").expand({"a": "é%20", "b": "%20%zz"}) == "%C3%BC/%C3%A9%2520%20%25zz"


def test_a_prefix_counts_characters_not_octets() -> None:
    assert UriTemplate("{a:2}").expand({"a": "éüö"}) == "%C3%A9%C3%BC"


def test_a_prefix_of_a_list_is_refused() -> None:
    with pytest.raises(ValueError, match="a:2 cuts a string"):
        UriTemplate("{a:2}").expand({"a": ["x"]})


def test_variables_are_listed_once_in_the_order_of_the_template() -> None:
    assert UriTemplate("db://{b}/{a}{?c,b}").variables == ("b", "a", "c")


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("a{b", "position 1, the expression is not closed"),
        ("a}b", r"position 1, '}' must be percent-encoded"),
        ("a b", "position 1, ' ' must be percent-encoded"),
        ("ab%2", "position 2, '%' must be percent-encoded"),
        ("a\ud800", "position 1"),
        ("x{}", "position 2, '' is not a variable"),
        ("x{a,}", "position 4, '' is not a variable"),
        ("x{!a}", "position 2, '!a' is not a variable"),
        ("x{a b}", "position 2, 'a b' is not a variable"),
        ("x{+a,b:0}", "position 5, 'b:0' is not a variable"),
        ("x{a:10000}", "position 2, 'a:10000' is not a variable"),
        ("x{a.}", "position 2, 'a.' is not a variable"),
        ("x{a{b}}", "position 2, 'a{b' is not a variable"),
    ],
)
def test_an_invalid_template_is_refused_and_the_place_named(template: str, place: str) -> None:
    with pytest.raises(ValueError, match=place):
        UriTemplate(template)


MATCHES: list[tuple[str, str, dict[str, str] | None]] = [
    ("db://schema", "db://schema", {}),
    ("db://schema", "db://schemas", None),
    ("note://{id}", "note://7", {"id": "7"}),
    ("note://{id}", "note://", None),
    ("note://{id}", "note://a/b", None),
    ("note://{id}", "note://a%2Fb", {"id": "a/b"}),
    ("note://{id}", "note://a?b", None),
    ("note://{id}", "note://a#b", None),
    ("note://{id}", "note://a%252Fb", {"id": "a%2Fb"}),
    ("note://{id}", "note://h%C3%A9llo", {"id": "héllo"}),
    ("note://{id}", "note://héllo", {"id": "héllo"}),
    ("note://{id}", "note://me@example.com", {"id": "me@example.com"}),
    ("note://{id}", "mail://7", None),
    ("caf%C3%A9://{id}", "café://x", {"id": "x"}),
    ("a%2Fb/{id}", "a/b/x", None),
    ("a%2Fb/{id}", "a%2fb/x", {"id": "x"}),
    ("{a}.{b}", "x.tar.gz", {"a": "x.tar", "b": "gz"}),
    ("{a}x{+b}x{c}", "1x2/x3", {"a": "1", "b": "2/", "c": "3"}),
    ("{a}/{a}", "x/x", {"a": "x"}),
    ("{a}/{a}", "x/y", None),
    ("{x,y}", "1,2", {"x": "1", "y": "2"}),
    ("{x,y}", "1", {"x": "1"}),
    ("{x,y}", "1,2,3", None),
    ("file:///{+path}", "file:///a/b?c#d", {"path": "a/b?c#d"}),
    ("file:///{+path}", "file:///", None),
    (
        "git://{repo}/{revision}/{+path}",
        "git://r/main/a/b.py",
        {"repo": "r", "revision": "main", "path": "a/b.py"},
    ),
    ("{+path}/schema", "a/schema/schema", {"path": "a/schema"}),
    ("{+path}{?v}", "a/b?v=1", {"path": "a/b", "v": "1"}),
    ("x{#frag}", "x#a/b", {"frag": "a/b"}),
    ("x{#frag}", "x", {}),
    ("x{#frag}", "x#", {"frag": ""}),
    ("x{#a,b}", "x,1", None),
    ("x{/a,b}", "x/1/2", {"a": "1", "b": "2"}),
    ("x{/a,b}", "x/1", {"a": "1"}),
    ("x{/a,b}", "x/1/2/3", None),
    ("{name}{.ext}", "a.tar.gz", {"name": "a.tar", "ext": "gz"}),
    ("{name}{.ext}", "readme", {"name": "readme"}),
    ("x{;a,b}", "x;b=2;a", {"a": "", "b": "2"}),
    ("x{;a,b}", "x;c=1", None),
    ("x{?a,b}", "x", {}),
    ("x{?a,b}", "x?b=2&a=1%262", {"a": "1&2", "b": "2"}),
    ("x{?a,b}", "x?b=c/d?e=f", {"b": "c/d?e=f"}),
    ("x{?a,b}", "x?a=1&a=2", None),
    ("x{?a,b}", "x?c=1", None),
    ("x{?a,b}", "x?", None),
    ("x{?a,ab}", "x?ab=1&a=2", {"a": "2", "ab": "1"}),
    ("x?fixed=1{&a}", "x?fixed=1&a=2", {"a": "2"}),
    ("x{?a}{&b}", "x?a=1&b=2", {"a": "1", "b": "2"}),
    ("", "", {}),
    ("", "x", None),
]


@pytest.mark.parametrize(("template", "uri", "expected"), MATCHES)
def test_matching_follows_the_rules(template: str, uri: str, expected: dict[str, str] | None) -> None:
    assert UriTemplate(template).match(uri) == expected


@pytest.mark.parametrize("bad", ["%", "%2", "%zz", "%FF", "%C3", "%ED%A0%80", "\ud800", chr(0xDC2F), "\x00", "\n"])
@pytest.mark.parametrize("template", ["x://{a}", "x://{+a}", "x://y{?a}", "x://y{#a}"])
def test_what_is_no_uri_matches_nothing(template: str, bad: str) -> None:
    good = UriTemplate(template).expand({"a": "1"})
    assert UriTemplate(template).match(good) == {"a": "1"}
    assert UriTemplate(template).match(good + bad) is None


def test_a_uri_longer_than_the_limit_matches_nothing() -> None:
    template = UriTemplate("x{a}")
    assert template.match("x" * LONGEST_URI) is not None
    assert template.match("x" * (LONGEST_URI + 1)) is None


@pytest.mark.parametrize("template", ["x{a*}", "x{/a*}", "x{?q,a*}", "x{a:3}", "x%FF{a}"])
def test_what_cannot_be_reversed_says_so_and_still_expands(template: str) -> None:
    unmatchable = UriTemplate(template)
    assert unmatchable.unmatchable is not None
    assert "1" in unmatchable.expand({"a": "1"})
    with pytest.raises(ValueError, match=r"a|FF"):
        unmatchable.match("x1")


def test_static_text_wins_over_templates_and_a_longer_prefix_over_a_shorter() -> None:
    ranked = [
        "db://tables",
        "db://tables/{t}/schema",
        "db://tables/{t}",
        "db://tables/{+t}",
        "db://{t}",
        "{+uri}",
    ]
    templates = sorted(map(UriTemplate, reversed(ranked)), key=lambda t: t.specificity, reverse=True)
    assert [t.template for t in templates] == ranked


texts = st.text(min_size=1, max_size=8)


@given(st.fixed_dictionaries({"a": texts, "b": texts}))
@pytest.mark.parametrize(
    "template",
    ["x://{a}/{b}", "x://{a}?{b}", "x{/a,b}", "{a,b}", "x{;a,b}", "x{?a,b}", "x?{a}{&b}", "{a}/{a}{#b}"],
)
def test_matching_reverses_expansion(template: str, values: dict[str, str]) -> None:
    parsed = UriTemplate(template)
    if parsed.template.endswith("{#b}"):
        assume("%" not in values["b"])  # a reserved expansion keeps what looks encoded, so it is not reversible
    assert parsed.match(parsed.expand(values)) == values


@given(st.dictionaries(st.sampled_from("ab"), st.text(max_size=8)))
@pytest.mark.parametrize("template", ["x{;a,b}", "x{?a,b}", "x?y{&a,b}", "x{?a}{&b}", "x{?b}{#a}"])
def test_an_absent_name_stays_absent_and_an_empty_value_empty(template: str, values: dict[str, str]) -> None:
    parsed = UriTemplate(template)
    if template == "x{?a}{&b}":
        assume("a" in values)
    if "{#a}" in template:
        assume("%" not in values.get("a", ""))
    assert parsed.match(parsed.expand(values)) == values


PIECES = ["{a}", "{+b}", "{/c}", "{.d}", "{?e,f}", "{;g}", "{#h}", "/", "x", "?"]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=5), st.text("x/.?=&#;,efg1", max_size=12))
def test_any_reading_that_is_found_expands_to_what_was_read(parts: list[str], uri: str) -> None:
    parsed = UriTemplate("".join(parts))
    assume(parsed.unmatchable is None)
    if (values := parsed.match(uri)) is not None:
        assert parsed.match(parsed.expand(values)) == values


def test_a_variable_that_may_be_absent_cannot_be_matched_twice() -> None:
    assert "d occurs twice" in str(UriTemplate("{.d}{a}{.d}").unmatchable)
    assert UriTemplate("{a}/{a}").unmatchable is None


@given(st.text())
def test_any_text_is_a_template_or_is_refused_with_its_place(text: str) -> None:
    try:
        reason = UriTemplate(text).expand({})
    except ValueError as error:
        reason = f"refused: {error}"
    assert not reason.startswith("refused") or "at position" in reason


def lines_run(call: Callable[[], object]) -> int:
    """How many lines of the matcher run: a measure of its work that no clock disturbs."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> object:
        nonlocal count
        count += event == "line" and frame.f_code.co_filename == uri_reading.__file__
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # pyright: ignore[reportArgumentType]  typeshed asks for a recursive type
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("template", "unit"),
    [
        ("{a}{b}{c}{d}{e}/", "a"),
        ("{+a}x{+b}x{+c}x{+d}y", "x"),
        ("{+a}{/b}{/c}{.d}{.e}!", "/."),
        ("{+z}{?a,b}{?c,d}!", "?a=1&b=2"),
        ("{+z}{?a}!", "?a="),
        ("{+z}{;a}!", ";a"),
        ("{a}aaaaaaaa!", "a"),
        ("{+a}%C3%A9{+b}%C3%A9{+c}!", "%C3%A9"),
    ],
)
def test_the_work_of_matching_grows_no_faster_than_the_uri(template: str, unit: str) -> None:
    parsed = UriTemplate(template)
    short, long = (lines_run(lambda n=n: parsed.match(unit * n)) for n in (50, 400))
    assert short > 0
    assert long < short * 8 * 1.1
