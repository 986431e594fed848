"""Looks ahead: are there other plans of equal score, and if so, which one is preferred?

The plan beyond is the best that contains none of those at hand. While it scores the same it is one
of them; once it scores more, nothing else is tied, and it is most often the next-best plan already,
proven as such. Plans that stay tied are known to come next, too.

One that contains another is that one with something to spare, and not preferred: where two APIs
ask the same price, the solvers may as well use both. Units that run and are paid already may stay.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import is_gpus_first, is_sharing_open, may_be_short
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.curves.fleets import CURVES
from milp_planner.milp.curves.next_best import NextBest, TooMany
from milp_planner.milp.engines.certify import BOTH
from milp_planner.milp.presolve.ties import preference, preferred
from milp_planner.milp.program.exclusion import contains
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.next_fleets import FEW_PLANS, MOST_BROKEN, freed
from milp_planner.solving.assembly.verify import keeps_all, violations
from milp_planner.solving.by_parts import are_dearer, best_by_parts, come_apart
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import NOT_SOLVED, Query, SearchResult, none_by, proven_by

MOST_COLUMNS = 300
"""In programs with more columns a tie is left as the solvers found it: it would cost too much.

Fewest changes against today's fleet are looked for in these, too."""

MOST_TIED = 4
"""More plans of equal score than this are not listed: programs of their own find the preferred."""

MOST_TIED_IF_QUICK = 40
"""The same where they take no solver, or come out of lists."""

MOST_LEARNED = 4
"""Times that the preferred plan is looked for, where it teaches the program that it is none."""

TIE_TOLERANCE_USD = 0.001
TIE_TOLERANCE = 1e-9
"""Relative: scores of millions differ by as much in their last digits."""


@dataclass(frozen=True)
class Lookahead:
    """What is known of the plans after those that were found."""

    tied: tuple[SearchResult, ...] = ()
    """The best of what the found plans leave; all score the same."""

    beyond: SearchResult | None = None
    """The best of what contains none of them either; None when it is not known."""

    def of_plans(self) -> Lookahead:
        """What is known where the next plans were looked for among some only: no more than they."""
        return Lookahead(tuple(result for result in self.tied if result.plan is not None))


def next_of(
    optimizer: Optimizer, query: Query, ahead: Lookahead, *, more_wanted: bool
) -> tuple[SearchResult, Lookahead]:
    """The preferred of all plans that score the same as the first one ahead; and what follows.

    `more_wanted` says that another plan will be asked for after this one.
    """
    first, beyond = ahead.tied[0], ahead.beyond
    too_large = first.proof.columns > MOST_COLUMNS or optimizer.folds(Query())
    if first.status is not Status.OPTIMAL or optimizer.session.is_stopped:
        return first, Lookahead()
    if too_large:
        runs = optimizer.instance.current_units()
        steadier = _preferred(optimizer, query, first, changes_only=True) if runs else []
        return next(iter(steadier), first), Lookahead()
    tied = [*ahead.tied, *_with_fewest_changes(optimizer, query, first)]
    while beyond is None or _is_tied(beyond, first):
        if beyond is not None:
            tied.append(_proven_like(beyond, first))
        is_quick = optimizer.next_fleets.need_no_solver or come_apart(optimizer)
        if len(tied) > (MOST_TIED_IF_QUICK if is_quick else MOST_TIED):
            tied += _preferred(optimizer, query, min(tied, key=lambda one: one.score_usd_per_month))
            beyond = None
            break
        if _none_is_tied(optimizer, query, tied):
            beyond = None
            break
        beyond = best_excluding(optimizer, query, tied, more_wanted=more_wanted)
    lean = [result for result in tied if not _has_spare(optimizer.instance, result, tied)]
    chosen = min(
        lean,
        key=lambda result: (_is_dearer(result, tied), preference(optimizer.instance, result.known)),
    )
    return chosen, _after(query, chosen, tied, beyond) if more_wanted else Lookahead()


