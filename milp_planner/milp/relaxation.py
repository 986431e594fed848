"""Leaves quotas out until a plan breaks them, and finds workloads that nothing links.

A plan that is cheapest without a quota, and keeps it all the same, is cheapest with it. Most quotas
never bind, and without them far more candidates are dominated: 24 blocks, ten workloads and 64 GPUs
per provider shrink from 23,000 columns to 2,500, with the same optimum.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from milp_planner.inputs.problem import GpuLimits, Problem
from milp_planner.milp.engines import EngineStatus
from milp_planner.milp.highs import run_highs
from milp_planner.milp.limits import Group, user_quotas
from milp_planner.milp.model import FleetModel
from milp_planner.milp.rows import most_at_once
from milp_planner.milp.shortcuts import sets_unknown_keys
from milp_planner.planning.plan import Plan, exceeds
from milp_planner.serving.candidates import Candidate, PlanningInput


def with_quotas(given: PlanningInput, names: Iterable[str]) -> PlanningInput:
    """`given` with only the quotas of these names in force."""
    kept = set(names)
    limits = given.problem.limits
    gpus = limits.max_gpus
    update = {
        "max_gpus": GpuLimits(
            total=gpus.total if "max_gpus.total" in kept else None,
            per_provider=_only(gpus.per_provider, "max_gpus.per_provider", kept),
            per_gpu=_only(gpus.per_gpu, "max_gpus.per_gpu", kept),
        ),
        "max_units": _only(limits.max_units, "max_units", kept),
    }
    problem = given.problem.model_copy(update={"limits": limits.model_copy(update=update)})
    return replace(given, problem=problem)


def _only(quotas: Mapping[str, int], family: str, kept: set[str]) -> dict[str, int]:
    return {name: limit for name, limit in quotas.items() if f"{family} {name}" in kept}


def broken_quotas(problem: Problem, plan: Plan) -> set[str]:
    """Names of the quotas that the plan breaks."""
    return {
        name
        for name, weight, limit in user_quotas(problem)
        if exceeds(
            most_at_once([(p, weight(p.candidate)) for p in plan.purchases], len(plan.blocks)),
            limit,
        )
    }


def quotas_broken_by_values(
    problem: Problem, model: FleetModel, values: Mapping[str, float]
) -> set[str]:
    """Names of the quotas that (fractional) columns break."""
    return {
        group[0]
        for group in user_quotas(problem)
        if any(exceeds(used, group[2]) for used in _used(model, values, group))
    }


def _used(model: FleetModel, values: Mapping[str, float], group: Group) -> list[float]:
    """Σ weight · units per block."""
    used = [0.0] * len(model.fleet.blocks)
    for (k, _, t), units in model.fleet.units.items():
        used[t] += group[1](k) * values.get(units.name, 0.0)
    return used


def relaxed_values(
    model: FleetModel, time_limit_s: float = 60.0, cancel: threading.Event | None = None
) -> Mapping[str, float] | None:
    """Columns of the linear relaxation, integers free; None when HiGHS finds none in time."""
    with tempfile.TemporaryDirectory(prefix="milp-planner-") as folder:
        mps = Path(folder) / "relaxed.mps"
        model.write_mps(mps)
        relaxed = run_highs(mps, time_limit_s=time_limit_s, relaxed=True, cancel=cancel)
    return relaxed.values if relaxed.status is EngineStatus.OPTIMAL else None


def independent_groups(problem: Problem, candidates: Iterable[Candidate]) -> list[tuple[str, ...]]:
    """Workloads that share a limit, group by group; one group for all when the limit is global."""
    names = [w.name for w in problem.workloads]
    limits = problem.limits
    linked_by_all = (
        limits.budget is not None
        or limits.providers.at_most is not None
        or problem.switching.max_units_changed is not None
        or sets_unknown_keys(problem)
    )
    if linked_by_all:
        return [tuple(names)]
    leader = {name: name for name in names}
    for _, weight, _ in user_quotas(problem):
        _link(leader, [k.workload for k in candidates if weight(k)])
    stock: dict[tuple[str, str], list[str]] = {}
    for k in candidates:
        if getattr(k.offering, "max_units", None) is not None:
            stock.setdefault(k.offering.key, []).append(k.workload)
    for workloads in stock.values():
        _link(leader, workloads)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_root(leader, name), []).append(name)
    return [tuple(group) for group in groups.values()]


def _link(leader: dict[str, str], names: Iterable[str]) -> None:
    roots = sorted({_root(leader, name) for name in names})
    for root in roots[1:]:
        leader[root] = roots[0]


def _root(leader: dict[str, str], name: str) -> str:
    while leader[name] != name:
        name = leader[name]
    return name


def only_workloads(
    given: PlanningInput, names: Iterable[str], candidates: Iterable[Candidate]
) -> PlanningInput:
    """`given` with these workloads, and of `candidates` theirs, alone."""
    kept = set(names)
    workloads = tuple(w for w in given.problem.workloads if w.name in kept)
    current = tuple(row for row in given.problem.current_fleet if row.workload in kept)
    theirs = tuple(k for k in candidates if k.workload in kept)
    problem = given.problem.model_copy(update={"workloads": workloads, "current_fleet": current})
    demands = {name: d for name, d in given.schedule.demands.items() if name in kept}
    schedule = replace(given.schedule, demands=demands)
    listed = replace(given.candidates, candidates=theirs)
    return replace(given, problem=problem, candidates=listed, schedule=schedule)
