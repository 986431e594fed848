"""Workloads that may share units: the best plan in which none does, and whether any would.

Replicas at their part of the price of a unit cost no plan more: see `milp/presolve/part_prices.py`.
"""

from __future__ import annotations

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.lazily import replace
from milp_planner.milp.presolve.part_prices import (
    at_their_part,
    columns_of,
    counts_changes,
    counts_units,
    of_one_each,
    without_parts,
)
from milp_planner.milp.presolve.stages import is_long
from milp_planner.milp.program.shared_scope import may_share
from milp_planner.plans.records import Status
from milp_planner.solving.results import Query, SearchResult, uses_any
from milp_planner.solving.search import LARGE, Answer, Search
from milp_planner.solving.sharing.together import best_together
from milp_planner.solving.tie_break import MOST_COLUMNS, is_as_cheap

FIRST_SHARE, LATER_SHARE = 0.3, 0.5
"""Of the time left, what looks at parts of units, and at units of one's own, may take: about a
third of all each, and as much is left for the program of all."""


def answer_apart(search: Search, answer: Answer) -> SearchResult | None:
    """The best plan of units of one's own, with a lower bound of what any plan costs.

    answer: gives the best plan of a problem. Returns a result that is optimal where no unit would
    be shared: then none is in what else is looked for. None where that is not looked at, or nothing
    is found.
    """
    if not _is_worth_a_look(search):
        return None
    if counts_changes(search.instance.problem):
        return _unproven(search, answer, None)
    kept = search.optimizer.pruned.kept
    alone = [k for k in kept if not k.part_of_unit]
    fractions = [*at_their_part(k for k in kept if k.part_of_unit)]
    trial = _search_of(search, of_one_each(search.instance, (*alone, *fractions)), FIRST_SHARE)
    freed = answer(trial)
    search.learn(trial, fractions)
    if freed.status is Status.INFEASIBLE:
        search.narrow(without_parts(search.instance))
        return None
    if freed.plan is not None and not uses_any(freed.plan, fractions):
        if freed.status is Status.OPTIMAL:
            search.narrow(without_parts(search.instance))
        return freed
    return _unproven(search, answer, freed)


def _unproven(search: Search, answer: Answer, freed: SearchResult | None) -> SearchResult | None:
    """The best plan of units of one's own, which parts of units may better; proven where they cost
    as much.

    freed: what parts of units cost; None where that is not known.
    """
    trial = _search_of(search, without_parts(search.instance), LATER_SHARE)
    trial.parts.reused = search.parts.reused
    apart = answer(trial)
    search.parts.own = trial.parts.solved_whole(search.instance)
    if apart.plan is None:
        return None
    if freed is not None and is_as_cheap(apart, freed):
        search.narrow(without_parts(search.instance))
        return apart
    if freed is not None and apart.status is Status.OPTIMAL:
        joint = best_together(search, apart)
        if joint is not None and joint.status is Status.OPTIMAL:
            return joint
    bound = None if freed is None else freed.bound
    plan = replace(apart.plan, status=Status.FEASIBLE, lower_bound_usd_per_month=bound)
    return SearchResult(Status.FEASIBLE, plan, apart.proof, bound)


def _is_worth_a_look(search: Search) -> bool:
    """True where many columns of several workloads are linked by units that they may share.

    Elastic units that are steps of what is held leave a program that is quick, unless it is large.
    """
    problem = search.instance.problem
    is_open = search.settings.pruning and search.required is None and may_share(problem)
    if not is_open or not search.instance.candidates.parts or counts_units(problem):
        return False
    try:
        with search.session.in_force():
            kept = search.optimizer.pruned.kept
            if not any(k.part_of_unit for k in kept):
                return False
            if columns_of(search.instance, kept) > LARGE:
                return True
            is_quick = bool(search.optimizer.folds(Query()))
            return not is_quick and is_long(search.instance, kept, MOST_COLUMNS)
    except OutOfTime:
        return False


def _search_of(search: Search, instance: PlanningInput, share: float) -> Search:
    limit_s = share * search.seconds_left
    settings = replace(search.settings, time_limit_s=limit_s, break_ties=False)
    asked = search.asked.model_copy(update={"count": 0})
    return Search(instance, settings, search.provenance, asked)
