"""Which replicas stand on which shared unit, and who pays what part of its rent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from milp_planner.candidates.records import Candidate, PlanningInput, is_part_of, unit_key
from milp_planner.candidates.sharing.shared_units import (
    Contents,
    SharedUnits,
    part_held,
    placed,
    unit_of,
)
from milp_planner.inputs.problem.policies import is_sharing_open
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.shared_scope import left_to_one
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.reasons import Said, UnitsKeptApart
from milp_planner.plans.records import Purchase, WorkloadPlan

Units = Mapping[Candidate, tuple[int, ...]]
"""Units on in each block, of replicas that share units their number."""


def shared_units(
    instance: PlanningInput, solution: FleetSolution, on: Units
) -> tuple[SharedUnits, ...]:
    """The units that replicas share: those of the solution, and at least as many as hold them."""
    offered = {unit_key(k): unit_of(k) for k in on if k.part_of_unit}
    ordered = sorted(offered, key=lambda key: (key[:2], "" if key[2] is None else key[2].label))
    return tuple(
        _shared(instance, offered[key], on, solution.shared.get(key, ())) for key in ordered
    )


def _shared(
    instance: PlanningInput, unit: Candidate, on: Units, chosen: Sequence[int]
) -> SharedUnits:
    blocks = instance.schedule.blocks
    known: dict[object, tuple[Contents, ...]] = {}
    contents = []
    for t in range(len(blocks)):
        here = ((k, units[t]) for k, units in on.items() if is_part_of(k, unit))
        replicas = tuple((k, count) for k, count in here if count)
        least = chosen[t] if chosen else 0
        key = replicas, least
        if key not in known:  # held units stand as they are all month
            known[key] = placed(unit.gpus_per_unit, replicas, least)
        contents.append(known[key])
    return SharedUnits(
        unit,
        tuple(map(len, contents)),
        tuple(block.hours for block in blocks),
        tuple(contents),
    )


def rent_parts(shared: Sequence[SharedUnits], on: Units) -> dict[Candidate, float]:
    """What each candidate's replicas pay of the rent of units they share, USD/month.

    In every block by the GPUs that they hold there, or by their time on one; idle ones in the same
    proportion.
    """
    parts: dict[Candidate, float] = {}
    for one in shared:
        mine = {k: units for k, units in on.items() if is_part_of(k, one.candidate)}
        for t, units in enumerate(one.units_by_block):
            held = {k: part_held(k) * on[t] for k, on in mine.items() if on[t]}
            usd = units * one.hours_by_block[t] * one.candidate.usd_per_hour
            for k, gpus in held.items():
                parts[k] = parts.get(k, 0.0) + usd * gpus / sum(held.values())
    return parts


def speed_beside_others(shared: Sequence[SharedUnits]) -> Iterator[Said]:
    """How the speed of LLMs that share a GPU is taken, where any do."""
    sets = [one.candidate.gpu_set for one in shared if one.candidate.gpu_set is not None]
    names = sorted({member.workload for gpu_set in sets for member in gpu_set.members})
    if names:
        said = " and ".join((", ".join(names[:-1]), names[-1]))
        yield Said(
            f"{said} share GPUs: no measurement says how fast LLMs "
            "are beside one another; each is planned with its part of the rate that it has alone, "
            "and its speed as if all of its neighbours were always busy"
        )


def units_kept_apart(
    problem: Problem, workloads: Sequence[WorkloadPlan], purchases: Sequence[Purchase]
) -> Iterator[UnitsKeptApart]:
    """What keeps workloads from sharing units, where two of them have room for a replica more."""
    if not is_sharing_open(problem):
        return
    key = next(left_to_one(problem), None)
    if key is not None and sum(_has_room(w, purchases) for w in workloads) > 1:
        yield UnitsKeptApart(key)


def _has_room(w: WorkloadPlan, purchases: Sequence[Purchase]) -> bool:
    """True where units of several replicas would serve the workload with one replica less."""
    mine = [
        p for p in purchases if p.candidate.workload == w.name and not p.candidate.mode.per_token
    ]
    replicas = sum(p.units * p.candidate.replicas_per_unit for p in mine)
    if w.utilization is None or all(p.candidate.replicas_per_unit < 2 for p in mine):
        return False
    return w.utilization <= w.utilization_limit * (1 - 1 / replicas)
