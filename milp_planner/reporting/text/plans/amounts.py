"""The amounts of a plan, by what they are for, and with how many decimals they are shown."""

from __future__ import annotations

from milp_planner.plans.records import Plan
from milp_planner.reporting.text.wording import escape, money_decimals

PAID_IN_PURCHASES = ("rent", "commitments", "start_up", "per_token", "spot_loss")
"""Cash terms that the purchases' own amounts already hold."""

Amounts = list[tuple[str, float]]
"""(what for, USD/month)"""


def cash_rows(plan: Plan) -> Amounts:
    """Everything paid: the purchases in order, unnamed, and what is paid beside them, by name."""
    penalties = {name for w in plan.workloads for name in w.penalties}
    beside = [
        (words(name), amount)
        for name, amount in plan.costs.items()
        if amount and name not in PAID_IN_PURCHASES and name not in penalties
    ]
    return [("", p.cash_usd_per_month) for p in plan.purchases] + beside


def penalty_rows(plan: Plan) -> Amounts:
    """The penalties that the plan bears; money in name only, so never mixed with cash."""
    several = len(plan.workloads) > 1
    return [
        (f"{words(name)} penalty" + (f", {escape(w.name)}" if several else ""), amount)
        for w in plan.workloads
        for name, amount in w.penalties.items()
        if amount
    ]


def shown_decimals(plan: Plan) -> int:
    """Decimals of every amount per month in the plan's report."""
    return money_decimals(amount for _, amount in cash_rows(plan))


def words(term: str) -> str:
    """`strict_latency` as it is read: `strict latency`."""
    return escape(term.replace("_", " "))
