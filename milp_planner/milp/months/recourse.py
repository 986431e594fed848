"""The least rent of a month for what commitments leave, exact for every committed capacity C.

    R(C) = min over steps D of held rentals:  d_D + S(C + D),    S(X) = Σ_t h_t E(λ_t − X)

with d and E the staircases of held and elastic rentals (`curves/staircase.py`): S falls in steps,
so that it is tabulated once for all C and D.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.curve import SLACK
from milp_planner.milp.curves.staircase import Kind, Staircase, units_of
from milp_planner.milp.months.records import MonthsFuture, MonthsOutlook, Rental

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NOISE = 1e-12
"""Of the largest load: the last digits of sums of capacities."""

MOST_AT_ONCE = 200_000
"""Capacities times groups of held steps that are looked at together."""


@dataclass(frozen=True)
class Steps:
    """The cheapest fleets of some rentals: what they carry, and USD, both rising."""

    rentals: tuple[Rental, ...]
    capacity: Floats
    usd: Floats
    stairs: Staircase

    def units(self, step: int) -> dict[int, int]:
        """How many of which rental a step is made of, by its number."""
        return units_of(self.stairs.steps[step])

    @classmethod
    def of(cls, rentals: Sequence[Rental], usd: Sequence[float], most: float) -> Steps:
        """All steps up to `most` requests/s, exactly; raises OutOfTime when time is up."""
        carries = [Fraction(rental.carries) for rental in rentals]
        costs = [Fraction(amount) for amount in usd]
        capacity_unit = Fraction(1, math.lcm(*(c.denominator for c in carries)))
        usd_unit = Fraction(1, math.lcm(*(c.denominator for c in costs)))
        kinds = [
            Kind(int(c / capacity_unit), int(u / usd_unit), rental.gpus)
            for c, u, rental in zip(carries, costs, rentals, strict=True)
        ]
        stairs = Staircase.of(kinds, math.ceil(Fraction(most) / capacity_unit))
        return cls(
            tuple(rentals),
            np.array([float(step.capacity * capacity_unit) for step in stairs.steps]),
            np.array([float(step.cost * usd_unit) for step in stairs.steps]),
            stairs,
        )


@dataclass(frozen=True)
class Market:
    """The rentals of a future at the prices of its first month, or of one after the horizon."""

    held: Steps
    elastic: Steps


class MonthRecourse:
    """R of one future and month."""

    def __init__(
        self, market: Market, hours: Sequence[float], loads: Sequence[float], price: float
    ) -> None:
        self.market, self.price = market, price
        slack = 1 - float(SLACK)
        self.loads = np.array([load * slack for load in loads])
        self.hours = np.array(hours)
        self.noise = NOISE * max(1.0, float(self.loads.max(initial=0.0)))
        edges = np.subtract.outer(self.loads, market.elastic.capacity).ravel()
        self.edges = np.unique(np.append(edges[edges > 0], 0.0))
        self.elastic_usd = self._elastic(self.edges)
        enough = np.searchsorted(market.held.capacity, self.edges[-1], side="left") + 1
        self.steps = min(int(enough), len(market.held.usd))  # more are of no use
        self.size = max(1, math.isqrt(self.steps))
        self.firsts = np.arange(0, self.steps, self.size)
        self._table: tuple[Floats, Floats] | None = None

    def _step_for(self, lacking: Floats) -> NDArray[np.intp]:
        """The elastic step that carries so much; one beyond the last where none does."""
        found: NDArray[np.intp] = np.searchsorted(
            self.market.elastic.capacity, lacking - self.noise, side="left"
        )
        return found

    def _elastic(self, carried: Floats) -> Floats:
        usd = np.append(self.market.elastic.usd, np.inf)
        total = np.zeros(len(carried))
        for load, hours in zip(self.loads, self.hours, strict=True):
            if hours > 0 and load > 0:
                total += hours * usd[self._step_for(load - carried)]
        return total

    def _released(self, carried: Floats) -> Floats:
        """S, USD: what elastic rentals cost beside so much that is bound or held."""
        at = np.searchsorted(self.edges, carried + self.noise, side="right") - 1
        usd: Floats = self.elastic_usd[at]
        return usd

    def _cheapest(self, carried: Floats) -> tuple[Floats, NDArray[np.intp]]:
        """USD at the prices of the first month, and which held step: the first of the cheapest.

        d rises from step to step and S falls: the steps of a group cost at least d of its first and
        S of its last one, so that few groups are looked into.
        """
        usd = np.empty(len(carried))
        steps = np.empty(len(carried), dtype=np.intp)
        each = max(1, MOST_AT_ONCE // len(self.firsts))
        for start in range(0, len(carried), each):
            some = slice(start, start + each)
            usd[some], steps[some] = self._cheapest_of(carried[some])
        return usd, steps

    def _cheapest_of(self, carried: Floats) -> tuple[Floats, NDArray[np.intp]]:
        held, size = self.market.held, self.size
        lasts = np.minimum(self.firsts + size, self.steps) - 1
        after = self._released(np.add.outer(carried, held.capacity[lasts]))
        most = (held.usd[lasts] + after).min(axis=1)
        rows, groups = np.nonzero(held.usd[self.firsts] + after <= most[:, np.newaxis])
        among = np.add.outer(self.firsts[groups], np.arange(size))
        among = np.minimum(among, self.steps - 1)
        found = held.usd[among] + self._released(
            carried[rows][:, np.newaxis] + held.capacity[among]
        )
        best = found.argmin(axis=1)
        best_usd = found[np.arange(len(best)), best]
        begins = np.searchsorted(rows, np.arange(len(carried)))
        usd = np.minimum.reduceat(best_usd, begins)
        is_least = best_usd == usd[rows]
        firsts = np.searchsorted(rows[is_least], np.arange(len(carried)))
        return usd, among[np.arange(len(best)), best][is_least][firsts]

    def usd(self, carried: Floats) -> Floats:
        """R at each committed capacity; infinite where no rentals carry the rest."""
        return self.price * self._cheapest(carried)[0]

    def tabulated(self, points: Floats) -> Floats:
        """The same, kept for the next one who asks at the same points."""
        if self._table is None or not np.array_equal(self._table[0], points):
            self._table = points, self.usd(points)
        return self._table[1]

    def rented(self, carried: float) -> tuple[dict[int, int], tuple[dict[int, int], ...]]:
        """What is rented beside so much: held units, and elastic ones by block."""
        held = self.market.held
        at = int(self._cheapest(np.array([carried]))[1][0])
        left = self.loads - carried - held.capacity[at]
        blocks = tuple(
            self.market.elastic.units(int(step)) if load > 0 else {}
            for step, load in zip(self._step_for(left), self.loads, strict=True)
        )
        return held.units(at), blocks


def recourses_of(outlook: MonthsOutlook) -> list[list[MonthRecourse]]:
    """R by future and month; the months after the horizon are as its last, at their prices.

    Raises OutOfTime when time is up."""
    most = max(max(loads, default=0.0) for f in outlook.futures for loads in f.loads)

    @cache
    def steps(priced: Priced) -> Steps:
        return Steps.of([rental for rental, _ in priced], [usd for _, usd in priced], most)

    @cache
    def market(prices: tuple[float | None, ...], after: float | None) -> Market:
        return Market(*map(steps, _held_and_elastic(outlook, prices, after)))

    def of_month(future: MonthsFuture, i: int) -> MonthRecourse:
        check()
        loads, price = future.loads[min(i, outlook.months - 1)], outlook.price_trend**i
        after = price if i >= outlook.months else None
        return MonthRecourse(market(future.prices, after), outlook.hours, loads, price)

    return [[of_month(f, i) for i in range(outlook.all_months)] for f in outlook.futures]


Priced = tuple[tuple[Rental, float], ...]
"""Rentals, each with its price."""


def _held_and_elastic(
    outlook: MonthsOutlook, prices: Sequence[float | None], after: float | None
) -> tuple[Priced, Priced]:
    """USD a month for what is held, USD an hour for what is not, in the first month's prices.

    after: what prices are multiplied by once the horizon is over; terms are not.
    """
    pairs = zip(outlook.rentals, prices, strict=True)
    priced = [(rental, times) for rental, times in pairs if times is not None]
    if after is not None:
        priced += [
            (Rental(k.name, k.carries, k.usd_per_month, 1.0), 1 / after)
            for k in outlook.terms
            if k.most is None
        ]
    held = ((r, r.usd_per_hour * r.hours * by) for r, by in priced if r.hours is not None)
    elastic = ((r, r.usd_per_hour * by) for r, by in priced if r.hours is None)
    return tuple(held), tuple(elastic)
