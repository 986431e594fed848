"""The least that a workload costs which nothing links, for every share of its load: no solver.

    φ(s) = min over steps b of held units:  H_b + Σ_t h_t E(s λ_t − C_b)

with H and E the staircases of held and of elastic units, and C_b what is held. Exact: once it is
known what is held, every block takes the cheapest elastic units that carry the rest, whatever the
others take; and of what is held only what it carries matters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property

from milp_planner.candidates.records import Candidate
from milp_planner.deadline import checked
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.covering import Cover
from milp_planner.milp.curves.staircase import Kind, Staircase, Step, units_of
from milp_planner.plans.records import SNAP

SLACK = Fraction(SNAP)
"""Share of a load that units may lack and still carry it: nine digits of floats."""

ALL = Fraction(1)


@dataclass(frozen=True)
class Priced:
    """The cheapest fleet that carries a share of every peak."""

    usd_per_month: Fraction
    held: Step
    elastic: Mapping[int, Step]
    """By block."""

    reach: Fraction
    """The share that it carries, at most 1: up to it nothing else is cheaper."""


@dataclass(frozen=True)
class Curve:
    """φ of one workload."""

    cover: Cover
    capacity_unit: Fraction
    """requests/s that the staircases count in, ..."""

    usd_unit: Fraction
    """... and USD per month, ..."""

    hour_unit: Fraction
    """... and hours."""

    held: Staircase
    elastic: Staircase
    hours: Mapping[int, int]

    @classmethod
    def of(cls, cover: Cover) -> Curve:
        """The curve of a workload; raises OutOfTime when time is up."""
        capacity = unit_of([*cover.carries.values(), *cover.peaks.values()])
        hour = unit_of([*cover.hours.values(), *cover.hours_held.values()])
        per_hour = unit_of(cover.usd_per_hour.values())
        most = max((math.ceil(peak / capacity) for peak in cover.peaks.values()), default=0)

        def kind(k: Candidate, hours: int) -> Kind:
            usd = int(cover.usd_per_hour[k] / per_hour) * hours
            return Kind(int(cover.carries[k] / capacity), usd, k.gpus_per_unit)

        held = [kind(k, int(cover.hours_held[k] / hour)) for k in cover.held]
        elastic = [kind(k, 1) for k in cover.elastic]
        hours = {t: int(there / hour) for t, there in cover.hours.items()}
        return cls(
            *(cover, capacity, per_hour * hour, hour),
            *(Staircase.of(held, most), Staircase.of(elastic, most)),
            hours,
        )

    def least(self, share: Fraction = ALL) -> Priced | None:
        """φ(share) and its fleet; None where no fleet carries as much."""
        needs = self.needs_for(share)
        best: tuple[int, Step, dict[int, Step]] | None = None
        for held in checked(self.held.steps):
            if best is not None and held.cost >= best[0]:
                break
            found = self._with_held(held, needs, None if best is None else best[0])
            best = found or best
        if best is None:
            return None
        _, held, elastic = best
        return self.priced(held, elastic)

    def priced(self, held: Step, elastic: Mapping[int, Step]) -> Priced:
        """The fleet of one step of held units, and one of elastic ones in each block."""
        cost = held.cost + sum(self.hours[t] * step.cost for t, step in elastic.items())
        return Priced(cost * self.usd_unit, held, elastic, self._reach(held, elastic))

    def _with_held(
        self, held: Step, needs: Mapping[int, int], below: int | None
    ) -> tuple[int, Step, dict[int, Step]] | None:
        """The cheapest fleet with these held units; None where it is not cheaper than `below`."""
        cost, elastic = held.cost, {}
        for t, need in needs.items():
            step = self.elastic.reaching(need - held.capacity)
            if step is None:
                return None
            cost += self.hours[t] * step.cost
            if below is not None and cost >= below:
                return None
            elastic[t] = step
        return cost, held, elastic

    @cached_property
    def peaks(self) -> Mapping[int, int]:
        """The peak of each block, in units of capacity."""
        return {t: int(peak / self.capacity_unit) for t, peak in self.cover.peaks.items()}

    @cached_property
    def needs(self) -> Mapping[int, int]:
        """What carries the peak of each block, in units of capacity."""
        return self.needs_for(ALL)

    def needs_for(self, share: Fraction) -> Mapping[int, int]:
        """What carries a share of the peak of each block, in units of capacity."""
        part = share * (1 - SLACK)
        up, down = part.numerator, part.denominator
        return {t: -(-peak * up // down) for t, peak in self.peaks.items()}

    def lacking(self, t: int, capacity: int) -> float:
        """The share of the peak of a block that so much capacity does not carry."""
        return 0.0 if capacity >= self.needs[t] else (self.peaks[t] - capacity) / self.peaks[t]

    def _reach(self, held: Step, elastic: Mapping[int, Step]) -> Fraction:
        carried = (
            Fraction(held.capacity + step.capacity, self.peaks[t]) for t, step in elastic.items()
        )
        return min(ALL, min(carried, default=ALL) / (1 - SLACK))

    def units(self, priced: Priced, blocks: int) -> Iterator[tuple[Candidate, tuple[int, ...]]]:
        """Units on in each of so many blocks, by candidate."""
        for i, n in units_of(priced.held).items():
            k = self.cover.held[i]
            on = self.hours if k in self.cover.resting else range(blocks)
            yield k, tuple(n if t in on else 0 for t in range(blocks))
        rows: dict[int, list[int]] = {}
        for t, step in priced.elastic.items():
            for i, n in units_of(step).items():
                rows.setdefault(i, [0] * blocks)[t] = n
        for i, row in rows.items():
            yield self.cover.elastic[i], tuple(row)

    @cached_property
    def broken(self) -> tuple[str, ...]:
        """What keeps φ from being proven, by the check of its staircases; nothing, where right."""
        return (*self.held.broken(), *self.elastic.broken())


def unit_of(values: Iterable[Fraction]) -> Fraction:
    """The largest fraction 1 ÷ n that all of these are whole multiples of."""
    return Fraction(1, math.lcm(*(value.denominator for value in values)))
