"""The sheet as HTML in a real browser: on a phone, on a desk, in the dark and on paper."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from milp_planner import decision_sheet, load_problem
from milp_planner.reporting.html.page import sheet_page
from tests.support.shown.extras import needed
from tests.support.shown.sample_sheets import TODAY, full, renamed, thirteen, without_plan

pytest_plugins = ["tests.support.shown.browser"]

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"

PHONE, DESK = 360, 1200
"""Widths of a screen, in CSS pixels."""

LONG = "a-provider-whose-name-goes-on-and-on-without-any-place-to-break-it-" * 3
PAGES = {
    "solved": thirteen,
    "full": full,
    "many": lambda: full(workloads=5, purchases=12),
    "no plan": without_plan,
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_shows_without_a_word_on_the_console_a_request_or_sideways_scroll(
    show, name, width, scheme
):
    shown = show(sheet_page(PAGES[name]()), width, scheme)
    assert shown.console == []
    assert shown.requests == [shown.address]
    assert shown.width == width


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("sheet", [full, without_plan])
def test_long_names_are_broken_and_not_scrolled(show, width, sheet):
    assert show(sheet_page(renamed(sheet(), LONG)), width).width == width


@pytest.mark.parametrize("name", PAGES)
def test_it_prints_on_one_page(show, name):
    pypdf = needed("pypdf", "browser")
    page = show(sheet_page(PAGES[name]())).page
    printed = pypdf.PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    assert len(printed.pages) == 1
    paper = printed.pages[0]
    # A4 is 210 x 297 mm, 595 x 842 points.
    sides = float(paper.mediabox.width), float(paper.mediabox.height)
    assert sides == pytest.approx((595, 842), abs=2)
    text = paper.extract_text()
    parts = ("What to buy", "What it rests on")
    if name == "no plan":
        parts = ("No plan", "Why nothing serves it")
    for said in ("$3,960", *parts, "Not included"):
        assert said in text


@pytest.mark.parametrize("sheet", [full, without_plan])
def test_hostile_names_run_nothing(show, sheet):
    shown = show(sheet_page(renamed(sheet(), "<img src=x onerror=alert(1)><script>alert(1)")))
    assert shown.console == []
    assert shown.requests == [shown.address]
    assert shown.page.locator("script, img").count() == 0


def test_the_keyboard_reaches_and_opens_the_figures_of_each_chart(show):
    page = show(sheet_page(full())).page
    assert page.locator("details[open]").count() == 0
    for _ in range(3):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 3
    assert page.get_by_role("table", name="Steps").is_visible()


def test_a_reader_of_the_screen_finds_headings_tables_and_what_charts_show(show):
    page = show(sheet_page(full()), PHONE).page
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("heading", name="What to buy").count() == 1
    # Laid out as blocks on a phone, tables stay tables to it.
    assert page.get_by_role("table", name="What to buy, with its price").count() == 1
    assert page.get_by_role("img", name="What each budget serves").count() == 1


CONTRAST = """
() => {
  const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).map(Number).map(v => {
    v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const behind = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c)) return c }
    return "rgb(255, 255, 255)" };
  const worst = [...document.querySelectorAll("main *")].filter(e =>
      !e.closest("svg") && [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()))
    .map(e => { const a = light(getComputedStyle(e).color), b = light(behind(e));
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) });
  return Math.min(...worst);
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sheet", [full, without_plan])
def test_every_text_stands_out_from_what_is_behind_it(show, scheme, sheet):
    # WCAG 2.2, success criterion 1.4.3, level AA: 4.5 to 1.
    assert show(sheet_page(sheet()), DESK, scheme).page.evaluate(CONTRAST) >= 4.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", "three-llms", "day-and-night", "resilient"])
def test_shipped_problems_show_and_print_on_one_page(show, name):
    pypdf = needed("pypdf", "browser")
    html = sheet_page(decision_sheet(load_problem(PROBLEMS / f"{name}.yaml"), as_of=TODAY))
    for width in (PHONE, DESK):
        shown = show(html, width)
        assert (shown.console, shown.requests) == ([], [shown.address])
        assert shown.width == width
    printed = pypdf.PdfReader(io.BytesIO(shown.page.pdf(prefer_css_page_size=True)))
    assert len(printed.pages) == 1
