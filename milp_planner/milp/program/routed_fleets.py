"""Routes for the fleets of programs that have no columns for them, or what such programs learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.language.class_prices import ClassPrices
from milp_planner.milp.program.levels import Splits
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.routes.routing import Block, Cell, routed
from milp_planner.milp.program.routes.rows import GroupLimit, group_limits, price_row
from milp_planner.milp.program.solution import FleetSolution

IN_PART = 1e-3
"""Part of the requests that may lack where units are parts: little of it is there in whole ones."""

Units = Mapping[Candidate, Sequence[float]]


def with_routes(model: FleetModel, solution: FleetSolution) -> FleetSolution:
    """The fleet with everything routed as far as it can be, where no column says how."""
    fleet = model.fleet
    if not fleet.prices:
        return solution
    limits = group_limits(fleet.problem, fleet.rules)
    shares = dict(solution.shares)
    known: dict[object, Mapping[Cell, float]] = {}
    for block in _blocks(fleet.instance, fleet.prices, solution.units, solution.shares):
        if _key(model, block) not in known:
            known[_key(model, block)] = routed(fleet.instance, limits, block).shares
        for (k, q), share in known[_key(model, block)].items():
            shares[k, q, block.t] = share
    return replace(solution, shares=shares)


def learn_prices(splits: Splits, model: FleetModel, solution: FleetSolution) -> bool:
    """Add the prices by which a fleet has too little; False when none is new.

    A workload that has too little by known prices alone is routed by columns from then on.
    """
    fleet, before = model.fleet, splits.count
    found = list(_broken(model, solution.units, solution.shares))
    if not found:
        return False
    for workload, prices in found:
        if prices not in fleet.prices[workload]:
            splits.prices.setdefault(workload, {}).setdefault(prices)
    if splits.count > before:
        return True
    splits.routed |= {workload for workload, _ in found}
    return True


def learn_prices_in_part(
    splits: Splits, model: FleetModel, values: Mapping[str, float], enough: float = IN_PART
) -> bool:
    """Add those by which units, or parts of them, are too few; False when none is new.

    enough: part of the requests that may lack.
    """
    before = splits.count
    units: dict[Candidate, list[float]] = {}
    for (k, _, t), column in model.fleet.units.items():
        on = units.setdefault(k, [0.0] * len(model.fleet.blocks))
        on[t] += max(0.0, values.get(column.name, 0.0))
    shares = {key: values.get(column.name, 0.0) for key, column in model.fleet.shares.items()}
    for workload, prices in _broken(model, units, shares, enough):
        splits.prices.setdefault(workload, {}).setdefault(prices)
    return splits.count > before


class Lacking(NamedTuple):
    """Prices by which a workload has too little in a block, and what a unit of each adds there."""

    workload: str
    t: int
    asked: float
    by_unit: Mapping[Candidate, float]


def lacking(model: FleetModel, solution: FleetSolution) -> Lacking | None:
    """The first block whose units cannot serve it all; None where all can be."""
    fleet = model.fleet
    limits = group_limits(fleet.problem, fleet.rules)
    for block in _blocks(fleet.instance, fleet.prices, solution.units, solution.shares):
        prices = routed(fleet.instance, limits, block).prices
        if prices is None:
            continue
        row = price_row(fleet, block.workload, prices, block.t)
        by_unit = {
            k: row.terms.get(column, 0.0)
            for k in fleet.gpu_candidates(block.workload)
            for _, column in fleet.units_on(k, block.t)
        }
        has = sum(by_unit.get(k, 0.0) * on for k, on in block.on.items()) + sum(
            row.terms.get(fleet.shares[k, q, block.t], 0.0) * x
            for (k, q), x in block.tokens.items()
        )
        return Lacking(block.workload, block.t, row.right - has, by_unit)
    return None


def _broken(
    model: FleetModel,
    units: Units,
    shares: Mapping[tuple[Candidate, int, int], float],
    enough: float | None = None,
) -> Iterator[tuple[str, ClassPrices]]:
    """Prices by which units have too little, of every block unlike those before."""
    fleet = model.fleet
    limits = group_limits(fleet.problem, fleet.rules)
    seen: set[object] = set()
    for block in _blocks(fleet.instance, fleet.prices, units, shares):
        if _key(model, block) in seen:
            continue
        seen.add(_key(model, block))
        found = _routed(model, limits, block, enough)
        if found is not None:
            yield block.workload, found


def _routed(
    model: FleetModel, limits: Sequence[GroupLimit], block: Block, enough: float | None
) -> ClassPrices | None:
    instance = model.fleet.instance
    if enough is None:
        return routed(instance, limits, block).prices
    return routed(instance, limits, block, enough).prices


def _key(model: FleetModel, block: Block) -> object:
    """What blocks that are routed alike have in common."""
    peak = model.fleet.demand(block.workload).peak[block.t]
    return block.workload, peak, *map(frozenset, (block.on.items(), block.tokens.items()))


def _blocks(
    instance: PlanningInput,
    workloads: Mapping[str, object],
    units: Units,
    shares: Mapping[tuple[Candidate, int, int], float],
) -> Iterator[Block]:
    """What serves each of the workloads in each of its blocks."""
    for name in workloads:
        mine = [(k, on) for k, on in units.items() if k.workload == name]
        tokens: dict[int, dict[Cell, float]] = {}
        for (k, q, t), share in shares.items():
            if k.workload == name and k.mode.per_token and share > 0:
                tokens.setdefault(t, {})[k, q] = share
        for t, peak in enumerate(instance.schedule.demands[name].peak):
            if peak > 0:
                on = {k: float(counts[t]) for k, counts in mine if counts[t] > 0}
                yield Block(name, t, on, tokens.get(t, {}), {})
