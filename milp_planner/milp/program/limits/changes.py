"""Units added and removed against today's fleet, and how many may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pulp

from milp_planner.candidates.records import Candidate, PlanningInput, change_key
from milp_planner.inputs.problem.policies import is_sharing_open
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
from milp_planner.milp.program.rules.packing import replicas_by_unit
from milp_planner.plans.changes import unit_change_of
from milp_planner.plans.records import Plan, exceeds

Key = tuple[str, str, str]
"""(offering, billing, workload)."""


class ChangeLimit(Rule):
    """Units added and removed against today's fleet, over all blocks, and how many may be.

        a_j ≥ n_jt − n⁰_j  ∀ t,   r_j ≥ n⁰_j − max_t n_jt,   Σ_j a_j + r_j ≤ M      [units]

    j is (offering, billing, workload), all replica configurations together, and no workload where
    replicas share units; n⁰_j is today's fleet. Where the problem leaves open who shares units,
    each runs for one workload today; d_jw of them are shared now, where it has a replica for each:

        Σ_w d_jw ≤ n_jt,  d_jw ≤ Σ_{k ∈ w on j} n_kt,   n⁰_jw − d_jw,  n⁰_j + Σ_w d_jw for n⁰

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
    """Units added, removed and shared now, by (offering, billing, workload)."""
    for key in fleet.instance.current_units():
        meaning = f"removed[{' '.join(key)}]"
        fleet.removed[key] = fleet.column(meaning, None, integer=False)
    for key in sorted({change_key(k) for k in fleet.rentable}):
        fleet.added[key] = fleet.column(f"added[{' '.join(key)}]", None, integer=False)
    current = fleet.instance.current_units() if is_sharing_open(fleet.problem) else {}
    for unit, replicas in replicas_by_unit(fleet).items():
        for name in sorted({k.workload for k in replicas}):
            own = unit.offering.id, unit.offering.billing, name
            if own in current:
                meaning = f"handed[{' '.join(own)}]"
                fleet.handed[own] = fleet.column(meaning, current[own], integer=False)


def change_rows(fleet: Fleet) -> Iterator[Row]:
    """What the columns of units added and removed are at least."""
    current = fleet.instance.current_units()
    groups = _groups(fleet)
    for key, variable in fleet.added.items():
        of_today = {d: -1.0 for own, d in fleet.handed.items() if _shared_key(own) == key}
        if key in fleet.handed:
            of_today[fleet.handed[key]] = 1.0
        for at, terms in _units_on(fleet, groups.get(key, ())):
            name = f"added {' '.join(key)}{at}"
            yield Row(name, {**terms, variable: -1.0, **of_today}, LE, current.get(key, 0))
    for key, variable in fleet.removed.items():
        on = list(_units_on(fleet, groups.get(key, ())))
        gone = {variable: 1.0}
        if key in fleet.handed:
            gone[fleet.handed[key]] = 1.0
        yield from _removed(fleet, key, gone, current[key], on)
    for unit, replicas in replicas_by_unit(fleet).items():
        yield from _handed(fleet, unit, replicas)


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
    fleet: Fleet, key: Key, gone: Terms, today: int, on: Sequence[tuple[str, Terms]]
) -> Iterator[Row]:
    """What today's units are more than the most that are on in any block.

    gone: those that are removed, and those that are shared now.
    """
    name = " ".join(key)
    if len(on) <= 1:
        terms = on[0][1] if on else {}
        yield Row(f"removed {name}", {**terms, **gone}, GE, today)
        return
    chosen = [fleet.column(f"most of[{name}{at}]", 1) for at, _ in on]
    yield Row(f"most of {name}", dict.fromkeys(chosen, 1.0), EQ, 1.0)
    for (at, terms), most in zip(on, chosen, strict=True):
        yield Row(f"removed {name}{at}", {**terms, **gone, most: -float(today)}, GE, 0.0)


def _shared_key(key: Key) -> Key:
    return key[0], key[1], ""


def _handed(fleet: Fleet, unit: Candidate, replicas: Sequence[Candidate]) -> Iterator[Row]:
    """Units of today that are shared now: as many as there are in one block, and as each workload
    that they ran for has replicas on such units there."""
    keys = {k: change_key(k) for k in replicas if change_key(k) in fleet.handed}
    handed = {key: fleet.handed[key] for key in keys.values()}
    if not handed:
        return
    name = " ".join(change_key(unit)[:2])
    today = fleet.instance.current_units()
    blocks: dict[frozenset[pulp.LpVariable], int] = {}
    for t in range(len(fleet.blocks)):
        on = frozenset(count_terms(fleet, [(k, 1.0) for k in (unit, *keys)], t))
        blocks.setdefault(on, t)
    several = len(blocks) > 1
    chosen = {t: fleet.column(f"handed in[{name} {t}]", 1) for t in blocks.values() if several}
    if chosen:
        yield Row(f"handed in {name}", dict.fromkeys(chosen.values(), 1.0), EQ, 1.0)
    for t in blocks.values():
        at = f" {t}" if several else ""
        shared = {d: 1.0 for d in handed.values()} | count_terms(fleet, [(unit, -1.0)], t)
        most = float(sum(today[key] for key in handed))
        yield _if_chosen(Row(f"handed {name}{at}", shared, LE, 0.0), chosen.get(t), most)
        for key, d in handed.items():
            mine = [(k, -1.0) for k in keys if keys[k] == key]
            terms = {d: 1.0, **count_terms(fleet, mine, t)}
            row = Row(f"handed {' '.join(key)}{at}", terms, LE, 0.0)
            yield _if_chosen(row, chosen.get(t), float(today[key]))


def _if_chosen(row: Row, chosen: pulp.LpVariable | None, most: float) -> Row:
    """The row, or one that says nothing where another block is chosen: it is `most` at most."""
    if chosen is None:
        return row
    return Row(row.name, {**row.terms, chosen: most}, LE, most)
