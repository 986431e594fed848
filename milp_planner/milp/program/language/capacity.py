"""What a candidate or a purchase carries in a block, for the rules that compare capacities."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pulp

from milp_planner.candidates.records import Candidate
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
