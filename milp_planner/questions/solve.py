"""solve(): candidates -> program -> CBC and HiGHS -> plan -> verified -> alternatives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import pairwise

from milp_planner._version import __version__
from milp_planner.candidates.listing import Lister
from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import began_s
from milp_planner.executors.asked import spread_over
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.fingerprint import problem_sha256
from milp_planner.inputs.problem.policies import (
    all_may_be_short,
    by_cost,
    is_gpus_first,
    may_fall_short,
)
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.rule import Rule
from milp_planner.plans.diagnosis import Diagnosis
from milp_planner.plans.differences import twin_notes
from milp_planner.plans.reasons import (
    AboveBudget,
    AlternativesEnded,
    ClassUnserved,
    EndReason,
    FewestGpusFirst,
    NearOptimal,
    NoFleet,
    NothingServes,
    Reason,
    Refusals,
    Remark,
)
from milp_planner.plans.records import Plan, Proof, Provenance, Status
from milp_planner.questions.in_time import listed_in_time
from milp_planner.solving.checks.arguments import (
    SolverChoice,
    catalog_for,
    check_problem_and_catalog,
    check_settings,
)
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.first_plan import FirstPlan
from milp_planner.solving.parts import first_answer
from milp_planner.solving.prepare import Outline
from milp_planner.solving.re_solve import settings_of, without_budget
from milp_planner.solving.results import (
    NOT_SOLVED,
    Interrupted,
    SearchResult,
    Settings,
    no_plan,
    resilience_cost,
)
from milp_planner.solving.search import Search
from milp_planner.traffic.schedule import Schedule

HALF_A_CENT = 0.005

MOST_REASONS = 12
"""Reasons that are listed when a workload or a class cannot be served."""


def solve(
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    time_limit_s: float | None = None,
    gap: float | None = None,
    alternatives: int | None = None,
    solver: SolverChoice | None = None,
    pruning: bool = True,
    merge_twins: bool = True,
    diagnose: bool = True,
    cancel: threading.Event | None = None,
    rules: Iterable[Rule | type[Rule]] = (),
    reproducible: bool = False,
    executor: Executor | None = None,
) -> Plan:
    """The cheapest fleet for `problem`, proven where possible, with its next-best plans.

    problem: what `load_problem` gives, or built of records. catalog: what can be rented; default:
    the one that the problem names. The other arguments stand for the problem's own settings where
    they are given: time_limit_s, seconds for everything together; gap, relative to the score, 0 to
    1; alternatives, how many next-best plans to look for, 0 to 100; solver, which engines. rules:
    rules of your own, beside the limits: see `Rule`. pruning, merge_twins: False solves over
    candidates that another one dominates, or is the same as but for its name: slower, with the
    same optimum. diagnose: False looks neither for what would give a plan where there is none, nor
    for what surviving a loss costs; both take more solves. cancel: set it from another thread to
    stop early with the best so far. reproducible: waits for the slower engine while the time limit
    lasts, however soon the other has its proof, so that a busy machine proves no less, and says so
    in the same words. executor: of `concurrent.futures`, or one of `executor_at`: futures, and
    parts of large problems that nothing links, are solved there, side by side; default: here.

    Returns a Plan, in USD per month. One without a fleet says so in its `status`, why in `reasons`,
    and what would give one in `diagnosis`.

    Raises InputError for names that the catalog does not know and settings out of range,
    ArgumentError for values of another type, SolverError when the solvers give an answer that
    breaks the problem's own limits, and on a Ctrl-C, once there is a plan, Interrupted, which
    carries it.

    >>> from milp_planner import load_problem, solve
    >>> plan = solve(load_problem("problems/inference-atlas/llama-8b-steady.yaml"))
    >>> [(p.units, p.candidate.offering.id) for p in plan.purchases], plan.cash_usd_per_month
    ([(1, 'vast_ai/a100-80gb/global')], 1260.0)
    """
    check_settings(alternatives=alternatives)
    problem = held_to(problem, rules)
    began = began_s()
    catalog = catalog_for(problem, catalog)
    check_problem_and_catalog(problem, catalog)
    settings = settings_of(
        problem, time_limit_s=time_limit_s, gap=gap, solver=solver, cancel=cancel, began=began
    )
    settings = replace(
        settings,
        pruning=pruning and merge_twins,
        merge_twins=merge_twins,
        patient=reproducible,
    )
    with spread_over(executor):
        if problem.futures:
            from milp_planner.futures.answer import plan_over_futures  # which few problems need

            count = problem.alternatives.count if alternatives is None else alternatives
            given = problem, catalog, settings, provenance_at(problem, catalog, settings)
            return plan_over_futures(*given, next_best=count, beside=diagnose)
        return solve_until(problem, catalog, settings, alternatives, None, diagnose=diagnose)


def solve_until(
    problem: Problem,
    catalog: Catalog,
    settings: Settings,
    alternatives: int | None,
    enough: Enough | None,
    *,
    diagnose: bool = True,
    lister: Lister | None = None,
    outline: Outline | None = None,
) -> Plan:
    """As `solve`; `enough` may end the search for next-best plans before there are all.

    lister: what lists candidates, where others are listed of the same catalog. outline: of the
    problem, where it is known.
    """
    started_s = time.monotonic()
    instance, in_hand = listed_in_time(problem, catalog, settings, lister, outline)
    if instance is None:
        return _before_all_was_listed(problem, catalog, settings, in_hand)
    search = _search(instance, settings, alternatives)
    search.in_hand = in_hand
    plan = plan_of(search, beside=diagnose, enough=enough)
    if diagnose and plan.status is Status.INFEASIBLE:
        plan = diagnosed(search, plan)
    return replace(plan, proof=replace(plan.proof, seconds=time.monotonic() - started_s))


def diagnose(
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    time_limit_s: float | None = None,
    solver: SolverChoice | None = None,
    rules: Iterable[Rule | type[Rule]] = (),
) -> Diagnosis | None:
    """Why `problem` has no plan, and what would give one.

    catalog: default: the one that the problem names. time_limit_s: seconds for all solves together;
    solver: which engines. Both stand for the problem's own settings where they are given. rules:
    rules of your own, beside the limits.

    Returns a Diagnosis: limits that cannot be kept together, and the smallest changes that give a
    plan, with what that costs in USD per month; None when there is a plan.

    Raises InputError, ArgumentError and SolverError as `solve` does.

    >>> from milp_planner import diagnose, load_problem
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> why = diagnose(problem.changed({"limits.budget": {"usd_per_month": 1000}}))
    >>> [(c.path, c.cash_usd_per_month) for c in why.changes] if why else []
    [('limits.budget.usd_per_month', 1260.0)]
    """
    catalog = catalog_for(problem, catalog)
    plan = solve(
        problem,
        catalog,
        time_limit_s=time_limit_s,
        solver=solver,
        alternatives=0,
        rules=rules,
    )
    return plan.diagnosis


def solve_prepared(instance: PlanningInput, settings: Settings) -> Plan:
    """As `solve` for what is prepared already: the best plan alone, and no diagnosis."""
    started_s = time.monotonic()
    plan = plan_of(_search(instance, settings, alternatives=0))
    return replace(plan, proof=replace(plan.proof, seconds=time.monotonic() - started_s))


def _search(instance: PlanningInput, settings: Settings, alternatives: int | None) -> Search:
    asked = instance.problem.alternatives
    if alternatives is not None:
        asked = asked.model_copy(update={"count": alternatives})
    return Search(instance, settings, provenance_of(instance, settings), asked)


def diagnosed(search: Search, plan: Plan) -> Plan:
    """A plan without a fleet, with why, and what would give one."""
    from milp_planner.questions.diagnosis.diagnose import diagnosis_of  # few problems have no plan

    settings = replace(search.settings, time_limit_s=search.seconds_left)
    found = diagnosis_of(search.instance, settings, search.provenance, plan.reasons[0])
    return replace(plan, diagnosis=found)


Enough = Callable[[Sequence[Plan]], bool]
"""Whether the plans found so far, the best first, will do."""


def plan_of(search: Search, *, beside: bool = False, enough: Enough | None = None) -> Plan:
    """The search's first plan with its alternatives, or a plan that says why there is none.

    `beside` also finds out what surviving a loss costs, before the alternatives.
    """
    stranded = tuple(workloads_without_candidates(search.instance))
    if stranded:
        return empty_plan(search, Status.INFEASIBLE, stranded)
    freed = None
    try:
        first = first_answer(search)
        if first.plan is not None:
            freed = _without_survival(search) if beside else None
            ended = _look_for_alternatives(search, enough)
    except KeyboardInterrupt as stop:
        if not search.found:
            raise
        plan = _with_alternatives(search, EndReason.INTERRUPTED, freed)
        raise Interrupted(plan, stop) from stop
    if first.plan is None:
        reasons = () if first.status is Status.NO_PLAN else (why_infeasible(search),)
        return empty_plan(search, first.status, reasons, first)
    return _with_alternatives(search, ended, freed)


def _without_survival(search: Search) -> SearchResult | None:
    """The best plan when nothing need survive, within the time that is left; None without limit.

    Of plans that score the same it is any one: its score is all that is asked for.
    """
    problem = search.instance.problem
    if problem.limits.survival is None or is_gpus_first(problem):
        return None
    if search.is_stopped:
        return NOT_SOLVED
    limits = problem.limits.model_copy(update={"survive_loss_of": "none"})
    instance = replace(search.instance, problem=problem.model_copy(update={"limits": limits}))
    settings = replace(search.settings, time_limit_s=search.seconds_left, break_ties=False)
    return first_answer(Search(instance, settings, search.provenance, search.asked))


def _look_for_alternatives(search: Search, enough: Enough | None) -> EndReason | None:
    """Fill the search with next-best plans; why it ended before there were enough, or None."""
    for answer in search.alternatives():
        if answer.plan is None:
            return _ending(search, answer)
        if enough is not None and enough(search.found):
            break
    return None


def _with_alternatives(search: Search, ended: EndReason | None, freed: SearchResult | None) -> Plan:
    """The cheapest plan of the search with all others, cheapest first.

    That is the first one, unless it was stopped before its proof and a later one is cheaper; no
    plan scores less than the bound of the first.
    """
    first = search.found[0]
    asked = search.asked
    as_found = is_gpus_first(search.instance.problem) or asked.prefer is not None
    best, *others = search.found if as_found else in_order(search.found)
    if best is not first and first.status is not Status.OPTIMAL:
        best = replace(best, status=Status.FEASIBLE, lower_bound_usd_per_month=first.bound)
    ends = [AlternativesEnded(ended, asked.differ_by, asked.within)] if ended else []
    near = [] if asked.within is None else [NearOptimal(asked.within, asked.prefer or "")]
    twins = twin_notes([best, *others], search.twins) if asked.count else ()
    problem = search.instance.problem
    notes: list[Remark] = [*_foresight(best, search.instance.schedule), *_counted(problem, best)]
    plan = replace(
        best,
        warnings=(*best.warnings, *notes),
        alternatives=tuple(others),
        alternatives_notes=(*(near if asked.count else ()), *ends, *twins),
        resilience=resilience_cost(best, freed),
    )
    return with_oldest_price(plan)


def _foresight(plan: Plan, schedule: Schedule) -> Iterable[Remark]:
    """What a reactive autoscaler would pay, where hours are known."""
    if not schedule.block_by_hour:
        return ()
    from milp_planner.replaying.reactive import foresight  # the replay, which few plans need

    return foresight(plan, schedule)


def in_order(plans: Sequence[Plan]) -> list[Plan]:
    """Cheapest first, where a later plan is cheaper by more than the tolerance of its proof."""
    scores = [plan.score_usd_per_month or 0.0 for plan in plans]
    if all(after >= before - HALF_A_CENT for before, after in pairwise(scores)):
        return list(plans)
    return sorted(plans, key=lambda plan: plan.score_usd_per_month or 0.0)


def _ending(search: Search, answer: SearchResult) -> EndReason:
    if answer.status is Status.INFEASIBLE:
        return EndReason.NONE_LEFT
    return EndReason.STOPPED if search.is_cancelled else EndReason.TIME_LIMIT


def workloads_without_candidates(
    instance: PlanningInput,
) -> Iterator[NothingServes | ClassUnserved]:
    """One reason for every workload, or request class of one, that nothing can serve."""
    served = {k.workload for k in instance.candidates.candidates}
    scarce = all_may_be_short(instance.problem)  # of what there is none, no more helps
    for w in instance.problem.workloads:
        if w.name not in served:
            yield NothingServes(w.name, tuple(_refusals(instance, w.name)))
        elif scarce or not may_fall_short(instance.problem):
            yield from _classes_without_candidates(instance, w.name)


def _classes_without_candidates(instance: PlanningInput, workload: str) -> Iterator[ClassUnserved]:
    """One reason for every request class that nothing can serve, with what was in its way."""
    mine = instance.candidates.of(workload)
    if any(k.mode.per_token for k in mine):
        return
    for q, request_class in enumerate(instance.schedule.demands[workload].classes):
        if not any(k.requests_per_second[q] for k in mine):
            obstacles = sorted({k.points[q].detail for k in mine})
            yield ClassUnserved(workload, request_class.name, tuple(obstacles[:MOST_REASONS]))


def _refusals(instance: PlanningInput, workload: str) -> Iterator[Refusals]:
    """Why offerings were turned down, the commonest reason first."""
    reasons: dict[str, int] = {}
    for row in instance.candidates.turned_down_for(workload):
        reasons[row.reason] = reasons.get(row.reason, 0) + 1
    commonest_first = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return (Refusals(reason, count) for reason, count in commonest_first[:MOST_REASONS])


def why_infeasible(search: Search) -> AboveBudget | NoFleet:
    """Why the limits leave no fleet: the budget, where it alone is to blame."""
    problem = search.instance.problem
    budget = problem.limits.budget
    if budget is not None:
        freed = replace(search.instance, problem=by_cost(without_budget(problem)))
        settings = replace(search.settings, time_limit_s=search.seconds_left, break_ties=False)
        answer = Search(freed, settings, search.provenance, search.asked).next()
        if answer.plan is not None:
            return AboveBudget(
                cheapest_usd=answer.plan.cash_usd_per_month or 0.0,
                budget_usd=budget.usd_per_month,
                proven=answer.plan.status is Status.OPTIMAL,
            )
    return NoFleet()


def empty_plan(
    search: Search, status: Status, reasons: tuple[Reason, ...], answer: SearchResult | None = None
) -> Plan:
    """A plan without a fleet, and why."""
    name = search.instance.problem.name
    proof = Proof(certified=True, certified_by=()) if answer is None else answer.proof
    return replace(
        no_plan(name, status, proof, search.provenance, reasons),
        lower_bound_usd_per_month=None if answer is None else answer.bound,
        blocks=search.instance.schedule.blocks,
        turned_down=search.instance.candidates.turned_down,
    )


def _before_all_was_listed(
    problem: Problem, catalog: Catalog, settings: Settings, in_hand: FirstPlan | None
) -> Plan:
    """The answer where time was up before everything that can be rented was listed."""
    result = None
    if in_hand is not None and in_hand.fleets:
        result = in_hand.result(provenance_at(problem, catalog, settings))
    if result is None:
        return not_prepared(problem, catalog, settings)
    said = (*result.known.warnings, *_counted(problem, result.known))
    return with_oldest_price(replace(result.known, warnings=said))


def _counted(problem: Problem, plan: Plan) -> Iterator[FewestGpusFirst]:
    """What is known of its GPUs, where they count before money."""
    if is_gpus_first(problem):
        yield FewestGpusFirst(plan.gpus, plan.status is Status.OPTIMAL)


def not_prepared(problem: Problem, catalog: Catalog, settings: Settings) -> Plan:
    """No plan: time was up before everything that can be rented was listed."""
    provenance = provenance_at(problem, catalog, settings)
    return no_plan(problem.name, Status.NO_PLAN, NOT_SOLVED.proof, provenance)


def provenance_of(instance: PlanningInput, settings: Settings) -> Provenance:
    """Where the answer will come from."""
    return provenance_at(instance.problem, instance.catalog, settings)


def provenance_at(problem: Problem, catalog: Catalog, settings: Settings) -> Provenance:
    """The same before anything is listed."""
    return Provenance(
        planner_version=__version__,
        catalog_name=catalog.name,
        catalog_version=catalog.version,
        catalog_sha256=catalog.sha256,
        overrides=catalog.overrides,
        overlaid=catalog.overlaid,
        problem_sha256=problem_sha256(problem),
        oldest_price="",
        seed=settings.seed,
        time_limit_s=settings.time_limit_s,
        gap_asked=settings.gap,
    )


def with_oldest_price(plan: Plan) -> Plan:
    """The plan with the date of the oldest price it uses."""
    dates = [p.candidate.offering.as_of for p in plan.purchases]
    oldest = min(dates).isoformat() if dates else ""
    return replace(plan, provenance=replace(plan.provenance, oldest_price=oldest))
