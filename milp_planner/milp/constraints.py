"""The rules every plan obeys: demand is served, by what is bought, below the utilization limit.

One class per family: mathematics, `rows()`, `violations()`. To add one, write the class here or in
`limits.py` and name it in `CONSTRAINTS` below.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from milp_planner.milp.limits import LIMITS
from milp_planner.milp.overload import OverloadRamp
from milp_planner.milp.rows import EQ, GE, LE, Family, Row, count_terms, scaled
from milp_planner.milp.variables import (
    Fleet,
    Terms,
    add,
    may_fall_short,
    merged,
    most_units,
    utilization_limit,
)
from milp_planner.planning.plan import Plan, exceeds
from milp_planner.serving.candidates import Candidate, PlanningInput

NEGLIGIBLE_WORK = 1e-9
"""Part of the largest class's work below which a class is left out of `Capacity`.

Hundreds of such classes stay below what the check of a plan can tell, and below any solver's
tolerance; kept, their coefficients would make the row unfit for solvers. They are still routed.
"""

MOST_TIGHT_CLASSES = 8
"""Classes up to which each gets a tightening row; beyond, the rows take longer than they save."""


class Coverage:
    """Every request class is served in every block.

        one class:  Σ_k Σ_l min(1, u_l μ_k ÷ λ_t) n_klt + Σ_{k per token} x_kt + s_t ≥ 1
        several:    Σ_k x_qkt + s_qt = 1                          [share of the class's peak]

    A unit that could carry more than the whole demand counts as the whole demand: no plan is lost,
    and the linear bound is tighter. Several classes share units by `Capacity`. Shares of one class
    sum to at most 1: tokens beyond the demand must not count for survival or as a provider's share.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            for t in fleet.busy(w.name):
                for q in fleet.classes(w.name):
                    routed = fleet.routed(w.name)
                    units = {} if routed else _units_as_share_of_demand(fleet, w.name, t)
                    shares = _shares_of_class(fleet, w.name, q, t)
                    sense = EQ if routed else GE
                    yield Row(f"{w.name} {t} {q}", merged([units, shares]), sense, 1.0)
                    if len(shares) > 1 and not routed:
                        yield Row(f"{w.name} {t} {q} shares", shares, LE, 1.0)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        left_out = _shortfalls(given, plan)
        served: dict[tuple[str, str, str], float] = {}
        for route in plan.routes:
            key = route.candidate.workload, route.request_class.name, route.block.name
            served[key] = served.get(key, 0.0) + route.share
        for name, demand in given.schedule.demands.items():
            for block, peak in zip(given.schedule.blocks, demand.peak, strict=True):
                for q in demand.classes if peak else ():
                    share = served.get((name, q.name, block.name), 0.0)
                    short = exceeds(1.0, share + left_out.get(name, 0.0))
                    if short or exceeds(share, 1.0):
                        yield (
                            f"workload {name!r} serves {share * q.share * peak:g} of "
                            f"{q.share * peak:g} requests/s of class {q.name} in block {block.name}"
                        )


def _shares_of_class(fleet: Fleet, workload: str, q: int, t: int) -> Terms:
    """x_qkt of every candidate that has one, and s_qt."""
    terms: Terms = {}
    for k in fleet.serving(workload):
        if (k, q, t) in fleet.shares:
            add(terms, fleet.shares[k, q, t], 1.0)
    if (workload, q, t) in fleet.shortfalls:
        add(terms, fleet.shortfalls[workload, q, t], 1.0)
    return terms


def _shortfalls(given: PlanningInput, plan: Plan) -> dict[str, float]:
    """Share of the peak that a workload may leave unserved, where the user lets it."""
    if not may_fall_short(given.problem):
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


class Capacity:
    """Units are time-shared between the classes, up to the utilization of their level.

        Σ_q (λ_qt ÷ μ_kq) x_qkt ≤ Σ_l min(u_l, Σ_q λ_qt ÷ μ_kq) n_klt      ∀ k, t   [units busy]
        x_qkt ≤ Σ_l n_klt                            where one unit could carry the whole class

    A unit counts for no more than all there is to do, which no whole number of units can exceed.
    Only workloads with several classes need it; with one, `Coverage` says it all.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if not fleet.routed(w.name):
                continue
            for k in fleet.gpu_candidates(w.name):
                for t in fleet.busy(w.name):
                    yield from _time_shared(fleet, k, t)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        units_of = {p.candidate: p.units_by_block for p in plan.purchases}
        nothing = (0,) * len(plan.blocks)
        for k in dict.fromkeys((*units_of, *(route.candidate for route in plan.routes))):
            if k.mode.per_token:
                continue
            limit = utilization_limit(given.problem, given.problem.workload(k.workload))
            for block, units in zip(plan.blocks, units_of.get(k, nothing), strict=True):
                busy = units_busy(given, plan, k, block.name)
                if exceeds(busy, limit * units):
                    yield (
                        f"{k.id} has {busy:g} units' work on {units} units in block "
                        f"{block.name}, above {limit:.0%} utilization"
                    )


def _time_shared(fleet: Fleet, k: Candidate, t: int) -> Iterator[Row]:
    levels = fleet.levels[k.workload]
    on = list(fleet.units_on(k, t))
    loads = {
        q: fleet.peak(k.workload, q, t) / k.requests_per_second[q]
        for q in fleet.classes(k.workload)
        if (k, q, t) in fleet.shares  # elsewhere the class cannot be served
    }
    everything = sum(loads.values())
    work: Terms = {units: -min(levels[level].ceiling, everything) for level, units in on}
    least = NEGLIGIBLE_WORK * max(1.0, *loads.values())
    for q, load in loads.items():
        if load > least:
            work[fleet.shares[k, q, t]] = load
        if len(loads) <= MOST_TIGHT_CLASSES and load < levels[0].ceiling:
            terms: Terms = {fleet.shares[k, q, t]: 1.0}
            terms.update({units: -1.0 for _, units in on})
            yield Row(f"{k.id} {t} {q}", terms, LE, 0.0)
    yield Row(f"{k.id} {t}", work, LE, 0.0)


def units_busy(given: PlanningInput, plan: Plan, k: Candidate, block: str) -> float:
    """Σ_q (routed rate ÷ μ_kq): units of `k` at work in a block; inf for what it cannot serve."""
    classes = given.schedule.demands[k.workload].classes
    rates = dict(zip((q.name for q in classes), k.requests_per_second, strict=True))
    return sum(
        route.requests_per_second / rates[route.request_class.name]
        if rates[route.request_class.name]
        else math.inf
        for route in plan.routes
        if route.candidate is k and route.block.name == block
    )


class PerTokenRate:
    """A per-token offering serves no more requests than its rate limit.

    Σ_q λ_qt x_qkt ≤ rate limit of k            ∀ k per token, t      [requests/s]
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        for k in fleet.candidates:
            limit = k.rate_limit
            if not k.mode.per_token or limit is None:
                continue
            for t in fleet.busy(k.workload):
                terms = {
                    fleet.shares[k, q, t]: fleet.peak(k.workload, q, t)
                    for q in fleet.classes(k.workload)
                }
                yield scaled(f"{k.id} {t}", terms, LE, limit)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        for p in plan.purchases:
            limit = p.candidate.rate_limit
            if limit is None:
                continue
            for block in plan.blocks:
                rate = sum(
                    r.requests_per_second
                    for r in plan.routes
                    if r.candidate is p.candidate and r.block == block
                )
                if exceeds(rate / limit, 1.0):
                    yield (
                        f"{p.candidate.id} serves {rate:g} requests/s in block {block.name}, "
                        f"above its rate limit of {limit:g}"
                    )


class OneLevel:
    """A workload runs at one utilization level; its units are counted there.

        Σ_l y_wl = 1,   n_klt ≤ N_k y_wl            ∀ w with several levels

    N_k is derived from the demand (`most_units`), never a constant.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            levels = range(len(fleet.levels[w.name]))
            if len(levels) == 1:
                continue
            used = {fleet.level_used[w.name, level]: 1.0 for level in levels}
            yield Row(f"{w.name}", used, EQ, 1.0)
            seen = set()
            for (k, level, _), units in fleet.units.items():
                if k.workload == w.name and units not in seen:
                    seen.add(units)
                    y = fleet.level_used[w.name, level]
                    yield Row(f"{k.id} {units.name}", {units: 1.0, y: -most_units(fleet, k)}, LE, 0)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        return iter(())  # a plan has one utilization; `Capacity` holds it below the limit


class ExtraGpus:
    """GPUs beyond the count of the scaling penalty, over the workload's whole fleet.

        e_w ≥ Σ_k g_k n_kt - G      ∀ w, t      [GPUs]

    e_w is priced, so it is as small as the rows let it be.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        scaling = fleet.problem.policy.active_penalties.scaling
        if scaling is None:
            return
        for w, extra in fleet.extra_gpus.items():
            weighted = [(k, float(k.gpus_per_unit)) for k in fleet.gpu_candidates(w)]
            for t in fleet.busy(w):
                terms = count_terms(fleet, weighted, t)
                add(terms, extra, -1.0)
                yield Row(f"{w} {t}", terms, LE, scaling.above_gpus)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        return iter(())  # it defines a cost; `verify` recomputes the cost


class Replicas:
    """At least the replicas asked for are up whenever the workload has load.

        Σ_k (replicas per unit)_k n_kt ≥ min_replicas_w          ∀ w, t with load

    Asked of GPU offerings only; one replica is implied by `Coverage`.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if w.min_replicas == 1:
                continue
            for t in fleet.busy(w.name):
                terms: Terms = {}
                for k in fleet.gpu_candidates(w.name):
                    for _, units in fleet.units_on(k, t):
                        add(terms, units, min(k.replicas_per_unit, w.min_replicas))
                yield Row(f"{w.name} {t}", terms, GE, w.min_replicas)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        for w in given.problem.workloads:
            if w.min_replicas == 1:
                continue
            demand = given.schedule.demands[w.name]
            for t, block in enumerate(plan.blocks):
                up = sum(
                    p.candidate.replicas_per_unit * p.units_by_block[t]
                    for p in plan.purchases_of(w.name)
                )
                if demand.peak[t] and exceeds(w.min_replicas, up):
                    yield (
                        f"workload {w.name!r} has {up} replicas in block {block.name}, "
                        f"fewer than {w.min_replicas}"
                    )


CONSTRAINTS: tuple[type[Family], ...] = (
    Coverage,
    Capacity,
    PerTokenRate,
    OneLevel,
    OverloadRamp,
    ExtraGpus,
    Replicas,
    *LIMITS,
)
