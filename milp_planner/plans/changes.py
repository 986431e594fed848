"""From today's fleet to a plan: what to keep, what to add, what to remove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from milp_planner.candidates.records import PlanningInput, UnitsOn, change_key
from milp_planner.errors import input_error
from milp_planner.inputs.problem.records import CurrentUnits
from milp_planner.plans.consequences import UnitChange
from milp_planner.plans.records import Plan


def changes(instance: PlanningInput, rented: Sequence[UnitsOn]) -> tuple[UnitChange, ...]:
    """One row per offering, billing and workload, of today's fleet or of the plan.

    Units of all replica configurations count together, the most that are on at any time; per-token
    use has no units and is left out. Units that replicas share are nobody's, and have no workload.
    Nothing where nothing runs today.
    """
    current = instance.current_units()
    if not current:
        return ()
    deltas = unit_change_of(instance, rented)
    rows = (
        UnitChange(workload, offering, billing, today, today + delta)
        for (offering, billing, workload), delta in deltas.items()
        for today in [current.get((offering, billing, workload), 0)]
    )
    order = {w.name: i for i, w in enumerate(instance.problem.workloads)}
    return tuple(sorted(rows, key=lambda c: (order.get(c.workload, -1), c.offering, c.billing)))


def unit_change_of(
    instance: PlanningInput, rented: Iterable[UnitsOn]
) -> dict[tuple[str, str, str], int]:
    """Units added (positive) or removed (negative) by (offering, billing, workload).

    Added are those that are on, in any block, beyond today's; removed those that are on in none.
    """
    planned = most_units(rented)
    current = instance.current_units()
    keys = sorted(planned.keys() | current.keys())
    return {key: planned.get(key, 0) - current.get(key, 0) for key in keys}


def current_fleet_of(plan: Plan) -> tuple[CurrentUnits, ...]:
    """What runs once the plan does: the `current_fleet` of a problem that plans on from there.

    plan: solved, or read from its document. Returns units by offering, billing and workload, the
    most that are on at any time; per-token use has none. Raises InputError for a plan without a
    fleet, and where workloads share units, which belong to none of them.

    >>> from milp_planner import current_fleet_of, load_problem, solve
    >>> problem = load_problem("problems/quickstart.yaml")
    >>> running = current_fleet_of(solve(problem, alternatives=0))
    >>> grown = problem.changed({"workloads.chat.traffic.growth": 2})
    >>> plan = solve(grown.model_copy(update={"current_fleet": running}), alternatives=0)
    >>> all(change.keep for change in plan.changes if change.today)
    True
    """
    if not plan.status.has_plan:
        raise input_error("there is no fleet in it", path=f"plan {plan.name}")
    if plan.shared_units:
        raise input_error(
            "its units are shared by workloads, and units that run belong to one each",
            path=f"plan {plan.name}",
            hint="write policy.share: none and solve again, so that they do",
        )
    return tuple(
        CurrentUnits(offering=offering, billing=billing, workload=workload, units=units)
        for (offering, billing, workload), units in most_units(plan.purchases).items()
        if units
    )


def most_units(rented: Iterable[UnitsOn]) -> dict[tuple[str, str, str], int]:
    """The most units on at any time by (offering, billing, workload)."""
    on: dict[tuple[str, str, str], list[list[int]]] = {}
    for p in rented:
        if not p.candidate.mode.per_token:
            units = [p.candidate.units_joined * n for n in p.units_by_block]
            on.setdefault(change_key(p.candidate), []).append(units)
    return {key: max(map(sum, zip(*rows, strict=True))) for key, rows in on.items()}