def _none_is_tied(optimizer: Optimizer, query: Query, tied: Sequence[SearchResult]) -> bool:
    """True where parts tell that no other plan scores the same; what comes next is told as soon."""
    if not optimizer.next_fleets.need_no_solver:
        query = replace(query, excluded=tuple(result.known for result in tied))
        return are_dearer(optimizer, query, best_by_curves, _most_of_tied(tied))
    return False


def best_excluding(
    optimizer: Optimizer, query: Query, results: Sequence[SearchResult], *, more_wanted: bool
) -> SearchResult:
    """The best plan that contains none of these.

    Where it is no next-best plan but only a possible tie, one engine will do, for as much work
    as a tie is worth: see `milp/presolve/ties.py`.
    """
    excluded = tuple(result.known for result in results)
    query = replace(query, excluded=excluded, for_a_tie=not more_wanted)
    known = best_known_apart(optimizer, query)
    return optimizer.best(query) if known is None else known


def best_known_apart(optimizer: Optimizer, query: Query) -> SearchResult | None:
    """The best plan that those of the query do not rule out, without the program of all; None where
    it takes that."""
    curved = best_by_curves(optimizer, query)
    return best_by_parts(optimizer, query, best_by_curves) if curved is None else curved


def best_by_curves(optimizer: Optimizer, query: Query) -> SearchResult | None:
    """The best plan that those of the query do not rule out, of workloads that nothing links: see
    `milp/curves/next_best.py`.

    None where it takes a solver: something links them, too much must be tried, the engines are
    quick, or the plan breaks a rule or costs other than the curves say.
    """
    if query.held or query.passed or not _may_need_no_solver(optimizer):
        return None
    if query.for_a_tie and len(query.found) <= FEW_PLANS:
        return None
    began_s, pruned = time.monotonic(), optimizer.pruned
    try:
        with optimizer.session.in_force():
            pruned.readmit(query.others, query.difference.differ_by)
            learned = optimizer.next_fleets.of(
                *(optimizer.instance, tuple(pruned.kept), query.difference),
                after=len(query.found),
            )
            if learned is None:
                return None
            model, search = learned
            plan, usd_per_month = _next_kept(optimizer, query, search)
    except OutOfTime:
        return NOT_SOLVED
    except TooMany:
        optimizer.next_fleets.need_no_solver = False
        return None
    size = len(model.row_meaning), len(model.fleet.meaning)
    if plan is None:
        return none_by(CURVES, began_s, *size)
    if query.rules_out(plan) or not keeps_all(optimizer.instance, plan, usd_per_month):
        return None
    return proven_by(CURVES, plan, began_s, *size)


def _next_kept(optimizer: Optimizer, query: Query, search: NextBest) -> tuple[Plan | None, float]:
    """The next fleet that keeps what the search does not know, as a plan, and what the search says
    that it costs; None where there is none. Raises TooMany."""
    broken = optimizer.next_fleets.broken
    while len(broken) <= MOST_BROKEN:
        fleet = search.after(query.found, (*query.excluded, *broken))
        if fleet is None:
            return None, 0.0
        solution = FleetSolution(units=fleet.units)
        plan = assemble(optimizer.instance, solution, optimizer.provenance)
        if not violations(optimizer.instance, plan) or violations(freed(optimizer.instance), plan):
            return plan, fleet.usd_per_month
        broken.append(plan)
    raise TooMany


def _may_need_no_solver(optimizer: Optimizer) -> bool:
    problem, settings = optimizer.instance.problem, optimizer.settings
    in_stages = may_be_short(problem) or is_gpus_first(problem)
    asks_more = in_stages or optimizer.required is not None
    return settings.solver == BOTH and settings.pruning and not asks_more


