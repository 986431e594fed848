"""Adds units to a fleet until all requests can be routed: a plan at once.

A program without columns for routes learns from fleets that have too little of something. Such a
fleet with a few units more is a plan, if not the best, and there is one when time ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import pulp

from milp_planner.candidates.records import Candidate
from milp_planner.milp.program.language.rows import LE
from milp_planner.milp.program.language.variables import Fleet, Terms, merged
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.routed_fleets import Lacking, lacking
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import SNAP

MOST_STEPS = 200


class _More(NamedTuple):
    """Units of one candidate that a block lacks."""

    usd_for_all: float
    """What all that is lacking would cost at this price, USD/month."""

    k: Candidate
    column: pulp.LpVariable
    units: int


class _Quota(NamedTuple):
    """A row by which there are only so many units."""

    terms: Terms
    most: float

    def leaves(self, column: pulp.LpVariable, on: Mapping[pulp.LpVariable, float]) -> int:
        """How many more units of a column there may be."""
        used = sum(weight * on.get(other, 0.0) for other, weight in self.terms.items())
        return math.floor((self.most - used) / self.terms[column] * (1 + SNAP) + SNAP)


def with_enough_units(model: FleetModel, solution: FleetSolution) -> FleetSolution | None:
    """The fleet with what is cheapest for what it lacks, block by block, until it lacks nothing.

    No more is added than quotas leave. None where it does not come to that; the fleet may break
    other limits.
    """
    if not model.fleet.prices:
        return solution
    usd, quotas = merged(model.costs.values()), _quotas(model)
    for _ in range(MOST_STEPS):
        short = lacking(model, solution)
        if short is None:
            return solution
        on = {
            column: float(solution.units[k][t])
            for (k, _, t), column in model.fleet.units.items()
            if k in solution.units
        }
        ways = _ways(model.fleet, short, usd, quotas, on)
        more = min(ways, key=lambda one: (one.usd_for_all, one.k.id), default=None)
        if more is None:
            return None
        before = solution.units.get(more.k, (0,) * len(model.fleet.blocks))
        grown = tuple(_grown(model.fleet, before, more))
        solution = replace(solution, units={**solution.units, more.k: grown})
    return None


def _quotas(model: FleetModel) -> dict[pulp.LpVariable, list[_Quota]]:
    """The rows of units alone that say how many there may be, by column."""
    columns = set(model.fleet.units.values())
    found: dict[pulp.LpVariable, list[_Quota]] = {}
    for name in model.row_meaning:
        row = model.lp.get_constraint_by_name(name)
        if row.sense != LE or row.constant >= 0:
            continue
        terms = dict(row.items())
        if all(column in columns and weight > 0 for column, weight in terms.items()):
            for column in terms:
                found.setdefault(column, []).append(_Quota(terms, -row.constant))
    return found


def _ways(
    fleet: Fleet,
    short: Lacking,
    usd: Terms,
    quotas: Mapping[pulp.LpVariable, list[_Quota]],
    on: Mapping[pulp.LpVariable, float],
) -> Iterator[_More]:
    for k, worth in short.by_unit.items():
        if k.part_of_unit:
            continue  # it would want a unit to stand on
        needed = math.ceil(short.asked / worth * (1 - SNAP)) if worth > 0 else 0
        for _, column in fleet.units_on(k, short.t) if needed > 0 else ():
            left = [quota.leaves(column, on) for quota in quotas.get(column, ())]
            units = min(needed, *left) if left else needed
            if units > 0:
                gained = min(short.asked, units * worth)
                price = usd.get(column, 0.0) * units * short.asked / gained
                yield _More(price, k, column, units)


def _grown(fleet: Fleet, before: tuple[int, ...], more: _More) -> Iterator[int]:
    """The units of every block that the same column is for."""
    for t, units in enumerate(before):
        is_same = any(column is more.column for _, column in fleet.units_on(more.k, t))
        yield units + more.units if is_same else units
