"""The sheet as HTML, read as a text: what it says, what it escapes, and that it stands alone."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from milp_planner import Sheet, Status, decision_sheet, solve
from milp_planner.reporting.charts.palette import COLOURS
from milp_planner.reporting.charts.scales import Scale
from milp_planner.reporting.html.charts import hours_chart, staircase_chart, traffic_chart
from milp_planner.reporting.html.page import sheet_page, sheet_part
from tests.support.builders import big_and_small, problem, with_tokens
from tests.support.shown.sample_sheets import TODAY, full, renamed, thirteen, without_plan

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
    asked = dict.fromkeys(("choices", "levers", "traffic", "budgets"))
    sheet = thirteen().model_copy(update={**asked, "alternatives": ()})
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


def test_the_question_stands_below_the_answer_with_its_limits():
    # 13 requests/s of 1/1 tokens all month: 13 x 2 x 3600 x 720 is 67.4M tokens.
    held = decision_sheet(
        problem(13, limits={"max_gpus": {"total": 3}}), with_tokens(), with_choices=False
    )
    text = Reader(sheet_page(held)).text
    asked = "chat: tiny, requests of 1/1 tokens, 67.4M tokens a month, at the peak 13.0 req/s"
    assert asked in text
    assert "Limits: utilization at most 100 %; max_gpus.total 3 GPUs" in text


# --- no plan ------------------------------------------------------------------------------------


def test_a_problem_without_a_plan_says_why_and_what_would_give_one():
    # A big serves 10 and a small 3 of the 13 requests/s: two GPUs, for $2,880 + $1,080 = $3,960.
    poor = problem(13, limits={"max_gpus": {"total": 1}})
    plan = solve(poor, big_and_small())
    assert plan.status is Status.INFEASIBLE
    text = Reader(plan._repr_html_()).text
    assert "No plan" in text
    assert "No fleet keeps limits.max_gpus.total: 1 GPU." in text
    assert "This gives a plan" in text
    assert "limits.max_gpus.total, now 1 GPU" in text
    assert "$3,960" in text
    assert "gap" not in text


def test_the_sheet_of_no_plan_has_the_diagnosis_of_the_plans_document():
    poor = problem(13, limits={"max_gpus": {"total": 1}})
    sheet = decision_sheet(poor, big_and_small(), as_of=TODAY)
    assert sheet.diagnosis is not None
    assert sheet.to_dict()["diagnosis"] == solve(poor, big_and_small()).to_dict()["diagnosis"]
    assert Sheet.from_dict(sheet.to_dict()) == sheet
    assert thirteen().diagnosis is None


def test_everything_that_a_diagnosis_can_say_is_on_the_page():
    text = Reader(sheet_page(without_plan())).text
    said = ("No fleet does it.", "Any one of these gives a plan", "Raise the budget to $3,960")
    said += ("Together these give a plan", "The plan with all of them: $5,000 per month.")
    said += ("What cannot be kept together", "Without any one of them the others can be kept.")
    said += ("Why nothing serves it", "too slow", "12 ms", "And 2 more replica sizes.")
    said += ("Left open by the time limit or the solvers: limits.regions.",)
    assert [one for one in said if one not in text] == []


def test_where_nothing_was_diagnosed_the_reasons_stand_line_by_line():
    answer = without_plan().answer.model_copy(
        update={"status": "no_plan", "reasons": ("no time was left", "  4 offerings")}
    )
    sheet = without_plan().model_copy(update={"answer": answer, "diagnosis": None})
    text = Reader(sheet_page(sheet)).text
    assert "No plan found" in text
    assert "no time was left 4 offerings" in text


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


def test_areas_of_several_workloads_are_named_after_them():
    held = full(purchases=2)
    mine = [p.model_copy(update={"workload": f"w{i}"}) for i, p in enumerate(held.purchases)]
    chart = hours_chart(held.hours, mine)
    assert chart is not None
    assert [line.name[:4] for line in chart.lines] == ["w0: ", "w1: "]


# --- headings, tables, colours ------------------------------------------------------------------

SHEETS = {"full": full, "many": lambda: full(workloads=5, purchases=12), "no plan": without_plan}


@pytest.mark.parametrize("name", SHEETS)
def test_headings_come_in_order_and_none_is_skipped(name):
    tags = Reader(sheet_page(SHEETS[name]())).tags
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", SHEETS)
def test_every_table_has_a_caption_and_every_head_says_what_it_is_the_head_of(name):
    html = sheet_page(SHEETS[name]())
    tables = re.findall(r"<table.*?</table>", html, re.S)
    assert tables
    assert all("<caption" in table for table in tables)
    heads = re.findall(r"<th [^>]*>", html)
    assert [head for head in heads if not re.search(r'scope="(col|row)"', head)] == []
    # Every row has as many cells as its table has columns.
    for table in tables:
        wanted = table.count('role="columnheader"')
        rows = re.findall(r"<tr.*?</tr>", table.split("<tfoot")[0], re.S)
        assert {len(re.findall(r"<t[hd] ", row)) for row in rows} == {wanted}


def test_every_chart_has_a_title_and_a_description_and_names_its_axes():
    html = sheet_page(full())
    charts = re.findall(r'<svg class="chart".*?</svg>', html, re.S)
    assert len(charts) == 3
    for chart in charts:
        assert re.search(r'role="img" aria-labelledby="\S+-title \S+-about"', chart)
        assert re.search(r"<title [^>]*>[^<]+</title>\s*<desc [^>]*>[^<]+</desc>", chart)
    for axis in ("budget per month", "smallest share of a peak served", "units on", "hour of"):
        assert axis in html
    # Bars beside a figure are not read out a second time.
    assert all('aria-hidden="true"' in bar for bar in re.findall(r'<svg class="meter"[^>]*>', html))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_by_4_5_to_1_and_charts_by_3_to_1(scheme):
    # WCAG 2.2, success criteria 1.4.3 and 1.4.11, level AA.
    colours = _scheme(scheme)
    for words in ("ink", "soft", "accent", "sure", "warn"):
        for behind in ("paper", "shade"):
            assert _contrast(colours[words], colours[behind]) >= 4.5, (words, behind)
    drawn = [name for name in colours if re.fullmatch(r"c\d", name)]
    assert len(drawn) == len(COLOURS)
    for name in drawn:
        assert _contrast(colours[name], colours["paper"]) >= 3, name


def test_plots_and_pages_have_the_same_colours():
    assert tuple(_scheme("light")[f"c{i}"] for i in range(len(COLOURS))) == COLOURS


def test_contrast_is_reckoned_as_the_guidelines_define_it():
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def _scheme(name: str) -> dict[str, str]:
    """The colours that the page names, of a scheme."""
    light, dark = sheet_page(full()).split("prefers-color-scheme: dark")
    found = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", light))
    return found if name == "light" else found | dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", dark))


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio."""
    dim, bright = sorted(map(_luminance, (one, other)))
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance of sRGB."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
