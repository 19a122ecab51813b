"""Answers that may be used again: for how long, for whom, and what makes an end of it."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_kernel.client.cache import ResponseCache, Shelf

Json = dict[str, Any]
DAY = 86_400.0
URL = "https://host/mcp"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> ResponseCache:
    return ResponseCache(clock=clock)


def answer(text: str = "x", **fields: object) -> Json:
    return {"resultType": "complete", "tools": [text], "ttlMs": 1000, "cacheScope": "private", **fields}


def keep(shelf: Shelf, method: str = "tools/list", params: Json | None = None, **fields: Any) -> Json:
    result = answer(**fields)
    shelf.look(method, params or {}).keep(result)
    return result


def held(shelf: Shelf, method: str = "tools/list", params: Json | None = None) -> Json | None:
    return shelf.look(method, params or {}).result


def test_an_answer_is_used_again_until_its_time_is_over(cache: ResponseCache, clock: Clock) -> None:
    shelf = cache.shelf(URL)
    result = keep(shelf, ttlMs=1500)
    clock.now += 1.49
    assert held(shelf) == result
    clock.now += 0.01
    assert held(shelf) is None
    assert cache.entries == 0


@pytest.mark.parametrize("life", [None, 0, -1, -0.5, "1000", True, [], float("nan")])
def test_an_answer_without_a_life_is_not_kept(cache: ResponseCache, life: object) -> None:
    shelf = cache.shelf(URL)
    keep(shelf, ttlMs=life)
    place = shelf.look("tools/list", {})
    place.keep({"resultType": "complete", "tools": []})
    assert held(shelf) is None


@pytest.mark.parametrize("life", [10**15, 10**400, float("inf")])
def test_no_answer_lives_longer_than_a_day(cache: ResponseCache, clock: Clock, life: float) -> None:
    shelf = cache.shelf(URL)
    keep(shelf, ttlMs=life)
    clock.now += DAY - 1
    assert held(shelf) is not None
    clock.now += 1
    assert held(shelf) is None


@pytest.mark.parametrize(
    ("method", "kept"),
    [
        ("server/discover", True),
        ("tools/list", True),
        ("prompts/list", True),
        ("resources/list", True),
        ("resources/templates/list", True),
        ("resources/read", True),
        ("tools/call", False),
        ("prompts/get", False),
        ("completion/complete", False),
    ],
)
def test_only_what_the_specification_names_is_kept(cache: ResponseCache, method: str, *, kept: bool) -> None:
    shelf = cache.shelf(URL)
    keep(shelf, method)
    assert (held(shelf, method) is not None) == kept


def test_the_key_is_made_of_method_and_params_without_meta(cache: ResponseCache) -> None:
    shelf = cache.shelf(URL)
    keep(shelf, params={"cursor": "2", "_meta": {"progressToken": 1}})
    assert held(shelf, params={"_meta": {"progressToken": 2}, "cursor": "2"}) is not None
    assert held(shelf, params={"cursor": "3"}) is None
    assert held(shelf, params={}) is None
    assert held(shelf, "prompts/list", {"cursor": "2"}) is None


@pytest.mark.parametrize("field", ["inputResponses", "requestState"])
def test_an_answer_to_a_retry_is_neither_kept_nor_given(cache: ResponseCache, field: str) -> None:
    shelf, params = cache.shelf(URL), {"uri": "note://1"}
    keep(shelf, "resources/read", {**params, field: {}})
    assert cache.entries == 0
    keep(shelf, "resources/read", params)
    assert held(shelf, "resources/read", {**params, field: {}}) is None


def test_a_question_is_not_kept(cache: ResponseCache) -> None:
    shelf = cache.shelf(URL)
    keep(shelf, resultType="input_required")
    assert held(shelf) is None


@pytest.mark.parametrize("scope", ["private", None, "Public", "everybody", 1])
def test_a_private_answer_stays_with_its_principal(cache: ResponseCache, scope: object) -> None:
    result = keep(cache.shelf(URL, "alice"), cacheScope=scope)
    assert held(cache.shelf(URL, "alice")) == result
    assert held(cache.shelf(URL, "bob")) is None
    assert held(cache.shelf(URL)) is None


def test_a_public_answer_is_for_everybody_at_the_same_server(cache: ResponseCache) -> None:
    result = keep(cache.shelf(URL, "alice"), cacheScope="public")
    assert held(cache.shelf(URL, "bob")) == result
    assert held(cache.shelf("https://other/mcp", "alice")) is None


def test_the_last_word_about_the_scope_holds(cache: ResponseCache) -> None:
    alice, bob = cache.shelf(URL, "alice"), cache.shelf(URL, "bob")
    keep(alice, text="public", cacheScope="public")
    keep(alice, text="private")
    assert held(bob) is None
    newest = keep(alice, text="public again", cacheScope="public")
    assert held(alice) == held(bob) == newest


def test_an_empty_cache_is_a_cache(cache: ResponseCache) -> None:
    assert cache
    assert cache.entries == 0


def test_nobody_can_change_what_the_next_one_gets(cache: ResponseCache) -> None:
    shelf = cache.shelf(URL)
    result = keep(shelf)
    first = held(shelf)
    assert first is not None
    first["tools"].append("smuggled")
    result["tools"].append("smuggled")
    assert held(shelf) == answer()


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("tools", {"tools/list"}),
        ("prompts", {"prompts/list"}),
        ("resources", {"resources/list", "resources/templates/list"}),
    ],
)
def test_a_changed_list_empties_every_page_of_its_kind(cache: ResponseCache, kind: str, gone: set[str]) -> None:
    alice, bob = cache.shelf(URL, "alice"), cache.shelf(URL, "bob")
    methods = {"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"}
    for method in methods:
        for page in ({}, {"cursor": "2"}):
            keep(alice, method, page)
            keep(bob, method, page, cacheScope="public")
            keep(cache.shelf("https://other/mcp"), method, page)
    bob.forget(kind)
    for method in methods:
        for page in ({}, {"cursor": "2"}):
            assert (held(alice, method, page) is None) == (method in gone)
            assert held(cache.shelf("https://other/mcp"), method, page) is not None


def test_a_kind_without_lists_is_refused(cache: ResponseCache) -> None:
    with pytest.raises(ValueError, match="only of tools, prompts, resources"):
        cache.shelf(URL).forget("roots")


def test_an_updated_resource_is_read_anew(cache: ResponseCache) -> None:
    shelf = cache.shelf(URL)
    uris = ["note://1", "note://1/part", "note://10", "file:///dir/", "file:///dir"]
    for uri in uris:
        keep(shelf, "resources/read", {"uri": uri})
    shelf.forget_resource("note://1")
    shelf.forget_resource("note://100")
    shelf.forget_resource("file:///dir/new.txt")
    assert [uri for uri in uris if held(shelf, "resources/read", {"uri": uri})] == ["note://1/part", "note://10"]


def test_after_a_gap_nothing_that_may_have_changed_is_used(cache: ResponseCache) -> None:
    shelf, methods = cache.shelf(URL), ["tools/list", "prompts/list", "resources/templates/list", "resources/read"]
    for method in [*methods, "server/discover"]:
        keep(shelf, method, {"uri": "note://1"})
    shelf.forget_all()
    assert [held(shelf, method, {"uri": "note://1"}) for method in methods] == [None] * 4
    assert held(shelf, "server/discover", {"uri": "note://1"}) is not None


def test_an_answer_that_was_under_way_when_things_changed_is_not_kept(cache: ResponseCache) -> None:
    shelf = cache.shelf(URL)
    tools, prompts, note = (
        shelf.look("tools/list", {}),
        shelf.look("prompts/list", {}),
        shelf.look("resources/read", {"uri": "note://1"}),
    )
    shelf.forget("tools")
    shelf.forget_resource("note://1")
    for place in (tools, prompts, note):
        place.keep(answer())
    assert held(shelf, "tools/list") is None
    assert held(shelf, "prompts/list") is not None
    assert held(shelf, "resources/read", {"uri": "note://1"}) is None


def test_the_least_recently_used_answer_goes_first(clock: Clock) -> None:
    cache = ResponseCache(most_entries=2, clock=clock)
    shelf = cache.shelf(URL)
    keep(shelf, params={"cursor": "1"})
    keep(shelf, params={"cursor": "2"})
    assert held(shelf, params={"cursor": "1"})
    keep(shelf, params={"cursor": "3"})
    assert [held(shelf, params={"cursor": page}) is not None for page in "123"] == [True, False, True]


def test_answers_together_stay_below_a_number_of_bytes(clock: Clock) -> None:
    cache = ResponseCache(most_bytes=10_000, clock=clock)
    shelf = cache.shelf(URL)
    for page in range(100):
        keep(shelf, params={"cursor": str(page)}, text="x" * 3000)
    assert cache.entries == 3
    keep(shelf, params={"cursor": "99"}, text="x" * 20_000)
    assert held(shelf, params={"cursor": "99"}) is None
    assert held(shelf, params={"cursor": "98"}) is not None
    for _ in range(10):
        keep(shelf, params={"cursor": "98"}, text="x" * 3000)
    assert held(shelf, params={"cursor": "97"}) is not None
