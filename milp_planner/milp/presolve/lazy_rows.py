"""Leaves quotas out until a plan breaks them, and finds workloads and blocks that nothing links.

A plan that is cheapest without a quota, and keeps it all the same, is cheapest with it. Most quotas
never bind, and without them far more candidates are dominated: 24 blocks, ten workloads and 64 GPUs
per provider shrink from 23,000 columns to 2,500, with the same optimum.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import checked
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.program.limits.quotas import Weight, user_quotas
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.records import exceeds

Part = TypeVar("Part", bound=Hashable)


def quotas_broken_by_values(
    problem: Problem, model: FleetModel, values: Mapping[str, float], *, of_quota: float = 1.0
) -> set[str]:
    """Names of the quotas of which (fractional) columns use more than so much."""
    on = [
        (k, t, values[units.name]) for k, t, units in model.fleet.rented() if values.get(units.name)
    ]
    return {
        name
        for name, weight, limit in user_quotas(problem)
        if any(exceeds(used, of_quota * limit) for used in _used(on, weight).values())
    }


def _used(on: Iterable[tuple[Candidate, int, float]], weight: Weight) -> dict[int, float]:
    """Σ weight · units per block."""
    used: dict[int, float] = {}
    for k, t, units in on:
        used[t] = used.get(t, 0.0) + weight(k) * units
    return used


def relaxed_values(
    model: FleetModel, time_limit_s: float = 60.0, cancel: threading.Event | None = None
) -> Mapping[str, float] | None:
    """Columns of the linear relaxation, integers free; None when HiGHS finds none in time."""
    with scratch_folder() as folder:
        mps = folder / "relaxed.mps"
        model.write_mps(mps)
        relaxed = run_highs(mps, time_limit_s=time_limit_s, relaxed=True, cancel=cancel)
    return relaxed.values if relaxed.status is EngineStatus.OPTIMAL else None


def independent(model: FleetModel, part_of: Callable[[str, int], Part]) -> list[tuple[Part, ...]]:
    """Parts that no row and no column of the program links, group by group, in order.

    `part_of` says to which part a workload in a block belongs; the workload, say, or the block.
    """
    leader: dict[object, object] = {}
    parts: dict[Part, None] = {}
    for columns in (model.fleet.units, model.fleet.shares):
        for (k, _, t), column in columns.items():
            parts[part := part_of(k.workload, t)] = None
            _link(leader, [("part", part), column.name])
    for name in checked(model.row_meaning):
        row = model.lp.get_constraint_by_name(name)
        _link(leader, [column.name for column, _ in row.items()])
    groups: dict[object, list[Part]] = {}
    for part in parts:
        groups.setdefault(_root(leader, ("part", part)), []).append(part)
    return [tuple(group) for group in groups.values()]


def _link(leader: dict[object, object], linked: Iterable[object]) -> None:
    first, *others = dict.fromkeys(leader.get(one, one) for one in linked) or [None]
    if others:  # most often all have one leader already
        roots = list(dict.fromkeys(_root(leader, one) for one in (first, *others)))
        for root in roots[1:]:
            leader[root] = roots[0]


def _root(leader: dict[object, object], one: object) -> object:
    while (above := leader.setdefault(one, one)) != one:
        leader[one] = leader.setdefault(above, above)  # shorter for whoever asks next
        one = above
    return one


def only_workloads(
    instance: PlanningInput, names: Iterable[str], candidates: Iterable[Candidate]
) -> PlanningInput:
    """`instance` with these workloads, and of `candidates` theirs, alone."""
    kept = set(names)
    workloads = tuple(w for w in instance.problem.workloads if w.name in kept)
    current = tuple(row for row in instance.problem.current_fleet if row.workload in kept)
    theirs = tuple(k for k in candidates if k.workload in kept)
    problem = instance.problem.model_copy(update={"workloads": workloads, "current_fleet": current})
    demands = {name: d for name, d in instance.schedule.demands.items() if name in kept}
    schedule = replace(instance.schedule, demands=demands)
    listed = replace(instance.candidates, candidates=theirs)
    return replace(instance, problem=problem, candidates=listed, schedule=schedule)


def only_blocks(instance: PlanningInput, blocks: Sequence[int]) -> PlanningInput:
    """`instance` in these blocks alone, without workloads that are idle in all of them."""
    demands = {}
    for name, demand in instance.schedule.demands.items():
        peak, mean = (tuple(rates[t] for t in blocks) for rates in (demand.peak, demand.mean))
        if any(peak):
            demands[name] = replace(demand, peak=peak, mean=mean)
    kept = tuple(instance.schedule.blocks[t] for t in blocks)
    schedule = replace(instance.schedule, blocks=kept, demands=demands, block_by_hour=())
    there = replace(instance, schedule=schedule)
    return only_workloads(there, demands, instance.candidates.candidates)
