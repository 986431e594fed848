"""At least the replicas asked for are up whenever the workload has load."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.milp.program.language.loosening import SteppedLimit
from milp_planner.milp.program.language.rows import GE, Row
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add, ceil_snapped
from milp_planner.plans.records import Plan, exceeds


class Replicas(Rule):
    """At least the replicas asked for are up whenever the workload has load.

        Σ_k (replicas per unit)_k n_kt ≥ min_replicas_w          ∀ w, t with load

    Asked of GPU offerings only; one replica is implied by `Coverage`.
    """

    keys = frozenset(("workloads.min_replicas",))
    nearness = 2
    solved_apart = True

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if w.min_replicas == 1:
                continue
            for t in fleet.busy(w.name):
                terms: Terms = {}
                for k in fleet.gpu_candidates(w.name):
                    for _, units in fleet.units_on(k, t):
                        add(terms, units, min(k.replicas_per_unit, w.min_replicas))
                yield Row(f"{w.name} {t}", terms, GE, w.min_replicas)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        for w in instance.problem.workloads:
            if w.min_replicas == 1:
                continue
            demand = instance.schedule.demands[w.name]
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

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in brings at least as many replicas, as far as they are asked for."""
        return Standing(gives=(float(useful_replicas(instance.problem, k)),))

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Units of `k` alone that bring all replicas."""
        least = fleet.problem.workload(k.workload).min_replicas
        return ceil_snapped(least / k.replicas_per_unit)

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        for w in instance.problem.workloads:
            if w.min_replicas > 1:
                yield _fewer(w, f"workloads.{w.name}.min_replicas")


def useful_replicas(problem: Problem, k: Candidate) -> int:
    """Replicas of a unit, as far as its workload asks for them."""
    return min(k.replicas_per_unit, problem.workload(k.workload).min_replicas)


def _fewer(w: Workload, path: str) -> SteppedLimit:
    return SteppedLimit(
        path,
        f"{w.min_replicas}",
        {path: 1},
        workload=w.name,
        looser=lambda plan: range(w.min_replicas - 1, 0, -1),
        patch=lambda n: {path: n},
        text=lambda n: f"ask for {n} replica{'s' * (n > 1)} of {w.name}",
    )
