"""Units added and removed against today's fleet, and how many may be."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import Candidate, PlanningInput, change_key
from milp_planner.milp.program.language.loosening import SteppedLimit, counted_limit, plural
from milp_planner.milp.program.language.rows import GE, LE, Row, count_terms
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add, tracks_changes
from milp_planner.plans.changes import unit_change_of
from milp_planner.plans.records import Plan, exceeds


class ChangeLimit(Rule):
    """Units added and removed against today's fleet, and how many may be.

        a_j ≥ n_jt − n⁰_j,   r_j ≥ n⁰_j − n_jt,   Σ_j a_j + r_j ≤ M      [units]

    j is (offering, billing, workload), all replica configurations together; t is the workload's
    busiest block. n⁰_j is today's fleet.
    """

    keys = frozenset(
        (
            "switching.max_units_changed",
            *("current_fleet.offering", "current_fleet.workload"),
            *("current_fleet.units", "current_fleet.billing"),
        )
    )
    nearness = 70
    solved_apart = True

    def columns(self, fleet: Fleet) -> None:
        for current in fleet.instance.current_units():
            meaning = f"removed[{' '.join(current)}]"
            fleet.removed[current] = fleet.column(meaning, None, integer=False)
        if not tracks_changes(fleet.problem):
            return
        for key in sorted({change_key(k) for k in fleet.candidates if not k.mode.per_token}):
            fleet.added[key] = fleet.column(f"added[{' '.join(key)}]", None, integer=False)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        current = fleet.instance.current_units()
        groups: dict[tuple[str, str, str], list[Candidate]] = {}
        for k in fleet.candidates:
            groups.setdefault(change_key(k), []).append(k)
        for key, variable in fleet.added.items():
            terms = _units_of_key(fleet, groups, key)
            add(terms, variable, -1.0)
            yield Row(f"added {' '.join(key)}", terms, LE, current.get(key, 0))
        for key, variable in fleet.removed.items():
            terms = _units_of_key(fleet, groups, key)
            add(terms, variable, 1.0)
            yield Row(f"removed {' '.join(key)}", terms, GE, current[key])
        most = fleet.problem.switching.max_units_changed
        if most is not None:
            changed = [*fleet.added.values(), *fleet.removed.values()]
            yield Row("changed", dict.fromkeys(changed, 1.0), LE, most)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        most = instance.problem.switching.max_units_changed
        if most is None:
            return
        changed = _units_changed(instance, plan)
        if exceeds(changed, most):
            yield f"{changed} units change against the current fleet, more than {most}"

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A unit is a change, whatever it does; today's units are never stood in for."""
        return Standing(uses=(1.0,)) if tracks_changes(instance.problem) else FREE

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Today's units may be worth keeping."""
        return fleet.instance.current_units().get(change_key(k), 0)

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        most = instance.problem.switching.max_units_changed
        if most is not None:
            yield counted_limit(
                "switching.max_units_changed",
                most,
                "unit",
                lambda plan: _units_changed(instance, plan),
                lambda n: f"let {plural(n, 'unit')} change",
            )


def _units_changed(instance: PlanningInput, plan: Plan) -> int:
    return sum(map(abs, unit_change_of(instance, plan.purchases).values()))


def _units_of_key(
    fleet: Fleet, groups: dict[tuple[str, str, str], list[Candidate]], key: tuple[str, str, str]
) -> Terms:
    same = [(k, 1.0) for k in groups.get(key, ())]
    return count_terms(fleet, same, fleet.demand(key[2]).busiest)
