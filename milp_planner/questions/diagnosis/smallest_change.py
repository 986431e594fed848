"""The smallest change of one limit that gives a plan, found and proven by solving again.

The values of a limit are in order, so that halving finds the first that works; the one before it is
solved as well and gives none. A budget needs no search: it must be what the least cash is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from milp_planner.inputs.problem.patching import Patch, patched
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.milp.program.language.loosening import (
    CashLimit,
    LimitInForce,
    NameLimit,
    SteppedLimit,
    merged_patch,
)
from milp_planner.plans.diagnosis import Change
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.re_solve import Resolver, cash_of, cash_only, fleet_line
from milp_planner.solving.results import SearchResult
from milp_planner.units import CENTS_PER_USD, usd_shown

MOST_SINGLE_NAMES = 40
"""Names tried one by one where the cheapest fleet without the limit needs several."""


@dataclass
class Trials:
    """Solves a problem with some of its limits changed; remembers what time did not allow."""

    resolver: Resolver
    was_cut_short: bool = False

    def plan(self, *patches: Patch, least_cash: bool = False) -> Plan | None:
        """The best plan with the patches; None when there is none, or none in time."""
        problem = patched(self.resolver.problem, merged_patch(*patches))
        return self._answer(cash_only(problem) if least_cash else problem).plan

    def is_infeasible(self, *patches: Patch) -> bool:
        """True when it is proven that there is no plan with the patches."""
        problem = patched(self.resolver.problem, merged_patch(*patches))
        return self._answer(problem).status is Status.INFEASIBLE

    def _answer(self, problem: Problem) -> SearchResult:
        answer = self.resolver.answer(problem)
        self.was_cut_short = self.was_cut_short or answer.status is Status.NO_PLAN
        return answer


def smallest_change(trials: Trials, limit: LimitInForce, *others: Patch) -> Change | None:
    """The least loosening of `limit`, beside other changes, that gives a plan.

    None when no loosening of it does, or when time is up.
    """
    if isinstance(limit, CashLimit):
        return _more_cash(trials, limit, *others)
    freed = trials.plan(*others, limit.free)
    if freed is None:
        return None
    if isinstance(limit, NameLimit):
        return _more_names(trials, limit, freed, *others)
    if isinstance(limit, SteppedLimit):
        return _lowest_rung(trials, limit, freed, *others)
    return Change(
        path=limit.path,
        now=limit.said,
        text="do without it",
        patch=limit.free,
        too_little=None,
        cash_usd_per_month=cash_of(freed),
        fleet=fleet_line(freed),
        proven=freed.status is Status.OPTIMAL,
    )


def _more_cash(trials: Trials, limit: CashLimit, *others: Patch) -> Change | None:
    cheapest = trials.plan(*others, limit.free, least_cash=True)
    if cheapest is None or cash_of(cheapest) <= limit.usd:
        return None
    cents = math.ceil(cash_of(cheapest) * CENTS_PER_USD - 1e-4)
    needed = cents / CENTS_PER_USD
    patch = {limit.path: needed}
    plan = trials.plan(*others, patch)
    if plan is None:
        return None
    more, total = usd_shown(needed - limit.usd), usd_shown(needed)
    less = (cents - 1) / CENTS_PER_USD
    return Change(
        path=limit.path,
        now=limit.said,
        text=f"raise the budget by {more} to {total}",
        patch=patch,
        too_little={limit.path: less} if less > limit.usd else None,
        cash_usd_per_month=cash_of(plan),
        fleet=fleet_line(plan),
        proven=cheapest.status is Status.OPTIMAL and plan.status is Status.OPTIMAL,
    )


def _lowest_rung(trials: Trials, limit: SteppedLimit, freed: Plan, *others: Patch) -> Change | None:
    values = limit.looser(freed)
    if not values or (best := trials.plan(*others, limit.patch(values[-1]))) is None:
        return None
    fails, works, is_sure = -1, len(values) - 1, True
    while works - fails > 1:
        middle = (fails + works) // 2
        plan = trials.plan(*others, limit.patch(values[middle]))
        if plan is not None:
            works, best = middle, plan
        else:
            is_sure = is_sure and trials.is_infeasible(*others, limit.patch(values[middle]))
            fails = middle
    return Change(
        path=limit.path,
        now=limit.said,
        text=limit.text(values[works]),
        patch=limit.patch(values[works]),
        too_little=limit.patch(values[fails]) if fails >= 0 else None,
        cash_usd_per_month=cash_of(best),
        fleet=fleet_line(best),
        proven=is_sure and best.status is Status.OPTIMAL,
    )


def _more_names(trials: Trials, limit: NameLimit, freed: Plan, *others: Patch) -> Change | None:
    """One name that suffices, the cheapest of them; else as few as the cheapest fleet needs."""
    used = sorted(limit.uses(freed))
    if not used:
        return None
    singles = [([name], plan) for name, plan in _singles(trials, limit, used, *others)]
    chosen = min(singles, key=lambda pair: cash_of(pair[1]), default=None)
    names, plan = chosen or _fewest(trials, limit, used, freed, *others)
    return Change(
        path=limit.path,
        now=limit.said,
        text=limit.text(names),
        patch=limit.allowing(names),
        too_little=None,
        cash_usd_per_month=cash_of(plan),
        fleet=fleet_line(plan),
        proven=plan.status is Status.OPTIMAL,
    )


def _singles(
    trials: Trials, limit: NameLimit, used: Sequence[str], *others: Patch
) -> Iterator[tuple[str, Plan]]:
    """Names that suffice alone: of those used, else of all that are ruled out, if not too many."""
    found = False
    for name in used:
        plan = trials.plan(*others, limit.allowing([name]))
        if plan is not None:
            found = True
            yield name, plan
    if found or len(limit.ruled_out) > MOST_SINGLE_NAMES:
        return
    for name in limit.ruled_out:
        plan = None if name in used else trials.plan(*others, limit.allowing([name]))
        if plan is not None:
            yield name, plan


def _fewest(
    trials: Trials, limit: NameLimit, used: Sequence[str], freed: Plan, *others: Patch
) -> tuple[list[str], Plan]:
    """Those of the names used that cannot be spared."""
    kept, best = list(used), freed
    for name in used:
        fewer = [other for other in kept if other != name]
        plan = trials.plan(*others, limit.allowing(fewer)) if fewer else None
        if plan is not None:
            kept, best = fewer, plan
    return kept, best
