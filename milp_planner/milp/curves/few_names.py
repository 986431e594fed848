"""The cheapest fleet of few names: of so many providers, regions or types of GPU at most.

Such a limit links workloads by nothing but the names. Where some may not be used, every workload
is a curve of its own:

    min Σ_w φ_w(names) over all sets of names that are few enough

By branch and bound (Land and Doig 1960). A branch has names that it may not use and names that it
is to keep; its curves, over all that it may use, are no dearer than any of its fleets. Where theirs
are few enough they are the best of the branch. Else one name too many is left out in one branch and
kept in the other; once as many are kept as may be, no other name may be used. A fleet stays the
cheapest where only names go that it does not use, so that few curves are made anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.curves.covering import Cover, covers_of
from milp_planner.milp.curves.curve import Curve, Priced
from milp_planner.milp.curves.fleets import CurvedFleet, solution_of
from milp_planner.milp.curves.staircase import units_of
from milp_planner.milp.program.families import CONSTRAINTS
from milp_planner.milp.program.limits.names_count import NamesCount
from milp_planner.milp.program.model import FleetModel

MOST_BRANCHES = 3_000
"""Branches that are looked at before the engines are asked instead."""

Name = tuple[str, str]
"""A rule that counts names, and a name that it counts."""


class _UnprovenError(Exception):
    """A curve that its own check does not let pass."""


class Count(NamedTuple):
    """At most so many names that a rule counts."""

    rule: NamesCount
    most: int

    def names_of(self, candidates: Sequence[Candidate]) -> set[Name]:
        """The names of candidates, without those that do not count."""
        return {(self.rule.name, name) for k in candidates if (name := self.rule.name_of(k))}


def counts_of(problem: Problem) -> tuple[Count, ...]:
    """The limits in force on how many names there may be."""
    found = ((rule, rule.most(problem)) for rule in CONSTRAINTS if isinstance(rule, NamesCount))
    return tuple(Count(rule, most) for rule, most in found if most is not None)


def without_budget_and_counts(problem: Problem) -> Problem:
    """The problem without what links workloads by names or money alone."""
    limits, nothing = problem.limits, {"max_count": None}
    update = {
        "budget": None,
        "providers": limits.providers.model_copy(update=nothing),
        "regions": limits.regions.model_copy(update=nothing),
        "gpus": limits.gpus.model_copy(update=nothing),
    }
    return problem.model_copy(update={"limits": limits.model_copy(update=update)})


class _Least(NamedTuple):
    """The cheapest fleet of a workload, and what it spends on each name."""

    curve: Curve
    fleet: Priced
    usd_by_name: dict[Name, Fraction]


class _Branch(NamedTuple):
    """Fleets without some names, in order of what they cost."""

    usd: Fraction
    """No fleet of the branch costs less."""

    number: int
    banned: frozenset[Name]
    kept: frozenset[Name]
    fleets: tuple[_Least, ...]


def cheapest_of_few(model: FleetModel, counts: Sequence[Count]) -> CurvedFleet | None:
    """The cheapest fleet of a program that keeps the counts, which are no rows of it.

    None where it takes a solver, there is no fleet, or too many branches must be looked at. Raises
    OutOfTime when time is up.
    """
    covers = covers_of(model)
    if covers is None:
        return None
    try:
        best = _Search(covers, counts).best()
    except _UnprovenError:
        return None
    if best is None:
        return None
    found = [(least.curve, least.fleet) for least in best.fleets]
    return CurvedFleet(solution_of(found, len(model.fleet.blocks)), float(best.usd))


@dataclass
class _Search:
    covers: Sequence[Cover]
    counts: Sequence[Count]
    _known: dict[tuple[str, frozenset[Name]], _Least | None] = field(default_factory=dict)
    _made: int = 0

    def best(self) -> _Branch | None:
        """The cheapest branch whose fleets are of few enough names, cheapest bounds first."""
        root = self._branch(frozenset(), frozenset())
        waiting = [] if root is None else [root]
        while waiting and self._made <= MOST_BRANCHES:
            branch = heapq.heappop(waiting)
            over = next((c for c in self.counts if len(_used(branch, c)) > c.most), None)
            if over is None:
                return branch
            for child in self._children(branch, over):
                heapq.heappush(waiting, child)
        return None

    def _children(self, branch: _Branch, over: Count) -> Iterator[_Branch]:
        """Without the name on which most is spent, of those that are not kept; and with it."""
        used = _used(branch, over)
        name = min(used.keys() - branch.kept, key=lambda name: (-used[name], name))
        without = self._branch(branch.banned | {name}, branch.kept, branch)
        if without is not None:
            yield without
        kept, banned = branch.kept | {name}, branch.banned
        every = over.names_of([k for cover in self.covers for k in cover.carries])
        if len(kept & every) == over.most:
            banned |= every - kept
        with_it = self._branch(banned, kept, branch)
        if with_it is not None:
            yield with_it

    def _branch(
        self, banned: frozenset[Name], kept: frozenset[Name], above: _Branch | None = None
    ) -> _Branch | None:
        """A branch; None where some workload has no fleet in it."""
        fleets: list[_Least] = []
        for i, cover in enumerate(self.covers):
            before = None if above is None else above.fleets[i]
            least = before
            if before is None or not banned.isdisjoint(before.usd_by_name):
                least = self._least(cover, banned)
            if least is None:
                return None
            fleets.append(least)
        self._made += 1
        usd = sum((least.fleet.usd_per_month for least in fleets), Fraction(0))
        return _Branch(usd, self._made, banned, kept, tuple(fleets))

    def _least(self, cover: Cover, banned: frozenset[Name]) -> _Least | None:
        every = {name for count in self.counts for name in count.names_of([*cover.carries])}
        key = cover.workload, banned & every
        if key not in self._known:
            self._known[key] = self._looked_for(self._without(cover, banned))
        return self._known[key]

    def _without(self, cover: Cover, banned: frozenset[Name]) -> Cover:
        def may(k: Candidate) -> bool:
            return all(banned.isdisjoint(count.names_of([k])) for count in self.counts)

        held, elastic = (tuple(filter(may, kinds)) for kinds in (cover.held, cover.elastic))
        return replace(cover, held=held, elastic=elastic)

    def _looked_for(self, cover: Cover) -> _Least | None:
        curve = Curve.of(cover)
        fleet = curve.least()
        if fleet is None:
            return None
        if curve.broken:
            raise _UnprovenError
        spent: dict[Name, Fraction] = {}
        for k, usd in _spent(curve, fleet):
            for count in self.counts:
                for name in count.names_of([k]):
                    spent[name] = spent.get(name, Fraction(0)) + usd
        return _Least(curve, fleet, spent)


def _used(branch: _Branch, count: Count) -> dict[Name, Fraction]:
    """What a branch's fleets spend on each of the names that a rule counts, USD per month."""
    usd: dict[Name, Fraction] = {}
    for least in branch.fleets:
        for name, spent in least.usd_by_name.items():
            if name[0] == count.rule.name:
                usd[name] = usd.get(name, Fraction(0)) + spent
    return usd


def _spent(curve: Curve, fleet: Priced) -> Iterator[tuple[Candidate, Fraction]]:
    """What a fleet spends on each candidate, USD per month, in parts."""
    cover = curve.cover
    for i, n in units_of(fleet.held).items():
        k = cover.held[i]
        yield k, n * cover.hours_held[k] * cover.usd_per_hour[k]
    for t, step in fleet.elastic.items():
        for i, n in units_of(step).items():
            k = cover.elastic[i]
            yield k, n * cover.hours[t] * cover.usd_per_hour[k]
