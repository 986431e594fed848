"""The cheapest fleet of few names: of so many providers, regions or types of GPU at most.

Such a limit links workloads by nothing but the names. Where some may not be used, every workload
is a problem of its own:

    min Σ_w φ_w(names) over all sets of names that are few enough

By branch and bound (Land and Doig 1960). A branch has names that it may not use and names that it
is to keep; its fleets, over all that it may use, are no dearer than any of theirs. Where theirs
are few enough they are the best of the branch. Else one name too many is left out in one branch and
kept in the other; once as many are kept as may be, no other name may be used. A fleet stays the
cheapest where only names go that it does not use, so that few curves are made anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Generic, NamedTuple, Protocol, TypeVar

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

Fleet = TypeVar("Fleet", covariant=True)


class NotProven(Exception):
    """A fleet that is not proven the cheapest."""


class Count(NamedTuple):
    """At most so many names that a rule counts."""

    rule: NamesCount
    most: int

    def names_of(self, candidates: Sequence[Candidate]) -> set[Name]:
        """The names of candidates, without those that do not count."""
        return {(self.rule.name, name) for k in candidates if (name := self.rule.name_of(k))}


class Least(NamedTuple, Generic[Fleet]):
    """The cheapest fleet of a workload."""

    usd_per_month: Fraction
    fleet: Fleet
    spent: Mapping[Candidate, Fraction]
    """USD per month."""


class Alone(Protocol[Fleet]):
    """A workload that nothing links to others but the names that they use."""

    @property
    def name(self) -> str:
        """The workload's."""

    @property
    def candidates(self) -> Sequence[Candidate]:
        """All that it may use."""

    def cheapest(self, kept: Sequence[Candidate]) -> Least[Fleet] | None:
        """Its cheapest fleet of some of these; None where there is none.

        Raises NotProven where that takes too long, and OutOfTime when time is up.
        """


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


def cheapest_of_few(model: FleetModel, counts: Sequence[Count]) -> CurvedFleet | None:
    """The cheapest fleet of a program that keeps the counts, which are no rows of it.

    None where it takes a solver, there is no fleet, or too many branches must be looked at. Raises
    OutOfTime when time is up.
    """
    covers = covers_of(model)
    best = None if covers is None else best_of_few([*map(Covered, covers)], counts)
    if best is None:
        return None
    usd = sum((least.usd_per_month for least in best), Fraction(0))
    blocks = len(model.fleet.blocks)
    return CurvedFleet(solution_of((least.fleet for least in best), blocks), float(usd))


def best_of_few(
    workloads: Sequence[Alone[Fleet]], counts: Sequence[Count]
) -> Sequence[Least[Fleet]] | None:
    """The cheapest fleets that keep the counts together; None where there are none, that is not
    proven, or too many branches must be looked at. Raises OutOfTime when time is up."""
    try:
        best = _Search(workloads, counts).best()
    except NotProven:
        return None
    return None if best is None else best.fleets


@dataclass(frozen=True)
class Covered:
    """A workload whose fleets are on a curve."""

    cover: Cover

    @property
    def name(self) -> str:
        """The workload's."""
        return self.cover.workload

    @property
    def candidates(self) -> Sequence[Candidate]:
        """All that it may use."""
        return [*self.cover.carries]

    def cheapest(self, kept: Sequence[Candidate]) -> Least[tuple[Curve, Priced]] | None:
        """Its cheapest fleet of some of these; None where there is none."""
        cover, may = self.cover, set(kept)
        held, elastic = (
            tuple(k for k in kinds if k in may) for kinds in (cover.held, cover.elastic)
        )
        curve = Curve.of(replace(cover, held=held, elastic=elastic))
        fleet = curve.least()
        if fleet is None:
            return None
        if curve.broken:
            raise NotProven
        return Least(fleet.usd_per_month, (curve, fleet), _spent(curve, fleet))


class _Branch(NamedTuple, Generic[Fleet]):
    """Fleets without some names, in order of what they cost."""

    usd: Fraction
    """No fleet of the branch costs less."""

    number: int
    """Of equal ones the last is looked at first."""

    banned: frozenset[Name]
    kept: frozenset[Name]
    fleets: tuple[Least[Fleet], ...]
    """The dearest that is known of fewer banned names; it may use some of the others."""


