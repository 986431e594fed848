"""At least so many replicas that nobody may interrupt are up whenever a workload has load."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.loosening import SteppedLimit, plural
from milp_planner.milp.program.language.rows import GE, Row
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add, ceil_snapped
from milp_planner.plans.records import Plan, exceeds


class OnDemandReplicas(Rule):
    """At least so many replicas that nobody may interrupt are up whenever a workload has load.

        Σ_{k not spot} (replicas per unit)_k n_kt ≥ N          ∀ w with GPUs to choose, t with load

    Reserved and owned units count as those on demand do. What only an API can serve has none.
    """

    path = "limits.min_on_demand_replicas"
    keys = frozenset((path,))
    nearness = 41
    solved_apart = True

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        least = fleet.problem.limits.min_on_demand_replicas
        if least is None:
            return
        for w in fleet.problem.workloads:
            if not _has_gpus(fleet.instance, w.name):
                continue
            for t in fleet.busy(w.name):
                terms: Terms = {}
                for k in fleet.gpu_candidates(w.name):
                    for _, units in fleet.units_on(k, t):
                        add(terms, units, useful_on_demand(fleet.problem, k))
                yield Row(f"{w.name} {t}", terms, GE, least)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        least = instance.problem.limits.min_on_demand_replicas
        if least is None:
            return
        for w in instance.problem.workloads:
            peaks = instance.schedule.demands[w.name].peak
            for t, block in enumerate(plan.blocks):
                up = sum(
                    p.candidate.replicas_per_unit * p.units_by_block[t]
                    for p in plan.purchases_of(w.name)
                    if not p.candidate.mode.interruptible
                )
                if peaks[t] and exceeds(least, up) and _has_gpus(instance, w.name):
                    yield (
                        f"workload {w.name!r} has {plural(up, 'replica')} that are not spot in "
                        f"block {block.name}, fewer than {least}"
                    )

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in brings at least as many replicas that are not spot, as far as asked for."""
        return Standing(gives=(float(useful_on_demand(instance.problem, k)),))

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Units of `k` alone that bring all replicas."""
        least = fleet.problem.limits.min_on_demand_replicas
        if least is None or k.mode.interruptible or k.mode.per_token:
            return 0
        return ceil_snapped(least / k.replicas_per_unit)

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        least = instance.problem.limits.min_on_demand_replicas
        if least is not None:
            yield SteppedLimit(
                self.path,
                plural(least, "replica"),
                {self.path: None},
                looser=lambda plan: range(least - 1, 0, -1),
                patch=lambda n: {self.path: n},
                text=lambda n: f"ask for {plural(n, 'replica')} on demand",
                shown=lambda n: plural(n, "replica"),
            )


def useful_on_demand(problem: Problem, k: Candidate) -> int:
    """Replicas of a unit that are not spot, as far as they are asked for."""
    least = problem.limits.min_on_demand_replicas or 0
    return 0 if k.mode.interruptible else min(k.replicas_per_unit, least)


def _has_gpus(instance: PlanningInput, workload: str) -> bool:
    """True where a workload has a candidate that is paid by the unit."""
    candidates = instance.candidates.candidates
    return any(k.workload == workload and not k.mode.per_token for k in candidates)
