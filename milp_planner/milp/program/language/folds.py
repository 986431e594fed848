"""Elastic units of a workload, folded into a step function of the capacity that it holds.

Units that are elastic and belong to one workload carry in each block what its held units cannot.
With e(x) the least USD/h of elastic units that carry x requests/s,

    E(C) = Σ_t h_t e(max(0, D_t - C))        [USD/month]

is what they cost beside a held capacity of C: it falls in steps, at D_t less what some cheapest
elastic fleet carries. One binary for each step stands in a program for all their units in all
blocks, and its linear relaxation is far nearer to whole units than that of block after block.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from milp_planner.candidates.records import Candidate
from milp_planner.lazily import dataclass
from milp_planner.plans.records import SNAP

DIGITS = 12
"""Sums of the same numbers in another order agree to so many digits."""


class Item(NamedTuple):
    """An elastic unit."""

    candidate: Candidate
    rate: float
    """Requests/s that it may carry at most."""

    usd_per_hour: float


class ElasticFleet(NamedTuple):
    """Elastic units that carry more than any for less money."""

    rate: float
    usd_per_hour: float
    units: tuple[tuple[Candidate, int], ...]


class HeldStep(NamedTuple):
    """From here on the elastic units cost less."""

    held: float
    """Held capacity, requests/s."""

    fleets: tuple[int, ...]
    """The elastic fleet in each busy block, by its number."""


@dataclass(frozen=True)
class ElasticFold:
    """What elastic units cost a workload, by the capacity that it holds."""

    workload: str
    peaks: Mapping[int, float]
    """Requests/s in each busy block."""

    fleets: tuple[ElasticFleet, ...]
    """The cheapest ones, from none at all up to one that carries the highest peak alone."""

    steps: tuple[HeldStep, ...]

    @property
    def highest(self) -> float:
        """D̂, the highest peak, requests/s."""
        return max(self.peaks.values())

    @property
    def candidates(self) -> Iterator[Candidate]:
        """Every elastic candidate that some cheapest fleet has, once."""
        yield from dict.fromkeys(k for fleet in self.fleets for k, _ in fleet.units)

    @property
    def step_to_peak(self) -> Iterator[int]:
        """For each peak the first step whose held capacity carries it, with no elastic unit."""
        slack = SNAP * self.highest
        starts = [step.held for step in self.steps]
        for peak in sorted(set(self.peaks.values())):
            yield bisect_left(starts, peak - slack)

    def step_at(self, held: float) -> int:
        """The step that a held capacity is on."""
        starts = [step.held for step in self.steps]
        return bisect_right(starts, held + SNAP * self.highest) - 1

    def units_at(self, number: int) -> Iterator[tuple[Candidate, int, int]]:
        """(candidate, block, units) of the elastic units on a step."""
        for t, fleet in zip(self.peaks, self.steps[number].fleets, strict=True):
            for k, units in self.fleets[fleet].units:
                yield k, t, units


def folded(workload: str, items: Sequence[Item], peaks: Mapping[int, float]) -> ElasticFold:
    """The step function of a workload with peaks in these blocks, requests/s."""
    fleets = tuple(cheapest_fleets(items, max(peaks.values())))
    return ElasticFold(workload, dict(peaks), fleets, tuple(_steps(fleets, peaks)))


def cheapest_fleets(items: Iterable[Item], most: float) -> Iterator[ElasticFleet]:
    """Fleets that nothing as cheap carries as much as, up to the first that carries `most`.

    The cheapest first: what is left of such a fleet without one of its units is such a fleet too,
    so that each is one of those before and one unit more.
    """
    worth_having = list(_worth_having(items, most))
    waiting: list[tuple[float, float, tuple[int, ...]]] = [(0.0, 0.0, (0,) * len(worth_having))]
    known: set[tuple[float, float]] = set()
    carried = -1.0
    while waiting and carried < most * (1 - SNAP):
        usd, less, counts = heapq.heappop(waiting)
        if -less <= carried + SNAP * most:
            continue
        carried = -less
        units = tuple((i.candidate, n) for i, n in zip(worth_having, counts, strict=True) if n)
        yield ElasticFleet(carried, usd, units)
        for i, item in enumerate(worth_having):
            more = min(most, carried + item.rate), usd + item.usd_per_hour
            seen = round(more[0] / most, DIGITS), round(more[1], DIGITS)
            if seen not in known:
                known.add(seen)
                grown = (*counts[:i], counts[i] + 1, *counts[i + 1 :])
                heapq.heappush(waiting, (more[1], -more[0], grown))


def _worth_having(items: Iterable[Item], most: float) -> Iterator[Item]:
    """Items that carry more than any that is as cheap, as far as anything has to be carried."""
    carried = 0.0
    for item in sorted(items, key=lambda i: (i.usd_per_hour, -i.rate, i.candidate.order)):
        if min(item.rate, most) > carried * (1 + SNAP):
            carried = min(item.rate, most)
            yield item


def _steps(fleets: Sequence[ElasticFleet], peaks: Mapping[int, float]) -> Iterator[HeldStep]:
    """Where the cost falls: at each peak less what some fleet carries, if that is above nothing."""
    highest = max(peaks.values())
    falls = sorted(
        (max(0.0, peak - fleet.rate), -i, number)
        for number, peak in enumerate(peaks.values())
        for i, fleet in enumerate(fleets)
    )
    now, start = [len(fleets)] * len(peaks), 0.0
    for held, less, number in falls:
        if -less < now[number]:
            if held > start + SNAP * highest:
                yield HeldStep(start, tuple(now))
                start = held
            now[number] = -less
    yield HeldStep(start, tuple(now))
