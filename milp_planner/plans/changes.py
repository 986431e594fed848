"""From today's fleet to a plan: what to keep, what to add, what to remove."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from milp_planner.candidates.records import PlanningInput, UnitsOn, change_key
from milp_planner.candidates.sharing.shared_units import Contents, SharedUnits, part_held
from milp_planner.errors import input_error
from milp_planner.inputs.problem.policies import is_sharing_open
from milp_planner.inputs.problem.records import CurrentUnits
from milp_planner.plans.consequences import UnitChange
from milp_planner.plans.records import Plan

Key = tuple[str, str, str]
"""(offering, billing, workload)."""


def changes(instance: PlanningInput, rented: Sequence[UnitsOn]) -> tuple[UnitChange, ...]:
    """One row per offering, billing and workload, of today's fleet or of the plan.

    Units of all replica configurations count together, the most that are on at any time; per-token
    use has no units and is left out. Units that replicas share are nobody's, and have no workload.
    Nothing where nothing runs today.
    """
    if not instance.current_units():
        return ()
    planned = most_units(rented)
    current = _todays_units(instance, rented, planned)
    rows = (
        UnitChange(workload, offering, billing, current.get(key, 0), planned.get(key, 0))
        for key in sorted(planned.keys() | current.keys())
        for offering, billing, workload in [key]
        if current.get(key) or planned.get(key)
    )
    order = {w.name: i for i, w in enumerate(instance.problem.workloads)}
    return tuple(sorted(rows, key=lambda c: (order.get(c.workload, -1), c.offering, c.billing)))


def unit_change_of(
    instance: PlanningInput, rented: Iterable[UnitsOn]
) -> dict[tuple[str, str, str], int]:
    """Units added (positive) or removed (negative) by (offering, billing, workload).

    Added are those that are on, in any block, beyond today's; removed those that are on in none.
    """
    rented = tuple(rented)
    planned = most_units(rented)
    current = _todays_units(instance, rented, planned)
    keys = sorted(planned.keys() | current.keys())
    return {key: planned.get(key, 0) - current.get(key, 0) for key in keys}


def _todays_units(
    instance: PlanningInput, rented: Iterable[UnitsOn], planned: Mapping[Key, int]
) -> Mapping[Key, int]:
    """Units running today; of those of one workload each as shared what is shared now.

    A unit that ran for a workload, and is not its own any more, is shared now where it has a
    replica for it on such units, in the block in which most are.
    """
    if not is_sharing_open(instance.problem):
        return instance.current_units()
    current = dict(instance.current_units())
    for shared in rented:
        if not isinstance(shared, SharedUnits):
            continue
        offered = change_key(shared.candidate)[:2]
        spare = {
            key: units - planned.get(key, 0)
            for key, units in sorted(current.items())
            if key[:2] == offered and units > planned.get(key, 0)
        }
        handed = max(
            (_handed(shared, t, spare) for t in range(len(shared.units_by_block))), key=sum
        )
        for key, units in zip(spare, handed, strict=True):
            current[key] -= units
        if any(handed):
            current[*offered, ""] = sum(handed)
    return current


def _handed(shared: SharedUnits, t: int, spare: Mapping[Key, int]) -> tuple[int, ...]:
    """Units of each that are shared in a block: no more than there are, or than its replicas."""
    replicas: dict[str, int] = {}
    for contents in shared.contents_by_block[t]:
        for k, count in contents:
            replicas[k.workload] = replicas.get(k.workload, 0) + count
    left, found = shared.units_by_block[t], []
    for (_, _, workload), units in spare.items():
        found.append(min(left, units, replicas.get(workload, 0)))
        left -= found[-1]
    return tuple(found)


def current_fleet_of(plan: Plan) -> tuple[CurrentUnits, ...]:
    """What runs once the plan does: the `current_fleet` of a problem that plans on from there.

    plan: solved, or read from its document. Returns units by offering, billing and workload, the
    most that are on at any time; per-token use has none. A unit that workloads share runs for the
    one that holds most of it: a problem that leaves sharing open, or says `share: units`, keeps it
    for all of them. Raises InputError for a plan without a fleet.

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
    running = most_units(p for p in plan.purchases if not p.candidate.part_of_unit)
    for shared in plan.shared_units:
        for workload in _holders(shared):
            key = *change_key(shared.candidate)[:2], workload
            running[key] = running.get(key, 0) + 1
    return tuple(
        CurrentUnits(offering=offering, billing=billing, workload=workload, units=units)
        for (offering, billing, workload), units in running.items()
        if units
    )


def _holders(shared: SharedUnits) -> Iterator[str]:
    """The workload that holds most of each unit, in the block in which most are on.

    Where nobody stands on a unit, that of another one: it runs for whoever may come.
    """
    counts = shared.units_by_block
    most_on = shared.contents_by_block[counts.index(max(counts))]
    holders = [_holder(contents) for contents in most_on if contents]
    yield from holders
    yield from holders[:1] * (len(most_on) - len(holders))


def _holder(contents: Contents) -> str:
    held: dict[str, float] = {}
    for k, count in contents:
        held[k.workload] = held.get(k.workload, 0.0) + part_held(k) * count
    return max(sorted(held), key=lambda name: held[name])


def most_units(rented: Iterable[UnitsOn]) -> dict[tuple[str, str, str], int]:
    """The most units on at any time by (offering, billing, workload)."""
    on: dict[tuple[str, str, str], list[list[int]]] = {}
    for p in rented:
        if not p.candidate.mode.per_token:
            units = [p.candidate.units_joined * n for n in p.units_by_block]
            on.setdefault(change_key(p.candidate), []).append(units)
    return {key: max(map(sum, zip(*rows, strict=True))) for key, rows in on.items()}
