"""Reads a program as what it is where nothing but the load counts: one covering problem each.

    min Σ_k H c_k n_k + Σ_kt h_t c_k n_kt,        Σ_k a_k n_kt ≥ λ_t   ∀ t,        n whole

for every workload: held units are on in all blocks with load, elastic ones in one; a_k is what a
unit carries. The program itself is read, column by column and row by row: whatever it has beyond
this, of whatever rule or cost term, makes it no such problem. What has no rows in it, or learns
them from plans, must be known here by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final

import pulp

from milp_planner.candidates.records import Candidate, PlanningInput, hours_held, rests_when_idle
from milp_planner.lazily import dataclass
from milp_planner.milp.program.costs.terms import COST_TERMS
from milp_planner.milp.program.families import judges_of, sets_unknown_keys
from milp_planner.milp.program.language.rows import GE
from milp_planner.milp.program.language.variables import Fleet, Terms, merged
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.rules.coverage import Coverage

COVERED: Final[Mapping[str, str]] = {
    "Coverage": "what the curves are about",
    "Capacity": "the utilization is in what a unit carries; it has rows where classes share units",
    "BatchWork": "has columns where there is work that can wait",
    "Packing": "has columns where units are shared",
    "PerTokenRate": "has rows where there is a rate limit",
    "OneLevel": "has columns where there are several levels",
    "OverloadRamp": "has columns where there is a ramp",
    "ExtraGpus": "has columns where there is a penalty for scaling",
    "Replicas": "has rows where more are asked for than serve anyway",
    "QueueTimes": "learns rows, and is looked for apart: see `covers_of`",
    "Quotas": "has rows where there is one, or few units of something",
    "ReplicaShape": "decided before the program",
    "LatencyWishes": "decided before the program",
    "AllowedBilling": "decided before the program",
    "Filters": "decided before the program",
    "PriceCap": "decided before the program",
    "HostLeast": "decided before the program",
    "Rent": "the price of a unit and hour",
    "SpotLoss": "part of the price of a unit and hour",
    "PerToken": "owed where there are columns of shares",
    "StrictLatency": "owed where there are several levels",
}
"""Rules and cost terms that may be in force, each with why they change nothing here. All others,
and rules of the user's own, make a problem one for the solvers."""

COVERAGE = f"{Coverage.__name__} "
"""What the meanings of its rows begin with."""

SAME = 1e-12
"""Relative difference of two floats that were meant to be equal."""


@dataclass(frozen=True)
class Cover:
    """One workload: what may be rented and what its blocks ask for, in exact fractions."""

    workload: str
    held: tuple[Candidate, ...]
    elastic: tuple[Candidate, ...]
    carries: Mapping[Candidate, Fraction]
    """What a unit carries at its highest utilization, requests/s."""

    usd_per_hour: Mapping[Candidate, Fraction]
    hours_held: Mapping[Candidate, Fraction]
    """Hours per month that a held unit is paid for."""

    resting: frozenset[Candidate]
    """Of the held ones those that are off in blocks without load."""

    peaks: Mapping[int, Fraction]
    """Requests/s by block with load."""

    hours: Mapping[int, Fraction]
    """Hours per month of these blocks."""


def covers_of(model: FleetModel) -> list[Cover] | None:
    """The workloads of a program, one by one; None where it is anything but covering problems."""
    fleet = model.fleet
    instance = fleet.instance
    if not is_known(instance) or instance.current_units():
        return None
    names = {column.name for column in fleet.units.values()}
    if names != set(fleet.meaning) or not _rows_are_coverage(model):
        return None
    covers = [_cover(fleet, w.name) for w in instance.problem.workloads]
    usd = merged(model.costs.values())
    if not all(_has_its_costs(fleet, cover, usd) for cover in covers):
        return None
    return covers


