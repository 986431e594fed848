"""Workloads that only names or money link, each solved by itself, by curves or lists.

How many providers, regions or types of GPU there may be is no row of any program here: see
`milp/curves/few_names.py`. A workload by itself is a curve, or a program of covering rows whose
cheapest fleet is listed; anything else is left to the engines, with all workloads in one program.

So is a budget that the optimum without it keeps, and what a short one leaves out: where everything
can be served within it, that is asked for alone, which is a problem of other form; else the largest
share of every peak that it pays for, as much shortfall costs as much as so much less load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.candidates.rerouting import most_served
from milp_planner.deadline import OutOfTime, check, seconds_left, until
from milp_planner.inputs.problem.policies import has_penalties, utilization_limit
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.curves.budget import shares_paid
from milp_planner.milp.curves.covering import COVERAGE
from milp_planner.milp.curves.few_names import (
    Count,
    Least,
    NotProven,
    best_of_few,
    cheapest_of_few,
    counts_of,
    without_budget_and_counts,
)
from milp_planner.milp.curves.fleets import CURVES
from milp_planner.milp.curves.listed.reading import covering_of
from milp_planner.milp.engines.certify import BOTH
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.presolve.lazy_rows import independent, only_workloads
from milp_planner.milp.program.families import rules_of
from milp_planner.milp.program.lexicographic import Held, Stage, stages_of
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.milp.program.routes.routing import Block, routed
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import Plan, Proof, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.joining import solution_of
from milp_planner.solving.assembly.verify import keeps_all, violations
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import NOT_SOLVED, Query, SearchResult, proven_by, result_of
from milp_planner.solving.stages import OF_A_STAGE

OF_TIME, OF_LISTS, OF_ENGINES = 0.8, 0.6, 0.25
"""The part of the time left that all workloads may take, with whatever names, and with whatever
part of their loads; and of it, what the engines may where there is nothing to list."""

CLOSER = Fraction(1, 10**8)
"""Shares of a load that lists take for one, as they let a billionth of it lack."""

UNLISTED = CertifiedRun(EngineStatus.FEASIBLE)
"""What lists say of stages where time ended before it was proven."""


def by_names_and_budget(optimizer: Optimizer, *, curves_above: int) -> SearchResult | None:
    """The optimum where workloads are linked by nothing but how many names there may be, or by a
    budget that the optimum without it keeps all the same; None elsewhere, and where it is not soon
    proven. Raises OutOfTime when time is up.

    curves_above: columns above which curves and lists are quicker than the engines.
    """
    instance, began_s = optimizer.instance, time.monotonic()
    counts = counts_of(instance.problem)
    links = counts or instance.problem.limits.budget is not None
    if not links or optimizer.settings.solver != BOTH:
        return None
    freed = replace(instance, problem=without_budget_and_counts(instance.problem))
    model = build_model(freed, tuple(optimizer.pruned.kept))
    if not model.fleet.prices and len(model.columns) <= curves_above:
        return None
    found = _by_curves(optimizer, model, counts) or _apart(optimizer, model, counts, curves_above)
    if found is None:
        return None
    plan, usd = found
    if not keeps_all(instance, plan, usd):
        return None
    return proven_by(CURVES, plan, began_s, len(model.row_meaning), len(model.fleet.meaning))


def _by_curves(
    optimizer: Optimizer, model: FleetModel, counts: Sequence[Count]
) -> tuple[Plan, float] | None:
    """The plan of a program of curves, and what they say that it costs."""
    fleet = cheapest_of_few(model, counts)
    if fleet is None:
        return None
    plan = assemble(optimizer.instance, fleet.solution, optimizer.provenance)
    return plan, fleet.usd_per_month


def _apart(
    optimizer: Optimizer, model: FleetModel, counts: Sequence[Count], few: int
) -> tuple[Plan, float] | None:
    """The plan of workloads that are solved one by one, and what they come to."""
    alone = _each_alone(optimizer, model, few)
    if alone is None:
        return None
    with suppress(OutOfTime), until(time.monotonic() + OF_TIME * seconds_left()):
        best = best_of_few([*map(_Listed, alone)], counts)
        if best is None:
            return None
        solution = solution_of(optimizer.instance, [least.fleet for least in best])
        plan = assemble(optimizer.instance, solution, optimizer.provenance)
        return plan, float(sum((least.usd_per_month for least in best), Fraction(0)))
    check()
    return None


def _each_alone(optimizer: Optimizer, model: FleetModel, few: int) -> list[Optimizer] | None:
    """The workloads of a program, each by itself; None where a row links them, or one that is
    nothing for lists has more than so few columns."""
    instance = model.fleet.instance
    if instance.current_units() or not all(r.solved_apart for r in rules_of(instance.problem)):
        return None
    groups = independent(model, lambda workload, _: workload)
    if any(len(group) > 1 for group in groups):
        return None
    found: list[Optimizer] = []
    for group in groups:
        part = only_workloads(instance, group, model.fleet.candidates)
        own = build_model(part, part.candidates.candidates)
        if covering_of(own) is None and len(own.fleet.meaning) > few:
            return None
        told = optimizer.settings, optimizer.provenance, optimizer.session
        found.append(Optimizer(part, *told))
    return found


def _cheapest(optimizer: Optimizer) -> SearchResult | None:
    """The best plan of a workload by itself, by lists, or by the engines of what has few columns;
    None where there is none.

    Raises NotProven where that is not proven, and OutOfTime.
    """
    check()
    result = optimizer.listed(Query())
    if result is None:
        ends_s = time.monotonic() + OF_ENGINES * seconds_left()
        session = replace(optimizer.session, ends_s=min(ends_s, optimizer.session.ends_s))
        result = replace(optimizer, session=session).best(Query())
    if result.status is Status.INFEASIBLE:
        return None
    if result.status is not Status.OPTIMAL:
        raise NotProven
    return result


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
        fewer = self.optimizer
        if len(kept) < len(self.candidates):
            listed = replace(fewer.instance.candidates, candidates=tuple(kept))
            fewer = fewer.instead(replace(fewer.instance, candidates=listed))
        result = _cheapest(fewer)
        if result is None:
            return None
        spent: dict[Candidate, Fraction] = {}
        for p in result.known.purchases:
            usd = Fraction(p.cash_usd_per_month)
            spent[p.candidate] = spent.get(p.candidate, Fraction(0)) + usd
        return Least(Fraction(result.score_usd_per_month), result.known, spent)


# --- what a short budget pays for ----------------------------------------------------------------


def everything_within(
    instance: PlanningInput, answer: Callable[[PlanningInput], SearchResult]
) -> SearchResult | None:
    """The cheapest plan that serves everything; None where the budget does not pay for it, or it is
    not found, or where the load is of one class, which takes no look of its own.

    answer: gives the best plan of a problem that may leave nothing out.
    """
    demands = instance.schedule.demands.values()
    if all(len(demand.classes) == 1 for demand in demands):
        return None
    freed = without_its_budget(instance)
    policy = freed.problem.policy.model_copy(update={"when_short": None})
    freed = replace(freed, problem=freed.problem.model_copy(update={"policy": policy}))
    found = answer(freed)
    if found.plan is None:
        return None
    plan = assemble(instance, solution_of(freed, [found.plan]), found.plan.provenance)
    if not keeps_all(instance, plan, found.score_usd_per_month):
        return None
    return result_of(found.status, plan, found.proof, found.bound)


def without_its_budget(instance: PlanningInput) -> PlanningInput:
    """The problem without its budget."""
    limits = instance.problem.limits.model_copy(update={"budget": None})
    return replace(instance, problem=instance.problem.model_copy(update={"limits": limits}))


def is_short_of_money_alone(problem: Problem) -> bool:
    """True where only a budget's word lets something be left out, and at no price."""
    priced = problem.policy.active_penalties.shortfall is not None
    said = problem.policy.when_short in (None, "fail")
    return problem.limits.budget is not None and said and not priced


