"""Exclusion cuts: rows that keep earlier plans, and what contains them, from coming again.

    a_jtm = 1  ⇒  Σ_k n_kt ≤ m - 1          j is used less than m units of in block t       0 or 1
    a_i = 1    ⇒  nothing named i is used                                                  0 or 1
    contained  Σ_jt a_jtn* + Σ_{j per token} a_j ≥ 1           some use of earlier plan E shrinks
    different  Σ_{i ∈ E} a_i + Σ_{i ∉ E} (units of i) ≥ 1      the set of names is another

j is (offering, billing, workload), i what `differ_by` names, n* the units in E. Binaries exist only
for what some earlier plan uses, and the cuts of all earlier plans share them: the solvers then
branch on "is i used at all" once, not once per cut. A per-token offering shrinks when unused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pulp

from milp_planner.milp.model import FleetModel
from milp_planner.milp.rows import GE, LE, Row
from milp_planner.milp.variables import Terms, add, change_key, most_units
from milp_planner.planning.plan import Plan
from milp_planner.serving.candidates import Candidate

LEAST_TOKEN_SHARE = 1e-4
"""A per-token offering makes a plan another one when it serves at least this share of a class."""

NameOf = Callable[[Candidate], str]
Key = tuple[str, str, str]
"""Offering, billing, workload."""

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


def exclude(
    model: FleetModel, earlier: Sequence[Plan], differ_by: str, per_workload: bool
) -> None:
    """Add the cuts that forbid `earlier` plans, all that contains one, and all too like one."""
    switches = _Switches(model)
    for number, plan in enumerate(earlier):
        model.add_row("Contained", _contained(switches, plan, number))
    naming = name_of(differ_by, per_workload)
    if naming is not None:
        for row in _different(switches, earlier, naming):
            model.add_row("Different", row)


def _contained(switches: _Switches, earlier: Plan, number: int) -> Row:
    """Some use of the earlier plan shrinks."""
    any_shrinks: Terms = {}
    for key, t, units in uses(earlier):
        any_shrinks[switches.fewer_than(units, key, t)] = 1.0
    return Row(f"{number}", any_shrinks, GE, 1.0)


def uses(plan: Plan) -> Iterator[tuple[Key, int, int]]:
    """(j, block, units on) of a plan wherever it has any; per-token use is 1 in block 0."""
    used: dict[tuple[Key, int], int] = {}
    for p in plan.purchases:
        key = change_key(p.candidate)
        if p.candidate.mode.per_token:
            used[key, 0] = 1
            continue
        for t, units in enumerate(p.units_by_block):
            if units:
                used[key, t] = used.get((key, t), 0) + units
    for (key, t), units in sorted(used.items()):
        yield key, t, units


def _different(
    switches: _Switches, earlier: Sequence[Plan], naming: NameOf
) -> Iterator[Row]:
    """The set of names differs from every earlier plan's."""
    fleet = switches.model.fleet
    groups: dict[str, list[Candidate]] = {}
    for k in fleet.candidates:
        groups.setdefault(naming(k), []).append(k)
    sets = [frozenset(naming(p.candidate) for p in plan.purchases) for plan in earlier]
    known = sorted(frozenset().union(*sets))
    absent = {name: switches.absent(name, groups.get(name, ())) for name in known}
    novel: Terms = {}
    for name, group in groups.items():
        if name not in absent:
            for column, weight in switches.use_of(group):
                add(novel, column, weight)
    for number, names in enumerate(sets):
        terms = dict(novel)
        right = 1.0
        for name in known:
            if name in names:
                add(terms, absent[name], 1.0)
            else:
                for column, weight in switches.use_of(groups.get(name, ())):
                    add(terms, column, weight)
        yield Row(f"{number}", terms, GE, right)


@dataclass
class _Switches:
    """The binaries that the cuts of one model share, each made with its rows when first asked."""

    model: FleetModel
    _made: dict[tuple[frozenset[pulp.LpVariable], int], pulp.LpVariable] = field(
        default_factory=dict
    )

    def fewer_than(self, units: int, key: Key, t: int) -> pulp.LpVariable:
        """1 only if fewer than `units` of `key` are on in block `t`, or its tokens are unused."""
        same = [k for k in self.model.fleet.serving(key[2]) if change_key(k) == key]
        return self._at_most(units - 1, same, t, " ".join(key))

    def absent(self, name: str, group: Iterable[Candidate]) -> pulp.LpVariable:
        """1 only if nothing of `group` is used in any block."""
        return self._at_most(0, list(group), None, name)

    def use_of(self, group: Iterable[Candidate]) -> Iterator[tuple[pulp.LpVariable, float]]:
        """Columns with weights that sum to 1 or more where something of `group` is used."""
        fleet = self.model.fleet
        members = set(group)
        seen = set()
        for (k, _, _), column in fleet.units.items():
            if k in members and column not in seen:
                seen.add(column)
                yield column, 1.0
        for (k, _, _), column in fleet.shares.items():
            if k in members and k.mode.per_token:
                yield column, 1 / LEAST_TOKEN_SHARE

    def _at_most(
        self, units: int, group: Sequence[Candidate], t: int | None, name: str
    ) -> pulp.LpVariable:
        parts = list(self._parts(group, t))
        columns = frozenset(column for columns, _ in parts for column in columns)
        made = self._made.get((columns, units))
        if made is not None:
            return made
        fleet = self.model.fleet
        where = "" if t is None else f" {fleet.blocks[t].name}"
        switch = fleet.column(f"at most {units}[{name}{where}]", 1)
        self._made[columns, units] = switch
        if units == 0:
            for columns_, most in parts:
                terms: Terms = dict.fromkeys(columns_, 1.0)
                add(terms, switch, most)
                self.model.add_row("AtMost", Row(f"{name}{where}", terms, LE, most))
        else:
            most = sum(most for _, most in parts)
            terms = dict.fromkeys(columns, 1.0)
            add(terms, switch, most - units)
            self.model.add_row("AtMost", Row(f"{name}{where}", terms, LE, most))
        return switch

    def _parts(
        self, group: Sequence[Candidate], t: int | None
    ) -> Iterator[tuple[list[pulp.LpVariable], float]]:
        """Columns of each candidate in a block with the most they can sum to."""
        fleet = self.model.fleet
        blocks = range(len(fleet.blocks)) if t is None else [t]
        for k in group:
            if k.mode.per_token:
                for (c, _, _), share in fleet.shares.items():
                    if c is k:
                        yield [share], 1.0
                continue
            seen: set[frozenset[pulp.LpVariable]] = set()
            for block in blocks:
                columns = [column for _, column in fleet.units_on(k, block)]
                if columns and frozenset(columns) not in seen:
                    seen.add(frozenset(columns))
                    yield columns, float(most_units(fleet, k))