@dataclass
class _Search(Generic[Fleet]):
    workloads: Sequence[Alone[Fleet]]
    counts: Sequence[Count]
    _known: dict[str, dict[frozenset[Name], Least[Fleet] | None]] = field(default_factory=dict)
    _made: int = 0

    def best(self) -> _Branch[Fleet] | None:
        """The cheapest branch whose fleets are of few enough names, cheapest bounds first."""
        for workload in self.workloads:
            self._known[workload.name] = {frozenset(): workload.cheapest(workload.candidates)}
        waiting = [*self._branch(frozenset(), frozenset())]
        while waiting and self._made <= MOST_BRANCHES:
            branch = heapq.heappop(waiting)
            stale = self._stale(branch)
            if stale is not None:
                self._make_anew(stale, branch.banned)
                more = self._branch(branch.banned, branch.kept)
            else:
                over = next((c for c in self.counts if len(_used(branch, c)) > c.most), None)
                if over is None:
                    return branch
                more = self._children(branch, over)
            for child in more:
                heapq.heappush(waiting, child)
        return None

    def _children(self, branch: _Branch[Fleet], over: Count) -> Iterator[_Branch[Fleet]]:
        """Without the name on which most is spent, of those that are not kept; and with it."""
        used = _used(branch, over)
        name = min(used.keys() - branch.kept, key=lambda name: (-used[name], name))
        yield from self._branch(branch.banned | {name}, branch.kept)
        kept, banned = branch.kept | {name}, branch.banned
        every = over.names_of([k for one in self.workloads for k in one.candidates])
        if len(kept & every) == over.most:
            banned |= every - kept
        yield from self._branch(banned, kept)

    def _branch(self, banned: frozenset[Name], kept: frozenset[Name]) -> Iterator[_Branch[Fleet]]:
        """A branch; none where some workload is known to have no fleet in it."""
        fleets: list[Least[Fleet]] = []
        for workload in self.workloads:
            known = [one for names, one in self._known[workload.name].items() if names <= banned]
            fewer = [one for one in known if one is not None]
            if len(fewer) < len(known):
                return
            fleets.append(max(fewer, key=lambda one: self._order(one, banned)))
        self._made += 1
        usd = sum((least.usd_per_month for least in fleets), Fraction(0))
        yield _Branch(usd, -self._made, banned, kept, tuple(fleets))

    def _order(self, least: Least[Fleet], banned: frozenset[Name]) -> tuple[Fraction, bool]:
        return least.usd_per_month, not self._spent_on(least, banned)

    def _stale(self, branch: _Branch[Fleet]) -> Alone[Fleet] | None:
        """The workload whose fleet spends most on what is banned; None where none uses it."""
        spent = [self._spent_on(least, branch.banned) for least in branch.fleets]
        stale = [i for i, one in enumerate(spent) if one]
        return self.workloads[max(stale, key=lambda i: sum(spent[i]))] if stale else None

    def _spent_on(self, least: Least[Fleet], banned: frozenset[Name]) -> list[Fraction]:
        """What is spent on each candidate of banned names, USD per month."""
        spent = least.spent.items()
        return [usd for k, usd in spent if not banned.isdisjoint(self._names_of([k]))]

    def _make_anew(self, workload: Alone[Fleet], banned: frozenset[Name]) -> None:
        """Find a workload's cheapest fleet without these names, for this branch and any other."""
        kept = [k for k in workload.candidates if banned.isdisjoint(self._names_of([k]))]
        mine = banned & self._names_of(workload.candidates)
        self._known[workload.name][mine] = workload.cheapest(kept)

    def _names_of(self, candidates: Sequence[Candidate]) -> set[Name]:
        return {name for count in self.counts for name in count.names_of(candidates)}


def _used(branch: _Branch[Fleet], count: Count) -> dict[Name, Fraction]:
    """What a branch's fleets spend on each of the names that a rule counts, USD per month."""
    usd: dict[Name, Fraction] = {}
    for least in branch.fleets:
        for k, spent in least.spent.items():
            for name in count.names_of([k]):
                usd[name] = usd.get(name, Fraction(0)) + spent
    return usd


def _spent(curve: Curve, fleet: Priced) -> Mapping[Candidate, Fraction]:
    """What a fleet spends on each candidate, USD per month."""
    cover = curve.cover
    spent: dict[Candidate, Fraction] = {}
    for i, n in units_of(fleet.held).items():
        k = cover.held[i]
        spent[k] = n * cover.hours_held[k] * cover.usd_per_hour[k]
    for t, step in fleet.elastic.items():
        for i, n in units_of(step).items():
            k = cover.elastic[i]
            usd = n * cover.hours[t] * cover.usd_per_hour[k]
            spent[k] = spent.get(k, Fraction(0)) + usd
    return spent
