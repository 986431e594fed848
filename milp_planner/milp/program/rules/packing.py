"""Replicas fit on the units that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from milp_planner.candidates.records import (
    Candidate,
    PlanningInput,
    is_part_of,
    unit_key,
)
from milp_planner.candidates.sharing.on_gpus import gpu_faults
from milp_planner.candidates.sharing.shared_units import SharedUnits, gpus_on, unit_of
from milp_planner.inputs.problem.policies import utilization_limit
from milp_planner.milp.program.language.rows import LE, Row, distinct
from milp_planner.milp.program.language.rule import Structural
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.milp.program.rules.capacity import units_busy
from milp_planner.plans.records import Plan, exceeds


class Packing(Structural):
    """Replicas fit on the units that they share, whoever's they are.

        Σ_{k on j, g_k ≥ s} (g_k ÷ s) Σ_l n_klt ≤ ⌊G_j ÷ s⌋ n_jt     ∀ j, t, GPU counts s   [blocks]

    n_klt are replicas of g_k GPUs, n_jt units of G_j GPUs. A unit holds at most ⌊G ÷ s⌋ blocks of s
    GPUs, and a replica of g ≥ s takes g ÷ s of them, so the rows must hold; where the GPU counts
    divide one another, replicas that keep them can be placed (`candidates/sharing/`). One row for
    all GPUs would not do: a unit of 3 and one of 1 hold a single replica of 2. Of an offering that
    runs today units may stay idle, beside one on which somebody stands.

    Where LLMs share a GPU, units of each set S of them have columns of their own, and each member a
    part φ of the GPU's time, Σ φ = 1, and of its memory:

        n_kt ≤ n_jSt     ∀ members k of S, j, t                                            [units]

    As μ_k is φ_k times what it serves alone, and its load at most u μ_k n_kt, the loads of all come
    to no more than the part u of the GPU.
    """

    keys = frozenset(("policy.share",))

    def columns(self, fleet: Fleet) -> None:
        for unit, replicas in replicas_by_unit(fleet).items():
            most = fleet.most_units(unit)
            on = [t for t in range(len(fleet.blocks)) if any(_on(fleet, k, t) for k in replicas)]
            if not fleet.elastic(unit):
                name = f"shared units[{_name(unit)}]"
                held = fleet.column(name, most)
                fleet.shared.update({(unit, t): held for t in on})
                continue
            for t in on:
                at = f"{_name(unit)} {fleet.blocks[t].name}"
                fleet.shared[unit, t] = fleet.column(f"shared units[{at}]", most)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for unit, replicas in replicas_by_unit(fleet).items():
            at = f"{unit.offering.id} {unit.offering.billing}"
            if unit.gpu_set is not None:
                yield from _one_of_each(fleet, unit, replicas, f"{at} {unit.gpu_set.label}")
                continue
            for size in sorted({k.gpus_per_unit for k in replicas}):
                yield from distinct(
                    Row(f"{at} {t} blocks of {size}", terms, LE, 0.0)
                    for t in range(len(fleet.blocks))
                    if (terms := _blocks(fleet, unit, replicas, size, t))
                )
            if fleet.instance.runs_today(unit):
                yield from distinct(_standing(fleet, unit, replicas, at))

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        """Replicas that stand on no unit, on a wrong or a full one, and units that nobody pays."""
        standing: dict[tuple[Candidate, int], int] = Counter()
        for shared in plan.shared_units:
            yield from _misplaced(shared)
            yield from gpu_faults(instance, shared)
            yield from _overloaded(instance, plan, shared)
            for t, contents in enumerate(shared.contents_by_block):
                for k, count in (one for unit in contents for one in unit):
                    standing[k, t] += count
                    if not is_part_of(k, shared.candidate):
                        yield f"{k.id} stands on a unit of {shared.candidate.offering.id}"
        for p in plan.purchases:
            for t, replicas in enumerate(p.units_by_block if p.candidate.part_of_unit else ()):
                if standing.pop((p.candidate, t), 0) != replicas:
                    yield f"{p.candidate.id}: not each of {replicas} replicas stands on a unit"
        if any(standing.values()):
            yield "replicas stand on units that no workload has"
        yield from _unpaid(plan)


def _name(unit: Candidate) -> str:
    offering = f"{unit.offering.id} {unit.offering.billing}"
    return offering if unit.gpu_set is None else f"{offering} {unit.gpu_set.label}"


def _standing(fleet: Fleet, unit: Candidate, replicas: list[Candidate], at: str) -> Iterator[Row]:
    """Some replica on the units that are on: nobody would pay for those that only run today."""
    most = float(fleet.most_units(unit))
    for t in range(len(fleet.blocks)):
        terms: Terms = {n: -most for k in replicas for _, n in fleet.units_on(k, t)}
        if (unit, t) in fleet.shared:
            yield Row(f"{at} {t} somebody", {fleet.shared[unit, t]: 1.0, **terms}, LE, 0.0)


def replicas_by_unit(fleet: Fleet) -> dict[Candidate, list[Candidate]]:
    """The candidates that share units, by what is rented for them; the same from call to call."""
    known = {unit_key(unit): unit for unit, _ in fleet.shared}
    found: dict[Candidate, list[Candidate]] = {}
    for k in fleet.candidates:
        if k.part_of_unit:
            unit = known.setdefault(unit_key(k), unit_of(k))
            found.setdefault(unit, []).append(k)
    return found


def _one_of_each(
    fleet: Fleet, unit: Candidate, replicas: list[Candidate], at: str
) -> Iterator[Row]:
    """Each GPU that LLMs share has room for one replica of each of them."""
    for k in replicas:
        yield from distinct(
            Row(
                f"{at} {t} {k.workload}",
                {**{n: 1.0 for _, n in fleet.units_on(k, t)}, fleet.shared[unit, t]: -1.0},
                LE,
                0.0,
            )
            for t in range(len(fleet.blocks))
            if _on(fleet, k, t)
        )


def _on(fleet: Fleet, k: Candidate, t: int) -> bool:
    return any(True for _ in fleet.units_on(k, t))


def _blocks(fleet: Fleet, unit: Candidate, replicas: list[Candidate], size: int, t: int) -> Terms:
    """Blocks of `size` GPUs that replicas take, less those that the units have."""
    terms: Terms = {}
    for k in replicas:
        if k.gpus_per_unit >= size:
            for _, count in fleet.units_on(k, t):
                add(terms, count, k.gpus_per_unit // size)
    if terms:
        terms[fleet.shared[unit, t]] = -float(unit.gpus_per_unit // size)
    return terms


def _misplaced(shared: SharedUnits) -> Iterator[str]:
    """Units that hold more than they have, and counts of units that are not those of the list."""
    where, gpus = shared.candidate.offering.id, shared.candidate.gpus_per_unit
    for units, contents in zip(shared.units_by_block, shared.contents_by_block, strict=True):
        if len(contents) != units:
            yield f"{where}: {units} units are on, and replicas stand on {len(contents)}"
        for one in contents:
            if gpus_on(one) > gpus:
                yield f"{where}: replicas of {gpus_on(one)} GPUs stand on a unit of {gpus}"


def _overloaded(instance: PlanningInput, plan: Plan, shared: SharedUnits) -> Iterator[str]:
    """GPUs whose LLMs are sent, together, more than the utilization planned for."""
    gpu_set = shared.candidate.gpu_set
    if gpu_set is None:
        return
    mine = [p.candidate for p in plan.purchases if is_part_of(p.candidate, shared.candidate)]
    for block, units in zip(plan.blocks, shared.units_by_block, strict=True):
        busy = 0.0
        for k in mine:
            limit = utilization_limit(instance.problem, instance.problem.workload(k.workload))
            time = gpu_set.time_share(k.workload)
            busy += time * units_busy(instance, plan, k, block.name) / limit
        if exceeds(busy, units):
            where = f"{shared.candidate.offering.id} in block {block.name}"
            yield f"{where}: LLMs have the work of {busy:.4g} GPUs on {units} that they share"


def _unpaid(plan: Plan) -> Iterator[str]:
    """Rent of shared units that those who share them do not pay together."""
    for shared in plan.shared_units:
        paid = sum(
            p.shared_rent_usd or 0.0
            for p in plan.purchases
            if is_part_of(p.candidate, shared.candidate)
        )
        owed = shared.rent_usd_per_month
        if exceeds(owed, paid) or exceeds(paid, owed):
            where = shared.candidate.offering.id
            yield f"{where}: {paid:g} of {owed:g} USD per month of rent is paid"
