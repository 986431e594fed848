"""A workload runs at one utilization level; its units are counted there."""

from __future__ import annotations

from collections.abc import Iterator

import pulp

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.language.rows import EQ, LE, Row
from milp_planner.milp.program.language.rule import Structural
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.plans.records import Plan


class OneLevel(Structural):
    """A workload runs at one utilization level; its units are counted there.

        Σ_l y_wl = 1,   n_klt ≤ N_k y_wl            ∀ w with several levels

    N_k is derived from the demand (`Fleet.most_units`), never a constant.
    """

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        """One level of each workload is used, and units are on at that one alone."""
        on: dict[str, dict[pulp.LpVariable, tuple[Candidate, int]]] = {}
        for (k, level, _), units in fleet.units.items():
            on.setdefault(k.workload, {}).setdefault(units, (k, level))
        for w in fleet.problem.workloads:
            levels = range(len(fleet.levels[w.name]))
            if len(levels) == 1:
                continue
            used = {fleet.level_used[w.name, level]: 1.0 for level in levels}
            yield Row(f"{w.name}", used, EQ, 1.0)
            for units, (k, level) in on.get(w.name, {}).items():
                y = fleet.level_used[w.name, level]
                terms = {units: 1.0, y: -fleet.most_units(k)}
                yield Row(f"{k.id} {units.name}", terms, LE, 0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        return iter(())  # a plan has one utilization; `Capacity` holds it below the limit