def is_known(instance: PlanningInput) -> bool:
    """True where all that is in force is known to have no say beyond the program's rows."""
    problem = instance.problem
    if problem.rules or sets_unknown_keys(problem):
        return False
    if any(w.latency.judges_queues for w in problem.workloads):
        return False
    return all(type(judge).__name__ in COVERED for judge in judges_of(instance))


def _rows_are_coverage(model: FleetModel) -> bool:
    """True where the rows are those of one class, one by block with load, and nothing else."""
    return rows_beside_coverage(model) == []


def rows_beside_coverage(model: FleetModel) -> list[str] | None:
    """Names of the rows that are not those of one class, one by block with load; None where the
    program lacks one of these, or has other columns than units for them."""
    fleet = model.fleet
    if fleet.prices or any(map(fleet.routed, fleet.levels)):
        return None
    if any(len(levels) != 1 for levels in fleet.levels.values()):
        return None
    expected, beside = _expected_rows(fleet), []
    for name, meaning in model.row_meaning.items():
        if not meaning.startswith(COVERAGE):
            beside.append(name)
            continue
        row = model.lp.get_constraint_by_name(name)
        terms = next(expected, None)
        if terms is None or row.sense != GE or row.constant != -1.0:
            return None
        if not _same(dict(row.items()), terms):
            return None
    return beside if next(expected, None) is None else None


def _expected_rows(fleet: Fleet) -> Iterator[Terms]:
    for w in fleet.problem.workloads:
        for t in fleet.busy(w.name):
            peak = fleet.demand(w.name).peak[t]
            yield {
                units: min(1.0, carried(fleet, k) / peak)
                for k in fleet.gpu_candidates(w.name)
                for _, units in fleet.units_on(k, t)
            }


def carried(fleet: Fleet, k: Candidate) -> float:
    return fleet.levels[k.workload][0].ceiling * k.mix_requests_per_second


def _same(one: Mapping[pulp.LpVariable, float], other: Terms) -> bool:
    if one.keys() != other.keys():
        return False
    return all(math.isclose(c, other[v], rel_tol=SAME) for v, c in one.items())


def _cover(fleet: Fleet, workload: str) -> Cover:
    instance, busy = fleet.instance, fleet.busy(workload)
    mine = fleet.gpu_candidates(workload)
    return Cover(
        workload=workload,
        held=tuple(k for k in mine if not fleet.elastic(k)),
        elastic=tuple(k for k in mine if fleet.elastic(k)),
        carries={k: Fraction(carried(fleet, k)) for k in mine},
        usd_per_hour={k: Fraction(_usd_per_hour(instance, k)) for k in mine},
        hours_held={k: Fraction(hours_held(instance, k)) for k in mine},
        resting=frozenset(k for k in mine if rests_when_idle(instance.problem, k)),
        peaks={t: Fraction(fleet.demand(workload).peak[t]) for t in busy},
        hours={t: Fraction(fleet.blocks[t].hours) for t in busy},
    )


def _usd_per_hour(instance: PlanningInput, k: Candidate) -> float:
    return sum(term.usd_per_unit_hour(instance, k) for term in COST_TERMS)


def _has_its_costs(fleet: Fleet, cover: Cover, usd: Terms) -> bool:
    """True where the program's costs are those of unit-hours, and bounds on units do not bind."""
    highest = max(cover.peaks.values(), default=Fraction(0))
    for k, rate in cover.usd_per_hour.items():
        if rate <= 0 or cover.carries[k] <= 0:
            return False
        for t in cover.peaks:
            hours = cover.hours[t] if fleet.elastic(k) else cover.hours_held[k]
            for _, column in fleet.units_on(k, t):
                owed = usd.get(column, 0.0)
                if not math.isclose(owed, rate * hours, rel_tol=1e3 * SAME) or column.lowBound:
                    return False
                enough = column.upBound is None or column.upBound * cover.carries[k] >= highest * (
                    1 - Fraction(SAME)
                )
                if not enough or column.cat != pulp.LpInteger:
                    return False
    return True
