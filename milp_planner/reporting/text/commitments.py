"""What is used of a commitment, in words, as every report has it."""

from __future__ import annotations

from milp_planner.plans.consequences import CommitmentUse
from milp_planner.plans.sheet.plan_parts import CommitmentShown
from milp_planner.reporting.text.wording import count, escape, percent, plural, usd

NEARLY = 1e-6
"""Part of a commitment that is none of it."""

Use = CommitmentUse | CommitmentShown


def commitment_words(use: Use, decimals: int) -> str:
    """`2 units of aws/p5.48xlarge/us-east-1 until 2027-03-31: all used, $143,360 less to pay`."""
    return f"{_committed(use)}{_until(use)}: {_used(use, decimals)}"


def _committed(use: Use) -> str:
    """`2 units of aws/p5.48xlarge/us-east-1`, `$50.00 an hour of aws/*`."""
    much = f"{usd(use.usd_per_hour or 0, 2)} an hour"
    if use.units is not None:
        much = plural(use.units, "unit")
    of = f"{use.offering} {use.billing}".rstrip()
    return f"{much} of {escape(of)}"


def _until(use: Use) -> str:
    return "" if use.until is None else f" until {use.until.isoformat()}"


def _used(use: Use, decimals: int) -> str:
    """`all used, $14,400 less to pay per month`; what is paid for nothing where some is."""
    if use.share is None:
        return "it has ended and counts no more"
    saved = f", {usd(use.saved_usd_per_month, decimals)} less to pay per month"
    if not use.saved_usd_per_month:
        saved = ""  # units at a price of 0: nobody says what they would cost
    if use.used >= use.paid * (1 - NEARLY):
        return f"all used{saved}"
    thing = "unit-hours" if use.units is not None else "USD"
    unused = f"{count(use.unused)} of {count(use.paid)} {thing} paid for nothing"
    if use.used <= use.paid * NEARLY:
        return f"not used, {unused}"
    return f"{percent(use.share)} used{saved}; {unused}"
