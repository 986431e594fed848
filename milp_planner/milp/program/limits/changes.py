"""Units added and removed against today's fleet, and how many may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pulp

from milp_planner.candidates.records import Candidate, PlanningInput, change_key
from milp_planner.milp.program.language.changing import change_standing
from milp_planner.milp.program.language.loosening import SteppedLimit, counted_limit, plural
from milp_planner.milp.program.language.rows import EQ, GE, LE, Row, count_terms
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import (
    Fleet,
    Terms,
    ceil_snapped,
    tracks_changes,
)
from milp_planner.plans.changes import unit_change_of
from milp_planner.plans.records import Plan, exceeds

Key = tuple[str, str, str]
"""(offering, billing, workload)."""


class ChangeLimit(Rule):
    """Units added and removed against today's fleet, over all blocks, and how many may be.

        a_j ≥ n_jt − n⁰_j  ∀ t,   r_j ≥ n⁰_j − max_t n_jt,   Σ_j a_j + r_j ≤ M      [units]

    j is (offering, billing, workload), all replica configurations together, and no workload where
    replicas share units; n⁰_j is today's fleet.
    A unit is added where more are on, in any block, than run today, and removed where it is on in
    none. Of units that differ from block to block, binaries δ_jt choose the block of the most:

        r_j ≥ n⁰_j δ_jt − n_jt  ∀ t,   Σ_t δ_jt = 1

    Joined units count each.
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
        if tracks_changes(fleet.problem):
            change_columns(fleet)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        yield from change_rows(fleet)
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
        return change_standing(instance, k)

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Today's units may be worth keeping."""
        return ceil_snapped(fleet.instance.current_units().get(change_key(k), 0) / k.units_joined)

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


def change_columns(fleet: Fleet) -> None:
    """Units added and removed, by (offering, billing, workload)."""
    for current in fleet.instance.current_units():
        meaning = f"removed[{' '.join(current)}]"
        fleet.removed[current] = fleet.column(meaning, None, integer=False)
    for key in sorted({change_key(k) for k in fleet.rentable}):
        fleet.added[key] = fleet.column(f"added[{' '.join(key)}]", None, integer=False)


def change_rows(fleet: Fleet) -> Iterator[Row]:
    """What the columns of units added and removed are at least."""
    current = fleet.instance.current_units()
    groups = _groups(fleet)
    for key, variable in fleet.added.items():
        for at, terms in _units_on(fleet, groups.get(key, ())):
            name = f"added {' '.join(key)}{at}"
            yield Row(name, {**terms, variable: -1.0}, LE, current.get(key, 0))
    for key, variable in fleet.removed.items():
        on = list(_units_on(fleet, groups.get(key, ())))
        yield from _removed(fleet, key, variable, current[key], on)


def units_on_by_key(fleet: Fleet) -> dict[Key, list[Terms]]:
    """Units on by (offering, billing, workload), in each block in which they may differ."""
    found = {key: [t for _, t in _units_on(fleet, same)] for key, same in _groups(fleet).items()}
    return {key: on for key, on in found.items() if on}


def _groups(fleet: Fleet) -> dict[Key, list[Candidate]]:
    groups: dict[Key, list[Candidate]] = {}
    for k in fleet.rentable:
        groups.setdefault(change_key(k), []).append(k)
    return groups


def _units_changed(instance: PlanningInput, plan: Plan) -> int:
    return sum(map(abs, unit_change_of(instance, plan.rented).values()))


def _units_on(fleet: Fleet, same: Sequence[Candidate]) -> Iterator[tuple[str, Terms]]:
    """Units on in each block in which they may differ; named where there are several."""
    weighted = [(k, float(k.units_joined)) for k in same]
    by_block: dict[frozenset[pulp.LpVariable], tuple[int, Terms]] = {}
    for t in range(len(fleet.blocks)):
        if terms := count_terms(fleet, weighted, t):
            by_block.setdefault(frozenset(terms), (t, terms))
    for t, terms in by_block.values():
        yield (f" {t}" if len(by_block) > 1 else ""), terms


def _removed(
    fleet: Fleet, key: Key, removed: pulp.LpVariable, today: int, on: Sequence[tuple[str, Terms]]
) -> Iterator[Row]:
    """What today's units are more than the most that are on in any block."""
    name = " ".join(key)
    if len(on) <= 1:
        terms = on[0][1] if on else {}
        yield Row(f"removed {name}", {**terms, removed: 1.0}, GE, today)
        return
    chosen = [fleet.column(f"most of[{name}{at}]", 1) for at, _ in on]
    yield Row(f"most of {name}", dict.fromkeys(chosen, 1.0), EQ, 1.0)
    for (at, terms), most in zip(on, chosen, strict=True):
        yield Row(f"removed {name}{at}", {**terms, removed: 1.0, most: -float(today)}, GE, 0.0)
