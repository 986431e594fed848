"""What a search of next-best fleets has still to look at, kept from one plan to the next.

What an earlier plan rules out it rules out for good: sets of bounds that were split for one stay
split, and the search for the next plan goes on where that for the last one stood. So a list of
plans takes as many steps as its last plan does, not as all of them one after another. Where a set
was split for a plan that is no longer in the way, it is looked at once more.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from milp_planner.lazily import dataclass, field
from milp_planner.milp.curves.bounded import NEVER, Box, Key

Boxes = tuple[Box, ...]
"""Bounds of all workloads, one after another."""

Use = tuple[Key, int]
"""Units of what, in which block."""

Valued = tuple[int, Boxes]
"""What the cheapest fleet within bounds costs, and the bounds."""


class Excluded(NamedTuple):
    """What an earlier plan rules out."""

    number: int
    """The same for plans of the same uses."""

    uses: Mapping[Use, int]
    names: frozenset[str] | None
    """None where only what contains the plan is ruled out."""


@dataclass
class Frontier:
    """Sets of bounds, one of which every fleet keeps that the earlier plans do not rule out."""

    earlier: list[int] = field(default_factory=list)
    """Numbers of these plans, in order."""

    seen: set[Boxes] = field(default_factory=set)
    """Those that were split."""

    _heap: list[tuple[int, int, Boxes, Iterator[Valued]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)
    _pending: Sequence[Excluded] = ()
    _numbers: set[int] = field(default_factory=set)
    _by_names: dict[frozenset[str], Excluded] = field(default_factory=dict)
    _by_use: dict[Use, list[Excluded]] = field(default_factory=dict)
    """Each under the one of its uses that fewest others stand under."""

    _split_for: list[tuple[int, Valued]] = field(default_factory=list)
    """Sets that were split for a plan that is not among the earlier ones: its number."""

    def goes_on_with(self, earlier: Sequence[Excluded], pending: Sequence[Excluded]) -> bool:
        """Rule these out, and nothing else; False where less is ruled out for good than was."""
        if self.earlier != [one.number for one in earlier[: len(self.earlier)]]:
            return False
        for one in earlier[len(self.earlier) :]:
            self._rule_out(one)
        self._pending = pending
        there = self._numbers.union(one.number for one in pending)
        again = [valued for number, valued in self._split_for if number not in there]
        self._split_for = [
            (number, valued)
            for number, valued in self._split_for
            if number in there and number not in self._numbers
        ]
        for value, boxes in again:
            self.seen.discard(boxes)
            self.push(iter([(value, boxes)]))
        return True

    def _rule_out(self, one: Excluded) -> None:
        self.earlier.append(one.number)
        self._numbers.add(one.number)
        if one.names is not None:
            self._by_names.setdefault(one.names, one)
        if one.uses:
            rarest = min(one.uses, key=lambda use: len(self._by_use.get(use, ())))
            self._by_use.setdefault(rarest, []).append(one)

    def push(self, siblings: Iterator[Valued]) -> None:
        """The next of some sets of bounds, cheapest first; those behind it follow with it."""
        for value, boxes in siblings:
            if value < NEVER:
                heapq.heappush(self._heap, (value, next(self._order), boxes, siblings))
            return

    def pop(self) -> Valued | None:
        """The cheapest set that was not split; None where none is left."""
        while self._heap:
            value, _, boxes, siblings = heapq.heappop(self._heap)
            self.push(siblings)
            if boxes not in self.seen:
                return value, boxes
        return None

    def split(self, valued: Valued, for_one: Excluded, into: Iterator[Valued]) -> None:
        """Look at these sets in place of one whose cheapest fleet a plan rules out."""
        self.seen.add(valued[1])
        if for_one.number not in self._numbers:
            self._split_for.append((for_one.number, valued))
        self.push(into)

    def breaks(self, used: frozenset[str], on: Mapping[Use, int]) -> tuple[str, Excluded] | None:
        """How a fleet of these names and uses is ruled out, and by which plan; None where not."""
        if used in self._by_names:
            return "names", self._by_names[used]
        near = (one for use in on for one in self._by_use.get(use, ()))
        return next((("uses", one) for one in near if _is_in(one, on)), None) or next(
            (("uses", one) for one in self._pending if _is_in(one, on)), None
        )


def _is_in(one: Excluded, on: Mapping[Use, int]) -> bool:
    return all(on.get(use, 0) >= units for use, units in one.uses.items())
