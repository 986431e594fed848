"""A plan as a plot: what the money goes to, beside the next-best plans; or units by the hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from milp_planner.candidates.records import Candidate
from milp_planner.errors import argument_error, input_error
from milp_planner.plans.records import Plan, Purchase
from milp_planner.plans.sentences import first_reason
from milp_planner.reporting.charts.palette import GREY, colour
from milp_planner.reporting.plots.axes import axes_for, key_below, label, usd_along
from milp_planner.reporting.text.plans.amounts import cash_rows, penalty_rows, shown_decimals
from milp_planner.reporting.text.plans.hours import DAYS
from milp_planner.reporting.text.wording import signed_usd, usd
from milp_planner.units import HOURS_PER_DAY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST_RANK = 2
PAST_THE_LONGEST = 1.04
"""Where the axis ends, times the longest bar."""


def plan_plot(plan: Plan, ax: Axes | None, *, of: str = "cost") -> Axes:
    """The plan on `ax`; raises InputError where there is nothing to draw."""
    if of not in DRAWN:
        raise argument_error(f"must be one of {', '.join(DRAWN)} (is {of!r})", path="of")
    if not plan.status.has_plan:
        why = first_reason(plan)
        raise input_error(f"there is no plan to draw, it is {plan.status.value}", hint=why)
    return DRAWN[of](plan, ax)


def _cost(plan: Plan, ax: Axes | None) -> Axes:
    """A bar for the plan and for each next-best one, in parts by what is bought."""
    plans = (plan, *plan.alternatives)
    drawn = axes_for(ax, height_in=2.2 + 0.45 * len(plans))
    parts = [list(_parts(one)) for one in plans]
    names = list(dict.fromkeys(name for row in parts for name, _ in row))
    heights = range(len(plans))
    left = [0.0] * len(plans)
    for i, name in enumerate(names):
        wide = [sum(amount for part, amount in row if part == name) for row in parts]
        drawn.barh(heights, wide, left=left, label=label(name), color=colour(i))
        left = [start + amount for start, amount in zip(left, wide, strict=True)]
    penalties = [sum(amount for _, amount in penalty_rows(one)) for one in plans]
    if any(penalties):
        name = "penalties, not paid"
        drawn.barh(heights, penalties, left=left, label=name, color=GREY, hatch="//")
    longest = max(start + paid for start, paid in zip(left, penalties, strict=True))
    drawn.set_xlim(0, max(drawn.get_xlim()[1], PAST_THE_LONGEST * longest))
    drawn.set_yticks(heights, [label(_row_name(plan, i)) for i in heights])
    drawn.invert_yaxis()
    usd_along(drawn, "x")
    drawn.set_title(label(plan.name))
    key_below(drawn)
    return drawn


def _row_name(plan: Plan, i: int) -> str:
    """`the plan, $6,617`; `2, +$29`."""
    decimals = shown_decimals(plan)
    assert plan.score_usd_per_month is not None, "only what has a fleet is drawn"
    if i == 0:
        return f"the plan, {usd(plan.score_usd_per_month, decimals)}"
    score = plan.alternatives[i - 1].score_usd_per_month
    assert score is not None, "an alternative is a plan"
    extra = round(score, decimals) - round(plan.score_usd_per_month, decimals)
    return f"{i - 1 + FIRST_RANK}, {signed_usd(extra, decimals)}"


def _parts(plan: Plan) -> Iterator[tuple[str, float]]:
    """What a plan's money goes to: what is bought, and what is paid beside it."""
    for i, (name, amount) in enumerate(cash_rows(plan)):
        yield name or _bought(plan.purchases[i].candidate), amount


def _bought(k: Candidate) -> str:
    """`8 x h100-80gb-sxm runpod spot`, `per token together`."""
    if k.mode.per_token:
        return f"per token {k.provider}"
    box = f"{k.gpus_per_unit} x " if k.gpus_per_unit > 1 else ""
    billing = "" if k.mode.name == "dedicated" else f" {k.mode.name}"
    return f"{box}{k.gpu} {k.provider}{billing}"


def _hours(plan: Plan, ax: Axes | None) -> Axes:
    """Units that are on in each hour of the day or week, those of each purchase on the last."""
    if not plan.block_by_hour:
        raise input_error(
            "no hours to draw: the traffic has no clock",
            hint="a profile or a trace has one; plot(of='cost') needs none",
        )
    drawn = axes_for(ax)
    held = sorted((p for p in plan.purchases if p.units), key=_changes)
    by_hour = [[p.units_by_block[t] for t in plan.block_by_hour] for p in held]
    stacked = list(accumulate(by_hour, _sums))
    edges = range(len(plan.block_by_hour) + 1)
    for i, (p, top) in enumerate(zip(held, stacked, strict=True)):
        floor = stacked[i - 1] if i else [0] * len(top)
        name = label(_bought(p.candidate))
        drawn.stairs(top, edges, baseline=floor, fill=True, color=colour(i), label=name)
    drawn.set_ylabel("units on")
    drawn.locator_params(axis="y", integer=True)
    _clock_along(drawn, len(plan.block_by_hour))
    drawn.set_title(label(plan.name))
    key_below(drawn)
    return drawn


def _changes(p: Purchase) -> int:
    """How often its units change: what runs all month lies at the bottom."""
    return sum(a != b for a, b in pairwise(p.units_by_block))


def _sums(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _clock_along(ax: Axes, hours: int) -> None:
    """Hours of the day, or days of the week."""
    ax.set_xlim(0, hours)
    if hours <= HOURS_PER_DAY:
        ax.set_xticks(range(0, hours + 1, 4))
        ax.set_xlabel("hour of the day")
        return
    ax.set_xticks(range(0, hours, HOURS_PER_DAY), DAYS[: hours // HOURS_PER_DAY])
    ax.set_xlabel("day of the week, from midnight")


DRAWN = {"cost": _cost, "hours": _hours}
"""What of a plan can be drawn."""
