"""The sheet as HTML, read as a text: what it says, what it escapes, and that it stands alone."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from milp_planner import Status, solve
from milp_planner.reporting.charts.scales import Scale
from milp_planner.reporting.html.charts import staircase_chart, traffic_chart
from milp_planner.reporting.html.page import sheet_page, sheet_part
from tests.support.builders import big_and_small, problem
from tests.support.shown.sample_sheets import full, renamed, thirteen

HOSTILE = "<script>alert(1)</script>\"'&amp;</style>{{ 7 * 7 }}\x1b[31m"


class Reader(HTMLParser):
    """What a page holds: its elements, their attributes, and its text outside of the styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            continue

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def test_the_answer_stands_on_top_and_every_part_has_its_heading():
    text = Reader(sheet_page(full())).text
    assert "$3,960 per month Optimal plan" in text
    headings = ("What to buy", "What else there is", "What would lower the cost")
    headings += ("Other budgets, other traffic, hours of the month", "What it rests on")
    headings += ("Ask before you buy", "Measure first", "Not included:")
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)


def test_a_sheet_that_was_not_asked_for_choices_or_curves_has_no_empty_headings():
    sheet = thirteen().model_copy(update={"choices": None, "alternatives": ()})
    text = Reader(sheet_page(sheet)).text
    for heading in ("What else there is", "Next-best", "lower the cost", "Other budgets", "None"):
        assert heading not in text


def test_equal_sheets_are_equal_files():
    assert sheet_page(full()) == sheet_page(full())


def test_the_file_stands_alone_and_runs_nothing():
    read = Reader(sheet_page(full()))
    assert not {"script", "link", "iframe", "img", "object"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert not read.values("href") + read.values("src")
    assert "://" not in sheet_page(full())
    assert "url(" not in sheet_page(full())


@pytest.mark.parametrize("render", [sheet_page, sheet_part])
def test_no_name_of_a_file_becomes_markup(render):
    html = render(renamed(full(), HOSTILE))
    read = Reader(html)
    assert "script" not in read.tags
    assert HOSTILE.split("\x1b")[0] in " ".join(read.said)  # it is all there to read, as it is
    assert "\x1b" not in html
    assert "49" not in Reader(render(renamed(full(), "{{ 7 * 7 }}"))).text


def test_ids_are_unique_and_what_refers_to_them_finds_them():
    html = sheet_page(full()) + sheet_part(full()) + sheet_part(full())
    read = Reader(html)
    ids = Counter(read.values("id"))
    assert ids
    assert [name for name, times in ids.items() if times > 1] == []
    assert {one for value in read.values("aria-labelledby") for one in value.split()} <= set(ids)


def test_a_notebooks_styles_reach_nothing_else():
    style = re.search(r"<style>(.*?)</style>", sheet_part(full()), re.S)
    assert style is not None
    selectors = re.findall(r"(?:^|[}{])\s*([^{}@]+)\{", style[1])
    parts = [one.strip() for selector in selectors for one in selector.split(",")]
    assert [one for one in parts if not one.startswith((".milp-sheet", ".milp-page"))] == []


def test_a_problem_without_a_plan_says_why():
    # One small GPU serves 3 of 13 requests/s.
    poor = problem(13, limits={"max_gpus": {"total": 1}})
    plan = solve(poor, big_and_small())
    assert plan.status is Status.INFEASIBLE
    text = Reader(plan._repr_html_()).text
    assert "No plan" in text
    assert "max_gpus.total" in text


# --- notebooks ----------------------------------------------------------------------------------


def test_a_plan_shows_in_a_notebook_as_its_sheet_without_what_only_the_problem_knows():
    text = Reader(solve(problem(13), big_and_small(), alternatives=1)._repr_html_()).text
    assert "$3,960 per month" in text
    assert "Next-best plans" in text
    assert "What else there is" not in text


def test_a_sheet_shows_in_a_notebook_and_writes_itself_as_a_file():
    assert thirteen().to_html() == sheet_page(thirteen())
    assert thirteen()._repr_html_().startswith("<style>")


# --- charts -------------------------------------------------------------------------------------


def test_a_staircase_rises_where_a_budget_buys_more():
    budgets = full().budgets
    assert budgets is not None
    chart = staircase_chart(budgets)
    # x runs from 48 to 352 over 0 to 1.08 x 3,960; y from 150 at nothing up to 10 at everything.
    at = {usd: round(48 + 304 * usd / (1.08 * 3960), 1) for usd in (0, 1080, 2880, 3960)}
    assert [dot[0] for dot in chart.lines[0].dots] == list(at.values())
    assert [dot[1] for dot in chart.lines[0].dots] == [150, 117.8, 42.2, 10]
    assert chart.flag is not None
    assert (chart.flag.at, chart.flag.text) == (at[3960], "$3,960 serves everything")


def test_a_traffic_curve_has_a_line_for_each_way_and_the_break_even_between():
    curve = full().traffic
    assert curve is not None
    chart = traffic_chart(curve)
    names = {line.name: line for line in chart.lines}
    assert set(names) == {"the plan", "a fleet alone", "per token alone"}
    assert all(len(line.dots) == 5 for line in names.values())
    ones = [dot[0] for dot in names["the plan"].dots]
    assert chart.flag is not None
    assert chart.flag.at == ones[3]  # twice the traffic
    # One way that cannot be at all has no line, and where it cannot be no dot.
    points = tuple(p.model_copy(update={"fleet_usd_per_month": None}) for p in curve.points)
    alone = traffic_chart(curve.model_copy(update={"points": points}))
    assert {line.name for line in alone.lines} == {"the plan", "per token alone"}


def test_a_scale_keeps_values_on_its_axis_and_marks_round_ones():
    scale = Scale(0, 4000, 0, 100)
    assert [scale.at(v) for v in (-1, 0, 1000, 4000, 9000)] == [0, 0, 25, 100, 100]
    assert scale.ticks(4) == (0, 1000, 2000, 3000, 4000)
    assert Scale(1, 100, 0, 100, is_log=True).at(10) == 50
    assert Scale(5, 5, 0, 100).at(5) == 0
