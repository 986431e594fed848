"""What to serve when the budget does not pay for everything: `when_short: fair` or `priority`.

One program after another over the same rows, each with its own proof; see
`milp/program/lexicographic.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.program.language.variables import utilization_limit
from milp_planner.milp.program.lexicographic import (
    HELD_TOLERANCE,
    SCALE,
    Held,
    everything_served,
    stages_of,
)
from milp_planner.plans.records import Plan, Status
from milp_planner.plans.solution import FleetChoice

if TYPE_CHECKING:
    from milp_planner.milp.engines.certify import Verdict
    from milp_planner.solving.search import Answer, Search

NOISE = 5 * HELD_TOLERANCE
"""Share by which a shortfall may differ from what is lacking and still be it."""


def may_be_short(problem: Problem) -> bool:
    """True where the user lets a short budget serve less."""
    budget = problem.limits.budget
    return budget is not None and budget.when_short != "fail"


def next_when_short(search: Search) -> Answer:
    """The next plan of a problem whose budget may be short.

    Everything is served where the budget pays for it. Otherwise, and only if it is the budget that
    stands in the way, as much is served as `when_short` says, at the least score.
    """
    if search.held is not None:
        return search.best(search.held)
    search.held = everything_served(search.given.problem)
    full = search.best(search.held)
    if full.status is not Status.INFEASIBLE:
        return full
    cheapest = without_budget(search)
    if cheapest.status is Status.INFEASIBLE:
        return full
    return as_much_as_paid_for(search, cheapest.plan)


def without_budget(search: Search) -> Answer:
    """The best plan when money does not count."""
    problem = search.given.problem
    limits = problem.limits.model_copy(update={"budget": None})
    given = replace(search.given, problem=problem.model_copy(update={"limits": limits}))
    settings = replace(
        search.settings, time_limit_s=search.seconds_left, break_ties=False
    )  # its cost is all that is asked for
    freed = type(search)(given, settings, search.provenance, search.asked, required=search.required)
    return freed.next()


def as_much_as_paid_for(search: Search, everything: Plan | None) -> Answer:
    """What a budget that is known to be short serves; `everything` is only told of."""
    held: Held = ()
    verdicts = []
    for stage in stages_of(search.given.problem):
        model, verdict = search.minimum(stage, held)
        if not verdict.values:
            return search.without_plan(model, verdict)
        assert verdict.objective is not None
        held = (*held, (stage, verdict.objective / SCALE))
        verdicts.append(verdict)
    search.held = held
    answer = search.best(held)
    if answer.plan is None:
        return answer
    answer = _proven_throughout(answer, verdicts)
    assert answer.plan is not None
    note = short_note(search.given.problem, answer.plan, everything)
    plan = replace(answer.plan, warnings=(*answer.plan.warnings, note))
    return replace(answer, plan=plan)


def _proven_throughout(answer: Answer, verdicts: Sequence[Verdict]) -> Answer:
    """The answer with no more proof than the weakest of the stages before it."""
    assert answer.plan is not None
    names = set.intersection(*(set(verdict.certified_by) for verdict in verdicts))
    by = tuple(name for name in answer.proof.certified_by if name in names)
    notes = (note for verdict in verdicts for note in verdict.notes)
    proof = replace(
        answer.proof,
        certified=len(by) > 1,
        certified_by=by,
        notes=tuple(dict.fromkeys((*answer.proof.notes, *notes))),
    )
    if all(verdict.status is EngineStatus.OPTIMAL for verdict in verdicts):
        return replace(answer, proof=proof, plan=replace(answer.plan, proof=proof))
    status = Status.FEASIBLE
    plan = replace(answer.plan, status=status, proof=proof, bound=None)
    return replace(answer, status=status, proof=proof, bound=None, plan=plan)


def without_noise(given: PlanningInput, choice: FleetChoice) -> FleetChoice:
    """The choice with shortfalls of what the units cannot carry, to the last digit.

    A stage is held within a solver's tolerance, which shows in the shortfall of the plan. With one
    class what is left unserved can be said exactly; a priced shortfall is left as it was priced.
    """
    priced = given.problem.policy.active_penalties.shortfall is not None
    exact = dict(choice.shortfalls)
    for (w, q, t), share in choice.shortfalls.items():
        if not priced and len(given.schedule.demands[w].classes) == 1:
            lacking = max(0.0, 1 - _carried(given, choice, w, t))
            if abs(share - lacking) <= NOISE:
                exact[w, q, t] = lacking
    return replace(choice, shortfalls=exact)


def _carried(given: PlanningInput, choice: FleetChoice, workload: str, t: int) -> float:
    """The share of a one-class workload's peak that its fleet can serve at most."""
    limit = utilization_limit(given.problem, given.problem.workload(workload))
    peak = given.schedule.demands[workload].peak[t]
    units = (
        limit * k.mix_requests_per_second * on[t] / peak
        for k, on in choice.units.items()
        if k.workload == workload
    )
    tokens = (x for (k, _, u), x in choice.shares.items() if k.workload == workload and u == t)
    return sum(units) + sum(tokens)


def short_note(problem: Problem, plan: Plan, everything: Plan | None) -> str:
    """What a short budget serves, and what everything would cost."""
    budget = problem.limits.budget
    assert budget is not None
    served = ", ".join(f"{1 - w.shortfall_share:.1%} of {w.name}" for w in plan.workloads)
    said = f"the budget of ${budget.usd_per_month:,.2f} is short: at the peak it serves {served}"
    if everything is None or everything.cash_usd_per_month is None:
        return said
    if any(w.shortfall_share for w in everything.workloads):
        return said
    return f"{said}; to serve everything costs ${everything.cash_usd_per_month:,.2f}"
