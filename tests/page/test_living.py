"""What changes while one looks: lists, resources, connections; several servers; tokens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.stage import in_both_eras

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.page.browsing import Person
    from tests.page.conftest import Visit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def several(serve_program: Callable[[str], str]) -> str:
    return serve_program("several.py")


def wait_heard(person: Person) -> None:
    """Wait until changes are heard."""
    expect(person.page.locator("#work")).to_contain_text("heard live")


@in_both_eras
def test_a_list_that_changes_is_shown_as_it_is(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        wait_heard(person)
        extra = person.page.locator("[data-key='tool test_extra_tool']")
        person.call("test_trigger_tool_change")
        expect(extra).to_be_visible()
        person.press("Call")
        expect(extra).to_have_count(0)


@in_both_eras
def test_a_resource_that_changes_is_read_again(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person, look(everything) as other:
        for each in (person, other):
            each.connect(revision)
            each.wait_open(revision)
        wait_heard(person)
        person.choose("resource", "test://watched-resource")
        person.outcome()
        before = re.search(r"Changed (\d+) times", person.out.inner_text())
        assert before is not None
        person.press("Subscribe")
        expect(person.page.locator(".subscription")).to_contain_text("live")
        if revision >= "2026":  # a new stream takes the place of the old one when it is acknowledged
            person.page.get_by_label("Filter the wire").fill("resourceSubscriptions")
            expect(person.wire("notifications/subscriptions/acknowledged", "notification")).to_have_count(1)
        other.call("test_trigger_resource_change")
        expect(person.out).to_contain_text(f"Changed {int(before[1]) + 1} times")
        expect(person.page.locator(".subscription")).to_contain_text("changed 1 time")
        person.press("Unsubscribe")
        expect(person.page.get_by_role("button", name="Subscribe", exact=True)).to_be_visible()


@in_both_eras
def test_variables_and_arguments_are_completed(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.choose("template", "test://template/{id}/data")
        person.field("id").locator("input").press_sequentially("1")
        expect(person.field("id").locator("option")).to_have_count(3)
        person.fill_in("id", "a b/c")
        person.press("Read")
        assert "a%20b%2Fc" in person.page.locator("#work").inner_text()
        person.choose("prompt", "test_prompt_with_arguments")
        person.fill_in("arg1", "Italy")
        person.field("arg2").locator("input").press_sequentially("R")
        expect(person.field("arg2").locator("option")).to_have_count(1)
        person.fill_in("arg2", "Rome")
        person.press("Get")
        assert "arg1='Italy', arg2='Rome'" in person.outcome()


@in_both_eras
def test_a_link_to_a_resource_leads_to_it(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.call("test_resource_link")
        person.out.get_by_role("button", name="static-text").click()
        expect(person.out).to_contain_text("This is the content of the static text resource.")
        person.page.go_back()
        expect(person.out).to_contain_text("The text stands in a resource:")


def test_each_of_several_servers_has_its_own_lists_and_its_own_wire(look: Visit, several: str) -> None:
    with look(several) as person:
        person.wait_open()
        assert "This is first." in person.call("ask_first")
        person.page.locator("[data-key='server second']").click()
        person.wait_open()
        expect(person.page.locator("[data-key='tool ask_first']")).to_have_count(0)
        expect(person.wire("tools/call")).to_have_count(0)
        assert "This is second." in person.call("ask_second")
        person.page.locator("[data-key='server first']").click()
        expect(person.wire("tools/call")).to_have_count(1)
        person.choose("tool", "ask_first")
        expect(person.out).to_contain_text("This is first.")


def test_a_token_opens_what_is_guarded_and_is_kept_nowhere(look: Visit, several: str) -> None:
    with look(several) as person:
        person.page.locator("[data-key='server guarded']").click()
        expect(person.page.locator("#work [role=alert]")).to_contain_text("wants a token")
        person.complaints.clear()  # the browser says in its log that a request was answered with 401
        person.page.locator("#token").fill("open-sesame")
        person.press("Connect")
        person.wait_open()
        assert "This is guarded." in person.call("ask_guarded")
        person.wire("tools/call").last.locator("summary").first.click()
        person.page.locator("#log").get_by_text("HTTP headers").last.click()
        expect(person.page.locator("#log")).to_contain_text("Bearer …")
        kept = "JSON.stringify([location.href, {...localStorage}, {...sessionStorage}, document.cookie])"
        assert "open-sesame" not in person.page.evaluate(kept)
        assert "open-sesame" not in person.page.locator("html").inner_html()
        person.page.reload()
        expect(person.page.locator("#state")).not_to_contain_text("2026")
        person.complaints.clear()


def test_the_wire_is_kept_as_a_file_and_can_be_narrowed_and_cleared(look: Visit, everything: str) -> None:
    with look(everything) as person:
        person.wait_open()
        person.call("greet", name="Ada")
        with person.page.expect_download() as started:
            person.page.locator("#wire-bar").get_by_role("button", name="save").click()
        saved = started.value.path().read_text()
        assert '"Hello, Ada!"' in saved
        person.page.get_by_label("Filter the wire").fill("greet")
        expect(person.page.locator("#log .entry:visible")).to_have_count(2)  # the list of tools, and the call
        person.page.get_by_label("Filter the wire").fill("")
        person.page.locator("#wire-bar").get_by_role("button", name="clear").click()
        expect(person.page.locator("#log .entry")).to_have_count(0)


def test_a_server_that_is_gone_is_said_to_be_gone(look: Visit, everything: str) -> None:
    with look(everything) as person:
        person.wait_open()
        person.page.route("**/mcp", lambda route: route.abort())
        person.start("test_simple_text")
        assert "fetch" in person.outcome("refused")
        person.connect()
        expect(person.page.locator("#work [role=alert]")).to_contain_text("No connection.")
        person.page.unroute("**/mcp")
        person.press("Connect")
        person.wait_open()
        person.complaints.clear()  # the browser's own, of the requests that were stopped
