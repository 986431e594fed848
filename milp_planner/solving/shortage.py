"""What to serve when not everything can be served: `when_short: fair` or `priority`.

One program after another over the same rows, each with its own proof; see
`milp/program/lexicographic.py`.
"""

from __future__ import annotations

from dataclasses import replace

from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.program.lexicographic import (
    SCALE,
    Held,
    everything_served,
    stages_of,
)
from milp_planner.milp.program.limits.quotas import used_up
from milp_planner.plans.reasons import ServedInPart, ShortBudget
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.optimum import Optimizer, Query, without_plan
from milp_planner.solving.results import NOT_SOLVED, SearchResult
from milp_planner.solving.stages import best_in_order, plan_of_stage, proven_throughout


def best_when_short(optimizer: Optimizer, query: Query) -> tuple[SearchResult, Held]:
    """The best plan where something may be short, and what it holds those after it to.

    Everything is served where that can be. Otherwise as much is served as `when_short` says, at the
    least score; where only a short budget may leave something out, if it is what stands in the way.
    """
    problem = optimizer.instance.problem
    everything = everything_served(problem)
    full = best_in_order(optimizer, query.holding(everything))
    if full.status is not Status.INFEASIBLE:
        return full, everything
    all_may_be_short = problem.policy.when_short != "fail"
    if problem.limits.budget is None:
        return as_much_as_can_be(optimizer, query, None)
    cheapest = without_budget(optimizer, query, everything if all_may_be_short else ())
    if cheapest.status is Status.INFEASIBLE and not all_may_be_short:
        return full, everything
    return as_much_as_can_be(optimizer, query, cheapest.plan)


def without_budget(optimizer: Optimizer, query: Query, held: Held) -> SearchResult:
    """The best plan when money does not count; any of those that score the same."""
    problem = optimizer.instance.problem
    limits = problem.limits.model_copy(update={"budget": None})
    instance = replace(optimizer.instance, problem=problem.model_copy(update={"limits": limits}))
    freed = Optimizer(
        instance, optimizer.settings, optimizer.provenance, optimizer.session, optimizer.required
    )
    return freed.best(Query(query.difference).holding(held))


def as_much_as_can_be(
    optimizer: Optimizer, query: Query, everything: Plan | None
) -> tuple[SearchResult, Held]:
    """What can be served where that is known not to be all, and what each stage of it reached.

    `everything`, a plan that serves all, is only told of. Where time ends in a stage, the plan of
    the one before it stands, unproven.
    """
    held: Held = ()
    runs: list[CertifiedRun] = []
    before = NOT_SOLVED
    for stage in stages_of(optimizer.instance.problem):
        try:
            model, run = optimizer.minimum(stage, replace(query, held=held))
        except OutOfTime:
            return _told(optimizer, before, everything), held
        if not run.values:
            ended = without_plan(model, run)
            stopped = ended.status is Status.NO_PLAN
            return _told(optimizer, before if stopped else ended, everything), held
        assert run.objective is not None
        before = plan_of_stage(optimizer, model, run, query.holding(held))
        held = (*held, (stage, run.objective / SCALE))
        runs.append(run)
    result = best_in_order(optimizer, query.holding(held))
    if result.plan is None:
        stopped = result.status is Status.NO_PLAN
        return _told(optimizer, before if stopped else result, everything), held
    return _told(optimizer, proven_throughout(result, runs), everything), held


def _told(optimizer: Optimizer, result: SearchResult, everything: Plan | None) -> SearchResult:
    """The result, whose plan says what of the demand it serves."""
    if result.plan is None:
        return result
    note = short_note(optimizer.instance.problem, result.known, everything)
    plan = replace(result.known, warnings=(*result.known.warnings, note))
    return replace(result, plan=plan)


def short_note(problem: Problem, plan: Plan, everything: Plan | None) -> ShortBudget | ServedInPart:
    """What is served of what was asked: by a short budget, and what everything would cost; else by
    all that can be had, and what that is."""
    budget = problem.limits.budget
    complete = everything is not None and not any(w.shortfall_share for w in everything.workloads)
    if budget is not None and (complete or problem.policy.when_short == "fail"):
        served = tuple((w.name, 1 - w.shortfall_share) for w in plan.workloads)
        usd = everything.cash_usd_per_month if everything is not None and complete else None
        return ShortBudget(budget.usd_per_month, served, usd)
    rates = tuple(
        (w.name, (1 - w.shortfall_share) * w.peak_requests_per_second, w.peak_requests_per_second)
        for w in plan.workloads
    )
    return ServedInPart(rates, tuple(used_up(problem, plan)))
