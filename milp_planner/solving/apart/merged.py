"""The best plan that no earlier one rules out, put together of lists of parts that nothing links.

A part is a group of workloads. Its list has, the cheapest first, its best plan, the best that has
another set of names and contains none before it, and so on. Whatever serves a part has the names of
one of the list, or contains it, and costs no less; or it costs at least what the next of the list
does. So every plan X of all belongs to a choice B, one of each list, that costs no more, and where
B may come next, none of its X need be looked at. Where it may not, two things can:

    names(B) were there     names(X) are more: beside all of B_p some X_p has a unit of a new name
    B contains E            X does not: some X_p has the names of B_p, and contains less of E_p

What has the names of B_p contains it, or the cheapest V_p that does not, or the cheapest that
contains neither, ... Where units cost their price, so X contains one V of each part and a unit of
each of its new names, and costs as much at least. All of these are looked at, the cheapest first:
one that contains an earlier plan goes with whatever contains it, and the first that does not, and
has new names, is a plan that costs no more than any X that is left. So a set of names may count
over all workloads, while a list knows those of its own. Where one more unit may cost less than its
price, each part is asked for the cheapest that contains V_p and has a new name, in place of it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass, field
from milp_planner.milp.program.exclusion import Difference, names, uses
from milp_planner.plans.records import Plan
from milp_planner.solving.apart.served import (
    SAME_USD,
    AllDearer,
    AskTheWhole,
    Earlier,
    KnownList,
    PartList,
    Served,
    Spare,
    Use,
)

MOST_LOOKED_AT = 50_000
"""Choices, and what belongs to them, for one plan; then the program of all is asked."""

Choice = tuple[int, ...]
"""One place in each list."""


class NextOfParts(NamedTuple):
    """A plan of all, by parts."""

    usd_per_month: float
    parts: tuple[Served, ...]
    spares: tuple[Spare, ...]
    """Units beside them."""


class _Out(NamedTuple):
    """What earlier plans rule out."""

    names: frozenset[frozenset[str]]
    """Sets of names that come no more."""

    bits: int
    """Plans that nothing may contain."""


class _Belonging(NamedTuple):
    """Of what belongs to a choice that is ruled out that which contains these."""

    choice: Choice
    others: Choice
    """Of each part the nth that has the names of the choice."""

    units: Choice = ()
    """Places of units in the list of those that bring a new name."""


class _Grown(NamedTuple):
    """Of what contains these that in which one part has a new name."""

    served: tuple[Served, ...]
    part: int
    nth: int
    """Of what there is of that part."""


_Next = Choice | _Belonging | _Grown


@dataclass
class Merged:
    """The lists of all parts; remembers what was looked at from one plan to the next."""

    asked: Sequence[PartList]
    difference: Difference
    _lists: list[KnownList] = field(init=False)
    _earlier: dict[int, tuple[Plan, Earlier]] = field(default_factory=dict)
    """By id, and the plan, so that no other gets that."""

    _by_uses: dict[tuple[frozenset[tuple[Use, int]], frozenset[str]], Earlier] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self._lists = [KnownList(one) for one in self.asked]

    def after(
        self,
        found: Sequence[Plan],
        pending: Sequence[Plan] = (),
        most_usd: float = math.inf,
    ) -> NextOfParts | None:
        """The best plan that these do not rule out; None where there is none.

        pending: plans that rule out only what contains them. Raises AskTheWhole, AllDearer where
        none costs as little as `most_usd`, and OutOfTime when time is up.
        """
        every = [*found, *pending]
        by_names = self.difference.name_of is not None
        out = _Out(
            frozenset(self._known(plan).names for plan in found if by_names),
            sum({1 << self._known(plan).bit for plan in every}),
        )
        for one in self._lists:
            one.asked.bring_back(every)
        while True:
            check()
            known = list(self._by_uses.values())
            look = _Look(self._lists, known, out, by_names, spares_of(self.asked))
            answer = look.answer(most_usd + 2 * SAME_USD)
            if not isinstance(answer, KnownList):
                return answer
            answer.extend(known)

    def least_usd(self) -> float:
        """What no plan costs less than: the best of each part. Raises AskTheWhole."""
        known = list(self._by_uses.values())
        for one in self._lists:
            while not one.known and one.choices:
                one.extend(known)
        return sum(one.usd_at(0) for one in self._lists)

    @property
    def is_proven(self) -> bool:
        """False where time ended before a list knew its cheapest."""
        return all(one.is_proven for one in self._lists)

    def _known(self, plan: Plan) -> Earlier:
        if id(plan) not in self._earlier:
            naming, used = self.difference.name_of, uses(plan)
            named = frozenset[str]() if naming is None else names(plan, naming)
            key = frozenset(used.items()), named
            if key not in self._by_uses:
                known = self._by_uses[key] = Earlier(len(self._by_uses), plan, named, used)
                for one in self._lists:
                    one.learn(known)
            self._earlier[id(plan)] = plan, self._by_uses[key]
        return self._earlier[id(plan)][1]


@dataclass
class _Look:
    """One look through the choices, the cheapest first, as far as the lists go."""

    lists: Sequence[KnownList]
    every: Sequence[Earlier]
    out: _Out
    by_names: bool
    spares: Sequence[Spare] | None
    """The cheapest first; None where one more may cost less than its price."""

    _heap: list[tuple[float, int, _Next]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)
    _free: dict[frozenset[str], Sequence[Spare]] = field(default_factory=dict)
    _by_use: dict[Use, list[Earlier]] | None = None

    def answer(self, most_usd: float) -> NextOfParts | KnownList | None:
        """The plan that comes next, or the list that is too short to tell; None where none does."""
        if not all(one.choices for one in self.lists):
            return None
        self._push_choice((0,) * len(self.lists))
        for _ in range(MOST_LOOKED_AT):
            if not self._heap:
                return None
            found: NextOfParts | KnownList | None
            usd, _, one = heapq.heappop(self._heap)
            if usd > most_usd:
                raise AllDearer
            if isinstance(one, _Grown):
                found = self._grown(usd, one)
            elif isinstance(one, _Belonging):
                found = self._belonging(usd, one)
            else:
                found = self._chosen(usd, one)
            if found is not None:
                return found
        raise AskTheWhole

    def _push(self, usd: float, one: _Next) -> None:
        if usd < math.inf:
            heapq.heappush(self._heap, (usd, next(self._order), one))

    def _push_choice(self, choice: Choice) -> None:
        """Of what is known and what is as cheap, at least, the first comes first."""
        pairs = list(zip(self.lists, choice, strict=True))
        is_known = all(place < len(one.known) for one, place in pairs)
        usd = sum(one.usd_at(place) for one, place in pairs)
        self._push(usd if is_known else usd + SAME_USD, choice)

    def _chosen(self, usd: float, choice: Choice) -> NextOfParts | KnownList | None:
        """The plan of a choice, where it may come next."""
        for child in _children(choice, [one.choices for one in self.lists]):
            self._push_choice(child)
        for one, place in zip(self.lists, choice, strict=True):
            if place >= len(one.known):
                return one
        served = self._served(choice)
        had_names = self.by_names and _names_of(served) in self.out.names
        if not had_names and not self._contains(served):
            return NextOfParts(usd, served, ())
        if self.by_names:  # else all that belongs to it contains it
            self._push_belonging(_Belonging(choice, (0,) * len(choice)))
        return None

    def _served(self, choice: Choice) -> tuple[Served, ...]:
        return tuple(one.known[place] for one, place in zip(self.lists, choice, strict=True))

    def _contains(self, served: Sequence[Served]) -> bool:
        bits = self.out.bits
        for known, one in zip(self.lists, served, strict=True):
            bits &= known.contained_in(one)
        return bits != 0

    # --- what belongs to a choice that is ruled out ----------------------------------------------

    def _push_belonging(self, one: _Belonging) -> None:
        self._push(self._least_of(one) + SAME_USD, one)

    def _least_of(self, one: _Belonging) -> float:
        """What it costs at least, as far as is known, with the units that it lacks."""
        chosen = self._served(one.choice)
        parts = zip(self.lists, chosen, one.others, strict=True)
        usd = sum(known.least_of_other(served, nth) for known, served, nth in parts)
        have = _names_of(chosen)
        if have in self.out.names and self.spares is not None:
            free = self._bringing_more(have)
            usd += free[0].usd if free else math.inf
        return usd

    def _belonging(self, usd: float, one: _Belonging) -> NextOfParts | None:
        """A plan that belongs to a choice, where it may come next."""
        chosen = self._served(one.choice)
        parts = list(zip(self.lists, chosen, one.others, strict=True))
        others = [known.other_at(served, nth, self.every) for known, served, nth in parts]
        served = tuple(other for other in others if other is not None)
        if len(served) < len(others):
            return None
        if one.units:
            return self._with_units(usd, one, served)
        if self._least_of(one) > usd:  # more is known than when it was put here
            self._push_belonging(one)
            return None
        for child in _children(one.others, [math.inf for _ in self.lists]):
            self._push_belonging(one._replace(others=child))
        if self._contains(served):
            return None
        usd = sum(other.usd for other in served)
        if (have := _names_of(served)) not in self.out.names:
            return NextOfParts(usd, served, ())
        if self.spares is None:
            self._push_grown(served)
        elif free := self._bringing_more(have):
            self._push(usd + free[0].usd, one._replace(units=(0,)))
        return None

    def _push_grown(self, served: tuple[Served, ...]) -> None:
        """What contains these, with a new name in one part or another."""
        for part in range(len(self.lists)):
            self._push_nth(_Grown(served, part, 0))

    def _push_nth(self, one: _Grown) -> None:
        self._push(self._least_of_grown(one) + SAME_USD, one)

    def _least_of_grown(self, one: _Grown) -> float:
        """What it costs at least, as far as is known."""
        served, usd = one.served[one.part], sum(each.usd for each in one.served)
        least = self.lists[one.part].least_of_more(served, _names_of(one.served), one.nth)
        return usd - served.usd + least

    def _grown(self, usd: float, one: _Grown) -> NextOfParts | None:
        """A plan with a new name in one part, where it may come next."""
        have, known, served = _names_of(one.served), self.lists[one.part], one.served[one.part]
        more = known.more_at(served, have, one.nth, self.every)
        if more is None:
            return None
        if self._least_of_grown(one) > usd:  # more is known than when it was put here
            self._push_nth(one)
            return None
        self._push_nth(one._replace(nth=one.nth + 1))
        grown = (*one.served[: one.part], more, *one.served[one.part + 1 :])
        if self._contains(grown):
            return None
        if _names_of(grown) in self.out.names:
            self._push_grown(grown)
            return None
        return NextOfParts(sum(each.usd for each in grown), grown, ())

    def _with_units(
        self, usd: float, one: _Belonging, served: tuple[Served, ...]
    ) -> NextOfParts | None:
        """The same with units of new names; whatever contains an earlier plan goes with it."""
        have = _names_of(served)
        free, last = self._bringing_more(have), one.units[-1]
        further = free[last + 1].usd if last + 1 < len(free) else math.inf
        self._push(usd - free[last].usd + further, one._replace(units=(*one.units[:-1], last + 1)))
        spares = tuple(free[place] for place in one.units)
        new = {spare.name for spare in spares}
        if len(new) < len(spares) or self._contains_with(served, spares):
            return None
        if have | new not in self.out.names:
            return NextOfParts(usd, served, spares)
        self._push(usd + further, one._replace(units=(*one.units, last + 1)))
        return None

    def _bringing_more(self, have: frozenset[str]) -> Sequence[Spare]:
        """Units of all other names than these, the cheapest first."""
        if have not in self._free:
            self._free[have] = [one for one in self.spares or () if one.name not in have]
        return self._free[have]

    def _contains_with(self, served: Sequence[Served], spares: Sequence[Spare]) -> bool:
        on: dict[Use, int] = {}
        for one in served:
            on |= one.uses
        for spare in spares:
            for use in spare.uses:
                on[use] = on.get(use, 0) + 1
        near = (one for spare in spares for use in spare.uses for one in self._using(use))
        return any(all(on.get(use, 0) >= n for use, n in one.uses.items()) for one in near)

    def _using(self, use: Use) -> Sequence[Earlier]:
        """The earlier plans that nothing may contain and that have such a unit: without it none of
        them is in what a unit more makes of a fleet."""
        if self._by_use is None:
            self._by_use = {}
            for one in self.every:
                if self.out.bits >> one.bit & 1:
                    for used in one.uses:
                        self._by_use.setdefault(used, []).append(one)
        return self._by_use.get(use, ())


def spares_of(asked: Sequence[PartList]) -> Sequence[Spare] | None:
    """Units of all parts, the cheapest first; None where any may cost less than its price."""
    every = [one.spares() for one in asked]
    known = [spares for spares in every if spares is not None]
    if len(known) < len(every):
        return None
    return sorted(
        (spare for spares in known for spare in spares),
        key=lambda one: (one.usd, one.name, one.candidate.id),
    )


def _names_of(served: Iterable[Served]) -> frozenset[str]:
    return frozenset[str]().union(*(one.names for one in served))


def _children(choice: Choice, sizes: Sequence[float]) -> Iterator[Choice]:
    """The choices with one further place, each of which comes from one alone."""
    last = max((i for i, at in enumerate(choice) if at), default=0)
    for i in range(last, len(choice)):
        if choice[i] + 1 < sizes[i]:
            yield (*choice[:i], choice[i] + 1, *choice[i + 1 :])
