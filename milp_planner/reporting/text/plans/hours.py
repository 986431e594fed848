"""When a plan's units run: units by block, by hour of the clock, and what is paid for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_lowercase, digits

from milp_planner.plans.records import Plan, Purchase
from milp_planner.reporting.text.wording import escape, hours, percent, usd
from milp_planner.units import HOURS_PER_DAY

MARKS = "." + digits[1:] + ascii_lowercase
"""One character per hour: `.` for no unit, 1 to 9, then a = 10 to z = 35."""

MORE_MARK = "+"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def when_lines(plan: Plan, purchases: Sequence[Purchase]) -> Iterator[str]:
    """Units over time for the purchases that change, and the idle hours and capacity of all."""
    changing = [p for p in purchases if len(set(p.units_by_block)) > 1]
    if changing and plan.block_by_hour:
        yield from _by_hour(plan, changing)
    elif changing:
        yield _by_block(plan, changing)
    yield from _idle(purchases)


def _by_hour(plan: Plan, purchases: Sequence[Purchase]) -> Iterator[str]:
    yield "units by hour of the clock (. none, a = 10, + over 35)"
    width = max(len(escape(p.candidate.offering.id)) for p in purchases)
    for p in purchases:
        name = f"{escape(p.candidate.offering.id):{width}}"
        for day, row in enumerate(units_by_hour(plan, p)):
            label = f"{DAYS[day]} " if len(plan.block_by_hour) > HOURS_PER_DAY else ""
            yield f"  {name if day == 0 else ' ' * width}  {label}00 {row} 24"


def units_by_hour(plan: Plan, purchase: Purchase) -> list[str]:
    """One string of 24 marks a day: the units that are on in each hour."""
    marks = "".join(_mark(purchase.units_by_block[t]) for t in plan.block_by_hour)
    return [marks[i : i + HOURS_PER_DAY] for i in range(0, len(marks), HOURS_PER_DAY)]


def _mark(units: int) -> str:
    return MARKS[units] if units < len(MARKS) else MORE_MARK


def _by_block(plan: Plan, purchases: Sequence[Purchase]) -> str:
    blocks = ", ".join(f"{escape(block.name)} {hours(block.hours)} h" for block in plan.blocks)
    held = "; ".join(
        f"{escape(p.candidate.offering.id)} {', '.join(map(str, p.units_by_block))}"
        for p in purchases
    )
    return f"units by block ({blocks}): {held}"


def _idle(purchases: Sequence[Purchase]) -> Iterator[str]:
    """What is paid while nothing is served, and how much of what is on does nothing on average."""
    purchases = [p for p in purchases if p.busy_units_by_block]
    paid = sum(p.unit_hours for p in purchases)
    if not paid:
        return
    billed = sum(p.billing_idle_usd or 0.0 for p in purchases)
    busy = sum((p.mean_utilization or 0.0) * p.unit_hours for p in purchases)
    yield f"idle: billing {usd(billed)} per month, capacity {percent(1 - busy / paid)} on average"
