"""The charts of a sheet: what stands where, in the units of an SVG's own width of 360.

Templates draw what is here; that an axis ends somewhere, or a bar is so long, is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from milp_planner.lazily import dataclass
from milp_planner.plans.sheet.other_parts import BudgetStaircase, TrafficCurve
from milp_planner.plans.sheet.plan_parts import HoursByUnits, SheetPurchase
from milp_planner.reporting.charts.scales import Scale, path_of
from milp_planner.reporting.text.plans.hours import DAYS
from milp_planner.reporting.text.wording import count, percent, usd
from milp_planner.units import HOURS_PER_DAY

LEFT, RIGHT, TOP, BOTTOM = 48.0, 352.0, 10.0, 150.0
"""Edges of what is drawn; words stand outside of them."""

DISTINCT_COLOURS = 7
MOST_HOUR_MARKS = 7


@dataclass(frozen=True)
class Mark:
    """A word at a place on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line through a chart, with its entry in the key."""

    name: str
    path: str
    kind: str
    """The CSS class that draws it."""

    dots: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Chart:
    """Lines, areas or both, between two axes."""

    lines: tuple[Line, ...]
    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    x_title: str
    y_title: str
    flag: Mark | None = None
    """A place on the x axis that is marked through the whole chart."""

    flag_y: int = 144
    """Where its words stand: at the foot, or where lines leave room."""

    areas: bool = False


def staircase_chart(budgets: BudgetStaircase) -> Chart:
    """What each budget serves."""
    steps = budgets.steps
    most = max([*(s.usd_per_month for s in steps), budgets.smallest_usd_per_month or 0.0])
    x = Scale(0.0, most * 1.08 or 1.0, LEFT, RIGHT)
    y = Scale(0.0, 1.0, BOTTOM, TOP)
    corners = [(x.at(s.usd_per_month), y.at(s.served_share)) for s in steps]
    places = [(corners[0][0], BOTTOM)] if corners else []
    for (at, height), after in zip(corners, [*corners[1:], None], strict=True):
        places += [(at, height), (after[0] if after else RIGHT, height)]
    smallest = budgets.smallest_usd_per_month
    flag = None if smallest is None else Mark(x.at(smallest), f"{usd(smallest)} serves everything")
    return Chart(
        lines=(Line("served", path_of(places), "line c0", tuple(corners)),),
        x_marks=_money_marks(x),
        y_marks=tuple(Mark(y.at(share), percent(share)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        x_title="budget per month",
        y_title="smallest share of a peak served",
        flag=flag,
    )


def traffic_chart(curve: TrafficCurve) -> Chart:
    """What other traffic costs: the plan, a fleet alone, APIs alone."""
    points = [p for p in curve.points if p.factor > 0]
    ways = {
        "line c5 dashed": ("per token alone", [p.per_token_usd_per_month for p in points]),
        "line c1 dashed": ("a fleet alone", [p.fleet_usd_per_month for p in points]),
        "line c0": ("the plan", [p.cash_usd_per_month for p in points]),
    }
    amounts = [usd for _, row in ways.values() for usd in row if usd is not None and usd > 0]
    factors = [p.factor for p in points]
    x = Scale(min(factors), max(factors), LEFT + 8, RIGHT - 8, is_log=True)
    y = Scale(min(amounts, default=1.0), max(amounts, default=1.0), BOTTOM - 6, TOP, is_log=True)
    lines = []
    if ways["line c1 dashed"][1] == ways["line c0"][1]:
        del ways["line c1 dashed"]  # a fleet is all there is: two lines in one
    for kind, (name, row) in ways.items():
        placed = [(x.at(f), y.at(c)) for f, c in zip(factors, row, strict=True) if c]
        if placed:
            lines.append(Line(name, path_of(placed), kind, tuple(placed)))
    even = curve.break_even_factor
    is_seen = even is not None and min(factors) <= even <= max(factors)
    return Chart(
        lines=tuple(lines),
        x_marks=tuple(Mark(x.at(f), f"{f:g}x") for f in factors),
        y_marks=tuple(Mark(y.at(v), short_usd(v)) for v in y.ticks(3)),
        x_title="traffic, times today's",
        y_title="per month",
        flag=Mark(x.at(even), f"break-even {even:.3g}x") if even is not None and is_seen else None,
    )


def hours_chart(hours: HoursByUnits, purchases: Sequence[SheetPurchase]) -> Chart | None:
    """Units that are on, hour by hour, or block by block without a clock; None if none change."""
    held = [p for p in purchases if p.units]
    several = len({p.workload for p in held}) > 1
    if not any(len(set(p.units_by_block)) > 1 for p in held):
        return None
    spans = [*_spans(hours)]
    held.sort(key=lambda p: sum(a != b for a, b in pairwise(p.units_by_block)))
    tops = [0] * len(spans)
    layers: list[list[int]] = [tops]
    for p in held:
        tops = [low + p.units_by_block[t] for low, (t, _, _) in zip(tops, spans, strict=True)]
        layers.append(tops)
    x = Scale(0.0, spans[-1][2], LEFT, RIGHT)
    y = Scale(0.0, max(tops) * 1.05, BOTTOM, TOP)
    lines = [
        Line(
            f"{p.workload}: {p.gpu} {p.provider}" if several else f"{p.gpu} {p.provider}",
            path_of(_area(x, y, spans, low, high)),
            f"area c{i % DISTINCT_COLOURS}",
        )
        for i, (p, low, high) in enumerate(zip(held, layers, layers[1:], strict=False))
    ]
    whole = [v for v in y.ticks(4) if v == int(v)]
    return Chart(
        lines=tuple(lines),
        x_marks=tuple(_clock_marks(hours, x)),
        y_marks=tuple(Mark(y.at(v), count(v)) for v in whole),
        x_title=_clock_title(hours),
        y_title="units on",
        areas=True,
    )


def _spans(hours: HoursByUnits) -> Iterator[tuple[int, float, float]]:
    """(block, from, to) along the clock; without one the blocks side by side, by their hours."""
    if hours.block_by_hour:
        yield from ((t, float(h), h + 1.0) for h, t in enumerate(hours.block_by_hour))
        return
    start = 0.0
    for t, block in enumerate(hours.blocks):
        yield t, start, start + block.hours
        start += block.hours


def _area(
    x: Scale,
    y: Scale,
    spans: Sequence[tuple[int, float, float]],
    low: Sequence[int],
    high: Sequence[int],
) -> list[tuple[float, float]]:
    """Around what lies between two layers."""
    above = [
        (x.at(at), y.at(top))
        for (_, start, end), top in zip(spans, high, strict=True)
        for at in (start, end)
    ]
    below = [
        (x.at(at), y.at(floor))
        for (_, start, end), floor in zip(spans, low, strict=True)
        for at in (start, end)
    ]
    return [*above, *reversed(below)]


def _clock_marks(hours: HoursByUnits, x: Scale) -> Iterator[Mark]:
    clock = len(hours.block_by_hour)
    if clock > HOURS_PER_DAY:
        yield from (Mark(x.at(d * HOURS_PER_DAY + 12), name) for d, name in enumerate(DAYS))
    elif clock:
        yield from (Mark(x.at(h), str(h)) for h in range(0, clock + 1, 4))
    else:
        yield from (Mark(x.at(v), count(v)) for v in x.ticks(4))


def _clock_title(hours: HoursByUnits) -> str:
    clock = len(hours.block_by_hour)
    if not clock:
        return "hours of the month, block by block"
    return "day of the week" if clock > HOURS_PER_DAY else "hour of the day"


# ---- bars in tables


@dataclass(frozen=True)
class Bar:
    """A bar beside a figure, from 0 to 100."""

    width: float
    line: float | None = None
    """Where another amount lies that it is compared with."""

    is_cut: bool = False
    """True where the amount goes beyond the end."""


def bar(amount: float, most: float, line: float | None = None) -> Bar:
    """The bar of an amount where the longest one is `most`."""
    scale = Scale(0.0, most or 1.0, 0.0, 100.0)
    mark = None if line is None else scale.at(line)
    return Bar(scale.at(amount), mark, amount > most * (1 + 1e-9))


def short_usd(amount: float) -> str:
    """`$500`, `$2k`, `$1.5M`: for axes."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if amount >= size:
            return f"${amount / size:.3g}{letter}"
    return f"${amount:.3g}"


def _money_marks(x: Scale) -> tuple[Mark, ...]:
    return tuple(Mark(x.at(v), short_usd(v)) for v in x.ticks(4))
