"""What whole units of several kinds carry, and the least that costs: exact, in whole numbers.

    K(c) = min Σ_i k_i n_i,    Σ_i c_i n_i ≥ c,    n_i whole

K only rises, in steps; the list of its steps says it for every c up to the most that is asked for.
It is made by merging the list with itself shifted by 1, 2, 4 ... units of one kind after the other,
up to as many as other kinds carry for no more.
A second routine checks the list, whoever made it: one that has a step at nothing, and to every step
with one unit more a step that carries as much for no more, has by induction one for every fleet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from milp_planner.deadline import checked
from milp_planner.lazily import dataclass


class Kind(NamedTuple):
    """A kind of unit."""

    capacity: int
    cost: int
    gpus: int


class Step(NamedTuple):
    """A fleet that no other one carries as much as for less."""

    capacity: int
    """No more than the most that is asked for."""

    cost: int
    gpus: int
    below: Step | None = None
    """The fleet without the last units."""

    kind: int = 0
    units: int = 0
    """The last units: how many of which kind."""


NOTHING = Step(0, 0, 0)


@dataclass(frozen=True)
class Staircase:
    """The steps of K for capacities up to `most`, rising in capacity and in cost."""

    kinds: tuple[Kind, ...]
    most: int
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, kinds: Sequence[Kind], most: int) -> Staircase:
        """All steps; capacities and costs above 0. Raises OutOfTime when time is up."""
        steps = [NOTHING]
        for i in checked(_cheapest_first(kinds)):
            steps = with_any(steps, i, kinds[i], most)
        return cls(tuple(kinds), most, tuple(steps))

    @cached_property
    def capacities(self) -> list[int]:
        """What the steps carry, rising."""
        return [step.capacity for step in self.steps]

    def reaching(self, capacity: int) -> Step | None:
        """The cheapest fleet that carries so much; None where none does."""
        at = bisect_left(self.capacities, min(capacity, self.most)) if capacity > 0 else 0
        return self.steps[at] if at < len(self.steps) else None

    def broken(self) -> Iterator[str]:
        """What keeps the list from being proven: nothing, where it is right."""
        if not self.steps or self.steps[0].capacity or self.steps[0].cost:
            yield "no step at nothing"
        for step in self.steps:
            units = units_of(step)
            carried = sum(self.kinds[i].capacity * n for i, n in units.items())
            paid = sum(self.kinds[i].cost * n for i, n in units.items())
            if min(carried, self.most) != step.capacity or paid != step.cost:
                yield f"{units} carry {carried} for {paid}, not {step.capacity} for {step.cost}"
            for i, kind in enumerate(self.kinds):
                other = self.reaching(step.capacity + kind.capacity)
                if other is None or other.cost > step.cost + kind.cost:
                    yield f"one unit of kind {i} more than {units} is below the list"


def units_of(step: Step) -> dict[int, int]:
    """Units of a fleet, by kind."""
    units: dict[int, int] = {}
    at: Step | None = step
    while at is not None and at.units:
        units[at.kind] = units.get(at.kind, 0) + at.units
        at = at.below
    return units


def with_any(steps: list[Step], i: int, kind: Kind, most: int) -> list[Step]:
    """The steps with any number of units of a kind more; they are those of any fleet of some kinds.

    Where other fleets carry as much as some number of units for no more, fleets with as many units
    are of no use, as those others may stand in for them in each.
    """
    count, needed = 1, -(-most // kind.capacity)
    while count <= needed and not _is_needless(steps, with_units(NOTHING, i, kind, count, most)):
        steps = lowest([*steps, *(with_units(step, i, kind, count, most) for step in steps)])
        count *= 2
    return steps


def _is_needless(steps: list[Step], fleet: Step) -> bool:
    """Whether one of the steps carries as much for less, or for as much with no more GPUs."""
    at = bisect_left(steps, fleet.capacity, key=lambda step: step.capacity)
    return at < len(steps) and (steps[at].cost, steps[at].gpus) <= (fleet.cost, fleet.gpus)


def _cheapest_first(kinds: Sequence[Kind]) -> list[int]:
    """In order of the price of capacity, so that lists stay short."""
    return sorted(
        range(len(kinds)), key=lambda i: (kinds[i].cost / kinds[i].capacity, kinds[i].gpus, i)
    )


def with_units(step: Step, i: int, kind: Kind, count: int, most: int) -> Step:
    """A fleet with so many more units of the `i`th kind."""
    capacity = min(most, step.capacity + count * kind.capacity)
    cost, gpus = step.cost + count * kind.cost, step.gpus + count * kind.gpus
    return Step(capacity, cost, gpus, step, i, count)


def lowest(steps: list[Step]) -> list[Step]:
    """Those that none carries as much as for less, nor for as much with fewer GPUs; rising."""
    kept: list[Step] = []
    for step in sorted(steps, key=lambda step: (-step.capacity, step.cost, step.gpus)):
        if not kept or step.cost < kept[-1].cost:
            kept.append(step)
    return kept[::-1]
