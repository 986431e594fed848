"""Which workloads' elastic units are folded into steps of the capacity that is held.

That is exact where nothing but the load of their workload asks for them and nothing but their price
counts: no rule in force looks at them beside `Coverage`, none can be shared, and they serve one
request class at one utilization. What may not be folded stays in its blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.candidates.records import Candidate, PlanningInput, is_elastic
from milp_planner.inputs.problem.policies import may_fall_short, shares_units
from milp_planner.milp.presolve.unit_bounds import is_guessed
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.families import judges_of, needs_routes, sets_unknown_keys
from milp_planner.milp.program.language.cost import CostTerm
from milp_planner.milp.program.language.folds import ElasticFold, Item, folded
from milp_planner.milp.program.language.rule import FREE, Rule
from milp_planner.milp.program.levels import utilization_levels
from milp_planner.milp.program.rules.coverage import Coverage
from milp_planner.milp.program.rules.replicas import LeastReplicas

LEAST_COLUMNS = 300
"""Integers of elastic units from which folding pays; below, blocks take tenths of a second."""

Judges = Sequence[Rule | CostTerm]


def folds_of(instance: PlanningInput, candidates: Sequence[Candidate]) -> dict[str, ElasticFold]:
    """The workloads that are folded in a program of these candidates, by name."""
    problem = instance.problem
    if not shares_units(problem) and not any(k.part_of_unit for k in candidates):
        return {}
    if may_fall_short(problem) or is_guessed(instance):
        return {}
    if needs_routes(problem) or sets_unknown_keys(problem) or instance.current_units():
        return {}
    judges = judges_of(instance)
    found = {
        w.name: elastic
        for w in problem.workloads
        if (elastic := _elastic(instance, w.name, candidates, judges))
    }
    columns = sum(
        len(elastic) * sum(peak > 0 for peak in instance.schedule.demands[name].peak)
        for name, elastic in found.items()
    )
    if columns < LEAST_COLUMNS:
        return {}
    return {name: _folded(instance, name, elastic) for name, elastic in found.items()}


def _elastic(
    instance: PlanningInput, workload: str, candidates: Sequence[Candidate], judges: Judges
) -> list[Candidate]:
    """The workload's elastic candidates; none where they may not be folded."""
    mine = [k for k in candidates if k.workload == workload]
    demand = instance.schedule.demands[workload]
    queued = instance.problem.workload(workload).latency.judges_queues
    several = len(demand.classes) > 1 or len(utilization_levels(instance)[workload]) > 1
    if queued or several or any(k.mode.per_token for k in mine) or not any(demand.peak):
        return []
    elastic = [k for k in mine if is_elastic(instance.problem, k)]
    if any(k.part_of_unit for k in elastic):
        return []
    counts = any(_counts(instance, judge, k) for judge in judges for k in elastic)
    return [] if counts else elastic


def _counts(instance: PlanningInput, judge: Rule | CostTerm, k: Candidate) -> bool:
    """True where a rule looks at units of `k`, beside whether they carry the load."""
    problem = instance.problem
    if isinstance(judge, LeastReplicas):
        return judge.least(problem, problem.workload(k.workload)) > judge.implied
    return not isinstance(judge, Coverage) and judge.standing(instance, k) != FREE


def _folded(instance: PlanningInput, workload: str, elastic: Sequence[Candidate]) -> ElasticFold:
    (level,) = utilization_levels(instance)[workload]
    peaks = {t: d for t, d in enumerate(instance.schedule.demands[workload].peak) if d > 0}
    items = [
        Item(
            k,
            level.ceiling * k.mix_requests_per_second,
            sum(term.usd_per_unit_hour(instance, k) for term in COST_TERMS),
        )
        for k in elastic
    ]
    return folded(workload, items, peaks)
