"""Ages of prices in words, the same in the plan's text and in the sheet."""

from __future__ import annotations

from milp_planner.plans.consequences import StalePrices
from milp_planner.plans.sheet.plan_parts import StaleSpend
from milp_planner.reporting.text.wording import percent, usd

ALL = 1 - 1e-9


def age_words(days: int) -> str:
    """`113 d`, a cell of a table."""
    return f"{days:,} d"


def stale_words(stale: StalePrices | StaleSpend, decimals: int) -> str:
    """`$2,880 of $3,960 (73 %) rest on prices older than 90 days, up to 212; if these ...`."""
    old, all_of_it = (
        usd(amount, decimals) for amount in (stale.usd_per_month, stale.cash_usd_per_month)
    )
    much = f"All {old}" if stale.share >= ALL else f"{old} of {all_of_it} ({percent(stale.share)})"
    limit = f"{stale.stale_after_days:,g} day{'' if stale.stale_after_days == 1 else 's'}"
    return (
        f"{much} rest on prices older than {limit}, up to {stale.oldest_days:,}; if these have "
        f"risen by {percent(stale.rise)}, the same fleet costs "
        f"{usd(stale.if_risen_usd_per_month, decimals)} per month."
    )
