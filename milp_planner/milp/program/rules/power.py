"""Owned units that are on draw no more power than there is."""

from __future__ import annotations

import math
from collections.abc import Iterator

from milp_planner.candidates.hosts import kilowatts
from milp_planner.candidates.records import Candidate, PlanningInput, gpus_of_unit
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.loosening import SteppedLimit
from milp_planner.milp.program.language.rows import LE, Row, count_terms, distinct, most_at_once
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.plans.records import SNAP, Plan, exceeds


class PowerCap(Rule):
    """Owned units that are on draw no more power than there is, cooling included.

        Σ_{k owned} kW_k n_kt ≤ P      ∀ t      [kW]

    kW_k is what a unit draws at full load times the PUE of the building. What is rented draws the
    power of others. Owned units whose draw nobody states are left out before the program.
    """

    path = "limits.max_power_kw"
    keys = frozenset((path,))
    nearness = 80
    solved_apart = True

    def needs_routes(self, problem: Problem) -> bool:
        """What power costs by load depends on who works."""
        return problem.policy.power_by_load

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        most = fleet.problem.limits.max_power_kw
        if most is None:
            return
        drawing = [(k, kilowatts(k) / most) for k in fleet.rentable if kilowatts(k)]
        yield from distinct(
            Row(f"kW {t}", terms, LE, 1.0)
            for t in range(len(fleet.blocks))
            if (terms := count_terms(fleet, drawing, t))
        )

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        most = instance.problem.limits.max_power_kw
        if most is not None and exceeds(drawn := _drawn(plan), most):
            yield f"owned units draw {drawn:g} kW, more than {most:g} kW"

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in draws no more; where replicas share a unit, that draws it."""
        return FREE if k.part_of_unit else Standing(uses=(kilowatts(k),))

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def leaves(self, instance: PlanningInput, k: Candidate) -> float:
        """Units that there is power for."""
        most, each = instance.problem.limits.max_power_kw, kilowatts(k)
        on_each = gpus_of_unit(k) // k.gpus_per_unit if k.part_of_unit else 1
        return math.inf if most is None or not each else on_each * most * (1 + SNAP) / each

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        most = instance.problem.limits.max_power_kw
        if most is not None:
            yield SteppedLimit(
                self.path,
                f"{most:g} kW",
                {self.path: None},
                looser=lambda plan: range(math.floor(most) + 1, math.ceil(_drawn(plan)) + 1),
                patch=lambda kw: {self.path: kw},
                text=lambda kw: f"allow {kw} kW",
                shown=lambda kw: f"{kw} kW",
            )


def _drawn(plan: Plan) -> float:
    """The most that owned units draw at once, kW."""
    return most_at_once([(p, kilowatts(p.candidate)) for p in plan.rented], len(plan.blocks))
