"""Spreads requests over a fixed fleet so that no offering is busier than it must be.

    min Σ_wt u_wt    Σ_k x_qkt = what GPUs serve of the class,   Σ_q (λ_qt ÷ μ_kq) x_qkt ≤ n_kt u_wt
    Σ_{k ∈ group} Σ_q λ_qt x_qkt ≤ σ × what is served        where a group may serve a share alone
    λ_t x_qkt ≤ A_k(n_kt),   x_qkt = x_q'kt                  where each offering has its own queue

The program routes any way that keeps the limits; people want the load spread. A linear program, so
HiGHS alone does it. One class spreads in proportion to capacity without it, unless a limit says who
may serve how much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pulp

from milp_planner.candidates.queues import most_carried, queue_wishes
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.deployment import AnyLlm
from milp_planner.inputs.problem.policies import (
    has_batches,
    has_one_router,
    has_own_queues,
    utilization_limit,
)
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.program.families import needs_routes, rules_of
from milp_planner.milp.program.language.variables import Terms, expression
from milp_planner.milp.program.limits.shares import ServedShare
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import SNAP

SECONDS = 5.0

Shares = dict[tuple[Candidate, int, int], pulp.LpVariable]
Routed = dict[tuple[Candidate, int, int], float]


class _Block(NamedTuple):
    """A workload in a block, and the units that serve it there."""

    workload: str
    t: int
    on: Mapping[Candidate, int]


def balanced(instance: PlanningInput, solution: FleetSolution) -> FleetSolution:
    """The same fleet with the load spread evenly; unchanged where HiGHS has no answer.

    Shares that somebody may serve are kept in every block in which they can be.
    """
    blocks = list(_blocks(instance, solution))
    if not blocks:
        return solution
    spread = _spread(instance, solution, blocks)
    if not spread:
        spread = {}
        for block in blocks:
            alone = _spread(instance, solution, [block])
            w = instance.problem.workload(block.workload)
            if not alone and not has_own_queues(instance.problem, w):
                alone = _spread(instance, solution, [block], keep_shares=False)
            spread |= alone
    return replace(solution, shares={**solution.shares, **spread})


def _blocks(instance: PlanningInput, solution: FleetSolution) -> Iterator[_Block]:
    """Where there is a choice of routes."""
    is_routed = needs_routes(instance.problem)
    if has_batches(instance.problem) or instance.problem.policy.power_by_load:
        return  # what units do beside their own load, or draw, depends on its routes
    for w in instance.problem.workloads:
        demand = instance.schedule.demands[w.name]
        if isinstance(w.llm, AnyLlm) and w.llm.at_least is not None:
            continue  # how good the answers are depends on the routes
        if has_one_router(instance.problem, w) or (len(demand.classes) == 1 and not is_routed):
            continue  # spread by capacity
        mine = solution.units_by_workload.get(w.name, [])
        for t, peak in enumerate(demand.peak):
            on = {k: units[t] for k, units in mine if units[t]}
            if peak > 0 and len(on) > 1:
                yield _Block(w.name, t, on)


def _spread(
    instance: PlanningInput,
    solution: FleetSolution,
    blocks: Sequence[_Block],
    *,
    keep_shares: bool = True,
) -> Routed:
    """Shares of the classes on units; empty where HiGHS has no answer."""
    lp = pulp.LpProblem("balance", pulp.LpMinimize)
    shares: Shares = {}
    busiest = [_add_block(lp, instance, solution, block, shares) for block in blocks]
    lp.setObjective(expression(dict.fromkeys(busiest, 1.0)))
    for block in blocks if keep_shares else ():
        for terms, most in _share_rows(instance, solution, block, shares):
            lp.addConstraint(pulp.LpConstraint(expression(terms), pulp.LpConstraintLE, None, most))
    values = _values(lp)
    if not values:
        return {}
    return {key: max(0.0, values[variable.name]) for key, variable in shares.items()}


def _add_block(
    lp: pulp.LpProblem,
    instance: PlanningInput,
    solution: FleetSolution,
    block: _Block,
    shares: Shares,
) -> pulp.LpVariable:
    """The rows of one workload in one block; the column of its highest utilization."""
    workload, t, on = block
    demand = instance.schedule.demands[workload]
    caps = _most_sent(instance, block)
    # what queues cannot carry must not make others too busy: then it is left as it is, and seen
    w = instance.problem.workload(workload)
    limit = utilization_limit(instance.problem, w) * (1 + SNAP) if caps else None
    highest = lp.add_variable(f"u{len(lp.variables()):06d}", 0, limit)
    work: dict[Candidate, dict[pulp.LpVariable, float]] = {
        k: {highest: -float(units)} for k, units in on.items()
    }
    for q, request_class in enumerate(demand.classes):
        served = sum(solution.shares.get((k, q, t), 0.0) for k in on)
        if caps and not served:  # nobody has routed it yet
            served = 1.0 - solution.shortfalls.get((workload, q, t), 0.0)
        row = {}
        for k in on:
            if not k.requests_per_second[q]:
                continue
            share = lp.add_variable(f"x{len(shares):06d}", 0, caps.get(k, 1.0))
            shares[k, q, t] = share
            row[share] = 1.0
            work[k][share] = request_class.share * demand.peak[t] / k.requests_per_second[q]
        if row:
            lp.addConstraint(pulp.LpConstraint(expression(row), pulp.LpConstraintEQ, None, served))
    for k in caps:
        first, *others = (shares[k, q, t] for q in range(len(demand.classes)))
        for share in others:  # every class alike
            alike = expression({first: 1.0, share: -1.0})
            lp.addConstraint(pulp.LpConstraint(alike, pulp.LpConstraintEQ, None, 0.0))
    for terms in work.values():
        lp.addConstraint(pulp.LpConstraint(expression(terms), pulp.LpConstraintLE, None, 0.0))
    return highest


def _most_sent(instance: PlanningInput, block: _Block) -> dict[Candidate, float]:
    """The share of the workload that each offering's own queue carries, where it has one."""
    w = instance.problem.workload(block.workload)
    if not has_own_queues(instance.problem, w):
        return {}
    load = instance.schedule.demands[block.workload].peak[block.t]
    wishes = [asked for _, asked in queue_wishes(instance, block.workload)]
    return {
        k: min(1.0, min(most_carried(k, n, asked) for asked in wishes) * (1 - SNAP) / load)
        for k, n in block.on.items()
    }


