"""A limit on the share of a workload's requests that one group of offerings may serve.

    Σ_{k ∈ group} Σ_q λ_qt x_qkt ≤ σ Σ_q λ_qt (1 − s_qt)      ∀ w, group, t with load   [requests/s]

What counts is who serves whom at the peak of a block, so that the program routes also where there
is one class. Capacity that stands idle counts for nothing: a group may hold any amount of it. Nor
does batch work, which nobody waits for at a peak. One
router before all replicas of a workload leaves nothing idle: there all serve by what they can, and
who may serve little may hold little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policies import has_one_router
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.group_rule import GroupRule
from milp_planner.milp.program.language.loosening import SteppedLimit, percent
from milp_planner.milp.program.language.rows import GE, LE, Row
from milp_planner.milp.program.language.rule import Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.plans.records import SNAP, Plan, exceeds

LITTLE = 1e-3
"""A part of a unit that is well above what a solver takes for none, a millionth."""


class ServedShare(GroupRule):
    """No group serves more than its share of a workload's requests, at the peak of any block.

    Near 100 % what is left for others takes so small a part of a unit that a solver could take it
    for none. There a second row says that it is on some unit of theirs, or per token:

        Σ_{k ∉ group} n_kt + Σ_{k ∉ group, per token} x_kt ÷ (1 − σ) + s_t ≥ 1         ∀ group, t

    Where the overload ramp asks how many times the demand could be served (see `OverloadRamp`), no
    group serves more of that than its share either:

        Σ_{k ∈ group} Σ_q λ_qt z_qkt ≤ σ λ_t θ_wt                                      ∀ group, t

    Where no column says who serves whom, prices of groups do (see `routes/rows.py`), and this row
    is of what is served per token alone.

    Behind one router (see `QueueTimes`) no x says who serves whom, but what the units can:

        Σ_{k ∈ group} μ_k n_kt ≤ σ Σ_k μ_k n_kt                                     ∀ w, group, t
    """

    path: ClassVar[str]
    """Where the share stands in the problem."""

    server: ClassVar[str]
    """Who serves it, in words: `one provider`."""

    kind: ClassVar[str] = ""
    """What a group is, in front of its name in a breach."""

    solved_apart = True

    def needs_routes(self, problem: Problem) -> bool:
        return self.share(problem) is not None

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        share = self.share(fleet.problem)
        if share is None:
            return
        for w in fleet.problem.workloads:
            if fleet.demand(w.name).can_wait:
                continue
            served = self._by_capacity if has_one_router(fleet.problem, w) else self._served
            for group in sorted({self.group_of(k) for k in fleet.serving(w.name)} - {""}):
                for t in fleet.busy(w.name):
                    row = served(fleet, w.name, group, t, share)
                    if row.terms or w.name not in fleet.prices:
                        yield row
                    if 1 - share < LITTLE:
                        yield self._others(fleet, w.name, group, t, share)
                    if (w.name, t) in fleet.headroom:
                        yield self._headroom(fleet, w.name, group, t, share)

    def _served(self, fleet: Fleet, workload: str, group: str, t: int, share: float) -> Row:
        terms: Terms = {}
        for (k, q), part in _parts(fleet, workload, t):
            if self.group_of(k) == group:
                add(terms, fleet.shares[k, q, t], part)
        for short, part in _unserved(fleet, workload, t).items():
            if share * part > SNAP:
                add(terms, short, share * part)
        return Row(f"{workload} {group} {t}", terms, LE, share)

    def _by_capacity(self, fleet: Fleet, workload: str, group: str, t: int, share: float) -> Row:
        terms: Terms = {}
        candidates = fleet.gpu_candidates(workload)
        most = max((k.mix_requests_per_second for k in candidates), default=1.0)
        for k in candidates:
            counts = 1 - share if self.group_of(k) == group else -share
            for _, units in fleet.units_on(k, t):
                add(terms, units, counts * k.mix_requests_per_second / most)
        return Row(f"{workload} {group} {t}", terms, LE, 0.0)

    def _others(self, fleet: Fleet, workload: str, group: str, t: int, share: float) -> Row:
        terms = _unserved(fleet, workload, t)
        for k in fleet.gpu_candidates(workload):
            if self.group_of(k) != group:
                terms.update({units: 1.0 for _, units in fleet.units_on(k, t)})
        for (k, q), part in _parts(fleet, workload, t):
            if k.mode.per_token and self.group_of(k) != group:
                add(terms, fleet.shares[k, q, t], part / (1 - share))
        return Row(f"{workload} other than {group} {t}", terms, GE, 1.0)

    def _headroom(self, fleet: Fleet, workload: str, group: str, t: int, share: float) -> Row:
        terms: Terms = {fleet.headroom[workload, t]: -share}
        for (k, q), part in _parts(fleet, workload, t):
            if self.group_of(k) == group:
                add(terms, fleet.spread[k, q, t], part)
        return Row(f"{workload} {group} {t} headroom", terms, LE, 0.0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        """What is served by routing, not what could be: units that stand idle do not count."""
        share = self.share(instance.problem)
        if share is None:
            return
        served: dict[tuple[str, str], dict[str, float]] = {}
        demands = instance.schedule.demands
        for route in (r for r in plan.routes if not demands[r.candidate.workload].can_wait):
            by_group = served.setdefault((route.candidate.workload, route.block.name), {})
            group = self.group_of(route.candidate)
            by_group[group] = by_group.get(group, 0.0) + route.requests_per_second
        for (workload, block), by_group in served.items():
            total = sum(by_group.values())
            for group, rate in sorted(by_group.items()):
                if group and total and exceeds(rate / total, share):
                    yield (
                        f"workload {workload!r} has {rate:g} of {total:g} requests/s served by "
                        f"{self.kind}{group} in block {block}, more than {percent(share)}"
                    )

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in of the same group serves what was served there, and no more."""
        group = self.group_of(k)
        if not group or not has_one_router(instance.problem, instance.problem.workload(k.workload)):
            return Standing(same=(group,))
        return Standing(same=(group,), uses=(k.mix_requests_per_second,))

    def is_unbounded(self, instance: PlanningInput) -> bool:
        """Behind one router others must hold enough beside a large unit, more than the demand."""
        problem = instance.problem
        return self.share(problem) is not None and any(
            has_one_router(problem, w) for w in problem.workloads
        )

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        """One per cent after another, up to all."""
        share = self.share(instance.problem)
        if share is None:
            return
        path = self.path
        yield SteppedLimit(
            path,
            percent(share),
            {path: None},
            looser=lambda plan: range(math.floor(share * 100 + 1e-9) + 1, 101),
            tighter=range(math.ceil(share * 100 - 1e-9) - 1, 0, -1),
            patch=lambda percents: {path: percents / 100},
            text=lambda percents: f"let {self.server} serve {percents} %",
            shown=lambda percents: f"{percents} %",
        )


def in_force(share: float | None) -> float | None:
    """The share, None where it limits nothing.

    A share within a millionth of all is all: no check of a plan tells the two apart, and what the
    others would have to serve is below what a solver takes for nothing.
    """
    return None if share is None or not exceeds(1.0, share) else share


def _parts(fleet: Fleet, workload: str, t: int) -> Iterator[tuple[tuple[Candidate, int], float]]:
    """((candidate, class), share of the requests that the class is) of all that is routed.

    Classes of less than a billionth are left out: all of them together could not be told.
    """
    classes = fleet.demand(workload).classes
    for k in fleet.serving(workload):
        for q, request_class in enumerate(classes):
            if (k, q, t) in fleet.shares and request_class.share > SNAP:
                yield (k, q), request_class.share


def _unserved(fleet: Fleet, workload: str, t: int) -> Terms:
    """The share of a workload's requests that is left unserved."""
    return {
        fleet.shortfalls[workload, q, t]: request_class.share
        for q, request_class in enumerate(fleet.demand(workload).classes)
        if (workload, q, t) in fleet.shortfalls and request_class.share > SNAP
    }
