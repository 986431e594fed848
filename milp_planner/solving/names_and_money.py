"""The best plan where only names link workloads, or a budget that is kept without being asked for.

So is what a short budget may leave out: where everything can be served within it, that is asked for
alone, which is a problem of other form, without shortfalls.

How many providers, regions or types of GPU there may be is no row of any program here: see
`milp/curves/few_names.py`. A workload by itself is a curve, or a program of covering rows whose
cheapest fleet is listed; anything else is left to the engines, with all workloads in one program.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction

from milp_planner.candidates.records import Candidate
from milp_planner.deadline import OutOfTime, check, seconds_left, until
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.curves.few_names import (
    Alone,
    Count,
    Least,
    UnprovenError,
    best_of_few,
    cheapest_of_few,
    counts_of,
    without_budget_and_counts,
)
from milp_planner.milp.curves.fleets import CURVES
from milp_planner.milp.curves.listed.reading import covering_of
from milp_planner.milp.engines.certify import BOTH
from milp_planner.milp.presolve.lazy_rows import independent, only_workloads
from milp_planner.milp.program.families import rules_of
from milp_planner.milp.program.lexicographic import everything_served
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.joining import solution_of
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import (
    Query,
    SearchResult,
    proven_by,
    result_of,
    with_newer_bound,
)
from milp_planner.solving.search import Answer, Search
from milp_planner.solving.verify import keeps_all

OF_TIME, OF_ENGINES = 0.8, 0.25
"""The part of the time left that all workloads may take, with whatever names; and of it, what the
engines may where there is nothing to list."""


OF_EVERYTHING = 0.5
"""The part of the time left that looking for a plan which serves everything may take."""


def where_short(search: Search, answer: Answer) -> SearchResult:
    """The best plan of a problem that may leave something unserved: the cheapest that serves all,
    where that is within the budget.

    answer: gives the best plan of a problem that may not.
    """
    served = _everything(search, answer)
    if served is None:
        return search.next()
    if served.status is not Status.OPTIMAL:
        later = search.next()
        if later.plan is not None and not any(w.shortfall_share for w in later.plan.workloads):
            is_proven = later.status is Status.OPTIMAL
            served = later if is_proven else with_newer_bound(served, later)
    search.held = everything_served(search.instance.problem)
    return served


def _everything(search: Search, answer: Answer) -> SearchResult | None:
    """The cheapest plan that serves everything; None where the budget does not pay for it, or it is
    not found, or where the load is of one class, which takes no look of its own."""
    instance = search.instance
    demands = instance.schedule.demands.values()
    if search.required is not None or all(len(demand.classes) == 1 for demand in demands):
        return None
    freed = replace(instance, problem=_serving_all(instance.problem))
    limit_s = OF_EVERYTHING * search.seconds_left
    settings = replace(search.settings, time_limit_s=limit_s)
    asked = search.asked.model_copy(update={"count": 0})
    found = answer(Search(freed, settings, search.provenance, asked))
    if found.plan is None:
        return None
    solution = solution_of(freed, [found.plan])
    plan = assemble(instance, solution, search.provenance)
    if not keeps_all(instance, plan, found.score_usd_per_month):
        return None
    return result_of(found.status, plan, found.proof, found.bound)


def _serving_all(problem: Problem) -> Problem:
    """The problem in which nothing may be left out, whatever that costs."""
    limits = problem.limits.model_copy(update={"budget": None})
    policy = problem.policy.model_copy(update={"when_short": None})
    return problem.model_copy(update={"limits": limits, "policy": policy})


def by_names_and_budget(search: Search, *, curves_above: int) -> SearchResult | None:
    """The optimum where workloads are linked by nothing but how many names there may be, or by a
    budget that the optimum without it keeps all the same; None elsewhere, and where it is not soon
    proven. Raises OutOfTime when time is up.

    curves_above: columns above which curves and lists are quicker than the engines.
    """
    problem, began_s = search.instance.problem, time.monotonic()
    counts = counts_of(problem)
    links = counts or problem.limits.budget is not None
    if not links or search.settings.solver != BOTH:
        return None
    freed = replace(search.instance, problem=without_budget_and_counts(problem))
    model = build_model(freed, tuple(search.optimizer.pruned.kept))
    if len(model.columns) <= curves_above:
        return None
    found = _by_curves(search, model, counts) or _apart(search, model, counts, few=curves_above)
    if found is None:
        return None
    plan, usd = found
    if not keeps_all(search.instance, plan, usd):
        return None
    result = proven_by(CURVES, plan, began_s, len(model.row_meaning), len(model.fleet.meaning))
    search.found.append(result.known)
    return result


def _by_curves(
    search: Search, model: FleetModel, counts: Sequence[Count]
) -> tuple[Plan, float] | None:
    """The plan of a program of curves, and what they say that it costs."""
    fleet = cheapest_of_few(model, counts)
    if fleet is None:
        return None
    plan = assemble(search.instance, fleet.solution, search.provenance)
    return plan, fleet.usd_per_month


def _apart(
    search: Search, model: FleetModel, counts: Sequence[Count], *, few: int
) -> tuple[Plan, float] | None:
    """The plan of workloads that are solved one by one, and what they come to."""
    workloads = _workloads(search, model, few)
    if workloads is None:
        return None
    with suppress(OutOfTime), until(time.monotonic() + OF_TIME * seconds_left()):
        best = best_of_few(workloads, counts)
        if best is None:
            return None
        plans = [least.fleet for least in best]
        plan = assemble(search.instance, solution_of(search.instance, plans), search.provenance)
        return plan, float(sum((least.usd_per_month for least in best), Fraction(0)))
    check()
    return None


def _workloads(search: Search, model: FleetModel, few: int) -> list[Alone[Plan]] | None:
    """The workloads of a program, each by itself; None where more than names links them, or one
    that is nothing for lists has more than so few columns."""
    instance = model.fleet.instance
    if instance.current_units() or not all(r.solved_apart for r in rules_of(instance.problem)):
        return None
    groups = independent(model, lambda workload, _: workload)
    if any(len(group) > 1 for group in groups):
        return None
    found: list[Alone[Plan]] = []
    for group in groups:
        part = only_workloads(instance, group, model.fleet.candidates)
        own = build_model(part, part.candidates.candidates)
        if covering_of(own) is None and len(own.fleet.meaning) > few:
            return None
        found.append(_Listed(Optimizer(part, search.settings, search.provenance, search.session)))
    return found


@dataclass
class _Listed:
    """A workload whose cheapest fleets are listed, or found by engines that have few columns."""

    optimizer: Optimizer

    @property
    def name(self) -> str:
        """The workload's."""
        return self.optimizer.instance.problem.workloads[0].name

    @property
    def candidates(self) -> Sequence[Candidate]:
        """All that it may use."""
        return self.optimizer.instance.candidates.candidates

    def cheapest(self, kept: Sequence[Candidate]) -> Least[Plan] | None:
        """Its cheapest plan of some of these; None where there is none."""
        check()
        has_all = len(kept) == len(self.candidates)
        fewer = self.optimizer if has_all else self.optimizer.of_fewer(kept)
        result = fewer.listed(Query())
        if result is None:
            ends_s = time.monotonic() + OF_ENGINES * seconds_left()
            session = replace(fewer.session, ends_s=min(ends_s, fewer.session.ends_s))
            result = replace(fewer, session=session).best(Query())
        if result.status is Status.INFEASIBLE:
            return None
        if result.status is not Status.OPTIMAL:
            raise UnprovenError
        spent: dict[Candidate, Fraction] = {}
        for p in result.known.purchases:
            usd = Fraction(p.cash_usd_per_month)
            spent[p.candidate] = spent.get(p.candidate, Fraction(0)) + usd
        return Least(Fraction(result.score_usd_per_month), result.known, spent)
