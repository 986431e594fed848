"""The best fleet that no earlier plan rules out, of workloads that nothing links: without a solver.

An earlier plan rules out what contains it, and what uses the same set of names. Of what contains
none some use of it shrinks; of what uses another set some name of it is absent, or one is new. So
the best fleet of all is either allowed, or every allowed one keeps one bound more:

    n_jt ≤ n*_jt − 1  of some use,     n_k = 0  for all k of some name,     n_kt ≥ 1  of some new k

Each is a bound on one workload, or on all those that use a name, and with every set of bounds the
least is a sum over the workloads. The search takes the cheapest set of bounds next (E. L. Lawler,
Management Science 18, 1972, https://doi.org/10.1287/mnsc.18.7.401), until its fleet is allowed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, change_key
from milp_planner.deadline import check
from milp_planner.lazily import dataclass, field
from milp_planner.milp.curves.bounded import NEVER, BoundedCurve, Bounds, Box, Key
from milp_planner.milp.curves.curve import Curve
from milp_planner.milp.curves.frontier import Excluded, Frontier, Use
from milp_planner.milp.program.exclusion import Difference, names, uses
from milp_planner.plans.records import Plan

MOST_SETS = 50_000
"""Sets of bounds after which it is left to the solvers."""


class TooMany(Exception):
    """More sets of bounds than are worth looking at."""


class NextFleet(NamedTuple):
    """A fleet, and what it costs."""

    units: Mapping[Candidate, tuple[int, ...]]
    """On in each block."""

    usd_per_month: float


class _Child(NamedTuple):
    """One more bound: the workload, its bounds then, and what they cost more than those before."""

    more: int
    workload: int
    box: Box


@dataclass
class NextBest:
    """The fleets of workloads that nothing links, best first; remembers what it looked at."""

    curves: Sequence[Curve]
    difference: Difference
    blocks: int
    _bounded: list[BoundedCurve] = field(init=False)
    _unit: Fraction = field(init=False)
    """USD per month that costs are counted in, ..."""

    _scale: list[int] = field(init=False)
    """... and how many of them the unit of each workload's own curve is."""

    _children: dict[tuple[int, Box, str, int], list[_Child]] = field(default_factory=dict)
    _plans: dict[int, tuple[Plan, Excluded]] = field(default_factory=dict)
    _numbers: dict[frozenset[tuple[Use, int]], int] = field(default_factory=dict)
    _frontier: Frontier | None = None
    """What is left to look at; None where nothing was looked at, or time ended meanwhile."""

    def __post_init__(self) -> None:
        self._bounded = [BoundedCurve(curve) for curve in self.curves]
        common = min(curve.usd_unit for curve in self.curves)
        for curve in self.curves:
            common /= (curve.usd_unit / common).denominator
        self._unit = common
        self._scale = [int(curve.usd_unit / common) for curve in self.curves]

    def after(self, earlier: Sequence[Plan], pending: Sequence[Plan] = ()) -> NextFleet | None:
        """The best fleet that these plans do not rule out; None where there is none.

        pending: plans that rule out only what contains them. Where the earlier plans are those of
        the last call and more, the search goes on where that one ended.

        Raises TooMany, and OutOfTime when time is up.
        """
        by_names = [self._excluded(plan) for plan in earlier]
        by_uses = [self._excluded(plan)._replace(names=None) for plan in pending]
        frontier, self._frontier = self._frontier, None
        if frontier is None or not frontier.goes_on_with(by_names, by_uses):
            frontier = Frontier()
            frontier.goes_on_with(by_names, by_uses)
            root = tuple(Box() for _ in self.curves)
            frontier.push(iter([(sum(self._least(i, box) for i, box in enumerate(root)), root)]))
        found = self._next_in(frontier)
        self._frontier = frontier  # not where time ended, maybe between two of its steps
        return found

    def _next_in(self, frontier: Frontier) -> NextFleet | None:
        while (valued := frontier.pop()) is not None:
            check()
            value, boxes = valued
            broken = frontier.breaks(*self._told(boxes))
            if broken is None:
                frontier.push(iter([valued]))  # whoever asks next has ruled it out
                return NextFleet(self._units(boxes), float(value * self._unit))
            if len(frontier.seen) >= MOST_SETS:
                frontier.push(iter([valued]))
                self._frontier = frontier
                raise TooMany
            frontier.split(valued, broken[1], self._sets(value, boxes, broken))
        return None

    def _excluded(self, plan: Plan) -> Excluded:
        """What a plan rules out; by its names, too, where plans differ by any."""
        known = self._plans.get(id(plan))
        if known is None:
            naming, used = self.difference.name_of, uses(plan)
            number = self._numbers.setdefault(frozenset(used.items()), len(self._numbers))
            named = None if naming is None else names(plan, naming)
            # the plan with it, so that no other gets its id
            known = self._plans[id(plan)] = plan, Excluded(number, used, named)
        return known[1]

    def _least(self, i: int, box: Box) -> int:
        return self._bounded[i].least(box) * self._scale[i]

    def _units(self, boxes: Sequence[Box]) -> Mapping[Candidate, tuple[int, ...]]:
        return {
            k: on
            for bounded, box in zip(self._bounded, boxes, strict=True)
            for k, on in bounded.units(box, self.blocks).items()
        }

    # --- what an earlier plan rules out ---------------------------------------------------------

    def _told(self, boxes: Sequence[Box]) -> tuple[frozenset[str], Mapping[Use, int]]:
        """Names and uses of the cheapest fleet within bounds."""
        units, naming = self._units(boxes), self.difference.name_of
        on: dict[Use, int] = {}
        for k, row in units.items():
            key = change_key(k)
            for t, n in enumerate(row):
                if n:
                    on[key, t] = on.get((key, t), 0) + n
        return frozenset() if naming is None else frozenset(map(naming, units)), on

    def _sets(
        self, value: int, boxes: tuple[Box, ...], broken: tuple[str, Excluded]
    ) -> Iterator[tuple[int, tuple[Box, ...]]]:
        """The sets with one bound more, one of which every allowed fleet keeps, cheapest first."""
        how, excluded = broken
        by_workload = [self._of_workload(i, box, how, excluded) for i, box in enumerate(boxes)]
        alone = (
            (
                value + child.more,
                (*boxes[: child.workload], child.box, *boxes[child.workload + 1 :]),
            )
            for child in heapq.merge(*by_workload, key=lambda child: child.more)
        )
        if how == "uses":
            return alone
        absent = sorted(self._without_a_name(value, boxes, excluded), key=lambda one: one[0])
        return heapq.merge(alone, absent, key=lambda one: one[0])

    def _of_workload(self, i: int, box: Box, how: str, excluded: Excluded) -> list[_Child]:
        """The bounds of one workload, cheapest first."""
        key = i, box, how, excluded.number
        known = self._children.get(key)
        if known is None:
            found = self._new(i, box, excluded) if how == "names" else self._fewer(i, box, excluded)
            known = self._children[key] = sorted(found, key=lambda child: child.more)
        return known

    def _fewer(self, i: int, box: Box, excluded: Excluded) -> Iterator[_Child]:
        """One unit fewer of some use of the plan at least."""
        cover = self.curves[i].cover
        held = {change_key(k) for k in cover.held}
        done: set[Key] = set()
        for (key, t), units in excluded.uses.items():
            if key[2] != cover.workload:
                continue
            if key not in held:
                yield from self._in_block(i, box, t, box.of_block(t).with_at_most(key, units - 1))
            elif key not in done:  # as many in all blocks
                done.add(key)
                yield from self._in_all(i, box, box.held.with_at_most(key, units - 1))

    def _new(self, i: int, box: Box, excluded: Excluded) -> Iterator[_Child]:
        """A unit of some name that the plan does not use."""
        naming, cover = self.difference.name_of, self.curves[i].cover
        assert naming is not None
        assert excluded.names is not None
        for at, k in enumerate(cover.held):
            if naming(k) not in excluded.names:
                yield from self._in_all(i, box, box.held.with_one_more(at))
        for at, k in enumerate(cover.elastic):
            if naming(k) not in excluded.names:
                for t in self.curves[i].hours:
                    yield from self._in_block(i, box, t, box.of_block(t).with_one_more(at))

    def _in_block(self, i: int, box: Box, t: int, bounds: Bounds) -> Iterator[_Child]:
        least = self._bounded[i].within(box, t, bounds)
        if least < NEVER:
            more = least * self._scale[i] - self._least(i, box)
            yield _Child(more, i, box.with_block(t, bounds))

    def _in_all(self, i: int, box: Box, bounds: Bounds) -> Iterator[_Child]:
        bounded = box._replace(held=bounds)
        if self._bounded[i].least(bounded) < NEVER:
            yield _Child(self._least(i, bounded) - self._least(i, box), i, bounded)

    def _without_a_name(
        self, value: int, boxes: tuple[Box, ...], excluded: Excluded
    ) -> Iterator[tuple[int, tuple[Box, ...]]]:
        """Some name of the plan is used by no workload."""
        naming = self.difference.name_of
        assert naming is not None
        for name in sorted(excluded.names or ()):
            changed = list(boxes)
            for i, (curve, box) in enumerate(zip(self.curves, boxes, strict=True)):
                held, elastic = (
                    frozenset(at for at, k in enumerate(ks) if naming(k) == name)
                    for ks in (curve.cover.held, curve.cover.elastic)
                )
                if held or elastic:
                    changed[i] = box.without(held, elastic)
            least = [self._least(i, box) for i, box in enumerate(changed)]
            if max(least) < NEVER:
                yield sum(least), tuple(changed)
