"""What a candidate or a purchase carries in a block, for the rules that compare capacities."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pulp

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.variables import Fleet

UnitRate = Callable[[Candidate], float]
"""Requests/s of a unit."""


def capacity_terms(
    fleet: Fleet, k: Candidate, t: int, unit_rate: UnitRate
) -> Iterator[tuple[pulp.LpVariable, float]]:
    """(column, requests/s) of a candidate in a block; per-token use as served."""
    for _, units in fleet.units_on(k, t):
        yield units, unit_rate(k)
    if k.mode.per_token:
        for q in fleet.classes(k.workload):
            if (k, q, t) in fleet.shares:
                yield fleet.shares[k, q, t], fleet.peak(k.workload, q, t)


def part_rate(k: Candidate) -> float:
    """Requests/s of a unit at the part of the mix that it can serve."""
    return k.part_requests_per_second


def useful_replicas(problem: Problem, k: Candidate) -> int:
    """Replicas of a unit, as far as its workload asks for them."""
    return min(k.replicas_per_unit, problem.workload(k.workload).min_replicas)
