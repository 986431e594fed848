"""A limit on how many different names a fleet uses: providers, regions, GPU types.

    Σ_i z_i ≤ M,   n_klt ≤ N_k z_i(k),   x_qkt ≤ z_i(k) for per-token k         [names]

z_i is 1 where name i is used. To count something else, derive a rule that says what a candidate is
called and where its maximum stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.loosening import SteppedLimit, counted_limit, plural
from milp_planner.milp.program.language.rows import LE, Row
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.plans.records import Plan, exceeds


class NamesCount(Rule):
    """No more different names than allowed."""

    path: ClassVar[str]
    """Where the maximum stands in the problem."""

    thing: ClassVar[str]
    """What is counted, in the singular."""

    nearness = 60
    solved_apart = True

    def most(self, problem: Problem) -> int | None:
        """The maximum, None where there is none."""
        raise NotImplementedError

    def name_of(self, k: Candidate) -> str:
        """What a candidate counts as; '' for what does not count."""
        raise NotImplementedError

    def columns(self, fleet: Fleet) -> None:
        if self.most(fleet.problem) is None:
            return
        for name in sorted({self.name_of(k) for k in fleet.candidates} - {""}):
            fleet.used[self.name, name] = fleet.column(f"{self.thing}[{name}]", 1)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        """The names used are no more than may be, and whatever is bought uses its own."""
        most = self.most(fleet.problem)
        if most is None:
            return
        mine = [column for (rule, _), column in fleet.used.items() if rule == self.name]
        yield Row("count", dict.fromkeys(mine, 1.0), LE, most)
        yield from self.rows_besides(fleet)
        for units, k in {units: k for (k, _, _), units in fleet.units.items()}.items():
            if name := self.name_of(k):
                used = fleet.used[self.name, name]
                yield Row(f"{units.name}", {units: 1.0, used: -fleet.most_units(k)}, LE, 0.0)
        for (k, _, t), share in fleet.shares.items():
            if k.mode.per_token and (name := self.name_of(k)):
                used = fleet.used[self.name, name]
                all_of_it = fleet.most_share(k.workload, t)
                yield Row(f"{share.name}", {share: 1.0, used: -all_of_it}, LE, 0.0)

    def rows_besides(self, fleet: Fleet) -> Iterator[Row]:
        """Rows that follow from the rest, said to save the solvers a search."""
        return iter(())

    def names_in(self, plan: Plan) -> tuple[str, ...]:
        """The different names that a plan uses, in order."""
        return tuple(sorted({self.name_of(p.candidate) for p in plan.purchases} - {""}))

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        most = self.most(instance.problem)
        names = self.names_in(plan)
        if most is not None and exceeds(len(names), most):
            yield f"{len(names)} {self.thing}s ({', '.join(names)}), more than {most}"

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in under another name could be one name more."""
        return Standing(same=(self.name_of(k),))

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        most = self.most(instance.problem)
        if most is not None:
            yield counted_limit(
                self.path,
                most,
                self.thing,
                lambda plan: len(self.names_in(plan)),
                lambda n: f"allow {plural(n, self.thing)}",
                least=1,
            )
