"""Batch work is done by its deadline, by units of its own, by others' idle time, or per token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from milp_planner.candidates.records import Candidate, Meanwhile, PlanningInput, is_elastic
from milp_planner.inputs.problem.policies import has_batches, utilization_limit
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.loosening import LimitInForce
from milp_planner.milp.program.language.rows import EQ, LE, Row
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add, ceil_snapped
from milp_planner.plans.records import Plan, exceeds

LEAST_ON: Final = 1e-4
"""Part of a block for which a unit that is switched on is on at least."""

NEGLIGIBLE: Final = 1e-9
"""Part of the largest coefficient of a row below which another is left out, as in `Capacity`."""


class BatchWork(Rule):
    """Batch work is done by its deadline: in which hours until then the program decides.

        Σ_t (h_t ÷ H) (Σ_k x_qkt + Σ_{k of others} f_qkt + s_qt) = 1        ∀ q      [share of it]

    x and f are multiples of the work spread evenly over the H hours until the deadline, so up to
    H ÷ h_t. Units of its own are busy with it up to the utilization u; elastic ones are on for e_kt
    units' time of a block, are paid for that, and there are n_kt of them; replicas on units that
    others share are there all through a block, as these are:

        Σ_q (λ_qt ÷ μ_kq) x_qkt ≤ u n_kt                                 ∀ k, t     [units busy]
        elastic:  … ≤ u e_kt,   e_kt ≤ n_kt ≤ e_kt + 1 − ε

    Units of another workload v that serve the same LLM do it in the time that their own mean load
    leaves. At any moment that load is at most the peak, which they can carry, so that the mean of
    what is left is exactly u n less the mean load:

        Σ_q (mean_vqt ÷ μ_kq) x_vqkt + Σ_q (λ_qt ÷ μ'_kq) f_qkt ≤ u n_kt       ∀ k of v, t
    """

    def needs_routes(self, problem: Problem) -> bool:
        """What others leave idle depends on who serves whom."""
        return has_batches(problem)

    solved_apart = True  # what is large is solved at once where there are batches

    def columns(self, fleet: Fleet) -> None:
        for k in fleet.candidates:
            if k.mode.per_token:
                continue
            is_own = fleet.elastic(k) and not k.part_of_unit  # a unit that is shared is on for all
            if is_own and fleet.demand(k.workload).can_wait:
                for t in fleet.busy(k.workload):
                    meaning = f"running[{k.id} {fleet.blocks[t].name}]"
                    most = fleet.most_units(k)
                    fleet.running[k, t] = fleet.column(meaning, most, integer=False)
            for other in _batches(fleet.instance, k):
                for t in fleet.busy(other.workload):
                    if any(fleet.units_on(k, t)):
                        _add_meanwhile(fleet, k, other.workload, other.requests_per_second, t)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if fleet.demand(w.name).can_wait:
                yield from _done(fleet, w.name)
                for k in fleet.gpu_candidates(w.name):
                    for t in fleet.busy(w.name):
                        yield from _of_own(fleet, k, t)
        for k, t in dict.fromkeys((k, t) for k, _, _, t in fleet.meanwhile):
            yield _beside(fleet, k, t)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        if not has_batches(instance.problem):
            return
        yield from _not_done(instance, plan)
        yield from _too_busy(instance, plan)

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in does as much of the batches of others; of own units it is paid alike."""
        if not has_batches(instance.problem):
            return FREE
        demands = instance.schedule.demands
        if demands[k.workload].can_wait:
            return Standing(same=(k.mode.name,))
        does = {one.workload: one.requests_per_second for one in k.meanwhile}
        of_batches = (
            does.get(name, (0.0,) * len(demand.classes))
            for name, demand in demands.items()
            if demand.can_wait
        )
        return Standing(gives=tuple(rate for rates in of_batches for rate in rates))

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Units that do all batch work in the shortest block, beside what they are for."""
        if not has_batches(fleet.problem) or k.mode.per_token:
            return 0
        own = fleet.demand(k.workload)
        units = (
            0 if own.can_wait else ceil_snapped(_units(fleet, k.workload, k.requests_per_second))
        )
        batches = [(k.workload, k.requests_per_second)] if own.can_wait else []
        batches += [(m.workload, m.requests_per_second) for m in _batches(fleet.instance, k)]
        return units + sum(
            ceil_snapped(_units(fleet, name, rates) * _most_multiple(fleet, name))
            for name, rates in batches
        )

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterable[LimitInForce]:
        return ()


def _batches(instance: PlanningInput, k: Candidate) -> Iterator[Meanwhile]:
    """Those of the batches that its units can do that are asked here."""
    return (one for one in k.meanwhile if one.workload in instance.schedule.demands)


def _add_meanwhile(
    fleet: Fleet, k: Candidate, batch: str, rates: tuple[float, ...], t: int
) -> None:
    for q in fleet.classes(batch):
        if rates[q]:
            meaning = f"meanwhile[{batch} by {k.id} {fleet.blocks[t].name} class {q}]"
            most = fleet.most_share(batch, t)
            fleet.meanwhile[k, batch, q, t] = fleet.column(meaning, most, integer=False)


def _units(fleet: Fleet, workload: str, rates: tuple[float, ...]) -> float:
    """Units that carry the workload's highest load, as far as they can serve it."""
    limit = fleet.levels[workload][0].ceiling
    peak, classes = fleet.demand(workload).highest_peak, fleet.demand(workload).classes
    return (
        sum(q.share * peak / rate for q, rate in zip(classes, rates, strict=True) if rate) / limit
    )


def _most_multiple(fleet: Fleet, batch: str) -> float:
    return max(fleet.most_share(batch, t) for t in fleet.busy(batch))


def _done(fleet: Fleet, batch: str) -> Iterator[Row]:
    """All of every class is done, or left undone."""
    for q in fleet.classes(batch):
        terms: Terms = {}
        for t in fleet.busy(batch):
            part = 1 / fleet.most_share(batch, t)
            for k in fleet.serving(batch):
                if (k, q, t) in fleet.shares:
                    add(terms, fleet.shares[k, q, t], part)
            if (batch, q, t) in fleet.shortfalls:
                add(terms, fleet.shortfalls[batch, q, t], part)
        for (_, name, at, t), share in fleet.meanwhile.items():
            if (name, at) == (batch, q):
                add(terms, share, 1 / fleet.most_share(batch, t))
        yield Row(f"{batch} {q} done", terms, EQ, 1.0)


def _of_own(fleet: Fleet, k: Candidate, t: int) -> Iterator[Row]:
    """Own units are no busier than they may be, and on while they are."""
    limit = fleet.levels[k.workload][0].ceiling
    work: Terms = {
        fleet.shares[k, q, t]: fleet.peak(k.workload, q, t) / k.requests_per_second[q]
        for q in fleet.classes(k.workload)
        if (k, q, t) in fleet.shares
    }
    on = [units for _, units in fleet.units_on(k, t)]
    running = fleet.running.get((k, t))
    if running is None:
        yield _without_specks(Row(f"{k.id} {t}", {**work, **dict.fromkeys(on, -limit)}, LE, 0.0))
        return
    yield _without_specks(Row(f"{k.id} {t}", {**work, running: -limit}, LE, 0.0))
    yield Row(f"{k.id} {t} on", {running: 1.0, **dict.fromkeys(on, -1.0)}, LE, 0.0)
    yield Row(f"{k.id} {t} used", {running: -1.0, **dict.fromkeys(on, 1.0)}, LE, 1 - LEAST_ON)


def _beside(fleet: Fleet, k: Candidate, t: int) -> Row:
    """Batch work takes no more than the mean load of those whom the units are for leaves."""
    limit = fleet.levels[k.workload][0].ceiling
    work: Terms = {units: -limit for _, units in fleet.units_on(k, t)}
    own = fleet.demand(k.workload)
    for q in fleet.classes(k.workload):
        if (k, q, t) in fleet.shares:
            mean = own.classes[q].share * own.mean[t]
            work[fleet.shares[k, q, t]] = mean / k.requests_per_second[q]
    for other in k.meanwhile:
        for q, rate in enumerate(other.requests_per_second):
            if (k, other.workload, q, t) in fleet.meanwhile:
                share = fleet.meanwhile[k, other.workload, q, t]
                work[share] = fleet.peak(other.workload, q, t) / rate
    return _without_specks(Row(f"{k.id} {t} beside", work, LE, 0.0))


def _without_specks(row: Row) -> Row:
    least = NEGLIGIBLE * max(1.0, *map(abs, row.terms.values()))
    return Row(
        row.name, {v: c for v, c in row.terms.items() if abs(c) > least}, row.sense, row.right
    )


def _not_done(instance: PlanningInput, plan: Plan) -> Iterator[str]:
    """Batches of which too little or too much is done, and hours in which none may be."""
    short = {w.name: w.shortfall_share for w in plan.workloads}
    runs = [
        (r.candidate.workload, r.request_class, r.block, r.requests_per_second) for r in plan.routes
    ]
    runs += [(r.workload, r.request_class, r.block, r.requests_per_second) for r in plan.batch_runs]
    for name, demand in instance.schedule.demands.items():
        if not demand.can_wait:
            continue
        hours = dict(zip(plan.blocks, demand.peak, strict=True))
        asked = sum(block.hours * rate for block, rate in hours.items())
        for q in demand.classes:
            mine = [(block, rate) for w, c, block, rate in runs if w == name and c == q]
            done = sum(block.hours * rate for block, rate in mine) / (asked * q.share)
            if exceeds(1.0, done + short.get(name, 0.0)) or exceeds(done, 1.0):
                yield f"workload {name!r} has {done:.6g} of its batches of {q.name} done, not all"
            for block, rate in mine:
                if rate and not hours[block]:
                    yield f"workload {name!r} has no batch to work on in block {block.name}"


def _too_busy(instance: PlanningInput, plan: Plan) -> Iterator[str]:
    """Units with more work than they may have, that which they do beside included."""
    demands = instance.schedule.demands
    for p in plan.purchases:
        k = p.candidate
        if k.mode.per_token or not (demands[k.workload].can_wait or k.meanwhile):
            continue
        limit = utilization_limit(instance.problem, instance.problem.workload(k.workload))
        of_own = dict(zip(demands[k.workload].classes, k.requests_per_second, strict=True))
        beside = {one.workload: one.requests_per_second for one in k.meanwhile}
        for t, block in enumerate(plan.blocks):
            demand = demands[k.workload]
            scale = demand.mean[t] / demand.peak[t] if demand.peak[t] else 0.0
            busy = sum(
                scale * r.requests_per_second / of_own[r.request_class]
                for r in plan.routes_to(k, block.name)
            )
            for run in plan.batch_runs:
                if run.candidate is k and run.block == block:
                    q = demands[run.workload].classes.index(run.request_class)
                    busy += run.requests_per_second / beside[run.workload][q]
            hours = p.hours_by_block[t] if is_elastic(instance.problem, k) else block.hours
            there = limit * p.units_by_block[t] * hours / block.hours
            if exceeds(busy, there):
                yield (
                    f"{k.id} has the work of {busy:.4g} units in block {block.name}, batches "
                    f"included, where that of {there:.4g} may be done"
                )
