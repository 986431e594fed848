"""What a plan buys, with the units that workloads share, as a fleet to be priced and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.candidates.records import (
    Candidate,
    PlanningInput,
    is_elastic,
    rests_when_idle,
    unit_kind,
)
from milp_planner.candidates.sharing.standing import part_on, unit_key
from milp_planner.errors import input_error
from milp_planner.inputs.catalog.records import Offering
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import Plan, Purchase

Units = int | float | Sequence[int]
"""Units all the while there is load, or one number per block; for per-token rows the share."""


def planned_fleet(instance: PlanningInput, plan: Plan) -> dict[str, Units]:
    """What a plan buys, as a fleet that is named; units by block where the blocks are the same."""
    if not plan.status.has_plan:
        raise input_error("there is no fleet in it", path=f"plan {plan.name}")
    same = plan.blocks == instance.schedule.blocks
    found: dict[str, list[int]] = {}
    shares: dict[str, Units] = {}
    for p in (p for p in plan.purchases if not p.candidate.part_of_unit):
        k = p.candidate
        name = f"{k.workload}:{k.offering.id}@{k.offering.billing}"
        if k.mode.per_token:
            shares[name] = p.requests_share
            continue
        units = [k.units_joined * n for n in p.units_by_block]
        found[name] = [a + b for a, b in zip(found.get(name, [0] * len(units)), units, strict=True)]
    elastic = {name for name in found if name.endswith(("@autoscaling", "@spot"))}
    fleet: dict[str, Units] = {
        name: tuple(units) if same and name in elastic else max(units)
        for name, units in found.items()
    }
    return fleet | shares


def own_units(instance: PlanningInput, plan: Plan) -> dict[Candidate, tuple[int, ...]]:
    """Units by block of every purchase that shares none, in the replica configuration that the plan
    has them in; left out where the problem lists no such candidate."""
    same = plan.blocks == instance.schedule.blocks
    listed = {k.id: k for k in instance.candidates.candidates}
    found: dict[Candidate, tuple[int, ...]] = {}
    for p in plan.purchases:
        k = listed.get(p.candidate.id)
        if k is not None and not (k.mode.per_token or k.part_of_unit):
            units = [k.units_joined * n for n in p.units_by_block]
            amount = tuple(units) if same and k.mode.elastic else max(units)
            found[k] = units_by_block(instance, k, amount)
    return found


def names_on_shared_units(plan: Plan) -> Iterator[str]:
    """All that stands on shared units as `evaluate` names it: `chat:acme/node/eu-1@dedicated`."""
    for p in _parts(plan):
        k = p.candidate
        yield f"{k.workload}:{k.offering.id}@{k.offering.billing}"


def with_shared_units(
    instance: PlanningInput, plan: Plan, solution: FleetSolution
) -> FleetSolution:
    """The fleet with the replicas that the plan has on shared units, and with these.

    Where its blocks are others, or units are held, as many as are ever on are on all the time.
    Raises InputError where the problem lets no such replica stand there.
    """
    same = plan.blocks == instance.schedule.blocks
    blocks = len(instance.schedule.blocks)

    def on(units_by_block: tuple[int, ...], elastic: bool) -> tuple[int, ...]:
        return units_by_block if same and elastic else (max(units_by_block),) * blocks

    units = dict(solution.units)
    for p in _parts(plan):
        found = _replica(instance, p.candidate)
        if found.gpu_set is not None and not same:
            text = (
                "what part of a GPU's time each LLM has in a block is told for its own blocks alone"
            )
            raise input_error(text, path=f"plan {plan.name}")
        units[found] = on(p.units_by_block, is_elastic(instance.problem, found))
    shared = {
        unit_key(one.candidate): on(one.units_by_block, one.candidate.mode.elastic)
        for one in plan.shared_units
    }
    return FleetSolution(units=units, shared=shared)


def _parts(plan: Plan) -> Iterator[Purchase]:
    return (p for p in plan.purchases if p.candidate.part_of_unit)


def _replica(instance: PlanningInput, asked: Candidate) -> Candidate:
    """The replica of the problem's own rates and prices."""
    replica = asked.workload, asked.llm, asked.precision, asked.tensor_parallel, asked.gpu_set
    mine = [
        k
        for k in instance.candidates.candidates
        if k.workload == asked.workload and k.offering.key == asked.offering.key
    ]
    listed = [k for k in mine if k.part_of_unit]
    for k in mine:
        if isinstance(k.offering, Offering) and not k.part_of_unit:
            alike = (r for r in instance.candidates.parts if unit_kind(r) == unit_kind(k))
            listed += [part_on(k.offering, r) for r in alike]
    for k in listed:
        if (k.workload, k.llm, k.precision, k.tensor_parallel, k.gpu_set) == replica:
            return k
    kind = f"{asked.precision} tp {asked.tensor_parallel}"
    raise input_error(
        f"fleet: {asked.offering.id}: workload {asked.workload!r} may have no replica of {kind} on "
        "a unit that others share"
    )


def units_by_block(instance: PlanningInput, k: Candidate, amount: Units) -> tuple[int, ...]:
    """Units of `k` by block; InputError where they are no whole number of joined ones."""
    counts = _counts(instance, k, amount)
    if any(n % k.units_joined for n in counts):
        raise input_error(
            f"fleet: {k.offering.id}: {k.units_joined} units make a replica of {k.workload!r}, "
            f"so that they come in multiples of {k.units_joined} (is {max(counts)})"
        )
    return tuple(n // k.units_joined for n in counts)


def _counts(instance: PlanningInput, k: Candidate, amount: Units) -> tuple[int, ...]:
    """Units of the offering by block."""
    peaks = instance.schedule.demands[k.workload].peak
    if isinstance(amount, int | float):
        rests = rests_when_idle(instance.problem, k)
        return tuple(int(amount) if peak or not rests else 0 for peak in peaks)
    if len(amount) != len(peaks):
        raise input_error(
            f"fleet: {k.offering.id}: {len(amount)} numbers of units for {len(peaks)} blocks "
            f"({', '.join(block.name for block in instance.schedule.blocks)})"
        )
    return tuple(amount)
