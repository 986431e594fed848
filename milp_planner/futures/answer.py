"""From a problem with futures to a plan: the commitments, and what is done in each future."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from milp_planner.deadline import OutOfTime, until
from milp_planner.errors import Fault, InputError
from milp_planner.executors.asked import executor_asked
from milp_planner.executors.parcels import Shared
from milp_planner.futures.blocks import FuturesAnswer
from milp_planner.futures.cases import Case, cases_of
from milp_planner.futures.compare import Comparison
from milp_planner.futures.measures import measure_of
from milp_planner.futures.optimum import FuturesOptimizer
from milp_planner.futures.short import (
    best_in_stages,
    left_out,
    served_whole,
    short_anywhere,
    without_candidates,
)
from milp_planner.futures.start import best_in_time, kept_of_plans, start
from milp_planner.futures.thresholds import with_levels
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.policies import may_be_short
from milp_planner.inputs.problem.records import Alternatives, Problem
from milp_planner.inputs.problem.uncertain.futures import EXPECTED
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import kept_in_futures
from milp_planner.plans.reasons import Said
from milp_planner.plans.records import Plan, Proof, Provenance, Status
from milp_planner.solving.checks.quotes import horizon_faults
from milp_planner.solving.parts import first_answer
from milp_planner.solving.re_solve import stranded
from milp_planner.solving.results import (
    NOT_SOLVED,
    Interrupted,
    SearchResult,
    Session,
    Settings,
    no_plan,
)
from milp_planner.solving.search import Search

INSURES_GROWTH = (
    "risk: measured on cost the worst future is the one of most traffic, so this insures against "
    "growth and commits more; who fears idle commitments writes of: margin, with value"
)

LEAST_OWED = "futures: other commitments come to as much and owe more; these owe the least"

NONE_FOR_ALL = Said(
    "each future can be planned by itself, and no one set of commitments serves them all"
)
NONE_IN_PART = Said(
    "no set of commitments keeps the limits of every future, however little of its traffic is "
    "served"
)
NO_ALTERNATIVES = Alternatives(count=0)

OF_A_KNOWN_MONTH: Final = {
    "today": "the bill of today is set beside a plan of a month that is known, not of futures",
    "choices": "other choices are of a month that is known, not of several futures",
}
"""Keys that a plan over futures would leave without effect, each with why."""


def plan_over_futures(
    problem: Problem,
    catalog: Catalog,
    settings: Settings,
    provenance: Provenance,
    *,
    next_best: int = 0,
    beside: bool = True,
) -> Plan:
    """The plan of a problem that has futures.

    next_best: how many other commitments to look for. beside: also what knowing more is worth, what
    other plans would cost, and from which probability on other commitments are right.

    Where `when_short` says what is served when not everything can be, that is asked once it is
    proven that everything cannot.

    Raises InputError for names unknown, SolverError for a plan that breaks its own limits.
    """
    if faults := [*horizon_faults(problem), *_faults_of_asking(problem)]:
        raise InputError(faults)
    started_s = time.monotonic()
    session = Session.of(settings)
    whole = served_whole(problem) if may_be_short(problem) else problem
    given = catalog, settings, provenance, session
    plan = _with_all_served(whole, *given, next_best if beside else None)
    if may_be_short(problem) and plan.status is Status.INFEASIBLE:
        plan = _served_in_part(short_anywhere(problem), *given, plan)
    return replace(plan, proof=replace(plan.proof, seconds=time.monotonic() - started_s))


def _with_all_served(
    problem: Problem,
    catalog: Catalog,
    settings: Settings,
    provenance: Provenance,
    session: Session,
    next_best: int | None,
) -> Plan:
    """The plan under which every future serves what it asks, or pays for what it does not."""

    def without(status: Status, reasons: Sequence[Said] = (), proof: Proof | None = None) -> Plan:
        return no_plan(problem.name, status, proof or NOT_SOLVED.proof, provenance, reasons)

    try:
        with session.in_force():
            cases = cases_of(problem, catalog)
            alone = _each_alone(cases, settings, provenance, session)
            each = (_why_not(*pair) for pair in zip(cases, alone, strict=True))
            if unserved := [why for why in each if why is not None]:
                return without(Status.INFEASIBLE, unserved)
    except OutOfTime:
        return without(Status.NO_PLAN)
    measure = measure_of(problem, cases, [one.bound for one in alone])
    given = problem, cases, settings, provenance, session
    optimizer, answer, in_time = _optimum(*given, measure, alone)
    if not answer.plans:
        told = [NONE_FOR_ALL] if answer.status is Status.INFEASIBLE else []
        return without(answer.status, told, answer.proof)
    comparison = Comparison(problem, catalog, cases, alone, optimizer, measure, answer)
    plan = _leading_plan(problem, answer, alone[comparison.leading], comparison.leading)
    return _told(plan, comparison, session, next_best if in_time else None)


def _served_in_part(
    problem: Problem,
    catalog: Catalog,
    settings: Settings,
    provenance: Provenance,
    session: Session,
    whole: Plan,
) -> Plan:
    """The plan under which futures leave out as little as can be. whole: that there is none under
    which they leave out nothing."""
    try:
        with session.in_force():
            cases = cases_of(problem, catalog)
            if any(name for case in cases for name in stranded(case.instance)):
                return whole
            if lacking := [why for case in cases for why in without_candidates(case)]:
                return replace(whole, reasons=tuple(lacking))
            optimizer = _optimizer(problem, cases, settings, provenance, session)
    except OutOfTime:
        return no_plan(problem.name, Status.NO_PLAN, NOT_SOLVED.proof, provenance, ())
    measure = measure_of(problem, cases, [None] * len(cases))
    answer = best_in_stages(problem, optimizer, measure)
    if not answer.plans:
        told = [NONE_IN_PART] if answer.status is Status.INFEASIBLE else []
        return no_plan(problem.name, answer.status, answer.proof, provenance, told)
    alone = [NOT_SOLVED] * len(cases)
    comparison = Comparison(problem, catalog, cases, alone, optimizer, measure, answer)
    plan = _leading_plan(problem, answer, NOT_SOLVED, comparison.leading)
    warnings = (*plan.warnings, *left_out(cases, answer))
    return replace(plan, warnings=warnings, futures=comparison.brief(idle=False))


def _faults_of_asking(problem: Problem) -> Iterator[Fault]:
    for key, why in OF_A_KNOWN_MONTH.items():
        if getattr(problem, key) != Problem.model_fields[key].default:
            yield Fault("", 0, 0, key, why, "leave it out")


def _optimum(
    problem: Problem,
    cases: Sequence[Case],
    settings: Settings,
    provenance: Provenance,
    session: Session,
    measure: Measure,
    alone: Sequence[SearchResult],
) -> tuple[FuturesOptimizer, FuturesAnswer, bool]:
    """The best commitments; False beside them where time was up before all could be looked at."""
    given = problem, cases, settings, provenance, session
    try:
        with session.in_force():
            optimizer = _optimizer(*given)
    except OutOfTime:
        optimizer = _optimizer(*given, alone)
        answer, in_time = start(optimizer, measure, alone), False
    else:
        answer, in_time = best_in_time(optimizer, measure, alone), True
        answer = optimizer.with_least_owed(answer, measure)
    return optimizer, optimizer.with_cheapest_recourse(answer, measure), in_time


def _told(plan: Plan, comparison: Comparison, session: Session, next_best: int | None) -> Plan:
    """The plan with what is told beside it. next_best: None where that is nothing to be solved."""
    if next_best is None or session.is_stopped:
        return replace(plan, futures=comparison.brief(idle=not session.is_stopped))
    try:
        found = comparison.told(next_best)
        thresholds, flat = with_levels(comparison)
    except KeyboardInterrupt as stop:
        known = replace(plan, futures=comparison.brief(idle=False))
        raise Interrupted(known, stop) from stop
    return replace(plan, futures=replace(found, thresholds=thresholds, flat=flat))


@dataclass(frozen=True)
class _Sent(Shared):
    """Futures that are solved by themselves, wherever that is."""

    cases: tuple[Case, ...]
    settings: Settings
    provenance: Provenance

    def spoken_of(self) -> Iterator[object]:
        """Candidates."""
        for case in self.cases:
            yield from case.instance.candidates.every


def _each_alone(
    cases: tuple[Case, ...], settings: Settings, provenance: Provenance, session: Session
) -> list[SearchResult]:
    """The best plan of each future where it is known that it will be that one, one after another or
    on the executor that is asked for.

    Each has an equal part of the time, and what comes after them what two have.
    """
    sent, executor, count = _Sent(cases, settings, provenance), executor_asked(), len(cases)
    if executor is None:
        lefts = range(count + 2, 2, -1)
        return [_alone(sent, (i, session.seconds_left / left)) for i, left in enumerate(lefts)]
    from milp_planner.executors.side_by_side import places_of, side_by_side  # which few need

    limit_s = session.seconds_left * min(places_of(executor), count) / (count + 2)
    tasks = [(i, limit_s) for i in range(count)]
    return [*side_by_side(executor, _alone, sent, tasks, _lost)]


def _alone(sent: _Sent, task: tuple[int, float]) -> SearchResult:
    """The best plan of a future by itself. task: its number, and the seconds that it may take."""
    number, limit_s = task
    instance = sent.cases[number].instance
    if any(stranded(instance)):
        return SearchResult(Status.INFEASIBLE, None, NOT_SOLVED.proof)
    within = replace(sent.settings, time_limit_s=limit_s)
    with until(within.ends_s, within.cancel):
        return first_answer(Search(instance, within, sent.provenance, NO_ALTERNATIVES))


def _lost(task: tuple[int, float], why: str) -> SearchResult:
    return NOT_SOLVED


def _why_not(case: Case, alone: SearchResult) -> Said | None:
    """Which future has no plan at all."""
    if alone.status is not Status.INFEASIBLE:
        return None
    names = [*stranded(case.instance)]
    if names:
        return Said(f"future {case.name!r}: nothing that is allowed can serve {names[0]!r}")
    return Said(
        f"future {case.name!r} has no plan even by itself: its limits leave no fleet that serves "
        "its traffic; loosen them, give that future less traffic, or price what is left unserved "
        "(policy.penalties.shortfall)"
    )


def _optimizer(
    problem: Problem,
    cases: Sequence[Case],
    settings: Settings,
    provenance: Provenance,
    session: Session,
    alone: Sequence[SearchResult] = (),
) -> FuturesOptimizer:
    """alone: plans of the single futures, where their candidates are all that is looked at."""
    instances = [case.instance for case in cases]
    how = {"pruning": settings.pruning, "merge_twins": settings.merge_twins}
    kept = kept_of_plans(instances, alone) if alone else kept_in_futures(instances, **how)
    budget = problem.limits.budget
    mean = budget.usd_per_month if budget and budget.futures == EXPECTED else None
    return FuturesOptimizer(instances, kept, settings, provenance, session, mean)


def _leading_plan(
    problem: Problem, answer: FuturesAnswer, alone: SearchResult, number: int
) -> Plan:
    """The plan of the leading future, with what is proven of all of them."""
    plan = answer.plans[number]
    risk = problem.risk
    by_cost = risk is not None and risk.of == "cost"
    proven = answer.status is Status.OPTIMAL
    dates = [p.candidate.offering.as_of for one in answer.plans for p in one.purchases]
    oldest = min(dates).isoformat() if dates else ""
    return replace(
        plan,
        name=problem.name,
        status=answer.status,
        proof=answer.proof,
        warnings=(
            *plan.warnings,
            *([Said(INSURES_GROWTH)] if by_cost else ()),
            *([Said(LEAST_OWED)] if answer.is_tie else ()),
        ),
        lower_bound_usd_per_month=alone.bound if proven else None,
        provenance=replace(plan.provenance, oldest_price=oldest),
        in_futures=answer.plans,
    )
