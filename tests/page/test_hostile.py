"""A server that means harm: what it sends is shown as the text it is, and the page stays usable."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.page.browsing import Person
    from tests.page.conftest import Visit

pytestmark = pytest.mark.slow

PAYLOAD = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"

SPELLED = "\u2039u+202e\u203a\u2039u+2066\u203a"  # what turns the direction of a text, spelled out
HARM = "#work img[src=x], #work script, iframe, [onerror], a[href^=javascript]"


@pytest.fixture(scope="module")
def hostile(serve_program: Callable[[str], str]) -> str:
    return serve_program("hostile.py")


@pytest.fixture
def victim(look: Visit, hostile: str) -> Iterator[Person]:
    """Somebody on the hostile server's page; at the end nothing of it has run, and nothing was fetched elsewhere."""
    with look(hostile, contrary=True) as person:
        asked: list[str] = []
        person.page.on("request", lambda request: asked.append(request.url))
        person.wait_open()
        expect(person.page.locator("[data-key='tool links']")).to_be_visible()
        yield person
        assert "pwned" not in person.page.title().replace(PAYLOAD, "")
        assert person.page.locator(HARM).count() == 0
        own = person.page.url.partition("#")[0]
        assert [url for url in asked if not url.startswith((own, "data:", "blob:"))] == []


def test_markup_in_names_and_descriptions_is_text(victim: Person) -> None:
    expect(victim.page.locator("#state")).to_contain_text(PAYLOAD)
    expect(victim.page.locator("#work")).to_contain_text("click (javascript:")
    expect(victim.page.locator("#work")).to_contain_text(f"{SPELLED}reversed")
    for kind in ("tool", "resource", "template", "prompt"):
        victim.page.locator(f'[data-key^="{kind} "]').first.click()
        expect(victim.page.locator("#work h2")).to_contain_text(PAYLOAD if kind != "resource" else "<img")


@pytest.mark.parametrize("tool", ["links", "kinds", "deep", "wide", "nonsense", "broken", "spiral", "form"])
def test_a_result_of_whatever_kind_is_shown_and_does_no_harm(victim: Person, tool: str) -> None:
    victim.choose("tool", tool)
    victim.page.get_by_role("tab", name="JSON").first.click()
    victim.press("Call")
    victim.outcome("(done|the tool failed)")
    for tab in victim.out.locator(".result > .tabs button").all():
        tab.click()
    victim.press("Call")
    victim.outcome("(done|the tool failed)")


def test_a_form_of_any_schema_can_be_filled_in(victim: Person) -> None:
    victim.choose("tool", "form")
    expect(victim.page.locator("#work .fields > .field")).to_have_count(6)
    victim.page.locator("#work .field input").first.fill("x")
    victim.choose("tool", "spiral")
    expect(victim.page.locator("#work .fields")).to_be_visible()


def test_a_result_of_megabytes_is_shown_in_parts(victim: Person) -> None:
    victim.start("long")
    victim.outcome()
    expect(victim.out.locator("pre")).to_have_text(re.compile(r"^.{50000}$"))
    victim.out.get_by_text("characters more").click()
    expect(victim.out.locator("pre")).to_have_text(re.compile(r"^.{100000}$"))


@pytest.mark.parametrize("tool", ["flood", "notices"])
def test_a_stream_that_never_ends_leaves_the_page_usable_and_can_be_given_up(victim: Person, tool: str) -> None:
    victim.start(tool)
    expect(victim.page.locator("#wire-bar")).to_contain_text("forgotten")
    victim.page.locator("#filter").fill("links")
    expect(victim.page.locator("[data-key^='tool ']")).to_have_count(1)
    assert victim.page.locator("#log .entry").count() <= 300
    assert victim.page.locator(".logs li").count() <= 200
    victim.press("Cancel")
    victim.outcome("cancelled")


def test_a_question_that_tricks_is_shown_as_it_is(victim: Person) -> None:
    victim.start("visit")
    expect(victim.asked()).to_contain_text("javascript:")
    assert victim.dialog.locator("a").count() == 0
    victim.press("Decline")
    victim.outcome()
    victim.start("ask")
    expect(victim.asked()).to_contain_text(SPELLED)
    victim.press("Decline")
    victim.outcome()


def test_lists_without_an_end_are_cut(victim: Person) -> None:
    expect(victim.wire("tools/list").last).to_be_attached()
    assert victim.page.locator("[data-key^='resource ']").count() < 10
