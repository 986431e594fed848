"""Exclusion cuts: rows that keep earlier plans, and what contains them, from coming again.

    a_jtm = 1  ⇒  Σ_k n_kt ≤ m - 1          fewer than m units of j are on in block t      0 or 1
    a_i = 1    ⇒  nothing named i is used                                                  0 or 1
    contained  Σ_jt a_jtn* + Σ_{j per token} a_j ≥ 1           some use of earlier plan E shrinks
    different  Σ_{i ∈ E} a_i + Σ_{i ∉ E} (units of i) ≥ 1      the set of names is another
    b_ktm = 1  ⇒  n_kt ≥ m + 1           more than m units of k are on in block t          0 or 1
    other      Σ_t Σ_{k ∈ E} (a_ktn* + b_ktn*) + Σ_t Σ_{k ∉ E} n_kt ≥ 1    w has other units there

j is (offering, billing, workload), and no workload where replicas share units, whose units count
and not who stands on them; i is what `differ_by` names, n* the units in E, k a candidate of a
workload w of which E is known to be no answer in some blocks t, so that another fleet may be, be it
E and something to spare. Binaries exist only
for what some earlier plan uses, and the cuts of all earlier plans share them, so that the solvers
decide "is i used at all" once and not once per cut. A per-token offering shrinks when unused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pulp

from milp_planner.candidates.records import Candidate, change_key
from milp_planner.lazily import dataclass, field
from milp_planner.milp.program.language.rows import GE, LE, Row
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.records import Plan

LEAST_TOKEN_SHARE = 1e-4
"""A per-token offering makes a plan another one when it serves at least this share of a class."""

TRACE = 1e-5
"""Smaller shares may be what a solver leaves of a column that ought to be 0."""

NameOf = Callable[[Candidate], str]
Key = tuple[str, str, str]
"""Offering, billing, workload."""

DIFFERENCES: dict[str, NameOf] = {
    "offerings": lambda k: f"{k.offering.id} {k.offering.billing}",
    "providers": lambda k: k.provider,
    "gpus": lambda k: k.gpu or "per token",
}
"""What `differ_by` compares; `counts` asks for no difference beyond the containment cut."""


@dataclass(frozen=True)
class Difference:
    """How a next-best plan must differ from every earlier one."""

    differ_by: str
    per_workload: bool = False

    @property
    def name_of(self) -> NameOf | None:
        """The name a candidate has in the set that is compared; None for `counts`."""
        plain = DIFFERENCES.get(self.differ_by)
        if plain is None or not self.per_workload:
            return plain
        return lambda k: f"{k.workload}: {plain(k)}"

    def allows(self, plan: Plan, earlier: Plan) -> bool:
        """True when `plan` may come after `earlier`: the cuts in plain arithmetic."""
        naming = self.name_of
        if contains(plan, earlier):
            return False
        return naming is None or names(plan, naming) != names(earlier, naming)


def names(plan: Plan, naming: NameOf) -> frozenset[str]:
    """The set that is compared."""
    return frozenset(naming(p.candidate) for p in plan.purchases)


def contains(plan: Plan, earlier: Plan) -> bool:
    """True when `plan` is `earlier` plus extra units: no use of the earlier plan shrinks."""
    held = uses(plan)
    return all(held.get(use, 0) >= units for use, units in uses(earlier).items())


def uses(plan: Plan) -> dict[tuple[Key, int], int]:
    """Units on by (j, block), wherever there are any; per-token use is 1 in block 0."""
    used: dict[tuple[Key, int], int] = {}
    for p in plan.rented:
        key = change_key(p.candidate)
        if p.candidate.mode.per_token:
            used[key, 0] = 1
            continue
        for t, units in enumerate(p.units_by_block):
            if units:
                used[key, t] = used.get((key, t), 0) + units
    return used


Where = frozenset[tuple[str, int]]
"""(workload, block): what is served with the same units in all of them is served no better."""


class PassedOver(NamedTuple):
    """A plan that is no answer, for how some workloads are served in some blocks."""

    plan: Plan
    where: frozenset[Where]

    def is_again(self, plan: Plan) -> bool:
        """True when a plan has the same units on in all blocks of one of these sets: it is no
        answer either."""
        return any(
            all(units_in(plan, *one) == units_in(self.plan, *one) for one in blocks)
            for blocks in self.where
        )


def units_in(plan: Plan, workload: str, t: int) -> dict[Candidate, int]:
    """What serves a workload in a block, but for what is paid by the token."""
    units: dict[Candidate, int] = {}
    for p in plan.purchases_of(workload):
        if not p.candidate.mode.per_token and p.units_by_block[t]:
            units[p.candidate] = units.get(p.candidate, 0) + p.units_by_block[t]
    return units


def beyond(passed: Iterable[PassedOver]) -> dict[Candidate, int]:
    """One unit more than such plans have of each: what more of them would do is not known."""
    most: dict[Candidate, int] = {}
    for one in passed:
        for p in one.plan.purchases:
            if not p.candidate.mode.per_token:
                most[p.candidate] = max(most.get(p.candidate, 0), max(p.units_by_block) + 1)
    return most


def without_traces(model: FleetModel, values: Mapping[str, float]) -> Mapping[str, float]:
    """The columns with per-token shares below `TRACE` set to 0."""
    traces = {
        share.name: 0.0
        for (k, _, _), share in model.fleet.shares.items()
        if k.mode.per_token and 0 < values.get(share.name, 0.0) < TRACE
    }
    return {**values, **traces} if traces else values


def exclude(
    model: FleetModel,
    earlier: Sequence[Plan],
    difference: Difference,
    pending: Sequence[Plan] = (),
    passed: Sequence[PassedOver] = (),
) -> None:
    """Add the cuts that forbid `earlier` plans, all that contains one, and all too like one.

    `pending` plans, and what contains them, are forbidden too, but not what is like them; of those
    `passed` over only what is the same in a block in which they are no answer.
    """
    switches = _Switches(model)
    for plan in (*earlier, *pending):
        model.add_row("Contained", _contained(switches, plan))
    naming = difference.name_of
    if naming is not None:
        for row in _different(switches, earlier, naming):
            model.add_row("Different", row)
    for one in passed:
        for where in sorted(map(sorted, one.where)):
            model.add_row("Other", _other(switches, one.plan, where))


def contain(model: FleetModel, plan: Plan) -> None:
    """Add the rows that ask for a plan and maybe more: no use of it shrinks."""
    by_key: dict[Key, list[Candidate]] = {}
    for k in model.fleet.candidates:
        by_key.setdefault(change_key(k), []).append(k)
    for (key, t), units in sorted(uses(plan).items()):
        terms: Terms = {}
        for k in by_key.get(key, ()):
            if k.mode.per_token:
                terms |= dict.fromkeys(_shares_of(model.fleet, k), 1 / LEAST_TOKEN_SHARE)
            else:
                terms |= {column: 1.0 for _, column in model.fleet.units_on(k, t)}
        model.add_row("Contains", Row(f"{' '.join(key)} {t}", terms, GE, float(units)))


def _shares_of(fleet: Fleet, k: Candidate) -> list[pulp.LpVariable]:
    """The columns of what an API serves."""
    cells = ((q, t) for t in fleet.busy(k.workload) for q in fleet.classes(k.workload))
    found = (fleet.shares.get((k, q, t)) for q, t in cells)
    return [share for share in found if share is not None]


def _contained(switches: _Switches, earlier: Plan) -> Row:
    """Some use of the earlier plan shrinks."""
    shrinks = [
        switches.fewer_than(units, key, t) for (key, t), units in sorted(uses(earlier).items())
    ]
    return Row("some use shrinks", dict.fromkeys(shrinks, 1.0), GE, 1.0)


def _different(switches: _Switches, earlier: Sequence[Plan], naming: NameOf) -> Iterator[Row]:
    """The set of names differs from every earlier plan's."""
    groups: dict[str, list[Candidate]] = {}
    for k in switches.model.fleet.candidates:
        groups.setdefault(naming(k), []).append(k)
    use = {name: dict(switches.use_of(group)) for name, group in groups.items()}
    absent: dict[str, pulp.LpVariable] = {}
    for plan in earlier:
        used = names(plan, naming)
        terms: Terms = {}
        for name, columns in use.items():
            if name not in used:
                terms.update(columns)
        for name in sorted(used):
            if name not in absent:
                absent[name] = switches.absent(name, groups.get(name, ()))
            terms[absent[name]] = 1.0
        yield Row("another set", terms, GE, 1.0)


