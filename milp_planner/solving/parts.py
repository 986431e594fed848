"""The optimum of a large problem in stages: quotas only where they bind, what is apart apart.

Exact: a quota that the staged optimum keeps could not have changed it, and what no row of the
program links has no say in each other's fleets: workloads that share no limit in force, and blocks
where no unit is held all month. Of these the ones in which only the load counts take no solver:
see `milp/curves/`. Small problems go straight to the solvers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.executors.asked import executor_asked
from milp_planner.executors.parcels import Shared
from milp_planner.inputs.problem.policies import (
    has_batches,
    is_gpus_first,
    may_be_short,
)
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.curves.fleets import CURVES, cheapest_fleet
from milp_planner.milp.engines.certify import BOTH
from milp_planner.milp.presolve.lazy_rows import (
    quotas_broken_by_values,
    relaxed_values,
)
from milp_planner.milp.presolve.part_prices import LARGE, columns_of
from milp_planner.milp.presolve.stages import Part, Stage, is_long, parts_of
from milp_planner.milp.program.lexicographic import everything_served
from milp_planner.milp.program.limits.quotas import broken_quotas, user_quotas
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.records import Provenance, Status, exceeds
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.joining import joined_proof, solution_of
from milp_planner.solving.assembly.verify import keeps_all, violations
from milp_planner.solving.first_plan import FirstPlan, or_in_hand
from milp_planner.solving.names_and_money import by_names_and_budget, everything_within
from milp_planner.solving.priced import Priced, priced, priced_by_utilization
from milp_planner.solving.results import (
    NOT_SOLVED,
    KnownParts,
    SearchResult,
    Settings,
    cheaper,
    contradicted,
    is_as_good,
    proven_by,
    result_of,
    with_newer_bound,
)
from milp_planner.solving.search import (
    Search,
    answer_apart,
    kept_by_the_best_without,
)
from milp_planner.solving.tie_break import MOST_COLUMNS

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from milp_planner.inputs.problem.records import Alternatives

LARGE_GROUP = 1_000
"""Columns after pruning above which blocks are solved apart: below, starting solvers takes longer.

Ten workloads under one quota in 24 blocks, 2,976 columns: 16 s at once, 1 s block by block."""

LEFT_OFF = (
    "{name!r}: plans that route its classes apart were no longer looked at {why}, none of which "
    "keeps its wishes for times in queues; one that does may cost less than this plan, the best "
    "where every replica is sent all classes"
)

MOST_ROUNDS = 40

PRICES_OF_TIME, LISTS_OF_TIME = 0.7, 0.8
"""Of a part's time, what prices on quotas, and lists, may take before the engines begin."""

EVERYTHING_OF_TIME = 0.5
"""Of the time left, what looking for a plan may take that serves everything within a budget."""

NEARLY = 0.25
"""Part of a quota. Where fractions of units use more of it, beside others that bind, whole units
may well break it, once all that time has gone into them."""


def first_answer(search: Search) -> SearchResult:
    """The best plan of a problem; what `search.next()` gives, found in stages where it is large.

    Where time ends before the solvers have a plan, or one as cheap, it is the first plan, which
    was in hand before they began.
    """
    found = kept_by_the_best_without(search, _first_answer)
    return _told_of_left_off(search, _first_answer(search)) if found is None else found


def _told_of_left_off(search: Search, result: SearchResult) -> SearchResult:
    """The result, which says whose plans with classes routed apart were not looked at to the end.

    It is the best of those behind one router: among the others there may be a cheaper one.
    """
    if result.plan is None or not search.left_off:
        return result
    said = (LEFT_OFF.format(name=name, why=why) for name, why in sorted(search.left_off.items()))
    proof = replace(result.proof, notes=(*result.proof.notes, *said))
    plan = replace(result.plan, proof=proof)
    search.found[-1:] = [plan]
    return replace(result, plan=plan, proof=proof)


def _first_answer(search: Search) -> SearchResult:
    first = search.first_plan()
    found = _where_none_shares(search)
    result = or_in_hand(found, first, search.provenance)
    if result.plan is not None:
        search.found[:] = [result.plan]
    return result


def _where_none_shares(search: Search) -> SearchResult:
    """The best plan, without the program of all workloads where none would share units."""
    apart = answer_apart(search, first_answer)
    if apart is not None and apart.status is Status.OPTIMAL:
        return apart
    return or_apart(_answer(search), apart)


