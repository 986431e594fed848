"""The best plan where only names link workloads, or a budget that is kept without being asked for.

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
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.joining import solution_of
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import Query, SearchResult, proven_by
from milp_planner.solving.search import Search
from milp_planner.solving.verify import keeps_all

OF_TIME, OF_ENGINES = 0.8, 0.25
"""The part of the time left that all workloads may take, with whatever names; and of it, what the
engines may where there is nothing to list."""


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
