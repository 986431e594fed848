"""One program after another, each holding what those before it reached; see
`milp/program/lexicographic.py`.

With `objective: gpus` the fewest GPUs come first, and of those fleets the cheapest. Next-best plans
follow in the same order: each is the one with the fewest GPUs, then the cheapest, of those left.

With `when_short: fair` or `priority` what is served comes first where not everything can be, each
stage with its own proof. Where a budget alone links many workloads it takes no program.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import all_may_be_short, is_gpus_first
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.curves.budget import usd_for_all
from milp_planner.milp.curves.fleets import CURVES, cheapest_fleet, curves_of
from milp_planner.milp.curves.short_budget import fleet_within, links_by_budget_alone
from milp_planner.milp.engines.certify import BOTH
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.program.lexicographic import (
    GPUS,
    SCALE,
    Held,
    everything_served,
    stages_of,
)
from milp_planner.milp.program.limits.quotas import used_up
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.plans.proof import provers_of_all
from milp_planner.plans.reasons import ServedInPart, ShortBudget
from milp_planner.plans.records import Plan, Proof, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.first.fleets import first_fleets
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import (
    NOT_SOLVED,
    Query,
    SearchResult,
    proof_of,
    proven_by,
    without_plan,
)
from milp_planner.solving.tie_break import MOST_COLUMNS
from milp_planner.solving.verify import keeps_all, violations

OF_A_STAGE = "time ended before the cheapest way to serve as much was looked for"
OF_FEWEST_GPUS = "time ended before the cheapest of the fleets with the fewest GPUs was looked for"

MOST_FLEETS = 4
"""Fleets that take no search, cheapest first, that are held against every rule."""

MOST_OF_THE_REST = 0.25
"""Of the time left once it is known what is served, what telling the cost of all may take."""


def best_in_order(optimizer: Optimizer, query: Query) -> SearchResult:
    """The plan of least score; where GPUs count first, of those with the fewest GPUs.

    Both are proven, by the engines that proved both or each by its own, or neither is.
    """
    if not is_gpus_first(optimizer.instance.problem):
        return optimizer.best(query)
    try:
        model, run = optimizer.minimum(GPUS, query)
    except OutOfTime:
        return NOT_SOLVED
    if not run.values:
        return without_plan(model, run)
    assert run.objective is not None
    result = optimizer.best(query.with_gpus(round(run.objective)))
    if result.plan is None:  # there is a plan with so few: only time can have ended
        return plan_of_stage(optimizer, model, run, query, OF_FEWEST_GPUS)
    return proven_throughout(result, [run])


def in_order_of(optimizer: Optimizer, query: Query, plan: Plan) -> Query:
    """The query for plans that may tie with this one: with no more GPUs, where they count first."""
    if not is_gpus_first(optimizer.instance.problem):
        return query
    return query.with_gpus(plan.gpus)


def plan_of_stage(
    optimizer: Optimizer, model: FleetModel, run: CertifiedRun, query: Query, note: str = OF_A_STAGE
) -> SearchResult:
    """What a stage reached as a plan, whatever it costs within the budget: nothing is proven."""
    plan = optimizer.plan_from(model, run.values, query)
    if violations(optimizer.instance, plan):
        return NOT_SOLVED
    said = proof_of(model, run)
    proof = replace(said, certified=False, certified_by=(), notes=(*said.notes, note))
    plan = replace(plan, status=Status.FEASIBLE, proof=proof)
    return SearchResult(Status.FEASIBLE, plan, proof)


def proven_throughout(result: SearchResult, runs: Sequence[CertifiedRun]) -> SearchResult:
    """The result with no more proof than the weakest of the stages before it."""
    proof = proof_throughout(result.proof, runs)
    if all(run.status is EngineStatus.OPTIMAL for run in runs):
        return replace(result, proof=proof, plan=replace(result.known, proof=proof))
    status = Status.FEASIBLE
    plan = replace(result.known, status=status, proof=proof, lower_bound_usd_per_month=None)
    return replace(result, status=status, proof=proof, bound=None, plan=plan)


def proof_throughout(proof: Proof, runs: Sequence[CertifiedRun]) -> Proof:
    """No more proof than the weakest of the stages before has."""
    notes = (note for run in runs for note in run.notes)
    return replace(
        proof,
        certified=proof.certified and all(run.certified for run in runs),
        certified_by=provers_of_all([proof.certified_by, *(r.certified_by for r in runs)]),
        unconfirmed=proof.unconfirmed or any(run.unconfirmed for run in runs),
        notes=tuple(dict.fromkeys((*proof.notes, *notes))),
    )


# --- what to serve when not everything can be -----------------------------------------------------


def best_when_short(optimizer: Optimizer, query: Query) -> tuple[SearchResult, Held]:
    """The best plan where something may be short, and what it holds those after it to.

    Everything is served where that can be. Otherwise as much is served as `when_short` says, at the
    least score; where only a short budget may leave something out, if it is what stands in the way.
    What everything would cost is only told of: it is looked for last.
    """
    problem = optimizer.instance.problem
    curved = _by_curves(optimizer, query)
    if curved is not None:
        return curved
    everything = everything_served(problem)
    full = best_in_order(optimizer, query.holding(everything))
    if full.status is not Status.INFEASIBLE:
        return full, everything
    if problem.limits.budget is None:
        return as_much_as_can_be(optimizer, query)
    of_money_alone = not all_may_be_short(problem)
    cheapest = NOT_SOLVED
    if of_money_alone and not _has_fleet_for_all(optimizer):
        cheapest = without_budget(optimizer, query, ())
        if cheapest.status is Status.INFEASIBLE:
            return full, everything
    result, held = _in_stages(optimizer, query)
    if cheapest is NOT_SOLVED and result.plan is not None:
        rest = _sooner(optimizer, MOST_OF_THE_REST)
        cheapest = without_budget(rest, query, () if of_money_alone else everything)
    return _told(problem, result, cheapest), held


def _sooner(optimizer: Optimizer, share: float) -> Optimizer:
    """The same with so much of the time that is left."""
    session = optimizer.session
    ends_s = time.monotonic() + share * session.seconds_left
    return replace(optimizer, session=replace(session, ends_s=min(ends_s, session.ends_s)))


def _freed(optimizer: Optimizer) -> PlanningInput:
    """The problem without its budget."""
    problem = optimizer.instance.problem
    limits = problem.limits.model_copy(update={"budget": None})
    return replace(optimizer.instance, problem=problem.model_copy(update={"limits": limits}))


def _has_fleet_for_all(optimizer: Optimizer) -> bool:
    """True where a fleet that takes no search serves everything, were there no budget."""
    freed = _freed(optimizer)
    try:
        with optimizer.session.in_force():
            fleets = list(islice(first_fleets(freed), MOST_FLEETS))
    except OutOfTime:
        return False
    plans = (assemble(freed, fleet.solution, optimizer.provenance) for fleet in fleets)
    return any(not violations(freed, plan) for plan in plans)


def without_budget(optimizer: Optimizer, query: Query, held: Held) -> SearchResult:
    """The best plan when money does not count; any of those that score the same."""
    freed = Optimizer(
        _freed(optimizer),
        *(optimizer.settings, optimizer.provenance, optimizer.session, optimizer.required),
    )
    return freed.best(Query(query.difference).holding(held))


def as_much_as_can_be(optimizer: Optimizer, query: Query) -> tuple[SearchResult, Held]:
    """What can be served where that is known not to be all, and what each stage of it reached."""
    result, held = _in_stages(optimizer, query)
    return _told(optimizer.instance.problem, result), held


def _in_stages(optimizer: Optimizer, query: Query) -> tuple[SearchResult, Held]:
    """The same without a word of what is served.

    Where a stage comes to no plan, for want of time or because an engine finds none in what the one
    before it holds, the plan of that one stands, unproven.
    """
    held: Held = ()
    runs: list[CertifiedRun] = []
    before = NOT_SOLVED
    for stage in stages_of(optimizer.instance.problem):
        try:
            model, run = optimizer.minimum(stage, replace(query, held=held))
        except OutOfTime:
            return before, held
        if not run.values:
            return (before if before.plan is not None else without_plan(model, run)), held
        assert run.objective is not None
        found = plan_of_stage(optimizer, model, run, query.holding(held))
        before = before if found.plan is None else found
        held = (*held, (stage, run.objective / SCALE))
        runs.append(run)
    result = best_in_order(optimizer, query.holding(held))
    if result.plan is None:
        return (before if before.plan is not None else result), held
    return proven_throughout(result, runs), held


def _told(
    problem: Problem, result: SearchResult, cheapest: SearchResult = NOT_SOLVED
) -> SearchResult:
    """The result, whose plan says what of the demand it serves; `cheapest`, the answer were there
    no budget, is only told of."""
    if result.plan is None:
        return result
    note = short_note(problem, result.known, cheapest)
    plan = replace(result.known, warnings=(*result.known.warnings, note))
    return replace(result, plan=plan)


def short_note(
    problem: Problem, plan: Plan, cheapest: SearchResult = NOT_SOLVED
) -> ShortBudget | ServedInPart:
    """What is served of what was asked: by a short budget, and what everything would cost; else by
    all that can be had, and what that is. `cheapest` is the answer were there no budget."""
    if not _is_short_of_money(problem, cheapest):
        return _in_part(problem, plan)
    usd = cheapest.known.cash_usd_per_month if _serves_all(cheapest) else None
    return _by_budget(problem, plan, usd)


def _by_budget(problem: Problem, plan: Plan, everything_usd: float | None) -> ShortBudget:
    assert problem.limits.budget is not None
    served = tuple((w.name, 1 - w.shortfall_share) for w in plan.workloads)
    return ShortBudget(problem.limits.budget.usd_per_month, served, everything_usd)


def _in_part(problem: Problem, plan: Plan) -> ServedInPart:
    rates = tuple(
        (w.name, (1 - w.shortfall_share) * w.peak_requests_per_second, w.peak_requests_per_second)
        for w in plan.workloads
    )
    return ServedInPart(rates, tuple(used_up(problem, plan)))


def _is_short_of_money(problem: Problem, cheapest: SearchResult) -> bool:
    """True where money is what is lacking; where that is not known, where only the budget says that
    less may be served."""
    if problem.limits.budget is None:
        return False
    if not all_may_be_short(problem):
        return True
    if cheapest.plan is None:
        is_known = cheapest.status is Status.INFEASIBLE
        return not is_known and problem.policy.when_short is None
    return _serves_all(cheapest)


def _serves_all(result: SearchResult) -> bool:
    return result.plan is not None and not any(w.shortfall_share for w in result.plan.workloads)


def still_told(problem: Problem, before: Plan, chosen: SearchResult) -> SearchResult:
    """`chosen`, of plans that score what `before` does, with what that says of what is served."""
    told = _shortage_told(before)
    if told is None or chosen.plan is None or _shortage_told(chosen.plan) is not None:
        return chosen
    note = (
        _by_budget(problem, chosen.plan, told.everything_usd)
        if isinstance(told, ShortBudget)
        else _in_part(problem, chosen.plan)
    )
    plan = replace(chosen.plan, warnings=(*chosen.plan.warnings, note))
    return replace(chosen, plan=plan)


def _shortage_told(plan: Plan) -> ShortBudget | ServedInPart | None:
    told = (one for one in plan.warnings if isinstance(one, ShortBudget | ServedInPart))
    return next(told, None)


# --- what takes no solver -----------------------------------------------------------------------


def _by_curves(optimizer: Optimizer, query: Query) -> tuple[SearchResult, Held] | None:
    """What the budget serves where nothing else links the workloads; None where it takes a solver,
    or the program is so small that the engines are quick.

    Stage by stage as the programs have it: see `milp/curves/budget.py` and `shortage.py`.
    """
    problem, began_s = optimizer.instance.problem, time.monotonic()
    asks_more = query.follows_others or optimizer.required is not None
    if asks_more or optimizer.settings.solver != BOTH or not _is_short_of_money_alone(problem):
        return None
    assert problem.limits.budget is not None
    budget = problem.limits.budget.usd_per_month
    try:
        with optimizer.session.in_force():
            model = optimizer.model(query)
            if len(model.columns) <= MOST_COLUMNS or not links_by_budget_alone(model):
                return None
            freed = build_model(_freed(optimizer), model.fleet.candidates)
            curves = curves_of(freed)
            if curves is None or usd_for_all(curves) is None:
                return None  # it is not money that is lacking
            served = fleet_within(model, curves, budget)
    except OutOfTime:
        return None
    if served is None:
        return None
    plan = assemble(optimizer.instance, served.solution, optimizer.provenance)
    if not keeps_all(optimizer.instance, plan, served.usd_per_month):
        return None
    result = proven_by(CURVES, plan, began_s, len(model.row_meaning), len(model.fleet.meaning))
    if served.serves_all:
        return result, everything_served(problem)
    everything = _plan_for_all(optimizer, freed)
    cheapest = NOT_SOLVED if everything is None else replace(result, plan=everything)
    return _told(problem, result, cheapest), served.held


def _plan_for_all(optimizer: Optimizer, freed: FleetModel) -> Plan | None:
    """The cheapest plan of what takes no solver without its budget; None where time ends."""
    try:
        with optimizer.session.in_force():
            fleet = cheapest_fleet(freed)
    except OutOfTime:
        return None
    if fleet is None:
        return None
    return assemble(_freed(optimizer), fleet.solution, optimizer.provenance)


def _is_short_of_money_alone(problem: Problem) -> bool:
    """True where only a budget's word lets something be left out, and at no price."""
    priced = problem.policy.active_penalties.shortfall is not None
    said = problem.policy.when_short in (None, "fail")
    return problem.limits.budget is not None and said and not priced