def or_apart(result: SearchResult, apart: SearchResult | None) -> SearchResult:
    """The result, or the plan of units of one's own where time ended before one as cheap.

    That plan is one of the problem's own: a proof that there is none as cheap is no proof.
    """
    if apart is None or apart.plan is None:
        return result
    if result.status in (Status.OPTIMAL, Status.INFEASIBLE):
        return (
            result if is_as_good(result, apart.score_usd_per_month) else contradicted(result, apart)
        )
    return apart if result.plan is None else with_newer_bound(apart, result)


def _answer(search: Search) -> SearchResult:
    # What a short budget serves depends on what the quotas let it serve: there none can wait, but
    # where all is served. The fewest GPUs are counted over all blocks, and batches are done in any:
    # none is solved apart.
    problem = search.instance.problem
    is_staged = is_gpus_first(problem) or has_batches(problem)
    if not search.settings.pruning or is_staged or not _stages_pay(search):
        return search.next()
    if may_be_short(problem):
        return _where_short(search)
    try:
        with search.session.in_force():
            named = by_names_and_budget(search.optimizer, curves_above=MOST_COLUMNS)
            result = named or _in_stages(search)
    except OutOfTime:
        return NOT_SOLVED
    return search.next() if result is None else result


def _where_short(search: Search) -> SearchResult:
    """The best plan of a problem that may leave something out: nothing, where that can be."""

    def answer(freed: PlanningInput) -> SearchResult:
        limit_s = EVERYTHING_OF_TIME * search.seconds_left
        settings = replace(search.settings, time_limit_s=limit_s)
        asked = search.asked.model_copy(update={"count": 0})
        return _first_answer(Search(freed, settings, search.provenance, asked))

    served = None if search.required else everything_within(search.instance, answer)
    if served is None:
        return search.next()
    if served.status is not Status.OPTIMAL:
        later = search.next()
        if later.plan is not None and not any(w.shortfall_share for w in later.plan.workloads):
            is_proven = later.status is Status.OPTIMAL
            served = later if is_proven else with_newer_bound(served, later)
    search.held = everything_served(search.instance.problem)
    return served


def _in_stages(search: Search) -> SearchResult | None:
    """The best plan where stages find it, else None; raises OutOfTime without any plan."""
    stage = _binding_quotas(search)
    for _ in range(MOST_ROUNDS):
        result = _solve_stage(search, stage)
        if result.plan is None:
            return result
        broken = broken_quotas(search.instance.problem, result.plan)
        if not broken and not violations(search.instance, result.plan):
            search.found.append(result.plan)
            return result
        if search.is_stopped and broken:
            # no plan of all quotas, but nothing is cheaper with more of them
            return replace(NOT_SOLVED, proof=result.proof, bound=result.bound)
        if not broken:
            break
        stage = Stage.of(search.instance, stage.quotas | broken)
    return None


def _stages_pay(search: Search) -> bool:
    """True where a problem is so large that stages save more than they cost.

    Without quotas that is where ties are left as they are found: only there does it make no
    difference that each part breaks its own. Fewest changes of today's fleet are always looked for.
    """
    instance = search.instance
    if columns_of(instance, instance.candidates.candidates) > LARGE:
        return True
    problem = instance.problem
    may_come_apart = len(problem.workloads) > 1 or len(instance.schedule.blocks) > 1
    if not may_come_apart or any(user_quotas(problem)) or instance.current_units():
        return False
    try:
        with search.session.in_force():
            return is_long(instance, search.optimizer.pruned.kept, MOST_COLUMNS)
    except OutOfTime:
        return False


def _binding_quotas(search: Search) -> Stage:
    """The stage with the quotas that the linear relaxation runs into, added as they break, and with
    those that it comes near to where any binds."""
    problem = search.instance.problem
    if not any(user_quotas(problem)):
        return Stage.of(search.instance, (), search.optimizer.pruned.kept)
    stage = Stage.of(search.instance, ())
    near: set[str] = set()
    for _ in range(MOST_ROUNDS):
        values = relaxed_values(stage.model, search.seconds_left, search.settings.cancel)
        if values is None:
            break
        broken = quotas_broken_by_values(problem, stage.model, values)
        near = quotas_broken_by_values(problem, stage.model, values, of_quota=NEARLY)
        if not broken - stage.quotas or search.is_stopped:
            break
        stage = Stage.of(search.instance, stage.quotas | broken)
    if not stage.quotas or near <= stage.quotas or search.is_stopped:
        return stage
    return Stage.of(search.instance, stage.quotas | near)


