"""One workload's curve under bounds on single units: so many at least, so many at most.

Bounds are what the exclusion of a plan comes to once it is decided which of its uses shrinks and
what is new: see `next_best.py`. Lists and costs are remembered by the bounds that they depend on,
so that a bound in one block costs one pass over the steps of the held units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, change_key
from milp_planner.lazily import dataclass, field
from milp_planner.milp.curves.curve import Curve
from milp_planner.milp.curves.staircase import (
    NOTHING,
    Staircase,
    Step,
    lowest,
    with_any,
    with_units,
)

NEVER = 1 << 600
"""The cost of what no fleet can do: more than any other."""

Key = tuple[str, str, str]
"""Offering, billing, workload: what exclusion cuts count units of."""


class Bounds(NamedTuple):
    """Of the held units, or of the elastic ones in one block."""

    least: tuple[tuple[int, int], ...] = ()
    """(kind, units) that are on at least."""

    most: tuple[tuple[Key, int], ...] = ()
    """(key, units) that are on at most, of all kinds of the key together."""

    absent: frozenset[int] = frozenset()
    """Kinds that are not on."""

    def with_one_more(self, kind: int) -> Bounds:
        """One more unit of a kind at least."""
        least = dict(self.least)
        least[kind] = least.get(kind, 0) + 1
        return self._replace(least=tuple(sorted(least.items())))

    def with_at_most(self, key: Key, units: int) -> Bounds:
        """No more than so many units of a key."""
        most = dict(self.most)
        most[key] = min(units, most.get(key, units))
        return self._replace(most=tuple(sorted(most.items())))

    def without(self, kinds: frozenset[int]) -> Bounds:
        """None of these kinds."""
        return self._replace(absent=self.absent | kinds)


FREE = Bounds()


class Box(NamedTuple):
    """Bounds on all units of a workload."""

    held: Bounds = FREE
    elastic: Bounds = FREE
    """In blocks that have none of their own."""

    blocks: tuple[tuple[int, Bounds], ...] = ()

    def of_block(self, t: int) -> Bounds:
        """The bounds on elastic units in a block."""
        return dict(self.blocks).get(t, self.elastic)

    def with_block(self, t: int, bounds: Bounds) -> Box:
        """Other bounds in one block."""
        blocks = {**dict(self.blocks), t: bounds}
        return self._replace(blocks=tuple(sorted(blocks.items())))

    def without(self, held: frozenset[int], elastic: frozenset[int]) -> Box:
        """None of these kinds in any block."""
        blocks = tuple((t, bounds.without(elastic)) for t, bounds in self.blocks)
        return Box(self.held.without(held), self.elastic.without(elastic), blocks)


@dataclass
class BoundedCurve:
    """The least that a workload costs within bounds, and its units."""

    curve: Curve
    _stairs: dict[tuple[bool, Bounds], Staircase | None] = field(default_factory=dict)
    _costs: dict[tuple[Bounds, int, Bounds], Sequence[int]] = field(default_factory=dict)
    _totals: dict[Box, Sequence[int]] = field(default_factory=dict)
    _units: dict[Box, Mapping[Candidate, tuple[int, ...]]] = field(default_factory=dict)

    def least(self, box: Box) -> int:
        """The least cost within bounds, in the curve's own unit; NEVER where there is no fleet."""
        return min(min(self._totals_of(box), default=NEVER), NEVER)

    def within(self, box: Box, t: int, bounds: Bounds) -> int:
        """The same with other bounds in one block."""
        own = self._totals_of(box)
        before = self._costs_of(box.held, t, box.of_block(t))
        after = self._costs_of(box.held, t, bounds)
        found = (all_ - a + b for all_, a, b in zip(own, before, after, strict=True))
        return min(min(found, default=NEVER), NEVER)

    def units(self, box: Box, blocks: int) -> Mapping[Candidate, tuple[int, ...]]:
        """Units on in each of so many blocks of the cheapest fleet within bounds."""
        known = self._units.get(box)
        if known is None:
            priced = self.curve.priced(*self._fleet(box))
            known = self._units[box] = dict(self.curve.units(priced, blocks))
        return known

    def _fleet(self, box: Box) -> tuple[Step, dict[int, Step]]:
        totals = self._totals_of(box)
        stairs = self._stairs_of(box.held, held=True)
        assert stairs is not None
        held = stairs.steps[totals.index(min(totals))]
        elastic: dict[int, Step] = {}
        for t, need in self.curve.needs.items():
            own = self._stairs_of(box.of_block(t), held=False)
            step = None if own is None else own.reaching(need - held.capacity)
            assert step is not None
            elastic[t] = step
        return held, elastic

    def _totals_of(self, box: Box) -> Sequence[int]:
        """What everything costs with each step of the held units."""
        known = self._totals.get(box)
        if known is None:
            stairs = self._stairs_of(box.held, held=True)
            sums = [] if stairs is None else [step.cost for step in stairs.steps]
            if sums:
                for t in self.curve.hours:
                    costs = self._costs_of(box.held, t, box.of_block(t))
                    sums = [a + b for a, b in zip(sums, costs, strict=True)]
            known = self._totals[box] = sums
        return known

    def _costs_of(self, held: Bounds, t: int, bounds: Bounds) -> Sequence[int]:
        """What a block costs with each step of the held units."""
        key = held, t, bounds
        known = self._costs.get(key)
        if known is None:
            stairs = self._stairs_of(held, held=True)
            own = self._stairs_of(bounds, held=False)
            hours, need = self.curve.hours[t], self.curve.needs[t]
            known = []
            for step in () if stairs is None else stairs.steps:
                there = None if own is None else own.reaching(need - step.capacity)
                known.append(NEVER if there is None else hours * there.cost)
            self._costs[key] = known
        return known

    def _stairs_of(self, bounds: Bounds, *, held: bool) -> Staircase | None:
        key = held, bounds
        if key not in self._stairs:
            self._stairs[key] = self._bounded(bounds, held=held)
        return self._stairs[key]

    def _bounded(self, bounds: Bounds, *, held: bool) -> Staircase | None:
        """The steps within bounds; None where there can be none.

        What is on at least stands beside the cheapest of what else there may be, whatever that is.
        """
        whole = self.curve.held if held else self.curve.elastic
        ours = self.curve.cover.held if held else self.curve.cover.elastic
        if bounds == FREE:
            return whole
        if bounds.least:
            left = dict(bounds.most)
            for i, units in bounds.least:
                key = change_key(ours[i])
                if i in bounds.absent or left.get(key, units) < units:
                    return None
                if key in left:
                    left[key] -= units
            most = tuple(sorted(left.items()))
            beside = self._stairs_of(Bounds((), most, bounds.absent), held=held)
            steps = [] if beside is None else list(beside.steps)
            for i, units in bounds.least:
                steps = [with_units(step, i, whole.kinds[i], units, whole.most) for step in steps]
            return Staircase(whole.kinds, whole.most, tuple(lowest(steps)))
        return _at_most(whole, ours, bounds)


def _at_most(whole: Staircase, ours: Sequence[Candidate], bounds: Bounds) -> Staircase:
    """The steps of what there may be, where nothing has to be."""
    groups: dict[Key, list[int]] = {}
    for i, k in enumerate(ours):
        if i not in bounds.absent:
            groups.setdefault(change_key(k), []).append(i)
    left = dict(bounds.most)
    free = [i for key, group in groups.items() if key not in left for i in group]
    steps = [NOTHING]
    for i in sorted(free, key=lambda i: whole.kinds[i].cost / whole.kinds[i].capacity):
        steps = with_any(steps, i, whole.kinds[i], whole.most)
    for key, most in left.items():
        for _ in range(most):  # one unit more, or none
            more = [
                with_units(step, i, whole.kinds[i], 1, whole.most)
                for i in groups.get(key, ())
                for step in steps
            ]
            longer = lowest([*steps, *more])
            if len(longer) == len(steps) and all(
                a is b for a, b in zip(longer, steps, strict=True)
            ):
                break
            steps = longer
    return Staircase(whole.kinds, whole.most, tuple(steps))
