"""Two plans held against each other, as text of 80 columns and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.plans.sheet.compared import ComparedPlan, PlanDiff, PurchaseChange
from milp_planner.reporting.sheets.words import PLAIN
from milp_planner.reporting.text.wording import (
    columns,
    count,
    escape,
    fine_percent,
    money_decimals,
    signed_usd,
    usd,
)

MOST_ROWS = 50
"""Changes shown, the largest first; what more there is, is counted."""


def diff_text(diff: PlanDiff) -> str:
    """What is bought otherwise, and last what becomes of the bill."""
    decimals = _decimals(diff)
    rows = [
        [escape(what_is_bought(c)), *change_words(c), _difference(c, decimals)]
        for c in diff.changes[:MOST_ROWS]
    ]
    lines = [f"{_side(diff.old, decimals)}  ->  {_side(diff.new, decimals)}"]
    if rows:
        lines += columns([["what is bought", "before", "after", "$/month"], *rows], "<>>>")
    lines += [f"  {note}" for note in notes(diff)]
    return "\n".join([*lines, last_line(diff)]) + "\n"


def change_words(c: PurchaseChange) -> tuple[str, str]:
    """How much of it before and after: units, or the share of the requests."""
    if c.gpu:
        return _units(c.units_before), _units(c.units_after)
    return _share(c.requests_share_before), _share(c.requests_share_after)


def what_is_bought(c: PurchaseChange) -> str:
    """`chat: h100-94gb-nvl vast-ai spot`."""
    billing = "" if c.billing in PLAIN else f" {c.billing}"
    return f"{c.workload}: {c.gpu or 'per token'} {c.provider}{billing}"


def notes(diff: PlanDiff) -> Iterator[str]:
    """That something is left out, or that more than the plan differs."""
    more = len(diff.changes) - MOST_ROWS
    if more > 0:
        yield f"and {count(more)} smaller change{'' if more == 1 else 's'}"
    if diff.old.problem_sha256 != diff.new.problem_sha256:
        yield "The question is another one: the problems differ."
    if diff.old.catalog != diff.new.catalog:
        yield f"Prices are of {escape(diff.new.catalog)}, were of {escape(diff.old.catalog)}."


def last_line(diff: PlanDiff) -> str:
    """`Monthly cost will increase by $6,990 (+6.7 %)`."""
    extra = diff.increase_usd_per_month
    if extra is None:
        return "Monthly cost cannot be compared: " + " and ".join(_missing(diff)) + "."
    decimals = _decimals(diff)
    if usd(abs(extra), decimals) == usd(0.0, decimals):
        return f"Monthly cost stays at {usd(diff.new.cash_usd_per_month or 0.0, decimals)}."
    sign = "+" if extra > 0 else "-"
    share = diff.increase_share
    percents = "" if share is None else f" ({sign}{fine_percent(abs(share))})"
    word = "increase" if extra > 0 else "decrease"
    return f"Monthly cost will {word} by {usd(abs(extra), decimals)}{percents}"


def difference(c: PurchaseChange, diff: PlanDiff) -> str:
    """What a change adds to the bill, with its sign."""
    return _difference(c, _decimals(diff))


def _missing(diff: PlanDiff) -> Iterator[str]:
    for word, side in (("the old", diff.old), ("the new", diff.new)):
        if side.cash_usd_per_month is None:
            yield f"{word} document has no plan ({escape(side.status)})"


def _decimals(diff: PlanDiff) -> int:
    return money_decimals(
        amount for c in diff.changes for amount in (c.usd_per_month_before, c.usd_per_month_after)
    )


def _difference(c: PurchaseChange, decimals: int) -> str:
    return signed_usd(c.usd_per_month_after - c.usd_per_month_before, decimals)


def _side(side: ComparedPlan, decimals: int) -> str:
    cash = side.cash_usd_per_month
    if cash is None:
        return f"{escape(side.name)}: no plan ({escape(side.status)})"
    return f"{escape(side.name)}: {usd(cash, decimals)} per month"


def _units(units: int) -> str:
    return f"{count(units)} x" if units else "-"


def _share(share: float) -> str:
    return fine_percent(share) if share else "-"
