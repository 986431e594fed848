"""What-if rows and budget frontiers as plots: what each budget serves, what each factor costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from milp_planner.errors import input_error
from milp_planner.questions.sweeps.break_even import BreakEven
from milp_planner.questions.sweeps.frontier import Frontier
from milp_planner.questions.sweeps.rows import WhatIf, WhatIfRow
from milp_planner.reporting.charts.palette import GREY, colour
from milp_planner.reporting.plots.axes import axes_for, key_below, label, shares_up, usd_along
from milp_planner.reporting.text.wording import usd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BUDGET, TRAFFIC = "budget", "traffic"
AXIS_WORDS = {
    BUDGET: "budget, USD per month",
    TRAFFIC: "traffic, times today's",
    "target": "utilization to plan for",
}
SERVED = "smallest share of a peak that is served"

Points = list[tuple[float, float]]


def what_if_plot(result: WhatIf, ax: Axes | None) -> Axes:
    """Cost over the first axis of numbers, a line for each of the other settings; or bars.

    Over budgets the share that is served is drawn instead. Raises InputError without any row.
    """
    if not result.rows:
        raise input_error("no scenarios to draw")
    axis = _axis_of_numbers(result.rows)
    if axis is None:
        return _bars(result, ax)
    drawn = axes_for(ax)
    series = _series(result.rows, axis)
    for i, (others, rows) in enumerate(series.items()):
        _line(drawn, axis, others, rows, colour(i))
    if axis == TRAFFIC and len(series) == 1:
        _fleet_and_per_token(drawn, *series.values())
    for even in result.break_evens.values() if axis == TRAFFIC else ():
        _mark_break_even(drawn, even)
    if axis == BUDGET:
        shares_up(drawn)
        drawn.set_ylabel(SERVED)
        usd_along(drawn, "x")
    else:
        drawn.set_ylim(bottom=0)
        usd_along(drawn, "y")
    drawn.set_xlabel(AXIS_WORDS.get(axis, label(axis)))
    drawn.set_title(label(result.name))
    key_below(drawn)
    return drawn


def _axis_of_numbers(rows: Sequence[WhatIfRow]) -> str | None:
    """The first axis with two numbers or more to lay it out by."""
    for axis in dict.fromkeys(name for row in rows for name in row.numbers):
        values = {row.numbers.get(axis) for row in rows} - {None}
        if len(values) > 1:
            return axis
    return None


def _series(rows: Sequence[WhatIfRow], axis: str) -> dict[str, list[WhatIfRow]]:
    """Rows that differ along the axis alone, by their other settings in words."""
    series: dict[str, list[WhatIfRow]] = {}
    for row in rows:
        others = ", ".join(f"{k}: {v}" for k, v in row.settings.items() if k != axis)
        series.setdefault(others, []).append(row)
    return series


def _line(ax: Axes, axis: str, others: str, rows: Sequence[WhatIfRow], hue: str) -> None:
    """The rows from left to right; crosses on the axis where there is no plan."""
    name = label(others or ("served" if axis == BUDGET else "the plan"))
    placed = [(x, _height(row, axis)) for row in rows if (x := row.numbers.get(axis)) is not None]
    found = sorted((x, y) for x, y in placed if y is not None)
    if axis == BUDGET:
        ax.plot(*_columns(found), "o", color=hue, label=name)
        ax.plot(*_columns(_served_from(rows)), drawstyle="steps-post", color=hue)
    else:
        ax.plot(*_columns(found), marker="o", color=hue, label=name)
    missing = [(x, 0.0) for x, y in placed if y is None]
    if missing:
        ax.plot(*_columns(missing), "x", color=hue, clip_on=False, label=f"no plan: {name}")
    for row in rows:
        level = _height(row, axis)
        if row.numbers.get(axis) is None and level is not None:
            what = f"{axis}: {row.settings.get(axis, '')}"
            ax.axhline(level, color=hue, linestyle=":", label=label(what))


def _served_from(rows: Sequence[WhatIfRow]) -> Points:
    """What money serves at the least: cash of the plans and of the next steps, to the last budget.

    A plan that costs less than its budget serves as much for any budget in between.
    """
    steps = [row.next_step for row in rows if row.next_step is not None]
    known = [(row.cash_usd, row.served_share) for row in rows]
    known += [(step.budget_usd, step.served_share) for step in steps]
    points = sorted((x, y) for x, y in known if x is not None and y is not None)
    last = max(row.numbers[BUDGET] or 0.0 for row in rows)
    return [*points, (last, points[-1][1])] if points and points[-1][0] < last else points


def _height(row: WhatIfRow, axis: str) -> float | None:
    return row.served_share if axis == BUDGET else row.cash_usd


def _fleet_and_per_token(ax: Axes, rows: Sequence[WhatIfRow]) -> None:
    """What a fleet alone and an API alone would cost, where that was asked."""
    splits = [(row.numbers[TRAFFIC], row.split) for row in rows if row.split is not None]
    ways = {
        "a fleet alone": [(x, parts.fleet_usd) for x, parts in splits],
        "per token alone": [(x, parts.per_token_usd) for x, parts in splits],
    }
    for i, (name, points) in enumerate(ways.items(), start=1):
        known = sorted((x, y) for x, y in points if x is not None and y is not None)
        if known:
            ax.plot(*_columns(known), "--", color=colour(i), label=name)


def _mark_break_even(ax: Axes, even: BreakEven | None) -> None:
    low, high = ax.get_xlim()
    if even is not None and low <= even.above <= high:
        name = f"break-even {even.above:.3g}x"
        ax.axvline(even.above, color=GREY, linestyle=":", label=name)


def _bars(result: WhatIf, ax: Axes | None) -> Axes:
    """A bar for each scenario, in their order; words where there is no plan."""
    rows = result.rows
    drawn = axes_for(ax, height_in=1.6 + 0.35 * len(rows))
    heights = range(len(rows))
    drawn.barh(heights, [row.cash_usd or 0.0 for row in rows], color=colour(0))
    for at, row in zip(heights, rows, strict=True):
        if row.cash_usd is None:
            drawn.text(0, at, "  no plan", va="center", color=GREY)
    drawn.set_yticks(heights, [label(row.scenario) for row in rows])
    drawn.invert_yaxis()
    usd_along(drawn, "x")
    drawn.set_title(label(result.name))
    return drawn


# ---- the exact frontier


def frontier_plot(frontier: Frontier, ax: Axes | None) -> Axes:
    """What each budget serves, as steps; raises InputError where none was found."""
    if not frontier.steps:
        raise input_error("no step was found, there is nothing to draw")
    drawn = axes_for(ax)
    line = list(staircase_points(frontier))
    drawn.plot(*_columns(line), color=colour(0))
    low = frontier.low_usd
    corners = [(x.budget_usd, x.served_share) for x in frontier.steps if x.is_step]
    corners = [(x, y) for x, y in corners if x >= low]
    drawn.plot(*_columns(corners), "o", color=colour(0), label="a step begins")
    if frontier.smallest_budget_usd is not None:
        name = label(f"{usd(frontier.smallest_budget_usd)} serves everything")
        drawn.axvline(frontier.smallest_budget_usd, color=GREY, linestyle=":", label=name)
    if frontier.unfinished is not None:
        end = frontier.unfinished.budget_usd
        drawn.axvspan(frontier.low_usd, end, color=GREY, alpha=0.2, label="not searched")
    shares_up(drawn)
    usd_along(drawn, "x")
    drawn.set_xlabel(AXIS_WORDS[BUDGET])
    drawn.set_ylabel(SERVED)
    key_below(drawn)
    return drawn


def staircase_points(frontier: Frontier) -> Iterator[tuple[float, float]]:
    """The corners of the line: flat up to the next step, sloped where each cent serves more."""
    steps = frontier.steps
    for step, after in zip(steps, (*steps[1:], None), strict=True):
        end = frontier.high_usd if after is None else after.budget_usd
        yield max(step.budget_usd, frontier.low_usd), step.served_share
        if step.is_step:
            yield max(end, step.budget_usd), step.served_share


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
