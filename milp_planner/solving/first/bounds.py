"""What no plan can cost less than, by fractions of units and one workload after another.

    Σ_w Σ_t Σ_q min( h_t λ_qt min_k c_k ÷ (u_w μ_kq),  v_qt min_k p_kq )        [USD/month]

A unit that is held all month or serves several classes pays at least what its work takes of it at
the highest utilization, so no limit and no rounding can make a plan cheaper. Where all that serves
is held all month, the busiest block alone says it for the month.
"""

from __future__ import annotations

from milp_planner.candidates.records import Candidate, PlanningInput, is_elastic
from milp_planner.deadline import checked
from milp_planner.inputs.problem.policies import may_fall_short
from milp_planner.solving.first.loads import Load

BELOW = 1e-5
"""Relative: what solvers and checks of plans let a plan stay below its demand."""


def least_usd_per_month(instance: PlanningInput) -> float | None:
    """The bound; None where requests may be left unserved, or are not paid as listed.

    Raises OutOfTime.
    """
    problem = instance.problem
    if (
        may_fall_short(problem)
        or problem.commitments
        or problem.prices.volume
        or problem.policy.power_by_load
    ):
        return None
    by_workload: dict[str, list[Candidate]] = {w.name: [] for w in instance.problem.workloads}
    for k in checked(instance.candidates.candidates):
        by_workload[k.workload].append(k)
    least = sum(_of_workload(instance, name, mine) for name, mine in by_workload.items())
    return least * (1 - BELOW)


def _of_workload(instance: PlanningInput, workload: str, mine: list[Candidate]) -> float:
    load = Load.of(instance, workload)
    if load.demand.can_wait:
        return 0.0  # idle units of others may do it all
    classes = range(len(load.demand.classes))
    work = [_least_usd_per_rate(mine, q, load.limit) for q in classes]
    if not any(is_elastic(instance.problem, k) or k.mode.per_token for k in mine):
        at_peak = sum(c.share * usd for c, usd in zip(load.demand.classes, work, strict=True))
        return load.demand.highest_peak * at_peak * load.month_hours
    tokens = [_least_usd_per_request(mine, q) for q in classes]
    return sum(
        c.share * min(hours * peak * work[q], requests * tokens[q])
        for hours, peak, requests in zip(load.hours, load.demand.peak, load.requests, strict=True)
        if peak > 0
        for q, c in enumerate(load.demand.classes)
    )


INFINITE = 1e300


def _least_usd_per_rate(mine: list[Candidate], q: int, limit: float) -> float:
    """USD per hour and request/s of a class, by the cheapest unit that can serve it."""
    return min(
        (
            k.usd_per_hour / (limit * k.requests_per_second[q])
            for k in checked(mine)
            if not k.mode.per_token and k.requests_per_second[q] > 0
        ),
        default=INFINITE,
    )


def _least_usd_per_request(mine: list[Candidate], q: int) -> float:
    return min((k.usd_per_request[q] for k in mine if k.mode.per_token), default=INFINITE)
