"""Adds units to a fleet until all requests can be routed: a plan at once.

A program without columns for routes learns from fleets that have too little of something. Such a
fleet with a few units more is a plan, if not the best, and there is one when time ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pulp

from milp_planner.candidates.records import Candidate
from milp_planner.milp.program.language.variables import Fleet, merged
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.routed_fleets import Lacking, lacking
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import SNAP

MOST_STEPS = 200


class _More(NamedTuple):
    """Units of one candidate that make up for what a block lacks."""

    usd_per_month: float
    k: Candidate
    column: pulp.LpVariable
    units: int


def with_enough_units(model: FleetModel, solution: FleetSolution) -> FleetSolution | None:
    """The fleet with what is cheapest for what it lacks, block by block, until it lacks nothing.

    None where it does not come to that. The fleet may break other limits.
    """
    for _ in range(MOST_STEPS):
        short = lacking(model, solution)
        if short is None:
            return solution
        more = min(_ways(model, short), key=lambda one: (one.usd_per_month, one.k.id), default=None)
        if more is None:
            return None
        on = solution.units.get(more.k, (0,) * len(model.fleet.blocks))
        grown = tuple(_grown(model.fleet, on, more))
        solution = replace(solution, units={**solution.units, more.k: grown})
    return None


def _ways(model: FleetModel, short: Lacking) -> Iterator[_More]:
    usd = merged(model.costs.values())
    for k, worth in short.by_unit.items():
        count = math.ceil(short.asked / worth * (1 - SNAP)) if worth > 0 else 0
        for _, column in model.fleet.units_on(k, short.t) if count > 0 else ():
            yield _More(count * usd.get(column, 0.0), k, column, count)


def _grown(fleet: Fleet, on: tuple[int, ...], more: _More) -> Iterator[int]:
    """The units of every block that the same column is for."""
    for t, units in enumerate(on):
        is_same = any(column is more.column for _, column in fleet.units_on(more.k, t))
        yield units + more.units if is_same else units
