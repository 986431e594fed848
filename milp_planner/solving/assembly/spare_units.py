"""Adds spare units to a plan until it survives every loss: a plan at once, if not the best.

With several request classes a program learns of losses from plans that do not survive them. Where
time is up before it knows enough, such a plan with spare units is better than none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from milp_planner.candidates.records import Candidate, PlanningInput, hours_held, is_elastic
from milp_planner.milp.program.limits.survival import broken_losses
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.losses import SURVIVAL_GROUPS, AfterLoss
from milp_planner.plans.records import SNAP, Plan, Purchase

MOST_STEPS = 200


def with_spare_units(
    instance: PlanningInput, plan: Plan, solution: FleetSolution
) -> FleetSolution | None:
    """The fleet of `plan` with spare units; None where none, or not these few, would do.

    For the worst loss it adds what is cheapest for what it lacks, and looks again. Only losses are
    looked at: the plan may break other limits.
    """
    units = dict(solution.units)
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
