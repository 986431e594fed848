"""The least that a workload costs where every link has a price, and the fleets near to that.

    φ(π) = min over fleets   Σ_k (H c_k + Σ_r π_r g_rk) n_k + Σ_kt (h_t c_k + Σ_r π_r g_rkt) n_kt

Held units first, as in `curve.py`: once they are known every block takes the cheapest elastic units
that carry the rest. For any prices π ≥ 0 no plan costs less than Σ_w φ_w(π) − Σ_r π_r Q_r, Q_r what
there is of a link (Lagrange).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import count
from typing import NamedTuple

from milp_planner.candidates.records import Candidate
from milp_planner.deadline import check, checked
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.curve import SLACK, unit_of
from milp_planner.milp.curves.linked.reading import LinkedCover, Unit
from milp_planner.milp.curves.staircase import Kind, Staircase, Step, units_of

PRICE_UNIT = Fraction(1, 1 << 20)
"""USD that prices are whole multiples of, so that all sums are exact."""

Prices = Mapping[int, int]
"""What one of each link costs, in units of prices, by the number of the link; none of 0."""

MOST_HELD = 8
"""Fleets near the cheapest that are looked at, each with as much held as no other."""

MOST_HELD_TRIED, MOST_TRIED = 10_000, 300
"""Numbers of units that are tried in one search for fleets near the cheapest: of held ones, and of
those of a block."""


class TooMany(Exception):
    """There is more to list than this is quick at."""


class Choice(NamedTuple):
    """Some units of a workload: those held, or those of one block."""

    units: tuple[tuple[int, int], ...]
    """(kind, how many), by kind."""

    carries: int
    usd: float
    uses: Mapping[int, float]
    """What they take of each link."""


class Whole(NamedTuple):
    """Held units, with the elastic ones of each block."""

    value: int
    """What they cost at the prices."""

    held: Step
    elastic: Mapping[int, Step]


@dataclass(frozen=True)
class PricedCover:
    """φ of one workload."""

    cover: LinkedCover

    @cached_property
    def capacity_unit(self) -> Fraction:
        """requests/s that capacities count in."""
        rates = (unit.carries for unit in self._all_units())
        return unit_of([*rates, *self.cover.peaks.values()])

    @cached_property
    def usd_unit(self) -> Fraction:
        """USD per month that costs count in, with prices or without."""
        costs = [unit.usd for unit in self._all_units()]
        taken = [PRICE_UNIT * one for unit in self._all_units() for one in unit.uses.values()]
        return unit_of([*costs, *dict.fromkeys(taken)])

    @cached_property
    def needs(self) -> Mapping[int, int]:
        """What carries the peak of each block, in units of capacity."""
        least = {t: peak * (1 - SLACK) for t, peak in self.cover.peaks.items()}
        return {t: math.ceil(capacity / self.capacity_unit) for t, capacity in least.items()}

    def at(self, prices: Prices) -> PricedAt:
        """The workload at these prices. Raises OutOfTime when time is up."""
        held = self._stairs(self.held, prices)
        elastic: dict[int, Stairs] = {}
        known: dict[tuple[Kind, ...], Stairs] = {}
        for t, units in self.elastic.items():
            kinds = self._kinds(units, prices)
            if kinds not in known:
                check()
                known[kinds] = Stairs.of(kinds, self.most)
            elastic[t] = known[kinds]
        return PricedAt(self, held, elastic)

    @cached_property
    def most(self) -> int:
        """The most that is asked for, in units of capacity."""
        return max(self.needs.values(), default=0)

    @cached_property
    def held(self) -> tuple[Counted, ...]:
        """The held units in whole numbers."""
        return tuple(map(self._counted, self.cover.held))

    @cached_property
    def elastic(self) -> Mapping[int, tuple[Counted, ...]]:
        """The elastic units of each block in whole numbers."""
        return {t: tuple(map(self._counted, units)) for t, units in self.cover.elastic.items()}

    def choice(self, step: Step | Mapping[int, int], t: int | None) -> Choice:
        """Units as they are without prices; those of a block, or the held ones for None."""
        numbers = step if isinstance(step, Mapping) else units_of(step)
        kinds = self.held if t is None else self.elastic[t]
        uses: dict[int, float] = {}
        for i, n in numbers.items():
            for link, taken in kinds[i].unit.uses.items():
                uses[link] = uses.get(link, 0.0) + float(taken) * n
        return Choice(
            tuple(sorted(numbers.items())),
            sum(kinds[i].capacity * n for i, n in numbers.items()),
            float(sum(kinds[i].cost * n for i, n in numbers.items()) * self.usd_unit),
            uses,
        )

    def _all_units(self) -> Iterator[Unit]:
        yield from self.cover.held
        for units in self.cover.elastic.values():
            yield from units

    def _counted(self, unit: Unit) -> Counted:
        taken = {r: int(PRICE_UNIT * one / self.usd_unit) for r, one in unit.uses.items()}
        return Counted(
            unit, int(unit.carries / self.capacity_unit), int(unit.usd / self.usd_unit), taken
        )

    def _kinds(self, units: Iterable[Counted], prices: Prices) -> tuple[Kind, ...]:
        return tuple(
            Kind(one.capacity, one.priced(prices), one.unit.candidate.gpus_per_unit)
            for one in units
        )

    def _stairs(self, units: Iterable[Counted], prices: Prices) -> Stairs:
        return Stairs.of(self._kinds(units, prices), self.most)


class Counted(NamedTuple):
    """A unit in whole numbers."""

    unit: Unit
    capacity: int
    cost: int
    taken: Mapping[int, int]
    """What one costs at a price of one unit of prices for each link."""

    def priced(self, prices: Prices) -> int:
        """What one costs at prices."""
        return self.cost + sum(one * prices.get(link, 0) for link, one in self.taken.items())


@dataclass(frozen=True)
class Stairs:
    """The staircase of the kinds that none of the others carries as much as for less."""

    kinds: tuple[Kind, ...]
    kept: tuple[int, ...]
    stairs: Staircase

    @classmethod
    def of(cls, kinds: Sequence[Kind], most: int) -> Stairs:
        """Of all of them. Raises OutOfTime when time is up."""
        return cls.among(kinds, range(len(kinds)), most)

    @classmethod
    def among(cls, kinds: Sequence[Kind], numbers: Iterable[int], most: int) -> Stairs:
        """Of those with these numbers. Raises OutOfTime when time is up."""
        kept: list[int] = []
        for i in sorted(numbers, key=lambda i: (kinds[i].cost, -kinds[i].capacity, i)):
            if not any(_does_it_all(kinds[j], kinds[i], most) for j in kept):
                kept.append(i)
        return cls(tuple(kinds), tuple(kept), Staircase.of([kinds[i] for i in kept], most))

    def units(self, step: Step) -> dict[int, int]:
        """Units of a fleet, by kind."""
        return {self.kept[i]: n for i, n in units_of(step).items()}

    def least(self, capacity: int) -> int | None:
        """The least cost of carrying so much; None where nothing does."""
        step = self.stairs.reaching(capacity)
        return None if step is None else step.cost

    def broken(self) -> Iterator[str]:
        """What keeps the list from being proven: nothing, where it is right."""
        kept = [self.kinds[i] for i in self.kept]
        for i, kind in enumerate(self.kinds):
            if i not in self.kept and not any(
                _does_it_all(other, kind, self.stairs.most) for other in kept
            ):
                yield f"kind {i} is left out and nothing does all that it does"
        yield from self.stairs.broken()

    def fleets(self, capacity: int, within: int, most_tried: int) -> Iterator[dict[int, int]]:
        """Fleets, by kind, that carry so much for at most `within`, with no unit too many; of many
        only those that are come upon first."""
        order = sorted(
            range(len(self.kinds)), key=lambda i: self.kinds[i].cost / self.kinds[i].capacity
        )
        tried = count()

        def more(at: int, left: int, usd: int, units: dict[int, int]) -> Iterator[dict[int, int]]:
            if left <= 0:
                yield {i: n for i, n in units.items() if n}
                return
            least = self.least(left)
            if at == len(order) or least is None or usd + least > within:
                return
            kind = self.kinds[order[at]]  # of those left none is cheaper for what it carries
            if left * kind.cost > (within - usd) * kind.capacity:
                return
            for n in range(-(-left // kind.capacity), -1, -1):
                paid = usd + n * kind.cost
                if paid <= within and next(tried) < most_tried:
                    beyond = left - n * kind.capacity
                    yield from more(at + 1, beyond, paid, {**units, order[at]: n})

        yield from more(0, capacity, 0, {})


def _does_it_all(one: Kind, other: Kind, most: int) -> bool:
    """True where units of one kind carry what a unit of the other does, for no more."""
    count = -(-min(other.capacity, most) // one.capacity)
    return count * one.cost <= other.cost


class Rest(NamedTuple):
    """A step of held units, with the least that each block adds; None for blocks that lack some."""

    step: Step
    blocks: Mapping[int, int | None]
    usd: int
    """All that is known."""

    lacking: int

    @classmethod
    def of(cls, at: PricedAt, step: Step, more: int = 0) -> Rest:
        """Of a step and so much more capacity."""
        blocks = {
            t: at.elastic[t].least(need - step.capacity - more) for t, need in at.of.needs.items()
        }
        paid = [usd for usd in blocks.values() if usd is not None]
        return cls(step, blocks, step.cost + sum(paid), len(blocks) - len(paid))

    def within(self, usd: int) -> bool:
        """True where all of it costs at most so much."""
        return not self.lacking and self.usd <= usd

    def besides(self, t: int) -> int | None:
        """What all but one block costs; None where another lacks something."""
        own = self.blocks[t]
        if self.lacking > (own is None):
            return None
        return self.usd - (own or 0)


@dataclass(frozen=True)
class PricedAt:
    """A workload at prices."""

    of: PricedCover
    held: Stairs
    elastic: Mapping[int, Stairs]

    @cached_property
    def cheapest(self) -> Sequence[Whole]:
        """The cheapest whole fleets, each of other held units, the cheapest first; none where no
        fleet carries the load."""
        found: list[Whole] = []
        for held in checked(self.held.stairs.steps):
            most = found[MOST_HELD - 1].value if len(found) >= MOST_HELD else None
            if most is not None and held.cost >= most:
                break
            whole = self._with_held(held, most)
            if whole is not None:
                found = sorted([*found, whole], key=lambda one: one.value)[:MOST_HELD]
        return found

    @property
    def least_usd(self) -> Fraction | None:
        """φ, USD per month; None where no fleet carries the load."""
        return self.cheapest[0].value * self.of.usd_unit if self.cheapest else None

    def _with_held(self, held: Step, below: int | None) -> Whole | None:
        value, elastic = held.cost, {}
        for t, need in self.of.needs.items():
            step = self.elastic[t].stairs.reaching(need - held.capacity)
            if step is None:
                return None
            value += step.cost
            if below is not None and value >= below:
                return None
            elastic[t] = step
        return Whole(value, held, elastic)

    def near(self, usd: float) -> Iterator[tuple[int | None, Choice]]:
        """Choices of fleets that cost at most so much more than the cheapest: (block, elastic
        units), or (None, held ones)."""
        room = int(Fraction(usd) / self.of.usd_unit)
        for whole in self.cheapest:
            left = room - (whole.value - self.cheapest[0].value)
            if left < 0:
                break
            held = self.of.choice(self.held.units(whole.held), None)
            yield None, held
            within = whole.held.cost + left
            for units in self.held.fleets(whole.held.capacity, within, MOST_HELD_TRIED):
                yield None, self.of.choice(units, None)
            for t, step in whole.elastic.items():
                stairs, need = self.elastic[t], self.of.needs[t] - held.carries
                yield t, self.of.choice(stairs.units(step), t)
                check()
                for units in stairs.fleets(need, step.cost + left, MOST_TRIED):
                    yield t, self.of.choice(units, t)

    def used_within(self, usd: Fraction) -> Iterator[Candidate]:
        """The candidates that some fleet uses which costs at most so much more than the cheapest.

        Held units beside one of a kind are no less than a step that carries as much; so are elastic
        ones.
        """
        if not self.cheapest:
            return
        most = self.cheapest[0].value + math.floor(usd / self.of.usd_unit)
        steps = [step for step in self.held.stairs.steps if step.cost <= most]
        for one, kind in zip(self.of.held, self.held.kinds, strict=True):
            room = most - kind.cost
            beside = (Rest.of(self, step, one.capacity) for step in checked(steps))
            if any(rest.within(room) for rest in beside):
                yield one.unit.candidate
        rests = [Rest.of(self, step) for step in checked(steps)]
        for t, units in self.of.elastic.items():
            stairs, need = self.elastic[t], self.of.needs[t]
            others = [(rest.step, paid) for rest in rests if (paid := rest.besides(t)) is not None]
            for one, kind in checked(zip(units, stairs.kinds, strict=True)):
                room = most - kind.cost
                for step, paid in others:
                    least = stairs.least(need - step.capacity - one.capacity)
                    if least is not None and paid + least <= room:
                        yield one.unit.candidate
                        break

    def broken(self) -> Iterator[str]:
        """What keeps φ from being proven; nothing, where it is right."""
        yield from self.held.broken()
        for stairs in {id(stairs): stairs for stairs in self.elastic.values()}.values():
            yield from stairs.broken()