def _share_rows(
    instance: PlanningInput, solution: FleetSolution, block: _Block, shares: Shares
) -> Iterator[tuple[Terms, float]]:
    """What no group may serve more of; per-token offerings serve what they serve already."""
    classes = instance.schedule.demands[block.workload].classes
    served = [
        (k, classes[q].share * x)
        for k, q, x in solution.shares_by_block.get((block.workload, block.t), ())
    ]
    total = sum(part for _, part in served)
    for rule in rules_of(instance.problem):
        share = rule.share(instance.problem) if isinstance(rule, ServedShare) else None
        if share is None or not isinstance(rule, ServedShare):
            continue
        for group in sorted({rule.group_of(k) for k in block.on} - {""}):
            fixed = (p for k, p in served if k.mode.per_token and rule.group_of(k) == group)
            terms = {
                shares[k, q, block.t]: classes[q].share
                for k in block.on
                for q in range(len(classes))
                if (k, q, block.t) in shares and rule.group_of(k) == group
            }
            yield terms, share * total * (1 + SNAP) - sum(fixed)


def _values(lp: pulp.LpProblem) -> dict[str, float]:
    with scratch_folder() as folder:
        mps = folder / "balance.mps"
        lp.writeMPS(str(mps))
        columns = [variable.name for variable in lp.variables()]
        outcome = run_highs(mps, columns=columns, time_limit_s=SECONDS, gap=0.0, seed=1)
    return dict(outcome.values) if outcome.has_values else {}
