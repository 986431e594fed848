"""The next-best plans as lines: what each costs more, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from milp_planner.planning.plan import Plan, Status
from milp_planner.planning.plan_dict import changes
from milp_planner.reporting.amounts import shown_decimals
from milp_planner.reporting.wording import (
    columns,
    escape,
    fine_percent,
    number,
    plural,
    signed_usd,
    usd,
)

MOST_CHANGES_SHOWN = 4
HALF_A_CENT = 0.005


def alternative_lines(plan: Plan) -> Iterator[str]:
    """The section of next-best plans; nothing where none were asked for."""
    if plan.alternatives:
        yield "Next-best plans (never an earlier plan plus spare units)"
        rows = [_row(plan, other, rank) for rank, other in enumerate(plan.alternatives, start=2)]
        yield from columns(rows, ">>>><")
    if plan.alternatives_note:
        yield f"  {escape(plan.alternatives_note)}"


def _row(plan: Plan, other: Plan, rank: int) -> list[str]:
    decimals = shown_decimals(plan)
    cash, score = _known(other.cash_usd_per_month), _known(other.score_usd_per_month)
    best = _known(plan.score_usd_per_month)
    extra = round(score, decimals) - round(best, decimals)  # what a reader would subtract
    relative = f"+{fine_percent((score - best) / best)}" if best > 0 else ""
    scored = f"score {usd(score, decimals)}: " if score - cash > HALF_A_CENT else ""
    unproven = "" if other.status is Status.OPTIMAL else _unproven(other)
    what = f"{scored}{_change(plan, other)}{unproven}"
    return [str(rank), usd(cash, decimals), signed_usd(extra, decimals), relative, what]


def _known(amount: float | None) -> float:
    assert amount is not None, "an alternative is a plan, and is compared with a plan"
    return amount


def _unproven(other: Plan) -> str:
    return " (not proven)" if other.gap is None else f" (gap {fine_percent(other.gap)})"


def _change(plan: Plan, other: Plan) -> str:
    """`1 x B instead of 1 x A; one provider fewer`."""
    rows = changes(plan, other)
    several = len(plan.workloads) > 1
    more = [row for row in rows if _amount(row) > 0]
    fewer = [row for row in rows if _amount(row) < 0]
    detailed = bool({_name(row, False) for row in more} & {_name(row, False) for row in fewer})
    added, removed = (_listed(side, several, detailed) for side in (more, fewer))
    if added and removed:
        text = f"{added} instead of {removed}"
    else:
        text = f"adds {added}" if added else f"leaves out {removed}" if removed else "same units"
    return text + _providers(plan, other)


def _amount(row: dict[str, Any]) -> float:
    return float(row["units"] or row["unit_hours_per_month"] or row["requests_share"])


def _listed(rows: Sequence[dict[str, Any]], several: bool, detailed: bool) -> str:
    items = [_item(row, several, detailed) for row in rows[:MOST_CHANGES_SHOWN]]
    more = len(rows) - len(items)
    return " + ".join([*items, f"{more} more"] if more else items)


def _item(row: dict[str, Any], several: bool, detailed: bool) -> str:
    workload = f" for {escape(row['workload'])}" if several else ""
    return f"{_how_much(row)} {_name(row, detailed)}{workload}"


def _how_much(row: dict[str, Any]) -> str:
    if row["units"]:
        return f"{abs(row['units'])} x"
    if row["unit_hours_per_month"]:
        return f"{number(abs(row['unit_hours_per_month']))} unit-h of"
    return f"{fine_percent(abs(row['requests_share']))} of requests at"


def _name(row: dict[str, Any], detailed: bool) -> str:
    billing = "" if row["billing"] in ("dedicated", "per_token") else f" {row['billing']}"
    replica = f" {row['precision']} tp {row['tensor_parallel']}" if detailed else ""
    return escape(f"{row['offering']}{billing}{replica}")


def _providers(plan: Plan, other: Plan) -> str:
    difference = len(other.providers) - len(plan.providers)
    if not difference:
        return ""
    return f"; {plural(abs(difference), 'provider')} {'more' if difference > 0 else 'fewer'}"
