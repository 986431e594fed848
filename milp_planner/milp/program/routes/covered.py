"""Which workloads have no columns for routes: decided by the form of the problem alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policies import (
    can_overload,
    has_batches,
    may_fall_short,
    shares_units,
)
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.group_rule import GroupRule
from milp_planner.milp.program.language.variables import AsksForUnits, Level

MOST_ROUTES = 100
"""Columns for routes that a program has rather than rows by prices, which are found in turns: below
it is solved at once, and its ties are broken."""


def without_routes(
    instance: PlanningInput,
    candidates: Sequence[Candidate],
    rules: Sequence[AsksForUnits],
    levels: Mapping[str, Sequence[Level]],
    beside: Collection[str] = (),
    by_prices: bool = False,
) -> tuple[str, ...]:
    """Names of the workloads that have rows by prices of classes, see `rows.py`, and no columns.

    beside: workloads that have columns whatever their form. by_prices: rows of all others, however
    few columns they would be.
    """
    if not _is_known(instance, rules):
        return ()
    found = [
        w.name
        for w in instance.problem.workloads
        if w.name not in beside and len(levels[w.name]) == 1 and _has_routes(instance, w, rules)
    ]
    columns, most = _columns(instance, candidates), 0 if by_prices else MOST_ROUTES
    return tuple(name for name in found if columns[name] > most)


def _is_known(instance: PlanningInput, rules: Sequence[AsksForUnits]) -> bool:
    """True where nothing beside shares that groups may serve asks who serves whom.

    What is left unserved is held from stage to stage by its columns, which want exact routes.
    """
    problem = instance.problem
    if problem.rules or has_batches(problem) or may_fall_short(problem):
        return False
    if shares_units(problem) or problem.policy.power_by_load:
        return False
    return all(isinstance(rule, GroupRule) for rule in _asking(instance, rules))


def _asking(instance: PlanningInput, rules: Sequence[AsksForUnits]) -> Iterator[AsksForUnits]:
    return (rule for rule in rules if rule.needs_routes(instance.problem))


def _has_routes(instance: PlanningInput, w: Workload, rules: Sequence[AsksForUnits]) -> bool:
    """True where x would be columns, and prices can say as much: no ramp, no queues."""
    classes = instance.schedule.demands[w.name].classes
    is_routed = len(classes) > 1 or any(_asking(instance, rules))
    is_hot = can_overload(instance.problem, w)
    return is_routed and not is_hot and not w.latency.judges_queues


def _columns(instance: PlanningInput, candidates: Sequence[Candidate]) -> Counter[str]:
    """Columns for routes on units, by workload."""
    columns: Counter[str] = Counter()
    demands = instance.schedule.demands
    busy = {name: sum(peak > 0 for peak in demand.peak) for name, demand in demands.items()}
    for k in candidates:
        if not k.mode.per_token:
            columns[k.workload] += busy[k.workload] * sum(r > 0 for r in k.requests_per_second)
    return columns
