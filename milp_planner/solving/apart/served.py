"""Ways to serve a part, in the order in which they are looked at, and what of them is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from milp_planner.candidates.records import Candidate
from milp_planner.milp.program.exclusion import Difference, Key, names, uses
from milp_planner.plans.records import Plan

Use = tuple[Key, int]
"""Units of what, in which block."""


SAME_USD = 0.005
"""Half a cent: what two plans that cost the same may differ by."""


class AskTheWhole(Exception):
    """What is known of the parts does not tell the next plan."""


class AllDearer(Exception):
    """No plan that is left is as cheap as was asked for."""


class Served(NamedTuple):
    """One way to serve a part."""

    plan: Plan
    usd: float
    """USD/month: what it scores."""

    names: frozenset[str]
    uses: Mapping[Use, int]

    @classmethod
    def of(cls, plan: Plan, difference: Difference) -> Served:
        """A plan of the part alone."""
        naming = difference.name_of
        named = frozenset[str]() if naming is None else names(plan, naming)
        return cls(plan, plan.score_usd_per_month or 0.0, named, uses(plan))


class Spare(NamedTuple):
    """A unit that may be on beside what serves a part."""

    usd: float
    """USD/month."""

    name: str
    """In the set of names that plans are compared by."""

    candidate: Candidate
    uses: frozenset[Use]
    """One unit of each: in one block, or in all of a unit that is held."""


class Found(NamedTuple):
    """What was found of a part."""

    served: Served | None
    least_usd: float
    """Nothing that was looked for costs less; endless where there is nothing."""

    @property
    def is_proven(self) -> bool:
        """False where time ended before what is found was known to be the cheapest."""
        usd = math.inf if self.served is None else self.served.usd
        return self.least_usd >= usd - SAME_USD


class PartList(Protocol):
    """What a part can be asked."""

    workloads: frozenset[str]

    def bring_back(self, earlier: Sequence[Plan]) -> None:
        """What those stood in for that these plans of all use.

        None of it was missed in the list: with what stood in for it a fleet costs no more, and is
        in the list by now, or comes later.
        """

    def next_of(self, known: Sequence[Served], *, at_length: bool) -> Found:
        """The cheapest with other names than each of these has, that contains none of them.

        at_length: it may take as much time as the part has; else a part of that.
        """

    def others_of(self, one: Served, known: Sequence[Served]) -> Found:
        """The cheapest with its names that contains neither it nor one of these."""

    def more_than(self, one: Served, have: frozenset[str], known: Sequence[Served]) -> Found:
        """The cheapest that contains it, has a name that is none of `have`, and contains none of
        these."""

    def spares(self) -> Sequence[Spare] | None:
        """All units of its candidates; None where one more may cost less than its price."""


class Earlier(NamedTuple):
    """A plan that came before."""

    bit: int
    """Its place among all that did."""

    plan: Plan
    names: frozenset[str]
    uses: Mapping[Use, int]

    def is_in(self, on: Mapping[Use, int], workloads: frozenset[str]) -> bool:
        """True where what serves these workloads contains what it has of them."""
        mine = ((use, units) for use, units in self.uses.items() if use[0][2] in workloads)
        return all(on.get(use, 0) >= units for use, units in mine)


_Beside = tuple[int, frozenset[str] | None]
"""The id of one that a part is served by, and names; None: what else has those of the one."""


class KnownList:
    """The list of a part as far as it was asked for."""

    def __init__(self, asked: PartList) -> None:
        self.asked = asked
        self.known: list[Served] = []
        """The cheapest first."""

        self.least_usd = 0.0
        """Whatever has no name set of these, and contains none of them, costs no less."""

        self.is_proven = True
        """False where one was taken that was not known to be the cheapest."""

        self._was_asked = False
        """True where the next one was looked for in little time, and a lower bound is known."""

        self._others: dict[_Beside, list[Served]] = {}
        """Of each of these what else there is of it, the cheapest first."""

        self._has_all_others: set[_Beside] = set()
        self._contained: dict[int, int] = {}
        """The plans before that each of all these contains, as bits, by its id."""

    @property
    def choices(self) -> int:
        """Places in the list, with the next one, unless there is none."""
        return len(self.known) + (self.least_usd < math.inf)

    def usd_at(self, place: int) -> float:
        """What the one at a place costs, or at least."""
        return self.known[place].usd if place < len(self.known) else self.least_usd

    def contained_in(self, one: Served) -> int:
        """The plans before that it contains, as bits."""
        return self._contained[id(one)]

    def extend(self, every: Iterable[Earlier]) -> None:
        """One more of the list; or, the first time, no more than that none costs less than so much.

        That is often enough: another list has a cheaper one.
        """
        found = self.asked.next_of(self.known, at_length=self._was_asked)
        if not found.is_proven and not self._was_asked:
            self.least_usd, self._was_asked = max(self.least_usd, found.least_usd), True
            return
        self._was_asked = False
        self.least_usd = self._taken(found)
        if found.served is not None:
            self.known.append(found.served)
            self.known.sort(key=lambda one: one.usd)
            self._compare(found.served, every)

    def _taken(self, found: Found) -> float:
        """What is found, as the cheapest, and what it costs."""
        if found.served is None and not found.is_proven:
            raise AskTheWhole
        self.is_proven &= found.is_proven
        return math.inf if found.served is None else found.served.usd

    def other_at(self, one: Served, nth: int, every: Iterable[Earlier]) -> Served | None:
        """The nth of what has the names of `one`, itself the first; None where there are fewer."""
        if nth == 0:
            return one
        return self._nth(
            (id(one), None), nth - 1, lambda known: self.asked.others_of(one, known), every
        )

    def least_of_other(self, one: Served, nth: int) -> float:
        """What the nth of them costs, or at least; endless where there are fewer."""
        return one.usd if nth == 0 else self._least_of((id(one), None), one, nth - 1)

    def more_at(
        self, one: Served, have: frozenset[str], nth: int, every: Iterable[Earlier]
    ) -> Served | None:
        """The nth of what contains `one`, and has a name beside these; None where there are fewer,
        the first being 0."""

        def asked(known: Sequence[Served]) -> Found:
            return self.asked.more_than(one, have, known)

        return self._nth((id(one), have), nth, asked, every)

    def least_of_more(self, one: Served, have: frozenset[str], nth: int) -> float:
        """What the nth of them costs, or at least; endless where there are fewer."""
        return self._least_of((id(one), have), one, nth)

    def _nth(
        self,
        beside: _Beside,
        nth: int,
        asked: Callable[[Sequence[Served]], Found],
        every: Iterable[Earlier],
    ) -> Served | None:
        known = self._others.setdefault(beside, [])
        while len(known) <= nth and beside not in self._has_all_others:
            found = asked(known)
            self._taken(found)
            if found.served is None:
                self._has_all_others.add(beside)
            else:
                known.append(found.served)
                self._compare(found.served, every)
        return known[nth] if nth < len(known) else None

    def _least_of(self, beside: _Beside, one: Served, nth: int) -> float:
        known = self._others.get(beside, ())
        if nth < len(known):
            return max(one.usd, known[nth].usd)
        if beside in self._has_all_others:
            return math.inf
        return max(one.usd, known[-1].usd) if known else one.usd

    def learn(self, earlier: Earlier) -> None:
        """One more of the plans before."""
        every = (one for others in self._others.values() for one in others)
        for one in (*self.known, *every):
            if earlier.is_in(one.uses, self.asked.workloads):
                self._contained[id(one)] |= 1 << earlier.bit

    def _compare(self, one: Served, every: Iterable[Earlier]) -> None:
        mine = self.asked.workloads
        bits = (1 << earlier.bit for earlier in every if earlier.is_in(one.uses, mine))
        self._contained[id(one)] = sum(bits)