def _solve_stage(search: Search, stage: Stage) -> SearchResult:
    """The stage's optimum, part by part where nothing in force links the parts.

    Each part has an equal share of the time left, so that a hard one leaves the others a plan; what
    is left in the end goes to those that had too little.
    """
    parts = list(parts_of(stage, curves_above=MOST_COLUMNS, blocks_above=LARGE_GROUP))
    reused = search.parts.reused
    known = {part.key: reused[part.key] for part in parts if part.key in reused}
    for part, result in _solved_each(search, [part for part in parts if part.key not in known]):
        known[part.key] = result
        if result.status is Status.INFEASIBLE:
            return result
    if len(parts) > 1:
        again = [part for part in parts if not _is_done(search, known[part.key])]
        for part, result in _solved_each(search, again, whole_time=True):
            known[part.key] = cheaper(known[part.key], result)
    results = [known[part.key] for part in parts]
    search.parts.solved.update(known)
    results = [
        or_in_hand(result, FirstPlan.of(part.instance), search.provenance)
        if result.status is Status.NO_PLAN
        else result
        for part, result in zip(parts, results, strict=True)
    ]
    without_plan = next((result for result in results if result.plan is None), None)
    if without_plan is not None:
        return without_plan
    return results[0] if len(results) == 1 else _joined(stage.instance, results, search.provenance)


def _solved_each(
    search: Search, parts: Sequence[Part], *, whole_time: bool = False
) -> Iterator[tuple[Part, SearchResult]]:
    """Parts with what was found of each, one after another, or on the executor that is asked for.

    whole_time: each may take all that is left, instead of an equal share. Parts that take no solver
    are not worth a trip.
    """
    executor = executor_asked()
    apart = [] if executor is None else [part for part in parts if part.curved is None]
    if executor is not None and len(apart) > 1 and not (whole_time and search.is_stopped):
        yield from _solved_on(executor, search, apart)
        parts = [part for part in parts if part.curved is not None]
    for i, part in enumerate(parts):
        if whole_time and search.is_stopped:
            return
        left = 1 if whole_time else len(parts) - i
        yield part, _solve_part(search, part, search.seconds_left / left)


def _solved_on(
    executor: Executor, search: Search, parts: Sequence[Part]
) -> Iterator[tuple[Part, SearchResult]]:
    """The same on an executor, each part in an equal share of what all its places have left."""
    from milp_planner.executors.side_by_side import places_of, side_by_side  # which few need

    limit_s = search.session.solver_seconds * min(1.0, places_of(executor) / len(parts))
    told = search.provenance, search.asked, search.parts
    sent = _Sent(search.instance, tuple(parts), search.settings, *told)
    tasks = [(i, limit_s) for i in range(len(parts))]
    answers = side_by_side(executor, _solve_sent, sent, tasks, _not_told, _not_told)
    yield from zip(parts, answers, strict=True)


@dataclass(frozen=True)
class _Sent(Shared):
    """Parts of a problem that are solved on workers."""

    instance: PlanningInput
    parts: tuple[Part, ...]
    settings: Settings
    provenance: Provenance
    asked: Alternatives
    known: KnownParts

    def spoken_of(self) -> Iterator[object]:
        """Candidates."""
        for instance in (self.instance, *(part.instance for part in self.parts)):
            yield from instance.candidates.every
        for one in (*self.known.reused.values(), *self.known.own.values()):
            yield from () if one.plan is None else (p.candidate for p in one.plan.purchases)


def _solve_sent(sent: _Sent, task: tuple[int, float]) -> SearchResult:
    """One part, on a worker. task: its number, and the seconds that it may take."""
    from milp_planner.executors.processes import stop_here

    number, limit_s = task
    cancel = sent.settings.cancel or stop_here()
    settings = replace(sent.settings, time_limit_s=limit_s, cancel=cancel)
    search = Search(sent.instance, settings, sent.provenance, sent.asked, parts=sent.known)
    try:
        with search.session.in_force():
            return _solve_part(search, sent.parts[number], limit_s)
    except OutOfTime:
        return NOT_SOLVED


def _not_told(task: tuple[int, float], why: str = "") -> SearchResult:
    """Of a part that was not done in time, or whose worker died."""
    return NOT_SOLVED


