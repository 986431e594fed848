"""What a short budget serves of workloads that nothing else links, stage by stage.

For one priority after another first the largest unserved share is made small, then what is left of
the month's requests, then what that costs; the rest of the budget is for the priorities behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from milp_planner.lazily import dataclass
from milp_planner.milp.curves.budget import most_served
from milp_planner.milp.curves.curve import ALL, Curve, Priced
from milp_planner.milp.curves.fleets import solution_of
from milp_planner.milp.curves.shortage import least_unserved
from milp_planner.milp.program.lexicographic import Held, Stage, stages_of
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.solution import FleetSolution

LINKED_BY_MONEY = {"Coverage", "BudgetLimit"}
"""Families of rows where a budget alone links the workloads."""


@dataclass(frozen=True)
class ShortFleet:
    """A fleet that is proven to serve as much as a budget can."""

    solution: FleetSolution
    usd_per_month: float
    held: Held
    """What each stage reached."""

    @property
    def serves_all(self) -> bool:
        """True where nothing is left out."""
        return not any(reached for _, reached in self.held)


def links_by_budget_alone(model: FleetModel) -> bool:
    """True where a program has the rows of loads and of a budget, what is short, and no more."""
    fleet = model.fleet
    families = {meaning.split()[0] for meaning in model.row_meaning.values()}
    columns = {column.name for column in (*fleet.units.values(), *fleet.shortfalls.values())}
    return families <= LINKED_BY_MONEY and columns == set(fleet.meaning)


def fleet_within(model: FleetModel, curves: Sequence[Curve], budget: float) -> ShortFleet | None:
    """What `budget`, USD per month, serves; None where too much must be tried.

    curves: of the workloads of `model`. Raises OutOfTime when time is up.
    """
    fleets: list[tuple[Curve, Priced]] = []
    held: Held = ()
    left = Fraction(budget)
    for names in (s.workloads for s in stages_of(model.fleet.problem) if s.kind == "worst"):
        mine = [curve for curve in curves if curve.cover.workload in names]
        found = _group(model, mine, left)
        if found is None:
            return None
        own, worst, unserved = found
        fleets += own
        left -= sum((fleet.usd_per_month for _, fleet in own), Fraction(0))
        held = (*held, (Stage("worst", names), worst), (Stage("unserved", names), unserved))
    solution = solution_of(fleets, len(model.fleet.blocks))
    usd = float(sum(fleet.usd_per_month for _, fleet in fleets))
    return ShortFleet(
        FleetSolution(solution.units, shortfalls=dict(_shortfalls(fleets))), usd, held
    )


_Group = tuple[Sequence[tuple[Curve, Priced]], float, float]
"""Fleets, the largest unserved share, and that of the requests."""


def _group(model: FleetModel, curves: Sequence[Curve], budget: Fraction) -> _Group | None:
    """What is served of workloads of one priority."""
    if not curves:
        return (), 0.0, 0.0
    share = most_served(curves, budget)
    if share == ALL:
        fleets = [(curve, fleet) for curve in curves if (fleet := curve.least()) is not None]
        return fleets, 0.0, 0.0
    volumes = [{t: model.fleet.volume(c.cover.workload, 0, t) for t in c.hours} for c in curves]
    total = sum(sum(own.values()) for own in volumes)
    shares = [{t: volume / total for t, volume in own.items()} for own in volumes]
    served = least_unserved(curves, shares, share, float(budget))
    return None if served is None else (served.fleets, float(1 - share), served.unserved)


def _shortfalls(
    fleets: Sequence[tuple[Curve, Priced]],
) -> list[tuple[tuple[str, int, int], float]]:
    """What is left unserved of the one class, by workload and block."""
    return [
        ((curve.cover.workload, 0, t), lacking)
        for curve, fleet in fleets
        for t, step in fleet.elastic.items()
        if (lacking := curve.lacking(t, fleet.held.capacity + step.capacity))
    ]
