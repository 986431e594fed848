"""What to serve when not everything can be served: `when_short: fair` or `priority`.

One program after another over the same rows, each with its own proof; see
`milp/program/lexicographic.py`. Where a budget alone links many workloads it takes no program; of
several classes that is so of the largest share that is left out, by lists.
"""

from __future__ import annotations

import time
from itertools import islice

from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import (
    all_may_be_short,
)
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import replace
from milp_planner.milp.curves.budget import usd_for_all
from milp_planner.milp.curves.fleets import CURVES, cheapest_fleet, curves_of
from milp_planner.milp.curves.short_budget import fleet_within, links_by_budget_alone
from milp_planner.milp.engines.certify import BOTH
from milp_planner.milp.program.lexicographic import (
    SCALE,
    Held,
    everything_served,
    stages_of,
)
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.plans.reasons import ServedInPart, ShortBudget
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.short_notes import by_budget, in_part, short_note
from milp_planner.solving.assembly.verify import keeps_all, violations
from milp_planner.solving.first.fleets import first_fleets
from milp_planner.solving.names_and_money import (
    first_by_lists,
    is_short_of_money_alone,
    without_its_budget,
)
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import (
    NOT_SOLVED,
    Query,
    SearchResult,
    proven_by,
    without_plan,
)
from milp_planner.solving.stages import (
    best_in_order,
    plan_of_stage,
    proven_throughout,
)
from milp_planner.solving.tie_break import MOST_COLUMNS

MOST_FLEETS = 4
"""Fleets that take no search, cheapest first, that are held against every rule."""

MOST_OF_THE_REST = 0.25
"""Of the time left once it is known what is served, what telling the cost of all may take."""


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


def _has_fleet_for_all(optimizer: Optimizer) -> bool:
    """True where a fleet that takes no search serves everything, were there no budget."""
    freed = without_its_budget(optimizer.instance)
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
        without_its_budget(optimizer.instance),
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
    listed = first_by_lists(optimizer, query)
    held, before, runs = listed.held, listed.result, listed.runs
    for stage in stages_of(optimizer.instance.problem)[len(held) :]:
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
    return listed.with_proof_of(proven_throughout(result, runs)), held


def _told(
    problem: Problem, result: SearchResult, cheapest: SearchResult = NOT_SOLVED
) -> SearchResult:
    """The result, whose plan says what of the demand it serves; `cheapest`, the answer were there
    no budget, is only told of."""
    if result.plan is None:
        return result
    is_none = cheapest.plan is None and cheapest.status is Status.INFEASIBLE
    note = short_note(problem, result.known, cheapest.plan, is_none=is_none)
    plan = replace(result.known, warnings=(*result.known.warnings, note))
    return replace(result, plan=plan)


def still_told(problem: Problem, before: Plan, chosen: SearchResult) -> SearchResult:
    """`chosen`, of plans that score what `before` does, with what that says of what is served."""
    told = _shortage_told(before)
    if told is None or chosen.plan is None or _shortage_told(chosen.plan) is not None:
        return chosen
    note = (
        by_budget(problem, chosen.plan, told.everything_usd)
        if isinstance(told, ShortBudget)
        else in_part(problem, chosen.plan)
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
    if asks_more or optimizer.settings.solver != BOTH or not is_short_of_money_alone(problem):
        return None
    assert problem.limits.budget is not None
    budget = problem.limits.budget.usd_per_month
    try:
        with optimizer.session.in_force():
            model = optimizer.model(query)
            if len(model.columns) <= MOST_COLUMNS or not links_by_budget_alone(model):
                return None
            freed = build_model(without_its_budget(optimizer.instance), model.fleet.candidates)
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
    return assemble(without_its_budget(optimizer.instance), fleet.solution, optimizer.provenance)
