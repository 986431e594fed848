"""What a candidate or a purchase carries in a block, for the rules that compare capacities."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pulp

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.plans.records import Plan, Purchase

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


def capacity_of(plan: Plan, p: Purchase, t: int, unit_rate: UnitRate) -> float:
    """Requests/s of a purchase in a block, at 100 % utilization; per-token use as served."""
    if p.candidate.mode.per_token:
        block = plan.blocks[t]
        return sum(
            r.requests_per_second
            for r in plan.routes
            if r.candidate is p.candidate and r.block == block
        )
    return unit_rate(p.candidate) * p.units_by_block[t]


def mix_rate(k: Candidate) -> float:
    """Requests/s of a unit at the workload's mix; 0 where it cannot serve all of it."""
    return k.mix_requests_per_second


def part_rate(k: Candidate) -> float:
    """Requests/s of a unit at the part of the mix that it can serve."""
    return k.part_requests_per_second


def useful_replicas(problem: Problem, k: Candidate) -> int:
    """Replicas of a unit, as far as its workload asks for them."""
    return min(k.replicas_per_unit, problem.workload(k.workload).min_replicas)
