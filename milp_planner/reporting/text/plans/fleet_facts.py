"""What a loss leaves of a plan and what that safety costs, and what becomes of today's units."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.plans.consequences import Loss, ResilienceCost, UnitChange
from milp_planner.plans.records import Plan
from milp_planner.reporting.text.commitments import commitment_words
from milp_planner.reporting.text.plans.amounts import penalty_rows, shown_decimals
from milp_planner.reporting.text.price_ages import stale_words
from milp_planner.reporting.text.wording import escape, fine_percent, number, percent, plural, usd

UNITS = {"requests/s": "req/s"}
"""How the units of a workload's rates are written; others as they are."""


def stale_lines(plan: Plan) -> Iterator[str]:
    """What rests on old prices; nothing where nothing does."""
    if plan.stale_prices is not None:
        yield f"Old prices: {stale_words(plan.stale_prices, shown_decimals(plan))}"


def resilience_lines(plan: Plan) -> Iterator[str]:
    """What surviving a loss costs, and the worst case; nothing where none need be survived."""
    if plan.resilience is not None:
        word = "scores" if penalty_rows(plan) else "costs"
        yield _cost(plan.resilience, word, shown_decimals(plan))
    several = len(plan.worst_losses) > 1
    for loss in plan.worst_losses:
        whose = f" for {escape(loss.workload)}" if several else ""
        yield f"Worst case{whose}, {escape(loss.lost)} lost: {_left(loss)}"


def _cost(cost: ResilienceCost, word: str, decimals: int) -> str:
    """`Resilience costs $5,774 (+85 %): without survive_loss_of the best plan costs $6,826`."""
    extra, without = cost.usd_per_month, cost.without_limit_usd
    if extra is None or without is None:
        return "Resilience: what it costs was not reached within the time limit"
    shown = round(cost.with_limit_usd, decimals) - round(without, decimals)
    unserved = max(cost.unserved, cost.unserved_without) > 0
    if shown == 0 and not unserved and cost.proven:
        return f"Resilience costs nothing: without survive_loss_of the best plan {word} as much"
    share = cost.share
    percents = "" if share is None else f" ({'-' if share < 0 else '+'}{fine_percent(share)})"
    said = f"Resilience costs {usd(shown, decimals)}{percents}"
    free = f"the best plan{'' if cost.proven else ' found'} {word} {usd(without, decimals)}"
    if unserved:
        said += f" and leaves {fine_percent(cost.unserved)} of a peak unserved"
        free += f" and leaves {fine_percent(cost.unserved_without)} unserved"
    return f"{said}: without survive_loss_of {free}{'' if cost.proven else '; not proven'}"


def _left(loss: Loss) -> str:
    """`7.3 req/s left for 5.8 req/s of peak (79 %)`; the share served where that is not all."""
    unit = UNITS.get(loss.unit, loss.unit)
    if loss.stands_by:
        names = " and ".join(map(escape, loss.stands_by))
        stands = "stands" if len(loss.stands_by) == 1 else "stand"
        ready = f"{number(loss.left)} {unit} for {number(loss.served)} {unit} of peak"
        return f"{names} {stands} by, per token: {ready}"
    left = f"{number(loss.left)} {unit} left for {number(loss.served)} {unit} of peak"
    if loss.utilization is None or loss.share < 1 - 1e-6:
        return f"{left}, {percent(loss.share)} of it"
    return f"{left} ({percent(loss.utilization)})"


def commitment_lines(plan: Plan) -> Iterator[str]:
    """What is used of what is paid already, and what is not; nothing where nothing is."""
    for use in plan.commitments:
        yield f"Paid already: {commitment_words(use, shown_decimals(plan))}"


def change_lines(plan: Plan) -> Iterator[str]:
    """What to keep, add and remove; nothing where nothing runs today."""
    if not plan.changes:
        return
    kept = sum(change.keep for change in plan.changes)
    added = sum(change.add for change in plan.changes)
    removed = sum(change.remove for change in plan.changes)
    counts = {"keep": kept, "add": added, "remove": removed}
    said = ", ".join(f"{verb} {plural(units, 'unit')}" for verb, units in counts.items() if units)
    yield f"From today's fleet: {said}"
    yield from (f"  {escape(_unit_change(change))}" for change in plan.changes)


def _unit_change(change: UnitChange) -> str:
    """`keep 2, add 1 x runpod/h200/us dedicated for chat`."""
    counts = {"keep": change.keep, "add": change.add, "remove": change.remove}
    said = ", ".join(f"{verb} {units}" for verb, units in counts.items() if units)
    whose = f"for {change.workload}" if change.workload else "to share"
    return f"{said} x {change.offering} {change.billing} {whose}"
