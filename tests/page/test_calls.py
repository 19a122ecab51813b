"""Every tool of the everything server, called by hand in a browser, in both eras."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.stage import in_both_eras

if TYPE_CHECKING:
    from tests.page.conftest import Visit

pytestmark = pytest.mark.slow

PLAIN = {
    "test_simple_text": "This is a simple text response",
    "test_embedded_resource": "test://embedded-resource",
    "test_multiple_content_types": "test://mixed-content-resource",
    "test_tool_with_logging": "Tool processing data",
    "test_tool_with_progress": "Progress was reported three times.",
    "test_reconnection": "taken up again",
    "test_logging_tool": "A message at level emergency",
    "test_input_required_result_list_roots": "Roots: none",
    "test_structured_list": "0: 0",
    "test_resource_link": "static-text",
    "test_client_view": "url_elicitation",
}


@in_both_eras
def test_tools_without_arguments_show_what_they_answer(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        for name, expected in PLAIN.items():
            assert expected in person.call(name), name


@in_both_eras
def test_pictures_and_sounds_are_there_to_see_and_hear(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        assert "16 \u00d7 16" in person.call("test_image_content")
        assert person.out.locator("img").evaluate("image => image.naturalWidth") == 16
        person.call("test_audio_content")
        expect(person.out.locator("audio")).to_have_js_property("error", None)


@in_both_eras
def test_arguments_are_sent_as_the_schema_has_them(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        assert "Hello, Zoë 東京!" in person.call("greet", name="Zoë 東京")
        assert "region=eu-1, priority=7" in person.call("test_header_mirroring", region="eu-1", priority="7")
        person.choose("tool", "json_schema_2020_12_tool")
        person.fill_in("phone", "0123")
        person.field("contactMethod").locator("select").select_option(label="phone")
        person.field("address").get_by_text("fill in").click()
        person.fill_in("city", "Paris")
        person.press("Call")
        assert "A contact with address, contactMethod, phone." in person.outcome()
        calls = [message["params"] for message in person.sent() if message.get("method") == "tools/call"]
        assert calls[-1]["arguments"] == {"address": {"city": "Paris"}, "contactMethod": "phone", "phone": "0123"}
        assert calls[1]["arguments"] == {"region": "eu-1", "priority": 7}


@in_both_eras
def test_a_tool_that_fails_and_a_call_that_is_refused_are_told_apart(
    look: Visit, everything: str, revision: str
) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.start("test_error_handling")
        assert "intentionally returns an error" in person.outcome("the tool failed")
        person.start("protocol_error_job")
        assert "-32603" in person.outcome("refused")


@in_both_eras
def test_progress_is_shown_while_it_rises_and_a_call_can_be_given_up(
    look: Visit, everything: str, revision: str
) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.start("test_cancellation", seconds="60")
        bar = person.out.locator("progress")
        expect(bar).to_have_attribute("max", "600")
        expect(person.out).to_contain_text(re.compile(r"[1-9]\d* of 600"))
        person.press("Cancel")
        assert "Given up by hand." in person.outcome("cancelled")
        assert "simple text" in person.call("test_simple_text")
        cancelled = [message for message in person.sent() if message.get("method") == "notifications/cancelled"]
        assert len(cancelled) == (0 if revision >= "2026" else 1)


def test_a_task_is_followed_and_can_be_cancelled(look: Visit, everything: str) -> None:
    with look(everything) as person:
        person.wait_open()
        assert "took 1 seconds" in person.call("slow_compute")
        person.start("slow_compute", seconds="500")
        expect(person.out).to_contain_text("task")
        expect(person.out).to_contain_text("working")
        person.press("Cancel")
        assert "cancelled" in person.outcome("cancelled")
        person.start("failing_job")
        assert "intentionally fails" in person.outcome("the tool failed")
        assert [message["method"] for message in person.sent()].count("tasks/cancel") == 1


def test_what_was_called_before_can_be_shown_and_filled_in_again(look: Visit, everything: str) -> None:
    with look(everything) as person:
        person.wait_open()
        person.call("greet", name="Ada")
        assert "Hello, Bob!" in person.call("greet", name="Bob")
        person.page.get_by_text("Earlier calls").click()
        person.page.locator(".before button").click()
        expect(person.out).to_contain_text("Hello, Ada!")
        expect(person.field("name").locator("input")).to_have_value("Ada")


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-03-26", "2024-11-05"])
def test_older_revisions_are_spoken_too(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        assert "Hello, Ada!" in person.call("greet", name="Ada")
        assert "static-text" in person.call("test_resource_link")
