"""What a plan says of what it leaves out, by a short budget or whatever else is too little."""

from __future__ import annotations

from milp_planner.inputs.problem.policies import all_may_be_short
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.limits.quotas import used_up
from milp_planner.plans.reasons import ServedInPart, ShortBudget
from milp_planner.plans.records import Plan


def short_note(
    problem: Problem, plan: Plan, cheapest: Plan | None = None, *, is_none: bool = False
) -> ShortBudget | ServedInPart:
    """What is served of what was asked: by a short budget, and what everything would cost; else by
    all that can be had, and what that is.

    cheapest: the best plan were there no budget, where that is known; is_none: True where it is
    known that there is none.
    """
    if not _is_short_of_money(problem, cheapest, is_none=is_none):
        return in_part(problem, plan)
    is_all = cheapest is not None and _serves_all(cheapest)
    return by_budget(problem, plan, cheapest.cash_usd_per_month if cheapest and is_all else None)


def by_budget(problem: Problem, plan: Plan, everything_usd: float | None) -> ShortBudget:
    """What the budget serves."""
    assert problem.limits.budget is not None
    served = tuple((w.name, 1 - w.shortfall_share) for w in plan.workloads)
    return ShortBudget(problem.limits.budget.usd_per_month, served, everything_usd)


def in_part(problem: Problem, plan: Plan) -> ServedInPart:
    """What all serves that can be had."""
    rates = tuple(
        (w.name, (1 - w.shortfall_share) * w.peak_requests_per_second, w.peak_requests_per_second)
        for w in plan.workloads
    )
    return ServedInPart(rates, tuple(used_up(problem, plan)))


def _is_short_of_money(problem: Problem, cheapest: Plan | None, *, is_none: bool) -> bool:
    """True where money is what is lacking; where that is not known, where only the budget says that
    less may be served."""
    if problem.limits.budget is None:
        return False
    if not all_may_be_short(problem):
        return True
    if cheapest is None:
        return not is_none and problem.policy.when_short is None
    return _serves_all(cheapest)


def _serves_all(plan: Plan) -> bool:
    return not any(w.shortfall_share for w in plan.workloads)
