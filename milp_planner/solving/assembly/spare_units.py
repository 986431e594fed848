"""Adds spare units to a plan until it survives every loss and keeps its times: a plan at once.

A program learns of losses with several request classes, and of what queues decide, from plans that
do not keep them. Where time is up before it knows enough, such a plan with spare units is better
than none, if not the best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from milp_planner.candidates.records import Candidate, PlanningInput, hours_held, is_elastic
from milp_planner.milp.program.limits.survival import broken_losses
from milp_planner.milp.program.rules.queue_times import broken_times
from milp_planner.milp.program.rules.queues.own_queues import short_queues
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.losses import SURVIVAL_GROUPS, AfterLoss
from milp_planner.plans.records import SNAP, Plan, Purchase
from milp_planner.serving.queues.pools import times_needed

MOST_STEPS = 200
MOST_GROWN = 200


def with_spare_units(
    instance: PlanningInput, plan: Plan, solution: FleetSolution
) -> FleetSolution | None:
    """The fleet of `plan` with spare units; None where none, or not these few, would do.

    Pools that make requests wait too long grow in proportion. For the worst loss it adds what is
    cheapest for what it lacks, and looks again. The plan may break other limits.
    """
    units = dict(solution.units)
    for _ in range(MOST_GROWN):
        broken = next(broken_times(instance, plan), None)
        if broken is None:
            break
        times = (
            times_needed(broken.pool, broken.load, broken.asked) if broken.pool.places else math.inf
        )
        if math.isinf(times):
            return None
        for p in [p for p in plan.purchases_of(broken.workload) if broken.left.has(p.candidate)]:
            units[p.candidate] = tuple(_grown(instance, p, broken.block, times))
            plan = replace(plan, purchases=tuple(_with(plan, p.candidate, units[p.candidate])))
    else:
        return None
    for _ in range(MOST_GROWN):
        short = next(short_queues(instance, plan), None)
        if short is None:
            break
        if math.isinf(short.times):
            return None
        grow = {k for k, _ in short.on}
        for p in [p for p in plan.purchases_of(short.workload) if p.candidate in grow]:
            units[p.candidate] = tuple(_grown(instance, p, short.block, short.times))
            plan = replace(plan, purchases=tuple(_with(plan, p.candidate, units[p.candidate])))
    else:
        return None
    for w in plan.workloads:
        for _ in range(MOST_STEPS):
            worst = min(broken_losses(instance, plan, w.name), key=_part_left, default=None)
            if worst is None:
                break
            added = _cheapest(instance, w.name, worst)
            if added is None:
                return None
            k, on = added
            units[k] = _sum(units.get(k, (0,) * len(on)), on)
            plan = replace(plan, purchases=tuple(_with(plan, k, units[k])))
        else:
            return None
    return replace(solution, units=units)


def _grown(instance: PlanningInput, p: Purchase, block: int, times: float) -> Iterator[int]:
    """So many times the units of a block, and of those in which they cannot but be on as well."""
    grown = math.ceil(p.units_by_block[block] * times * (1 - SNAP))
    elastic = is_elastic(instance.problem, p.candidate)
    for t, units in enumerate(p.units_by_block):
        yield max(units, grown) if units and (t == block or not elastic) else units


def _part_left(loss: AfterLoss) -> float:
    return loss.left / loss.served


def _cheapest(
    instance: PlanningInput, workload: str, loss: AfterLoss
) -> tuple[Candidate, tuple[int, ...]] | None:
    """(candidate, units to add by block) that costs least for what the loss leaves lacking."""
    survival = instance.problem.limits.survival
    assert survival is not None
    group_of = SURVIVAL_GROUPS[survival.kind]
    lacking = survival.share - _part_left(loss)
    found = []
    for k in instance.candidates.candidates:
        if k.workload != workload or k.mode.per_token or group_of(k) == loss.lost:
            continue
        counted = max(
            weight * rate / served if served else 0.0
            for weight, rate, served in zip(
                loss.weights, k.requests_per_second, loss.served_by_class, strict=True
            )
        )
        if counted > 0:
            count = math.ceil(lacking / counted * (1 - SNAP))
            found.append((count * _usd(instance, k, loss.block), k.id, k, count))
    if not found:
        return None
    _, _, k, count = min(found)
    return k, tuple(_on(instance, k, loss.block, count))


def _usd(instance: PlanningInput, k: Candidate, t: int) -> float:
    """USD/month of a unit that is on in a block; of one that is held, in all that it is on in."""
    elastic = is_elastic(instance.problem, k)
    hours = instance.schedule.blocks[t].hours if elastic else hours_held(instance, k)
    return hours * k.usd_per_hour


def _on(instance: PlanningInput, k: Candidate, t: int, count: int) -> Iterator[int]:
    elastic = is_elastic(instance.problem, k)
    for block in range(len(instance.schedule.blocks)):
        yield count if block == t or not elastic else 0


def _sum(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(one, other, strict=True)))


def _with(plan: Plan, k: Candidate, units: tuple[int, ...]) -> Iterator[Purchase]:
    """The plan's purchases, of `k` so many units."""
    yield from (p for p in plan.purchases if p.candidate is not k)
    yield Purchase(k, units, tuple(block.hours for block in plan.blocks), 0.0)