class _Fleet(NamedTuple):
    """The cheapest fleet that carries a share of every peak of a workload."""

    usd_per_month: Fraction
    reach: Fraction
    plan: Plan


@dataclass
class _Costs:
    """What shares of the load of a workload cost: of several classes, those of all are as large."""

    optimizer: Optimizer
    known: list[tuple[Fraction, _Fleet]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The workload's."""
        return self.optimizer.instance.problem.workloads[0].name

    def least(self, share: Fraction) -> _Fleet | None:
        """The cheapest fleet that carries this share; None where none does."""
        instance = self.optimizer.instance
        result = _cheapest(self.optimizer.instead(_with_part_of_load(instance, float(share))))
        if result is None:
            return None
        plan = result.known
        reach = Fraction(
            min(1.0, *(_served(instance, plan, t) for t in _busy(instance, self.name)))
        )
        fleet = _Fleet(Fraction(result.score_usd_per_month), reach, plan)
        self.known.append((share, fleet))
        return fleet

    def plan_for(self, share: Fraction) -> Plan:
        """The fleet that was found for a share, or for less and carries it."""
        able = [fleet for least, fleet in self.known if least <= share <= max(least, fleet.reach)]
        return able[-1].plan


class First(NamedTuple):
    """The first stages."""

    held: Held = ()
    """What each of them reaches."""

    result: SearchResult = NOT_SOLVED
    """A plan that does."""

    is_proven: bool = False

    @property
    def runs(self) -> list[CertifiedRun]:
        """What stands for them among those of engines."""
        return [UNLISTED] if self.held and not self.is_proven else []

    def with_proof_of(self, later: SearchResult) -> SearchResult:
        """The result of the stages after these, proven by whoever proved both."""
        if not self.is_proven or later.status is not Status.OPTIMAL:
            return later
        names = CURVES, *later.proof.certified_by
        proof = replace(later.proof, certified_by=tuple(dict.fromkeys(names)))
        return replace(later, proof=proof, plan=replace(later.known, proof=proof))


NOTHING = First()


def first_by_lists(optimizer: Optimizer, query: Query) -> First:
    """What the first stages reach, as far as it takes no solver.

    It ends with the largest share that is left out of the first priority that lacks anything.
    """
    problem = optimizer.instance.problem
    asks_more = query.follows_others or optimizer.required is not None or query.held
    if asks_more or optimizer.settings.solver != BOTH or has_penalties(problem):
        return NOTHING
    if not is_short_of_money_alone(problem):
        return NOTHING
    with suppress(OutOfTime), optimizer.session.in_force():
        with until(time.monotonic() + OF_LISTS * seconds_left()):
            costs = _costs_of(optimizer)
        if costs is None:
            return NOTHING
        held, plans, is_proven = _reached(problem, costs)
        solution = _leaving_out(optimizer.instance, plans)
        plan = assemble(optimizer.instance, solution, optimizer.provenance)
        if held and not violations(optimizer.instance, plan):
            proof = Proof(certified=False, certified_by=(), notes=(OF_A_STAGE,))
            result = result_of(Status.FEASIBLE, plan, proof, None)
            return First(held, result, is_proven)
    return NOTHING


def _costs_of(optimizer: Optimizer) -> list[_Costs] | None:
    """The workloads, each by itself; None where more than a budget links them, or one is nothing
    for lists, or all are so small that the engines are quick."""
    freed = without_its_budget(optimizer.instance)
    model = build_model(freed, tuple(optimizer.pruned.kept))
    rows_are_loads = all(row.startswith(COVERAGE) for row in model.row_meaning.values())
    alone = _each_alone(optimizer, model, 0) if model.fleet.prices and rows_are_loads else None
    return None if alone is None else [*map(_Costs, alone)]


def _reached(problem: Problem, costs: Sequence[_Costs]) -> tuple[Held, dict[str, Plan], bool]:
    """What each stage reaches until one leaves something out, plans of the workloads till then, and
    whether time let that be proven."""
    assert problem.limits.budget is not None
    left = Fraction(problem.limits.budget.usd_per_month)
    held: Held = ()
    plans: dict[str, Plan] = {}
    for worst in (stage for stage in stages_of(problem) if stage.kind == "worst"):
        mine = [one for one in costs if one.name in worst.workloads]
        share, is_proven = _most_paid(mine, left)
        if not share:
            break
        plans |= {one.name: one.plan_for(share) for one in mine}
        held = (*held, (worst, float(1 - share)))
        if share < 1:
            return held, plans, is_proven
        left -= sum(Fraction(plans[one.name].score_usd_per_month or 0.0) for one in mine)
        held = (*held, (Stage("unserved", worst.workloads), 0.0))
    return held, plans, True


def _most_paid(costs: Sequence[_Costs], budget: Fraction) -> tuple[Fraction, bool]:
    """The largest share that was found, and whether it is the largest of all."""
    share = Fraction(0)
    within = until(time.monotonic() + OF_LISTS * seconds_left())
    with suppress(OutOfTime, NotProven), within:
        for paid in shares_paid(costs, budget, CLOSER):
            share = paid
        return share, True
    return share, False


def _with_part_of_load(instance: PlanningInput, share: float) -> PlanningInput:
    demands = {
        name: replace(
            demand,
            peak=tuple(share * rate for rate in demand.peak),
            mean=tuple(share * rate for rate in demand.mean),
        )
        for name, demand in instance.schedule.demands.items()
    }
    return replace(instance, schedule=replace(instance.schedule, demands=demands))


def _busy(instance: PlanningInput, workload: str) -> Iterator[int]:
    peaks = instance.schedule.demands[workload].peak
    return (t for t, peak in enumerate(peaks) if peak > 0)


def _on(plan: Plan, workload: str, t: int) -> dict[Candidate, float]:
    """Units in a block."""
    mine = (p for p in plan.purchases_of(workload) if p.units_by_block[t])
    return {p.candidate: float(p.units_by_block[t]) for p in mine}


def _served(instance: PlanningInput, plan: Plan, t: int) -> float:
    """The share of the peak of its one workload that a plan can serve in a block."""
    (w,) = instance.problem.workloads
    demand, limit = instance.schedule.demands[w.name], utilization_limit(instance.problem, w)
    wanted = tuple(q.share * demand.peak[t] for q in demand.classes)
    units = [(n * limit, k.requests_per_second) for k, n in _on(plan, w.name, t).items()]
    return most_served(wanted, units, (0.0,) * len(wanted)).times


def _leaving_out(instance: PlanningInput, plans: dict[str, Plan]) -> FleetSolution:
    """The fleets of these workloads, which serve as much of all of their load as they can."""
    units: dict[Candidate, tuple[int, ...]] = {}
    shares: dict[tuple[Candidate, int, int], float] = {}
    shortfalls: dict[tuple[str, int, int], float] = {}
    for name, demand in instance.schedule.demands.items():
        plan = plans.get(name)
        for t in _busy(instance, name):
            on = {} if plan is None else _on(plan, name, t)
            found = routed(instance, (), Block(name, t, on, {}, {})) if on else None
            if found is not None and len(demand.classes) > 1:
                shares |= {(k, q, t): x for (k, q), x in found.shares.items()}
            if found is None or found.times < 1:
                lacking = 1.0 if found is None else 1 - found.times
                shortfalls |= {(name, q, t): lacking for q in range(len(demand.classes))}
        if plan is not None:
            units |= {p.candidate: tuple(p.units_by_block) for p in plan.purchases_of(name)}
    return FleetSolution(units, shares, shortfalls)