def _other(switches: _Switches, plan: Plan, where: Iterable[tuple[str, int]]) -> Row:
    """Other units than the plan's serve in one of these blocks: fewer of some, or more."""
    fleet = switches.model.fleet
    terms: Terms = {}
    for workload, t in where:
        units = units_in(plan, workload, t)
        for k in fleet.gpu_candidates(workload):
            columns = [column for _, column in fleet.units_on(k, t)]
            if k not in units:
                terms |= dict.fromkeys(columns, 1.0)
            elif columns:
                terms |= dict.fromkeys(switches.other_than(units[k], k, t), 1.0)
    return Row("other units", terms, GE, 1.0)


@dataclass
class _Switches:
    """The binaries that the cuts of one model share, each made with its rows when first asked."""

    model: FleetModel
    _made: dict[tuple[frozenset[pulp.LpVariable], int], pulp.LpVariable] = field(
        default_factory=dict
    )
    _by_key: dict[Key, list[Candidate]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fleet = self.model.fleet
        tokens = (k for k in fleet.candidates if k.mode.per_token)
        for k in (*tokens, *fleet.rentable):
            self._by_key.setdefault(change_key(k), []).append(k)

    def fewer_than(self, units: int, key: Key, t: int) -> pulp.LpVariable:
        """1 only if fewer than `units` of `key` are on in block `t`, or its tokens are unused."""
        where = f"{' '.join(key)} {self.model.fleet.blocks[t].name}"
        parts = [part for k in self._by_key.get(key, ()) for part in self._parts(k, [t])]
        return self._at_most(units - 1, parts, where)

    def other_than(self, units: int, k: Candidate, t: int) -> Iterator[pulp.LpVariable]:
        """Columns of which one is 1 only if fewer, or more, units of `k` are on in block `t`."""
        where = f"{k.id} {self.model.fleet.blocks[t].name}"
        parts = [*self._parts(k, [t])]
        yield self._at_most(units - 1, parts, where)
        columns = tuple(column for own, _ in parts for column in own)
        made = self._made.get((frozenset(columns), -units))
        if made is None:
            made = self.model.fleet.column(f"more than {units}[{where}]", 1)
            self._made[frozenset(columns), -units] = made
            terms: Terms = dict.fromkeys(columns, 1.0)
            add(terms, made, -float(units + 1))
            self.model.add_row("MoreThan", Row(where, terms, GE, 0.0))
        yield made

    def absent(self, name: str, group: Iterable[Candidate]) -> pulp.LpVariable:
        """1 only if nothing of `group` is used in any block."""
        blocks = range(len(self.model.fleet.blocks))
        return self._at_most(0, [part for k in group for part in self._parts(k, blocks)], name)

    def use_of(self, group: Iterable[Candidate]) -> Iterator[tuple[pulp.LpVariable, float]]:
        """Columns with weights that sum to 1 or more where something of `group` is used."""
        blocks = range(len(self.model.fleet.blocks))
        for k in group:
            weight = 1 / LEAST_TOKEN_SHARE if k.mode.per_token else 1.0
            yield from ((c, weight) for columns in self._columns(k, blocks) for c in columns)

    def _parts(
        self, k: Candidate, blocks: Iterable[int]
    ) -> Iterator[tuple[tuple[pulp.LpVariable, ...], float]]:
        """Columns of a candidate that stand for one number, with the most they can sum to."""
        units = 0.0 if k.mode.per_token else float(self.model.fleet.most_units(k))
        for columns in self._columns(k, blocks):
            yield columns, units or columns[0].upBound

    def _columns(
        self, k: Candidate, blocks: Iterable[int]
    ) -> Iterator[tuple[pulp.LpVariable, ...]]:
        fleet = self.model.fleet
        if k.mode.per_token:
            yield from ((share,) for share in _shares_of(fleet, k))
            return
        units = (tuple(column for _, column in fleet.units_on(k, t)) for t in blocks)
        yield from dict.fromkeys(columns for columns in units if columns)

    def _at_most(
        self, units: int, parts: Sequence[tuple[tuple[pulp.LpVariable, ...], float]], where: str
    ) -> pulp.LpVariable:
        """1 only if the parts sum to at most `units`; each part is a row of its own for none."""
        columns = tuple(column for own, _ in parts for column in own)
        made = self._made.get((frozenset(columns), units))
        if made is not None:
            return made
        switch = self.model.fleet.column(f"at most {units}[{where}]", 1)
        self._made[frozenset(columns), units] = switch
        if units:
            parts = [(columns, sum(most for _, most in parts))]
        for own, most in parts:
            terms: Terms = dict.fromkeys(own, 1.0)
            add(terms, switch, most - units)
            self.model.add_row("AtMost", Row(where, terms, LE, most))
        return switch
