"""A person at a browser: the real Chromium of the system, the page, and a judge between it and the server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect, sync_playwright
from tests.interop.tap import Tap
from tests.served import serve
from tests.transports.guests import HttpJudge

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE: Final = 20_000
"""Milliseconds after which a test gives up waiting."""

expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Generator[Browser]:
    """A headless Chromium with a profile of its own, gone at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """Somebody who looks at the page; every message of the page and the server is judged when they leave.

    `complaints` are what the browser said is wrong: errors of scripts, and what the content security policy stopped.
    """

    def __init__(self, page: Page, tap: Tap) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._tap = tap
        page.set_default_timeout(PATIENCE)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    # --- what one does ---

    def choose(self, kind: str, name: str) -> None:
        """Open an item of the list, and wait until its pane is there."""
        self.page.locator(f'[data-key="{kind} {name}"]').click()
        expect(self.page.locator(f'[data-key="{kind} {name}"]')).to_have_attribute("aria-current", "page")

    def fill_in(self, name: str, value: str) -> None:
        """Fill in the field of that name: of the dialog, where one is open."""
        self.field(name).locator("input:not([type=checkbox]), textarea").first.fill(value)

    def field(self, name: str) -> Locator:
        """The field of that name, with all that belongs to it."""
        named = self.page.locator(".field", has=self.page.locator(f".name:text-is('{name}')"))
        return (
            self.dialog.locator(named) if self.dialog.is_visible() else self.page.locator("#work").locator(named)
        ).last

    def press(self, text: str) -> None:
        """Click the button of that text, in the dialog or in the pane."""
        self._place.locator(f"button:text-is('{text}'), a:text-is('{text}')").first.click()

    def call(self, tool: str, /, **arguments: str) -> str:
        """Call a tool; returns what its result shows."""
        self.start(tool, **arguments)
        return self.outcome()

    def start(self, tool: str, /, **arguments: str) -> None:
        """Call a tool, and do not wait for its result."""
        self.choose("tool", tool)
        for argument, value in arguments.items():
            self.fill_in(argument, value)
        self.press("Call")

    def outcome(self, word: str = "done") -> str:
        """Wait for the end of the call that is shown; returns what its result shows."""
        expect(self.status).to_contain_text(re.compile(rf"{word} in "))
        return self.out.inner_text()

    def connect(self, revision: str | None = None, token: str | None = None) -> None:
        """Connect on other terms."""
        self.page.locator("#state").click()
        if revision is not None:
            self.page.locator(".terms select").first.select_option(revision)
        if token is not None:
            self.page.locator("#token").fill(token)
        self.press("Connect")

    def wait_open(self, revision: str = "20") -> None:
        """Wait until the connection is open, in this revision."""
        expect(self.page.locator("#state")).to_contain_text(revision)
        expect(self.page.locator("#state .dot")).to_have_class("dot open")

    # --- what one sees ---

    @property
    def _place(self) -> Locator:
        """Where one's hands are: in the dialog while one is open, else in the pane."""
        return self.dialog if self.dialog.is_visible() else self.page.locator("#work")

    @property
    def dialog(self) -> Locator:
        return self.page.locator("#dialog")

    @property
    def status(self) -> Locator:
        return self.page.locator("#work .run .status")

    @property
    def out(self) -> Locator:
        return self.page.locator("#work .out")

    def asked(self) -> Locator:
        """Wait for a question."""
        expect(self.dialog).to_be_visible()
        return self.dialog

    def wire(self, method: str, kind: str = "request") -> Locator:
        """The rows of the wire with messages of a method."""
        return self.page.locator(f'#log .entry[data-method="{method}"][data-kind="{kind}"]')

    # --- the judge ---

    def sent(self, *, contrary: bool = False) -> list[dict[str, Any]]:
        """Judge everything that passed, of each server apart; returns the messages of the page.

        A page that is loaded again, or has got a token, begins anew. Of a `contrary` server all is allowed.
        """
        judges: dict[str, HttpJudge] = {}
        asked: list[dict[str, Any]] = []
        for path, sender, data in self._tap.carried:
            message = cast("dict[str, Any]", json.loads(data)) if sender == "client" else {}
            if path not in judges or message.get("method") in ("server/discover", "initialize"):
                judges[path] = HttpJudge(contrary=contrary)
            judges[path].observe(sender, data, malformed=False)
            judges[path].rule()
            asked += [message] if sender == "client" else []
        return asked


@contextmanager
def visit(browser: Browser, url: str, *, contrary: bool = False, **options: Any) -> Generator[Person]:
    """Open the page of a server; `options` are those of a browser's window."""
    options = {"viewport": {"width": 1280, "height": 800}, **options}
    with Tap(urlsplit(url).port or 80) as tap:
        context = browser.new_context(**options)
        try:
            person = Person(context.new_page(), tap)
            person.page.goto(f"http://127.0.0.1:{tap.port}/")
            yield person
            assert not person.complaints, person.complaints
            person.sent(contrary=contrary)
        finally:
            context.close()


@contextmanager
def page_of(command: Sequence[str]) -> Generator[str]:
    """Start a server with its page; gives the URL of its endpoint."""
    with serve([*command, "--console"]) as url:
        yield url
