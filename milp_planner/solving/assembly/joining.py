"""The fleets and the proofs of parts that nothing links, as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.candidates.sharing.standing import UnitKey, unit_key
from milp_planner.inputs.problem.policies import may_fall_short
from milp_planner.milp.program.families import needs_routes
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.proof import provers_of_all
from milp_planner.plans.records import EngineReport, Plan, Proof
from milp_planner.solving.assembly.routes import NOTHING


def solution_of(instance: PlanningInput, plans: Sequence[Plan]) -> FleetSolution:
    """The fleets of several plans as one."""
    units: dict[Candidate, list[int]] = {}
    shares: dict[tuple[Candidate, int, int], float] = {}
    is_routed = needs_routes(instance.problem)
    for plan in plans:
        at = [instance.schedule.blocks.index(block) for block in plan.blocks]
        for p in plan.purchases:
            if not p.candidate.mode.per_token:
                on = units.setdefault(p.candidate, [0] * len(instance.schedule.blocks))
                for t, count in zip(at, p.units_by_block, strict=True):
                    on[t] = count
        for route in plan.routes:
            classes = instance.schedule.demands[route.candidate.workload].classes
            if route.candidate.mode.per_token or len(classes) > 1 or is_routed:
                q, t = (
                    classes.index(route.request_class),
                    instance.schedule.blocks.index(route.block),
                )
                shares[route.candidate, q, t] = route.share
    fixed = {k: tuple(on) for k, on in units.items()}
    shortfalls = dict(_shortfalls_of(instance, plans))
    return FleetSolution(fixed, shares, shortfalls, _shared_of(instance, plans))


def _shared_of(instance: PlanningInput, plans: Sequence[Plan]) -> dict[UnitKey, tuple[int, ...]]:
    """Units that replicas share; no two parts share any."""
    shared: dict[UnitKey, list[int]] = {}
    for plan in plans:
        for one in plan.shared_units:
            on = shared.setdefault(unit_key(one.candidate), [0] * len(instance.schedule.blocks))
            for block, units in zip(plan.blocks, one.units_by_block, strict=True):
                on[instance.schedule.blocks.index(block)] = units
    return {key: tuple(on) for key, on in shared.items()}


def _shortfalls_of(
    instance: PlanningInput, plans: Sequence[Plan]
) -> Iterator[tuple[tuple[str, int, int], float]]:
    """What no route serves, where the user allows that."""
    if not may_fall_short(instance.problem):
        return
    served: dict[tuple[str, str, str], float] = {}
    for route in (route for plan in plans for route in plan.routes):
        key = route.candidate.workload, route.request_class.name, route.block.name
        served[key] = served.get(key, 0.0) + route.share
    for name, demand in instance.schedule.demands.items():
        for t, block in enumerate(instance.schedule.blocks):
            for q, request_class in enumerate(demand.classes):
                share = 1 - served.get((name, request_class.name, block.name), 0.0)
                if demand.peak[t] > 0 and share > NOTHING:
                    yield (name, q, t), share


def joined_proof(proofs: Sequence[Proof]) -> Proof:
    """One proof for all parts: sums of what each engine said, certified where all parts are."""
    names = {engine.name for proof in proofs for engine in proof.engines}
    return Proof(
        certified=all(proof.certified for proof in proofs),
        certified_by=provers_of_all(proof.certified_by for proof in proofs),
        unconfirmed=any(proof.unconfirmed for proof in proofs),
        engines=tuple(_joined_engine(name, proofs) for name in sorted(names)),
        notes=tuple(dict.fromkeys(note for proof in proofs for note in proof.notes)),
        seconds=sum(proof.seconds for proof in proofs),
        rows=sum(proof.rows for proof in proofs),
        columns=sum(proof.columns for proof in proofs),
    )


def _joined_engine(name: str, proofs: Sequence[Proof]) -> EngineReport:
    said = [engine for proof in proofs for engine in proof.engines if engine.name == name]
    statuses = sorted({engine.status for engine in said})
    objectives = [engine.objective for engine in said if engine.objective is not None]
    bounds = [engine.bound for engine in said if engine.bound is not None]
    complete = len(said) == len(proofs)
    return EngineReport(
        name=name,
        version=said[0].version,
        status=statuses[0] if len(statuses) == 1 else ", ".join(statuses),
        objective=sum(objectives) if complete and len(objectives) == len(said) else None,
        bound=sum(bounds) if complete and len(bounds) == len(said) else None,
        seconds=sum(engine.seconds for engine in said),
    )
