"""What a server asks of a person: forms, pages to visit, a model's answer; in both eras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.stage import in_both_eras

if TYPE_CHECKING:
    from tests.page.conftest import Visit

pytestmark = pytest.mark.slow


@in_both_eras
def test_a_form_is_filled_in_and_checked_before_it_is_sent(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.start("test_elicitation", message="Who are you?")
        asked = person.asked()
        expect(asked).to_contain_text("Everything asks")
        expect(asked).to_contain_text("Who are you?")
        person.fill_in("username", "ada")
        person.press("Send")
        expect(person.field("email").locator(".misfit")).to_have_text("This is needed.")
        person.fill_in("email", "a@b.example")
        person.press("Send")
        assert "action=accept, content={'username': 'ada', 'email': 'a@b.example'}" in person.outcome()


@in_both_eras
@pytest.mark.parametrize(("how", "action"), [("Decline", "decline"), ("Cancel", "cancel"), ("Escape", "cancel")])
def test_a_question_can_be_declined_or_dismissed(
    look: Visit, everything: str, revision: str, how: str, action: str
) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.start("test_elicitation", message="Who?")
        person.asked()
        person.page.keyboard.press("Escape") if how == "Escape" else person.press(how)
        assert f"action={action}" in person.outcome()


@in_both_eras
def test_choices_and_defaults_are_offered_as_the_form_has_them(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.start("test_elicitation_sep1034_defaults")
        person.asked()
        expect(person.field("age").locator("input")).to_have_value("30")
        person.fill_in("score", "96")  # the published schemas of the answer know no fractions
        person.press("Send")
        assert "'score': 96, 'status': 'active', 'verified': True" in person.outcome()
        person.start("test_elicitation_sep1330_enums")
        person.asked()
        person.field("titledSingle").locator("select").select_option(label="Second Option")
        person.field("legacyEnum").locator("select").select_option(label="Option Three")
        person.field("titledMulti").get_by_label("First Choice").check()
        person.field("titledMulti").get_by_label("Third Choice").check()
        person.press("Send")
        said = person.outcome()
        assert "'titledSingle': 'value2'" in said
        assert "'legacyEnum': 'opt3'" in said
        assert "'titledMulti': ['value1', 'value3']" in said


@in_both_eras
def test_a_page_is_opened_only_by_a_click_and_shown_whole_before(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        opened: list[str] = []
        person.page.context.route(
            "https://example.com/**", lambda route: (opened.append(route.request.url), route.abort())
        )
        person.start("test_url_elicitation")
        asked = person.asked()
        expect(asked.locator(".address")).to_have_text("https://example.com/authorize?state=test")
        expect(asked).to_contain_text("It belongs to example.com")
        assert opened == []
        with person.page.context.expect_page():
            person.press("Open it and go on")
        assert "action=accept" in person.outcome()
        assert opened == ["https://example.com/authorize?state=test"]
        person.start("test_url_elicitation")
        person.asked()
        person.press("Decline")
        assert "action=decline" in person.outcome()


@in_both_eras
def test_a_model_is_played_by_hand(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.start("test_sampling", prompt="What is the capital?")
        expect(person.asked()).to_contain_text("What is the capital?")
        person.page.locator("#sampled").fill("Paris, I think.")
        person.press("Send")
        assert "LLM response: Paris, I think." in person.outcome()
        person.start("test_sampling", prompt="And again?")
        person.asked()
        person.press("Refuse")
        expect(person.status).to_contain_text(" in ")
        expect(person.out).to_contain_text("refused")


@in_both_eras
def test_a_model_played_by_hand_can_call_tools(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.start("test_sampling_with_tools", question="What is a word?")
        person.asked()
        person.press("call look_up")
        person.press("Send")
        assert "called look_up." in person.outcome()


@in_both_eras
def test_questions_that_come_together_are_asked_one_by_one(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.start("test_input_required_result_multiple_inputs")
        person.asked()
        person.fill_in("name", "Ada")
        person.press("Send")
        expect(person.page.locator("#sampled")).to_be_visible()
        person.page.locator("#sampled").fill("Good day")
        person.press("Send")
        assert "Ada: Good day (0 roots)" in person.outcome()


def test_a_state_comes_back_as_it_was_and_each_round_has_an_id_of_its_own(look: Visit, everything: str) -> None:
    with look(everything) as person:
        person.wait_open()
        person.start("test_input_required_result_multi_round")
        for name, value in (("name", "Ada"), ("color", "red")):
            expect(person.dialog.get_by_role("textbox", name=name)).to_be_visible()
            person.fill_in(name, value)
            person.press("Send")
        assert "Ada likes red." in person.outcome()
        rounds = [message for message in person.sent() if message.get("method") == "tools/call"]
        assert len({message["id"] for message in rounds}) == len(rounds) == 3
        assert "requestState" not in rounds[0]["params"]
        assert set(rounds[2]["params"]["inputResponses"]) == {"step2"}


def test_a_task_asks_too(look: Visit, everything: str) -> None:
    with look(everything) as person:
        person.wait_open()
        person.start("multi_input")
        person.asked()
        person.fill_in("name", "Ada")
        person.press("Send")
        confirm = person.dialog.locator("input[type=checkbox]")  # of the second question, once it is there
        expect(confirm).to_be_visible()
        confirm.check()
        person.press("Send")
        assert "Ada said yes." in person.outcome()


@in_both_eras
def test_a_call_that_is_given_up_takes_its_question_along(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.connect(revision)
        person.wait_open(revision)
        person.start("test_elicitation", message="Who?")
        person.asked()
        person.page.evaluate("document.querySelector('#work .actions button:not(.primary)').click()")
        expect(person.dialog).to_be_hidden()
        person.outcome("cancelled")
        assert "simple text" in person.call("test_simple_text")


@in_both_eras
def test_what_is_not_offered_is_not_asked(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.wait_open()
        for name in ("form", "url", "sampling", "roots", "tasks"):
            person.page.locator(f'[data-offer="{name}"]').uncheck()
        person.connect(revision)
        person.wait_open(revision)
        assert "Asked: nothing" in person.call("test_input_required_result_capabilities")


@in_both_eras
def test_roots_are_those_of_the_terms(look: Visit, everything: str, revision: str) -> None:
    with look(everything) as person:
        person.wait_open()
        person.page.locator("#roots").fill("file:///srv/one  One\nfile:///srv/two")
        person.connect(revision)
        person.wait_open(revision)
        assert "Roots: file:///srv/one, file:///srv/two" in person.call("test_input_required_result_list_roots")
