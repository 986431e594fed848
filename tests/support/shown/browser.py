"""A browser that pages are shown in: Debian's Chromium, driven by Playwright.

A plugin, named in `pytest_plugins` by the tests that want it. Where either is absent these tests
skip and say why; with `--none-skipped` they fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.shown.extras import needed

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@dataclass(frozen=True)
class Shown:
    """A page in the browser, and what came of showing it."""

    page: Any
    address: str
    console: list[str]
    requests: list[str]

    @property
    def width(self) -> int:
        """How wide the page is, with what would have to be scrolled to."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser, started once."""
    playwright = needed("playwright.sync_api", "browser")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    """Shows a page that lies in a file, as a person would open it."""
    contexts = []

    def shown(html: str, width: int = 1200, scheme: str = "light") -> Shown:
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        found = Shown(page, file.as_uri(), [], [])
        page.on("console", lambda message: found.console.append(message.text))
        page.on("pageerror", lambda error: found.console.append(str(error)))
        page.on("request", lambda request: found.requests.append(request.url))
        page.goto(found.address)
        return found

    yield shown
    for context in contexts:
        context.close()
