"""Results as they read best: tables, differences, markdown, data; and forms for every kind of schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.servers.git.forge import Forge

from .browsing import page_of
from .conftest import GIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.page.conftest import Visit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def paper(serve_program: Callable[[str], str]) -> str:
    return serve_program("paper.py")


def test_rows_of_a_database_are_a_table_that_can_be_sorted(look: Visit, shop: str) -> None:
    with look(shop) as person:
        person.wait_open()
        person.call("query", sql="SELECT id, name, email FROM customers LIMIT 40")
        table = person.out.locator("table")
        expect(table.locator("tbody tr")).to_have_count(40)
        expect(table.locator("thead th")).to_have_text([re.compile("^id"), re.compile("^name"), re.compile("^email")])
        first = table.locator("tbody tr").first.locator("td").first
        expect(first).to_have_text("1")
        table.get_by_role("button", name="id").click()
        table.get_by_role("button", name="id").click()
        expect(first).to_have_text("40")
        expect(person.out).to_contain_text("row_count")
        person.out.get_by_role("tab", name="JSON").click()
        expect(person.out.locator(".json")).to_contain_text("structuredContent")


def test_lists_of_objects_are_tables_too_and_long_ones_are_shown_in_parts(look: Visit, paper: str) -> None:
    with look(paper) as person:
        person.wait_open()
        person.call("rows", count="900")
        rows = person.out.locator("tbody tr")
        expect(rows).to_have_count(200)
        person.out.get_by_text("more").click()
        expect(rows).to_have_count(900)
        expect(person.out.locator("td.null").first).to_have_text("null")


def test_differences_of_a_repository_are_shown_line_by_line(look: Visit, tmp_path: Path) -> None:
    repo = Forge(tmp_path / "forge").make()
    repo.commit("first", a_txt="one\ntwo\nthree\n")
    (repo.path / "a.txt").write_text("one\n2 <b>\nthree\n")
    with page_of([GIT, "--repository", str(repo.path)]) as url, look(url) as person:
        person.wait_open()
        person.call("git_diff_unstaged")
        shown = person.out.locator(".diff")
        expect(shown.locator(".removed code")).to_have_text("-two")
        expect(shown.locator(".added code")).to_have_text("+2 <b>")
        expect(shown.locator(".added .line").nth(1)).to_have_text("2")


def test_markdown_becomes_nodes_and_nothing_of_it_runs_or_is_fetched(look: Visit, paper: str) -> None:
    with look(paper) as person:
        person.wait_open()
        person.call("markdown")
        shown = person.out.locator(".markdown")
        expect(shown.locator("h3")).to_have_text("A title")
        expect(shown.locator("strong")).to_have_text("weight")
        expect(shown.locator("pre code")).to_have_text("SELECT <1>;")
        expect(shown.locator("table td").first).to_have_text("one")
        expect(shown.locator("li li")).to_have_text("inner")
        expect(shown.get_by_role("link", name="a link")).to_have_attribute("href", "https://example.com/page")
        expect(shown.get_by_role("link", name="a link")).to_have_attribute("rel", re.compile("noopener"))
        expect(shown.locator(".refused")).to_contain_text("javascript:alert(1)")
        expect(shown).to_contain_text("<script>")
        assert shown.locator("script, img, [href^=javascript]").count() == 0


def test_what_others_wrote_is_marked(look: Visit, paper: str) -> None:
    with look(paper) as person:
        person.wait_open()
        person.call("untrusted")
        expect(person.out.locator(".untrusted .badge")).to_have_text("untrusted: mail from mallory")


def test_a_resource_is_read_when_it_is_opened(look: Visit, paper: str) -> None:
    with look(paper) as person:
        person.wait_open()
        person.choose("resource", "paper://readme")
        expect(person.out.locator(".markdown h3")).to_have_text("A title")


def test_a_form_takes_nested_values_of_every_kind(look: Visit, paper: str) -> None:
    with look(paper) as person:
        person.wait_open()
        person.choose("tool", "plan")
        person.press("Call")
        expect(person.field("by").locator(".misfit")).to_have_text("This is needed.")
        person.field("who").get_by_text("add an item").click()
        person.fill_in("1", "Ada")
        stops = person.field("stops")
        stops.get_by_text("add an item").click()
        stops.locator(".field:has(> .field-head > .name:text-is('city')) input").fill("Rome")
        stops.locator(".field:has(> .field-head > .name:text-is('nights')) input").fill("31")
        person.field("by").locator("select").select_option(label="train")
        person.field("either").locator("select").first.select_option(label="string")
        person.field("either").locator("input[type=text]").fill("7")
        person.field("sure").locator("select").select_option(label="no")
        person.press("Call")
        expect(stops.locator(".misfit:visible")).to_contain_text("1–30")  # noqa: RUF001  # as it is shown
        stops.locator(".field:has(> .field-head > .name:text-is('nights')) input").fill("3")
        person.press("Call")
        assert "(['Ada'], [Stop(city='Rome', nights=3)], 'train', None, '7', False)" in person.outcome()


def test_the_form_and_its_json_are_one_value(look: Visit, paper: str) -> None:
    with look(paper) as person:
        person.wait_open()
        person.choose("tool", "plan")
        tabs = person.page.get_by_role("tablist", name="Arguments")
        tabs.get_by_role("tab", name="JSON").click()
        text = person.page.get_by_label("Arguments as JSON")
        text.fill('{"who": ["a", "b"], "stops": [{"city": "Oslo"}], "by": "bike", "tags": {"x": 1}')
        tabs.get_by_role("tab", name="Form").click()
        expect(tabs.get_by_role("tab", name="JSON")).to_have_attribute("aria-selected", "true")
        text.press("Control+End")
        text.type("}")
        tabs.get_by_role("tab", name="Form").click()
        expect(person.field("city").locator("input")).to_have_value("Oslo")
        person.press("Call")
        assert "(['a', 'b'], [Stop(city='Oslo', nights=1)], 'bike', {'x': 1}, None, None)" in person.outcome()
        tabs.get_by_role("tab", name="JSON").click()
        text.fill('{"who": 1}')
        person.press("Call")
        assert "who" in person.outcome("the tool failed")  # JSON sends what the fields refuse