def _solve_part(search: Search, part: Part, limit_s: float) -> SearchResult:
    if part.curved is not None and search.settings.solver == BOTH:
        curved = _by_curves(search, part.curved, part.instance)
        if curved is not None:
            return curved
    began_s = time.monotonic()
    known = _by_prices(search, part, limit_s)
    if known is None and search.settings.solver == BOTH:
        known = priced_by_utilization(part.instance, search.provenance, LISTS_OF_TIME * limit_s)
    if known is not None and known.result is not None and _is_done(search, known.result):
        return known.result
    limit_s -= time.monotonic() - began_s
    # Programs this large leave ties as the solvers found them, but for changes of today's fleet.
    runs = search.settings.break_ties and bool(part.instance.current_units())
    settings = replace(search.settings, time_limit_s=limit_s, break_ties=runs)
    if known is None:
        own = _of_ones_own(search, part.instance)
        told = KnownParts(search.parts.known_of(part.instance, search.instance, own))
        found = Search(part.instance, settings, search.provenance, search.asked, parts=told).next()
        return found if own is None else _or_own(found, own)
    narrowed = known.narrowed(part.instance)
    return known.beside(Search(narrowed, settings, search.provenance, search.asked).next())


def _of_ones_own(search: Search, part: PlanningInput) -> SearchResult | None:
    """The best plan of a part in which no unit is shared, where that is known."""
    plans = search.parts.own_of(part)
    return _joined(part, plans, search.provenance) if len(plans) > 1 else None


def _or_own(found: SearchResult, own: SearchResult) -> SearchResult:
    """What is best, where the solvers need not find `own` again: of units of one's own, and proven
    among such plans alone."""
    score = own.score_usd_per_month
    if found.status is Status.INFEASIBLE:  # nothing is cheaper
        return result_of(Status.OPTIMAL, own.known, found.proof, score)
    if found.plan is not None and is_as_good(found, score):
        return found
    bound = None if found.bound is None else min(found.bound, score)
    return result_of(
        Status.FEASIBLE, own.known, replace(own.proof, certified=False, certified_by=()), bound
    )


def _by_prices(search: Search, part: Part, limit_s: float) -> Priced | None:
    """What prices on quotas say of a large part; None where nothing but they would link it."""
    instance = part.instance
    is_one = len(instance.problem.workloads) == 1 and len(instance.schedule.blocks) == 1
    if search.settings.solver != BOTH or is_one or not any(user_quotas(instance.problem)):
        return None
    if columns_of(instance, instance.candidates.candidates) <= LARGE_GROUP:
        return None
    return priced(instance, search.provenance, PRICES_OF_TIME * limit_s)


def _by_curves(search: Search, model: FleetModel, instance: PlanningInput) -> SearchResult | None:
    """The optimum of a program that takes no solver, as a plan of `instance`.

    None where its plan breaks a rule, or costs other than its curve says: then the engines are
    asked all the same.
    """
    began_s = time.monotonic()
    fleet = cheapest_fleet(model)
    if fleet is None:
        return None
    plan = assemble(instance, fleet.solution, search.provenance)
    if not keeps_all(instance, plan, fleet.usd_per_month):
        return None
    return proven_by(CURVES, plan, began_s, len(model.row_meaning), len(model.fleet.meaning))


def _is_done(search: Search, result: SearchResult) -> bool:
    """True when the part came to its proof, or to the gap asked for."""
    if result.plan is None or result.bound is None:
        return False
    return not exceeds(result.score_usd_per_month * (1 - search.settings.gap), result.bound)


def _joined(
    instance: PlanningInput, results: Sequence[SearchResult], provenance: Provenance
) -> SearchResult:
    """The plans of all parts of an instance as one; proven where each is."""
    plans = [result.plan for result in results if result.plan is not None]
    plan = assemble(instance, solution_of(instance, plans), provenance)
    proven = all(result.status is Status.OPTIMAL for result in results)
    status = Status.OPTIMAL if proven else Status.FEASIBLE
    bounds = [result.bound for result in results]
    known = [bound for bound in bounds if bound is not None]
    bound = sum(known) if len(known) == len(bounds) else None
    proof = joined_proof([result.proof for result in results])
    if proven:
        bound = plan.score_usd_per_month
    plan = replace(plan, status=status, proof=proof, lower_bound_usd_per_month=bound)
    return SearchResult(status, plan, proof, bound)