def _proven_like(result: SearchResult, first: SearchResult) -> SearchResult:
    """The result with the proof of another one of the same score."""
    bound = result.known.score_usd_per_month
    plan = replace(
        result.known, status=first.status, proof=first.proof, lower_bound_usd_per_month=bound
    )
    return SearchResult(first.status, plan, first.proof, bound)


def _with_fewest_changes(
    optimizer: Optimizer, query: Query, first: SearchResult
) -> Sequence[SearchResult]:
    """The plan with fewest changes, where units that run may stand idle because they are paid, or
    the same units may be shared or not."""
    problem = optimizer.instance.problem
    may_differ = bool(problem.commitments) or is_sharing_open(problem)
    if not (may_differ and optimizer.instance.current_units()):
        return ()
    return _preferred(optimizer, query, first, changes_only=True)


def _has_spare(instance: PlanningInput, one: SearchResult, tied: Sequence[SearchResult]) -> bool:
    """True when `one` is another of these with something to spare, and changes no less."""
    changed, *_ = preference(instance, one.known)
    return any(
        contains(one.known, other.known)
        and not contains(other.known, one.known)
        and changed >= preference(instance, other.known)[0]
        for other in tied
    )


def _is_tied(one: SearchResult, other: SearchResult) -> bool:
    """True when `one` scores no more than `other`, which is proven to be the best."""
    return one.plan is not None and not _is_dearer(one, [other])


def _is_dearer(one: SearchResult, others: Sequence[SearchResult]) -> bool:
    return one.score_usd_per_month > _most_of_tied(others)


def _most_of_tied(results: Sequence[SearchResult]) -> float:
    """What plans score at most that score the same as these."""
    least = min(result.score_usd_per_month for result in results)
    return least + max(TIE_TOLERANCE_USD, TIE_TOLERANCE * abs(least))


def _after(
    query: Query, chosen: SearchResult, tied: Sequence[SearchResult], beyond: SearchResult | None
) -> Lookahead:
    """What is known once `chosen` is found, whose cuts rule out what is too like it."""
    rest = [result for result in tied if result is not chosen]
    left = tuple(result for result in rest if _may_follow(query, result, chosen))
    if len(left) < len(rest) or (beyond and not _may_follow(query, beyond, chosen)):
        beyond = None  # what contains a plan ruled out may come before it
    return Lookahead(left, beyond) if left or beyond is None else Lookahead((beyond,))


def _may_follow(query: Query, result: SearchResult, chosen: SearchResult) -> bool:
    """True when the cuts of `chosen` change nothing about the result."""
    if result.plan is None:
        return result.status is Status.INFEASIBLE
    return query.difference.allows(result.plan, chosen.known)


def _preferred(
    optimizer: Optimizer, query: Query, result: SearchResult, *, changes_only: bool = False
) -> list[SearchResult]:
    """The preferred of all plans that score the same, in a list; empty when none is found."""
    for _ in range(MOST_LEARNED):
        model = optimizer.model(query)
        values = preferred(
            model,
            result.score_usd_per_month,
            time_limit_s=optimizer.session.seconds_left,
            seed=optimizer.settings.seed,
            changes_only=changes_only,
        )
        if not values:
            return []
        if not optimizer.has_learned(model, values, query):
            break
    plan = optimizer.plan_from(model, values, query)
    if violations(optimizer.instance, plan):
        return []
    bound = plan.score_usd_per_month
    plan = replace(plan, status=result.status, proof=result.proof, lower_bound_usd_per_month=bound)
    return [replace(result, plan=plan, bound=bound)]


def is_as_cheap(apart: SearchResult, freed: SearchResult) -> bool:
    """True where both are proven, and parts of units cost as much as the units of one's own."""
    proven = apart.status is freed.status is Status.OPTIMAL and freed.bound is not None
    score = apart.score_usd_per_month
    near = max(TIE_TOLERANCE_USD, TIE_TOLERANCE * abs(score))
    return proven and score - (freed.bound or 0.0) <= near
