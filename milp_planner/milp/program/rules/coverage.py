"""Every request class is served in every block."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policies import may_fall_short
from milp_planner.milp.program.language.elastic_steps import add_steps, step_rows
from milp_planner.milp.program.language.rows import EQ, GE, LE, Row
from milp_planner.milp.program.language.rule import Standing, Structural
from milp_planner.milp.program.language.variables import Fleet, Terms, add, merged
from milp_planner.milp.program.routes.rows import route_rows
from milp_planner.plans.records import Plan, exceeds


class Coverage(Structural):
    """Every request class is served in every block.

        one class:  Σ_k Σ_l min(1, u_l μ_k ÷ λ_t) n_klt + Σ_{k per token} x_kt + s_t ≥ 1
        several:    Σ_k x_qkt + s_qt = 1                          [share of the class's peak]

    A unit that could carry more than the whole demand counts as the whole demand: no plan is lost,
    and the linear bound is tighter. Several classes share units by `Capacity`. Shares of one class
    sum to at most 1: tokens beyond the demand must not count for survival or as a provider's share.

    Where elastic units are folded into steps of what is held, the rows are those of
    `elastic_steps.py`; where there are no columns for routes, those of `routes/rows.py`.
    """

    def columns(self, fleet: Fleet) -> None:
        add_steps(fleet)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if fleet.demand(w.name).can_wait:
                continue  # `BatchWork` says it of all blocks together

            if w.name in fleet.folds:
                yield from step_rows(fleet, fleet.folds[w.name])
                continue
            if w.name in fleet.prices:
                yield from route_rows(fleet, w.name)
                continue
            for t in fleet.busy(w.name):
                routed = fleet.routed(w.name)
                for q in fleet.classes(w.name) if routed else range(1):
                    units = {} if routed else _units_as_share_of_demand(fleet, w.name, t)
                    shares = _shares_of_class(fleet, w.name, q, t)
                    sense = EQ if routed else GE
                    yield Row(f"{w.name} {t} {q}", merged([units, shares]), sense, 1.0)
                    if len(shares) > 1 and not routed:
                        yield Row(f"{w.name} {t} {q} shares", shares, LE, 1.0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        """Classes whose routes and what is left out do not come to all of them."""
        left_out = _shortfalls(instance, plan)
        served: dict[tuple[str, str, str], float] = {}
        for route in plan.routes:
            key = route.candidate.workload, route.request_class.name, route.block.name
            served[key] = served.get(key, 0.0) + route.share
        for name, demand in instance.schedule.demands.items():
            if demand.can_wait:
                continue
            for block, peak in zip(instance.schedule.blocks, demand.peak, strict=True):
                for q in demand.classes if peak else ():
                    share = served.get((name, q.name, block.name), 0.0)
                    short = exceeds(1.0, share + left_out.get(name, 0.0))
                    if short or exceeds(share, 1.0):
                        yield (
                            f"workload {name!r} serves {share * q.share * peak:g} of "
                            f"{q.share * peak:g} requests/s of class {q.name} in block {block.name}"
                        )

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in serves every class at least as fast."""
        return Standing(gives=k.requests_per_second)


def _shares_of_class(fleet: Fleet, workload: str, q: int, t: int) -> Terms:
    """x_qkt of every candidate that has one, and s_qt."""
    terms: Terms = {}
    for k in fleet.serving(workload):
        if (k, q, t) in fleet.shares:
            add(terms, fleet.shares[k, q, t], 1.0)
    if (workload, q, t) in fleet.shortfalls:
        add(terms, fleet.shortfalls[workload, q, t], 1.0)
    return terms


def _shortfalls(instance: PlanningInput, plan: Plan) -> dict[str, float]:
    """Share of the peak that a workload may leave unserved, where the user lets it."""
    if not may_fall_short(instance.problem):
        return {}
    return {w.name: w.shortfall_share for w in plan.workloads}


def _units_as_share_of_demand(fleet: Fleet, workload: str, t: int) -> Terms:
    terms: Terms = {}
    peak = fleet.demand(workload).peak[t]
    for k in fleet.gpu_candidates(workload):
        for level, units in fleet.units_on(k, t):
            usable = fleet.levels[workload][level].ceiling * k.mix_requests_per_second
            add(terms, units, min(1.0, usable / peak))
    return terms
