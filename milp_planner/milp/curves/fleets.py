"""The cheapest fleets of a program that takes no solver."""

from __future__ import annotations

from collections.abc import Iterable

from milp_planner.lazily import dataclass
from milp_planner.milp.curves.covering import covers_of
from milp_planner.milp.curves.curve import Curve, Priced
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.solution import FleetSolution

CURVES = "capacity curves"
"""Who proves it, in headlines."""


@dataclass(frozen=True)
class CurvedFleet:
    """A fleet that is proven the cheapest."""

    solution: FleetSolution
    usd_per_month: float


def curves_of(model: FleetModel) -> list[Curve] | None:
    """The proven curves of a program's workloads; None where it takes a solver.

    Raises OutOfTime when time is up.
    """
    covers = covers_of(model)
    if covers is None:
        return None
    curves = [Curve.of(cover) for cover in covers]
    return None if any(curve.broken for curve in curves) else curves


def cheapest_fleet(model: FleetModel) -> CurvedFleet | None:
    """The cheapest fleet of a program; None where it takes a solver, or there is no fleet.

    Raises OutOfTime when time is up.
    """
    curves = curves_of(model)
    if curves is None:
        return None
    found = [(curve, fleet) for curve in curves if (fleet := curve.least()) is not None]
    if len(found) < len(curves):
        return None
    usd = float(sum(fleet.usd_per_month for _, fleet in found))
    return CurvedFleet(solution_of(found, len(model.fleet.blocks)), usd)


def solution_of(fleets: Iterable[tuple[Curve, Priced]], blocks: int) -> FleetSolution:
    """The fleets of all workloads as one."""
    return FleetSolution(
        units={k: on for curve, fleet in fleets for k, on in curve.units(fleet, blocks)}
    )
