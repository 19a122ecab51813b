"""The keyboard alone, a phone, the dark: whoever looks at the page can use all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.page.browsing import Person
    from tests.page.conftest import Visit

pytestmark = pytest.mark.slow

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}


def overflow(person: Person) -> int:
    """By how many pixels the page is wider than its window."""
    return person.page.evaluate("document.documentElement.scrollWidth - innerWidth")


def contrast(person: Person, selector: str) -> float:
    """The contrast of a text to the ground behind it (WCAG 2.2, 1.4.3)."""
    return person.page.locator(selector).first.evaluate(
        """(element) => {
            const read = (color) => {
                const paint = new OffscreenCanvas(1, 1).getContext("2d");
                paint.fillStyle = color;
                paint.fillRect(0, 0, 1, 1);
                const linear = (each) => (each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
                const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].map((each) => linear(each / 255));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            let ground = element;
            while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
            const one = read(getComputedStyle(element).color);
            const other = read(getComputedStyle(ground).backgroundColor);
            return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        }"""
    )


def test_a_tool_is_found_called_and_answered_by_the_keyboard_alone(look: Visit, everything: str) -> None:
    with look(everything) as person:
        person.wait_open()
        keys = person.page.keyboard
        expect(person.page.locator("[data-key='tool greet']")).to_be_visible()
        keys.press("/")
        keys.type("test_elicitation")
        keys.press("ArrowDown")
        expect(person.page.locator("#catalog button:focus")).to_have_attribute(
            "data-key", "server mcp-server-everything"
        )
        keys.press("ArrowDown")
        expect(person.page.locator("#catalog button:focus")).to_have_attribute("data-key", "tool test_elicitation")
        keys.press("Enter")
        expect(person.field("message").locator("textarea")).to_be_focused()
        keys.type("Who?")
        keys.press("Control+Enter")
        person.asked()
        expect(person.field("username").locator("input")).to_be_focused()
        keys.type("ada")
        keys.press("Tab")
        keys.type("a@b.example")
        keys.press("Control+Enter")
        assert "'username': 'ada'" in person.outcome()
        keys.press("Shift+Tab")
        assert person.page.evaluate("document.activeElement !== document.body")


def test_keys_show_the_help_hide_the_wire_and_cancel(look: Visit, everything: str) -> None:
    with look(everything) as person:
        person.wait_open()
        keys = person.page.keyboard
        keys.press("?")
        expect(person.page.locator("#help")).to_contain_text("Ctrl+Enter")
        keys.press("Escape")
        expect(person.page.locator("#help")).to_be_hidden()
        keys.press("w")
        expect(person.page.locator("#wire")).to_be_hidden()
        keys.press("w")
        expect(person.page.locator("#wire")).to_be_visible()
        person.start("test_cancellation", seconds="50")
        expect(person.out.locator("progress")).to_be_visible()
        keys.press("Control+.")
        person.outcome("cancelled")


def test_every_control_has_a_name(look: Visit, shop: str) -> None:
    with look(shop) as person:
        person.wait_open()
        person.choose("tool", "query")
        nameless = person.page.evaluate(
            """[...document.querySelectorAll("button, input, select, textarea, a, summary")]
                .filter((each) => each.checkVisibility() && !each.matches(".unseen"))
                .filter((each) => !each.textContent.trim() && !each.ariaLabel && !each.labels?.length && !each.title)
                .map((each) => each.outerHTML)"""
        )
        assert nameless == []


def test_a_phone_shows_one_thing_at_a_time_and_nothing_wider_than_itself(look: Visit, shop: str) -> None:
    with look(shop, **PHONE) as person:
        person.wait_open()
        expect(person.page.locator("#list")).to_be_visible()
        expect(person.page.locator("#work")).to_be_hidden()
        assert overflow(person) == 0
        person.page.locator("[data-key='tool query']").tap()
        expect(person.page.locator("#list")).to_be_hidden()
        person.fill_in("sql", "SELECT * FROM customers")
        person.press("Call")
        person.outcome()
        expect(person.out.locator("table")).to_be_visible()
        assert overflow(person) == 0
        person.page.locator("#views [data-view=wire]").tap()
        expect(person.wire("tools/call")).to_be_visible()
        person.wire("tools/call").locator("summary").first.tap()
        assert overflow(person) == 0
        heights = person.page.evaluate(
            "[...document.querySelectorAll('#views button, #log summary')].filter((each) => each.checkVisibility() "
            "&& each.matches('#views button, .entry > summary')).map((each) => each.getBoundingClientRect().height)"
        )
        assert min(heights) >= 30


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_the_light_and_in_the_dark(look: Visit, shop: str, scheme: str) -> None:
    with look(shop, color_scheme=scheme) as person:
        person.wait_open()
        person.call("query", sql="SELECT id, name, NULL AS none FROM customers LIMIT 3")
        for selector in (
            "#work h2",
            ".hint",
            ".type",
            "#catalog h2",
            "td",
            "td.null",
            ".badge",
            ".needed",
            ".status .good",
        ):
            assert contrast(person, selector) >= 4.5, selector
        for selector in (".primary", "#work .tabs button", "#log .took", "#log .method"):
            assert contrast(person, selector) >= 4.5, selector
        person.page.keyboard.press("Escape")
        person.page.locator("#toggle-theme").click()
        other = person.page.evaluate("getComputedStyle(document.documentElement).colorScheme")
        assert other == ("dark" if scheme == "light" else "light")
