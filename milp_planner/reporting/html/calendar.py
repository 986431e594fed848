"""A calendar of commitments as one HTML file: words, two charts, and a table for each future."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from milp_planner.lazily import dataclass
from milp_planner.plans.calendars.records import Calendar, CalendarMonth, FutureCalendar
from milp_planner.reporting.charts.scales import Scale, path_of
from milp_planner.reporting.html.cells import Row
from milp_planner.reporting.html.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Chart,
    Line,
    Mark,
    short_usd,
)
from milp_planner.reporting.html.page import rendered
from milp_planner.reporting.text.plans.calendar import (
    beside_months,
    calendar_closing,
    calendar_headline,
    calendar_sentences,
    future_headline,
    month_cells,
    total_cells,
)
from milp_planner.reporting.text.wording import count, usd

DISTINCT_LINES = 7
MOST_MONTH_MARKS = 13


@dataclass(frozen=True)
class CalendarTable:
    """The months of one future."""

    title: str
    rows: tuple[Row, ...]
    beside: tuple[str, ...] = ()


def calendar_page(calendar: Calendar) -> str:
    """The calendar as one self-contained file: no script, nothing fetched."""
    names = {
        "title": calendar.name,
        "amount": usd(calendar.usd, 0),
        "headline": calendar_headline(calendar),
        "sentences": [*calendar_sentences(calendar)],
        "closing": [*calendar_closing(calendar)],
        "paid": _chart(calendar, lambda m: m.usd, short_usd, "paid in the month"),
        "bound": _chart(calendar, lambda m: m.bound_units, count, "units that are bound"),
        "tables": [*_tables(calendar)],
    }
    return rendered("calendar.html", names) + "\n"


def _chart(
    calendar: Calendar,
    value: Callable[[CalendarMonth], float],
    words: Callable[[float], str],
    y_title: str,
) -> Chart:
    """A line a future."""
    highest = max(value(m) for f in calendar.futures for m in f.months)
    x = Scale(1.0, float(max(2, calendar.months)), LEFT + 8, RIGHT - 8)
    y = Scale(0.0, highest or 1.0, BOTTOM, TOP)
    known = calendar.known_from_months
    every = -(-calendar.months // MOST_MONTH_MARKS)
    return Chart(
        lines=tuple(
            Line(
                future.name,
                path_of([(x.at(m.month), y.at(value(m))) for m in future.months]),
                f"line c{i % DISTINCT_LINES}",
                tuple((x.at(m.month), y.at(value(m))) for m in future.months if m.signed),
            )
            for i, future in enumerate(calendar.futures)
        ),
        x_marks=tuple(Mark(x.at(m), str(m)) for m in range(1, calendar.months + 1, every)),
        y_marks=tuple(Mark(y.at(v), words(v)) for v in y.ticks(4)),
        x_title="month; dots where something is signed",
        y_title=y_title,
        flag=None if known is None else Mark(x.at(known + 0.5), "known from here on"),
        flag_y=18,  # what grows is low here
    )


def _tables(calendar: Calendar) -> Iterator[CalendarTable]:
    for future in calendar.futures:
        yield CalendarTable(future_headline(future), (*_rows(future),), (*beside_months(future),))


def _rows(future: FutureCalendar) -> Iterator[Row]:
    before: CalendarMonth | None = None
    for month in future.months:
        yield Row(tuple(month_cells(month, before)))
        before = month
    yield Row(tuple(total_cells(future)), is_plan=True)
