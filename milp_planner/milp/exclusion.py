"""Exclusion cuts: rows that keep earlier plans, and what contains them, from coming again.

For an earlier plan E:
    contained   Σ_j b_j ≥ 1,   n_jt ≤ n*_jt - 1 + (N_j - n*_jt + 1)(1 - b_j)    some use shrinks
    different   Σ_{i used} d_i + Σ_{i not used} (units of i) ≥ 1,  units of i ≤ N_i (1 - d_i)
j is (offering, billing, workload) in a block, i what `differ_by` names. b and d are binaries, only
for what E uses. A per-token offering shrinks when it is not used at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from milp_planner.milp.model import FleetModel
from milp_planner.milp.rows import GE, LE, Row
from milp_planner.milp.variables import Terms, add, change_key, most_units
from milp_planner.planning.plan import Plan
from milp_planner.serving.candidates import Candidate

LEAST_TOKEN_SHARE = 1e-4
"""A per-token offering makes a plan another one when it serves at least this share of a class."""

NameOf = Callable[[Candidate], str]

DIFFERENCES: dict[str, NameOf] = {
    "offerings": lambda k: f"{k.offering.id} {k.offering.billing}",
    "providers": lambda k: k.provider,
    "gpus": lambda k: k.gpu or "per token",
}
"""What `differ_by` compares; `counts` asks for no difference beyond the containment cut."""


def name_of(differ_by: str, per_workload: bool) -> NameOf | None:
    """The name a candidate has in the set that is compared; None for `counts`."""
    plain = DIFFERENCES.get(differ_by)
    if plain is None or not per_workload:
        return plain
    return lambda k: f"{k.workload}: {plain(k)}"


def exclude(model: FleetModel, earlier: Plan, differ_by: str, per_workload: bool) -> None:
    """Add the cuts that forbid `earlier`, all that contains it, and all too like it."""
    number = sum(1 for meaning in model.row_meaning.values() if meaning.startswith("Contained any"))
    for row in _contained(model, earlier, number):
        model.add_row("Contained", row)
    naming = name_of(differ_by, per_workload)
    if naming is not None:
        for row in _different(model, earlier, naming, number):
            model.add_row("Different", row)


def _contained(model: FleetModel, earlier: Plan, number: int) -> Iterator[Row]:
    fleet = model.fleet
    used: dict[tuple[tuple[str, str, str], int], int] = {}
    tokens: dict[tuple[str, str, str], None] = {}
    for p in earlier.purchases:
        key = change_key(p.candidate)
        if p.candidate.mode.per_token:
            tokens[key] = None
            continue
        blocks = range(len(fleet.blocks)) if fleet.elastic(p.candidate) else [0]
        for t in blocks:
            if p.units_by_block[t]:
                used[key, t] = used.get((key, t), 0) + p.units_by_block[t]
    any_shrinks: Terms = {}
    for (key, t), units in sorted(used.items()):
        same = [k for k in fleet.serving(key[2]) if change_key(k) == key]
        shrinks = fleet.column(f"shrinks[{number} {' '.join(key)} {t}]", 1)
        any_shrinks[shrinks] = 1.0
        terms: Terms = {}
        most = 0
        for k in same:
            most += most_units(fleet, k)
            for _, variable in fleet.units_on(k, t):
                add(terms, variable, 1.0)
        room = max(most - units + 1, 1)
        add(terms, shrinks, room)
        yield Row(f"{number} {' '.join(key)} {t}", terms, LE, units - 1 + room)
    for key in sorted(tokens):
        unused = fleet.column(f"unused[{number} {' '.join(key)}]", 1)
        any_shrinks[unused] = 1.0
        for (k, q, t), share in fleet.shares.items():
            if change_key(k) == key:
                yield Row(f"{number} {k.id} {q} {t}", {share: 1.0, unused: 1.0}, LE, 1.0)
    yield Row(f"any {number}", any_shrinks, GE, 1.0)


def _different(model: FleetModel, earlier: Plan, naming: NameOf, number: int) -> Iterator[Row]:
    fleet = model.fleet
    used = {naming(p.candidate) for p in earlier.purchases}
    changed: Terms = {}
    absent = {name: fleet.column(f"absent[{number} {name}]", 1) for name in sorted(used)}
    changed.update(dict.fromkeys(absent.values(), 1.0))
    seen = set()
    for (k, _, _), units in fleet.units.items():
        if units in seen:
            continue
        seen.add(units)
        name = naming(k)
        if name in absent:
            most = float(most_units(fleet, k))
            terms = {units: 1.0, absent[name]: most}
            yield Row(f"{number} {units.name}", terms, LE, most)
        else:
            add(changed, units, 1.0)
    for (k, _, _), share in fleet.shares.items():
        if not k.mode.per_token:
            continue
        name = naming(k)
        if name in absent:
            yield Row(f"{number} {share.name}", {share: 1.0, absent[name]: 1.0}, LE, 1.0)
        else:
            add(changed, share, 1 / LEAST_TOKEN_SHARE)
    yield Row(f"any {number}", changed, GE, 1.0)
