"""A limit on the share of a workload's capacity that one group of offerings may hold.

    Σ_{k ∈ group} μ_k n_kt ≤ σ Σ_k μ_k n_kt      ∀ w, group, t with load      [requests/s]

Linear because σ is data: the share of what is bought, not of what is needed. Capacity is counted at
the workload's own mix, so that offerings of different speed compare; per-token offerings count with
what they serve.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.capacity import capacity_terms, part_rate
from milp_planner.milp.program.language.loosening import SteppedLimit, percent
from milp_planner.milp.program.language.rows import LE, Row
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.language.variables import Fleet, Terms, add, ceil_snapped
from milp_planner.plans.losses import capacity_of
from milp_planner.plans.records import Plan, exceeds

SHARE_ROOM = 4
"""First guess at what a share limit asks for, in multiples of load and largest unit."""


class CapacityShare(Rule):
    """No group holds more than its share of a workload's capacity."""

    path: ClassVar[str]
    """Where the share stands in the problem."""

    holder: ClassVar[str]
    """Who holds it, in words: `one provider hold`."""

    kind: ClassVar[str] = ""
    """What a group is, in front of its name in a breach."""

    solved_apart = True

    def share(self, problem: Problem) -> float | None:
        """The share in force, None where there is none or all may be held."""
        raise NotImplementedError

    def group_of(self, k: Candidate) -> str:
        """The group of a candidate; '' for what is not limited."""
        raise NotImplementedError

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        share = self.share(fleet.problem)
        if share is None:
            return
        for w in fleet.problem.workloads:
            serving = fleet.serving(w.name)
            for group in sorted({self.group_of(k) for k in serving} - {""}):
                for t in fleet.busy(w.name):
                    peak = fleet.demand(w.name).peak[t]
                    terms: Terms = {}
                    for k in serving:
                        inside = 1.0 if self.group_of(k) == group else 0.0
                        for variable, rate in capacity_terms(fleet, k, t, part_rate):
                            add(terms, variable, (inside - share) * rate / peak)
                    yield Row(f"{w.name} {group} {t}", terms, LE, 0.0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        share = self.share(instance.problem)
        if share is None:
            return
        for w in plan.workloads:
            bought = list(plan.purchases_of(w.name))
            for t, peak in enumerate(instance.schedule.demands[w.name].peak):
                if not peak:
                    continue  # units held for busier hours say nothing of who serves whom
                held: dict[str, float] = {}
                for p in bought:
                    group = self.group_of(p.candidate)
                    held[group] = held.get(group, 0.0) + capacity_of(plan, p, t, part_rate)
                total = sum(held.values())
                for group, rate in sorted(held.items()):
                    if group and exceeds(rate / total if total else 0.0, share):
                        yield (
                            f"workload {w.name!r} has {rate:g} of {total:g} requests/s on "
                            f"{self.kind}{group} in block {plan.blocks[t].name}, "
                            f"more than {share:.0%}"
                        )

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """A first guess: what others have may have to be matched, which demand does not bound."""
        share = self.share(fleet.problem)
        per_unit = k.part_requests_per_second
        if share is None or share <= 0 or per_unit <= 0:
            return 0
        largest = max(c.part_requests_per_second for c in fleet.serving(k.workload))
        ratio = max(share / (1 - share), (1 - share) / share)
        rate = SHARE_ROOM * (fleet.rate_to_carry(k.workload) + largest) * ratio
        return ceil_snapped(rate / per_unit)

    def is_unbounded(self, instance: PlanningInput) -> bool:
        """Capacity beyond the demand can matter, because others may not exceed a share of it."""
        return (self.share(instance.problem) or 0.0) > 0

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
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
            text=lambda percents: f"let {self.holder} {percents} %",
            shown=lambda percents: f"{percents} %",
        )


def in_force(share: float | None) -> float | None:
    """The share, None where it limits nothing."""
    return None if share is None or share >= 1 else share
