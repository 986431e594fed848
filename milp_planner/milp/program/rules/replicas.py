"""At least the replicas asked for are up whenever the workload has load."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.milp.program.language.loosening import SteppedLimit, plural
from milp_planner.milp.program.language.rows import GE, Row
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add, ceil_snapped
from milp_planner.plans.records import Plan, exceeds


class LeastReplicas(Rule):
    """At least so many replicas that count are up whenever a workload has load.

    Σ_{k that counts} (replicas per unit)_k n_kt ≥ N_w          ∀ w, t with load
    """

    solved_apart = True
    implied = 0
    """As many are up without any row."""

    which = ""
    """What the replicas that count are, in words behind them."""

    def least(self, problem: Problem, w: Workload) -> int:
        """How many of them the workload must have."""
        raise NotImplementedError

    def concerns(self, instance: PlanningInput, w: Workload) -> bool:
        """True where the workload can have any."""
        return True

    def counts(self, k: Candidate) -> bool:
        """True where its replicas count."""
        return True

    def useful(self, instance: PlanningInput, k: Candidate) -> int:
        """Replicas of a unit that count, as far as they are asked for."""
        least = self.least(instance.problem, instance.problem.workload(k.workload))
        return min(k.replicas_per_unit, least) if self.counts(k) else 0

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        """One for every workload that is asked for more than are there anyway, and block."""
        for w, least in self._asked(fleet.instance):
            for t in fleet.busy(w.name):
                terms: Terms = {}
                for k in fleet.gpu_candidates(w.name):
                    for _, units in fleet.units_on(k, t):
                        add(terms, units, self.useful(fleet.instance, k))
                yield Row(f"{w.name} {t}", terms, GE, least)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        """Blocks in which too few of what was bought are on."""
        for w, least in self._asked(instance):
            peaks = instance.schedule.demands[w.name].peak
            for t, block in enumerate(plan.blocks):
                up = sum(
                    p.candidate.replicas_per_unit * p.units_by_block[t]
                    for p in plan.purchases_of(w.name)
                    if self.counts(p.candidate)
                )
                if peaks[t] and exceeds(least, up):
                    yield (
                        f"workload {w.name!r} has {plural(up, 'replica')}{self.which} in block "
                        f"{block.name}, fewer than {least}"
                    )

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in brings at least as many that count, as far as they are asked for."""
        return Standing(gives=(float(self.useful(instance, k)),))

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Units of `k` alone that bring all of them."""
        least = self.least(fleet.problem, fleet.problem.workload(k.workload))
        return ceil_snapped(least / k.replicas_per_unit) if self.counts(k) else 0

    def is_unbounded(self, instance: PlanningInput) -> bool:
        """No: so many and no more."""
        return False

    def _asked(self, instance: PlanningInput) -> Iterator[tuple[Workload, int]]:
        for w in instance.problem.workloads:
            least = self.least(instance.problem, w)
            if least > self.implied and self.concerns(instance, w):
                yield w, least


class Replicas(LeastReplicas):
    """At least the replicas asked for are up whenever the workload has load.

    Asked of GPU offerings only; one replica is implied by `Coverage`.
    """

    keys = frozenset(("workloads.min_replicas",))
    nearness = 2
    implied = 1

    def least(self, problem: Problem, w: Workload) -> int:
        """`min_replicas`."""
        return w.min_replicas

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        """One fewer after another, workload by workload."""
        for w, _ in self._asked(instance):
            yield _fewer(w, f"workloads.{w.name}.min_replicas")


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
