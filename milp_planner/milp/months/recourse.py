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


@dataclass(frozen=True)
class Steps:
    """The cheapest fleets of some rentals: what they carry, and USD, both rising."""

    rentals: tuple[Rental, ...]
    capacity: Floats
    usd: Floats
    units: tuple[dict[int, int], ...]

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
            tuple(units_of(step) for step in stairs.steps),
        )


@dataclass(frozen=True)
class Market:
    """The rentals of a future at the prices of its first month, or of one after the horizon."""

    held: Steps
    elastic: Steps

    @classmethod
    def of(
        cls,
        outlook: MonthsOutlook,
        prices: Sequence[float | None],
        most: float,
        after: float | None,
    ) -> Market:
        """USD a month for what is held, USD an hour for what is not.

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
        held = [(r, r.usd_per_hour * r.hours * by) for r, by in priced if r.hours is not None]
        elastic = [(r, r.usd_per_hour * by) for r, by in priced if r.hours is None]
        return cls(
            Steps.of([r for r, _ in held], [usd for _, usd in held], most),
            Steps.of([r for r, _ in elastic], [usd for _, usd in elastic], most),
        )


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

    def _by_held(self, carried: Floats) -> Floats:
        """(carried, held steps): USD at the prices of the first month."""
        all_of_it = np.add.outer(carried, self.market.held.capacity)
        at = np.searchsorted(self.edges, all_of_it + self.noise, side="right") - 1
        by_held: Floats = self.market.held.usd + self.elastic_usd[at]
        return by_held

    def usd(self, carried: Floats) -> Floats:
        """R at each committed capacity; infinite where no rentals carry the rest."""
        found: Floats = self.price * self._by_held(carried).min(axis=1)
        return found

    def rented(self, carried: float) -> tuple[dict[int, int], tuple[dict[int, int], ...]]:
        """What is rented beside so much: held units, and elastic ones by block."""
        at = int(self._by_held(np.array([carried])).argmin())
        held = self.market.held
        left = self.loads - carried - held.capacity[at]
        blocks = tuple(
            dict(self.market.elastic.units[step]) if load > 0 else {}
            for step, load in zip(self._step_for(left), self.loads, strict=True)
        )
        return dict(held.units[at]), blocks


def recourses_of(outlook: MonthsOutlook) -> list[list[MonthRecourse]]:
    """R by future and month; the months after the horizon are as its last, at their prices.

    Raises OutOfTime when time is up."""
    most = max(max(loads, default=0.0) for f in outlook.futures for loads in f.loads)

    @cache
    def market(prices: tuple[float | None, ...], after: float | None) -> Market:
        return Market.of(outlook, prices, most, after)

    def of_month(future: MonthsFuture, i: int) -> MonthRecourse:
        check()
        loads, price = future.loads[min(i, outlook.months - 1)], outlook.price_trend**i
        after = price if i >= outlook.months else None
        return MonthRecourse(market(future.prices, after), outlook.hours, loads, price)

    return [[of_month(f, i) for i in range(outlook.all_months)] for f in outlook.futures]
