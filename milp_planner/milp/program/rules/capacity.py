"""Units are time-shared between the classes, up to the utilization of their level."""

from __future__ import annotations

import math
from collections.abc import Iterator

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.patching import Patch
from milp_planner.inputs.problem.policies import utilization_limit
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.milp.program.language.loosening import SteppedLimit
from milp_planner.milp.program.language.rows import LE, Row
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms
from milp_planner.plans.records import Plan, exceeds

NEGLIGIBLE_WORK = 1e-9
"""Part of the largest class's work below which a class is left out of `Capacity`.

Hundreds of such classes stay below what the check of a plan can tell, and below any solver's
tolerance; kept, their coefficients would make the row unfit for solvers. They are still routed.
"""

MOST_TIGHT_CLASSES = 8
"""Classes up to which each gets a tightening row; beyond, the rows take longer than they save."""

BANDS = ("low", "medium", "high")


class Capacity(Rule):
    """Units are time-shared between the classes, up to the utilization of their level.

        Σ_q (λ_qt ÷ μ_kq) x_qkt ≤ Σ_l min(u_l, Σ_q λ_qt ÷ μ_kq) n_klt      ∀ k, t   [units busy]
        x_qkt ≤ Σ_l n_klt                            where one unit could carry the whole class

    A unit counts for no more than all there is to do, which no whole number of units can exceed.
    Only workloads with several classes need it; with one, `Coverage` says it all.
    """

    keys = frozenset(
        (
            *("policy.utilization.target", "policy.utilization.ceiling", "policy.utilization.by"),
            "workloads.latency.max_band",
        )
    )
    nearness = 10
    solved_apart = True

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if not fleet.routed(w.name) or fleet.demand(w.name).can_wait:
                continue  # `BatchWork` says it of work that can wait
            for k in fleet.gpu_candidates(w.name):
                for t in fleet.busy(w.name):
                    yield from _time_shared(fleet, k, t)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        """Work that is routed to units, summed up again, against what they may carry."""
        units_of = {p.candidate: p.units_by_block for p in plan.purchases}
        nothing = (0,) * len(plan.blocks)
        for k in dict.fromkeys((*units_of, *(route.candidate for route in plan.routes))):
            if k.mode.per_token or instance.schedule.demands[k.workload].can_wait:
                continue
            limit = utilization_limit(instance.problem, instance.problem.workload(k.workload))
            for block, units in zip(plan.blocks, units_of.get(k, nothing), strict=True):
                busy = units_busy(instance, plan, k, block.name)
                if exceeds(busy, limit * units):
                    there = f"{units} unit{'' if units == 1 else 's'}"
                    yield (
                        f"{k.id} has the work of {busy:.4g} units on {there} in block "
                        f"{block.name}, above {100 * limit:.0f} % utilization"
                    )

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """All candidates of a workload run at the same utilization."""
        return FREE

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        for w in instance.problem.workloads:
            if w.latency.max_band in ("low", "medium"):
                yield _band(w, f"workloads.{w.name}.latency.max_band")
        if instance.problem.policy.utilization.by == "target":
            yield _target(instance.problem)


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


def units_busy(instance: PlanningInput, plan: Plan, k: Candidate, block: str) -> float:
    """Σ_q (routed rate ÷ μ_kq): units of `k` at work in a block; inf for what it cannot serve."""
    classes = instance.schedule.demands[k.workload].classes
    rates = dict(zip((q.name for q in classes), k.requests_per_second, strict=True))
    return sum(
        route.requests_per_second / rates[route.request_class.name]
        if rates[route.request_class.name]
        else math.inf
        for route in plan.routes_to(k, block)
    )


def _band(w: Workload, path: str) -> SteppedLimit:
    now = w.latency.max_band
    assert now is not None
    return SteppedLimit(
        path,
        now,
        {path: None},
        workload=w.name,
        looser=lambda plan: BANDS[BANDS.index(now) + 1 :],
        patch=lambda band: {path: band},
        text=lambda band: f"accept {band} for {w.name}",
    )


def _target(problem: Problem) -> SteppedLimit:
    utilization = problem.policy.utilization
    path = "policy.utilization.target"

    def patch(percents: int) -> Patch:
        ceiling = None if utilization.ceiling is None else max(utilization.ceiling, percents / 100)
        return {"policy.utilization": {"target": percents / 100, "ceiling": ceiling}}

    now = utilization.highest
    return SteppedLimit(
        path,
        f"{now:.0%}".replace("%", " %"),
        patch(100),
        by_default=True,
        looser=lambda plan: range(math.floor(now * 100 + 1e-9) + 1, 101),
        patch=patch,
        text=lambda percents: f"plan for a utilization of {percents} %",
        shown=lambda percents: f"{percents} %",
    )
