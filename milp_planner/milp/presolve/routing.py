"""Spreads request classes over a fixed fleet so that no offering is busier than it must be.

    min Σ_wt u_wt    Σ_k x_qkt = what GPUs serve of the class,   Σ_q (λ_qt ÷ μ_kq) x_qkt ≤ n_kt u_wt

The program routes any way that keeps the limit; people want the load spread. A linear program, so
HiGHS alone does it. With one class, load spreads in proportion to capacity without it.
"""

from __future__ import annotations

from dataclasses import replace

import pulp

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.program.language.variables import expression
from milp_planner.plans.solution import FleetSolution

SECONDS = 5.0

Shares = dict[tuple[Candidate, int, int], pulp.LpVariable]


def balanced(instance: PlanningInput, solution: FleetSolution) -> FleetSolution:
    """The same fleet with the load spread evenly; unchanged where HiGHS has no answer."""
    lp = pulp.LpProblem("balance", pulp.LpMinimize)
    shares: Shares = {}
    busiest = []
    for w in instance.problem.workloads:
        demand = instance.schedule.demands[w.name]
        if len(demand.classes) == 1:
            continue
        for t, peak in enumerate(demand.peak):
            on = {
                k: units[t]
                for k, units in solution.units.items()
                if k.workload == w.name and units[t]
            }
            if peak > 0 and len(on) > 1:
                busiest.append(_add_block(lp, instance, solution, on, t, shares))
    if not busiest:
        return solution
    lp.setObjective(expression(dict.fromkeys(busiest, 1.0)))
    values = _values(lp)
    if not values:
        return solution
    spread = {key: max(0.0, values[variable.name]) for key, variable in shares.items()}
    return replace(solution, shares={**solution.shares, **spread})


def _add_block(
    lp: pulp.LpProblem,
    instance: PlanningInput,
    solution: FleetSolution,
    on: dict[Candidate, int],
    t: int,
    shares: Shares,
) -> pulp.LpVariable:
    """The rows of one workload in one block; the column of its highest utilization."""
    workload = next(iter(on)).workload
    demand = instance.schedule.demands[workload]
    highest = lp.add_variable(f"u{len(lp.variables()):06d}", 0, None)
    work: dict[Candidate, dict[pulp.LpVariable, float]] = {
        k: {highest: -float(units)} for k, units in on.items()
    }
    for q, request_class in enumerate(demand.classes):
        served = sum(solution.shares.get((k, q, t), 0.0) for k in on)
        row = {}
        for k in on:
            if not k.requests_per_second[q]:
                continue
            share = lp.add_variable(f"x{len(shares):06d}", 0, 1)
            shares[k, q, t] = share
            row[share] = 1.0
            work[k][share] = request_class.share * demand.peak[t] / k.requests_per_second[q]
        if row:
            lp.addConstraint(pulp.LpConstraint(expression(row), pulp.LpConstraintEQ, None, served))
    for terms in work.values():
        lp.addConstraint(pulp.LpConstraint(expression(terms), pulp.LpConstraintLE, None, 0.0))
    return highest


def _values(lp: pulp.LpProblem) -> dict[str, float]:
    with scratch_folder() as folder:
        mps = folder / "balance.mps"
        lp.writeMPS(str(mps))
        columns = [variable.name for variable in lp.variables()]
        outcome = run_highs(mps, columns=columns, time_limit_s=SECONDS, gap=0.0, seed=1)
    return dict(outcome.values) if outcome.has_values else {}
