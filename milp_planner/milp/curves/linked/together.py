"""The cheapest fleet of workloads that quotas link, found by listing and proven by it.

At prices π on the links every plan costs what no plan costs less than, L = Σ_w φ_w − Σ_r π_r Q_r,
and beyond that

    Σ_w ρ_w + Σ_r π_r (Q_r − what is used of r),

ρ_w what the workload's units cost at the prices above its cheapest: nothing of it is below 0. So a
plan that costs no more than an amount above L has only units near to the cheapest ones, which are
listed (`near.py`), and leaves little of what has a price. Held units of all workloads are put
together by what they use together (`held_together.py`); once they are known blocks are apart
(`blocks.py`). The amount rises until a fleet is found within it: every cheaper one was looked at.
That nothing is cheaper is then counted once more, on another grid and in the other order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.curve import unit_of
from milp_planner.milp.curves.linked.blocks import Block, beyond
from milp_planner.milp.curves.linked.held_together import (
    MOST_LABELS,
    NOISE,
    Held,
    Link,
    Stage,
    firsts,
    left_usd,
    stages_of,
)
from milp_planner.milp.curves.linked.near import Near, NearAt
from milp_planner.milp.curves.linked.priced import PRICE_UNIT, PricedAt, Prices, TooMany
from milp_planner.milp.curves.linked.reading import Linked

if TYPE_CHECKING:
    from numpy import float64, int64, intp
    from numpy.typing import NDArray

STEPS, OTHER_STEPS = 4000, 3001
"""Of the grid, and of the one that is counted once more."""

TIMES = 1.25
"""How fast the amount grows."""

MOST_STATES = 5_000
"""Of all blocks together, beyond which this is left to others."""

MOST_BETTER = 30
"""How many held units of a workload others are compared with."""

MOST_ROUNDS = 5
"""How often links that have no price are taken in where a fleet breaks them."""

SAME_USD = 0.005
"""Half a cent: what two fleets that cost the same may differ by."""


class Fleet(NamedTuple):
    """Units of one workload, by kind."""

    held: Mapping[int, int]
    elastic: Mapping[int, Mapping[int, int]]
    """By block."""


class Together:
    """What is known of the cheapest fleet while it is looked for."""

    def __init__(self, linked: Linked, at: Sequence[PricedAt], prices: Prices) -> None:
        self.linked, self.at, self.prices = linked, at, prices
        self.passed_usd = 0.0
        """No plan costs less than so much above the bound."""

        self.found: Sequence[Fleet] | None = None
        """A fleet that keeps all links, the cheapest unless the second count finds less."""

    def cheapest(self, first_usd: float, most_usd: float = math.inf) -> Sequence[Fleet] | None:
        """The cheapest fleet, of each workload; None where it is not of this kind, or links are
        broken still. Raises TooMany, or OutOfTime.

        first_usd, most_usd: how far above the bound it looks first, and at most.
        """
        looked_at = set(self.prices)
        for _ in range(MOST_ROUNDS):
            links = self._links(looked_at)
            if links is None:
                return None
            found = self._cheapest_by(links, first_usd, most_usd)
            broken = self._broken(found.fleet)
            if not broken:
                self.found = found.fleet
                again = _Search(self.at, links, OTHER_STEPS, dearest_first=False)
                if again.within(found.usd - SAME_USD) is None:
                    self.passed_usd = max(self.passed_usd, found.usd - NOISE)
                    return found.fleet
                self.passed_usd = 0.0  # one of the counts is wrong
                return None
            looked_at |= broken
            first_usd = max(first_usd, found.usd)
        return None

    def _cheapest_by(self, links: Sequence[Link], usd: float, most_usd: float) -> _Found:
        search = _Search(self.at, links, STEPS, dearest_first=True)
        while True:
            found = search.within(usd)
            if found is not None:
                return found
            self.passed_usd = max(self.passed_usd, usd - NOISE)
            if usd >= most_usd:  # where no fleet keeps the links none is ever found
                raise TooMany
            usd *= TIMES

    def _links(self, looked_at: set[int]) -> list[Link] | None:
        """None where one is used in several blocks."""
        uses: dict[int, list[Fraction]] = {}
        blocks: dict[int, set[int | None]] = {}
        for cover in self.linked.covers:
            for t, units in ((None, cover.held), *cover.elastic.items()):
                for link, taken in (each for one in units for each in one.uses.items()):
                    uses.setdefault(link, []).append(taken)
                    blocks.setdefault(link, set()).add(t)
        links = []
        for link in sorted(looked_at & set(uses)):
            unit, of = unit_of(uses[link]), blocks[link] - {None}
            if len(of) > 1:
                return None
            usd = float(self.prices.get(link, 0) * PRICE_UNIT * unit)
            most = math.floor(self.linked.most[link] / unit)
            links.append(Link(link, unit, most, usd, None in blocks[link], next(iter(of), None)))
        return links

    def _broken(self, fleet: Sequence[Fleet]) -> set[int]:
        """Links of which there is not enough."""
        used: dict[int, Fraction] = {}
        for cover, chosen in zip(self.linked.covers, fleet, strict=True):
            for t, numbers in ((None, chosen.held), *chosen.elastic.items()):
                units = cover.held if t is None else cover.elastic[t]
                for i, n in numbers.items():
                    for link, taken in units[i].uses.items():
                        used[link] = used.get(link, Fraction(0)) + n * taken
        return {link for link, taken in used.items() if taken > self.linked.most[link]}


class _Found(NamedTuple):
    usd: float
    """Above the bound."""

    fleet: Sequence[Fleet]


@dataclass(frozen=True)
class _Search:
    at: Sequence[PricedAt]
    links: Sequence[Link]
    steps: int
    dearest_first: bool

    def within(self, usd: float) -> _Found | None:
        """The cheapest fleet that costs at most so much above the bound; None where none does.
        Raises TooMany, or OutOfTime."""
        if usd < 0:
            return None
        sign = 1 if self.dearest_first else -1
        held = [Held.of(w, n.held_within(usd), self.links) for w, n in enumerate(self.near)]
        if not all(one.near for one in held):
            return None
        held.sort(key=lambda one: (len(one.near), sign * one.workload))
        stages = stages_of(held, self.links, usd)
        return None if stages is None else _Walk.of(self, held, stages, usd).best()

    @cached_property
    def near(self) -> Sequence[NearAt]:
        """Of each workload."""
        units = {link.number: link.unit for link in self.links}
        return [NearAt(at, units, self.steps, self.dearest_first) for at in self.at]


class _Labels(NamedTuple):
    """Held units chosen for the workloads from some on, which make blocks the same."""

    keys: NDArray[int64]
    """What the others use together."""

    usd: NDArray[float64]
    came_from: Sequence[tuple[_Classes, int, int]]
    """(classes, label, number of the units) of the workload chosen for last, and before it."""


_Classes = tuple[int, ...]
"""Of the held units of each workload that is chosen for: what they leave to do in blocks."""

_State = tuple["NDArray[float64]", ...]
"""By block: what the workloads chosen for cost, by what they use."""


@dataclass(frozen=True)
class _Walk:
    """Chooses held units for one workload after another, from the last to the first."""

    held: Sequence[Held]
    stages: Sequence[Stage]
    blocks: Sequence[Block]
    usd: float
    near: Sequence[NearAt]
    begun: NDArray[float64]
    """What is left of the links of held units, at its price, by what all use."""

    @classmethod
    def of(
        cls,
        search: _Search,
        held: Sequence[Held],
        stages: Sequence[Stage],
        usd: float,
    ) -> _Walk:
        """Raises TooMany, or OutOfTime."""
        last, links, near = stages[-1], search.links, search.near
        begun = left_usd(last.keys, links)
        room = usd + NOISE - float((begun + last.usd).min())
        of_block: dict[int, dict[int, Link]] = {}
        for r, link in enumerate(links):
            if link.block is not None:
                of_block.setdefault(link.block, {})[r] = link
        blocks = [Block(near, t, some, room) for t, some in sorted(of_block.items())]
        kept = [one.among(_best_of(one, blocks)) for one in held]
        for block in blocks:
            block.open_to(kept)
        return cls(kept, stages, blocks, usd + NOISE, near, begun)

    def best(self) -> _Found | None:
        """The cheapest fleet; None where all cost more."""
        import numpy as np

        last = self.stages[-1]
        kept = np.flatnonzero(self.begun + last.usd <= self.usd)
        nothing = [((), -1, -1)] * len(kept)
        layers: list[dict[_Classes, _Labels]] = [
            {(): _Labels(last.keys[kept], self.begun[kept], nothing)}
        ]
        states: dict[_Classes, _State] = {(): tuple(block.nothing for block in self.blocks)}
        for nth in range(len(self.held) - 1, -1, -1):
            layer, states = self._layer(nth, layers[-1], states)
            layers.append(layer)
        found = None
        for classes, labels in layers[-1].items():
            usd = float(labels.usd[0]) + self._least(0, states[classes])
            if usd <= self.usd and (found is None or usd < found[0]):
                found = usd, classes
        return None if found is None else _Found(found[0], self._fleet(layers, found[1]))

    def _layer(
        self, nth: int, layer: Mapping[_Classes, _Labels], states: Mapping[_Classes, _State]
    ) -> tuple[dict[_Classes, _Labels], dict[_Classes, _State]]:
        """With units chosen for one workload more."""
        import numpy as np

        one, stage = self.held[nth], self.stages[nth]
        parts: dict[_Classes, list[_Labels]] = {}
        after: dict[_Classes, _State] = {}
        for classes, labels in layer.items():
            for of, numbers in self._classes(nth).items():
                check()
                also = (*classes, of)
                state = self._state(nth, numbers[0], states[classes])
                room = self.usd - self._least(nth, state)
                if room < 0:
                    continue
                keys = labels.keys[:, None] - one.keys[numbers]
                usd = labels.usd[:, None] + one.usd[numbers]
                at = np.minimum(np.searchsorted(stage.keys, keys), len(stage.keys) - 1)
                kept = (stage.keys[at] == keys) & (usd + stage.usd[at] <= room)
                rows, columns = np.nonzero(kept)
                if len(rows):
                    origins = [
                        (classes, row, numbers[column])
                        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
                    ]
                    found = _Labels(keys[rows, columns], usd[rows, columns], origins)
                    parts.setdefault(also, []).append(found)
                    after[also] = state
        joined = {classes: _joined(some) for classes, some in parts.items()}
        if len(joined) > MOST_STATES or sum(len(of.keys) for of in joined.values()) > MOST_LABELS:
            raise TooMany
        return joined, {classes: after[classes] for classes in joined}

    def _classes(self, nth: int) -> Mapping[int, list[int]]:
        """Numbers of the held units of a workload, by what they leave to do in blocks."""
        one = self.held[nth]
        of: dict[tuple[object, ...], int] = {}
        numbers: dict[int, list[int]] = {}
        for i, near in enumerate(one.near):
            told = tuple(
                tuple((usd, uses) for usd, uses, _ in block.options(one.workload, near))
                for block in self.blocks
            )
            numbers.setdefault(of.setdefault(told, len(of)), []).append(i)
        return numbers

    def _state(self, nth: int, number: int, state: _State) -> _State:
        one = self.held[nth]
        return tuple(
            block.with_workload(table, block.options(one.workload, one.near[number]))
            for block, table in zip(self.blocks, state, strict=True)
        )

    def _least(self, before: int, state: _State) -> float:
        pairs = zip(self.blocks, state, strict=True)
        return sum(block.least(before, table) for block, table in pairs)

    def _fleet(
        self, layers: Sequence[Mapping[_Classes, _Labels]], classes: _Classes
    ) -> Sequence[Fleet]:
        """The fleet of the label of the last layer, workload by workload."""
        chosen: list[tuple[int, Near]] = []
        label = 0
        for one, layer in zip(self.held, reversed(layers[1:]), strict=True):
            classes, label, number = layer[classes].came_from[label]
            chosen.append((one.workload, one.near[number]))
        fleet = dict(sorted(self._with_elastic(chosen[::-1])))
        return list(fleet.values())

    def _with_elastic(self, chosen: Sequence[tuple[int, Near]]) -> Iterator[tuple[int, Fleet]]:
        """Held units with the elastic ones of every block."""
        elastic: dict[int, dict[int, Mapping[int, int]]] = {w: {} for w, _ in chosen}
        for block in self.blocks:
            for w, units in block.cheapest(chosen):
                if block.t in self.near[w].at.of.needs:
                    elastic[w][block.t] = units
        for w, near in chosen:
            at = self.near[w].at
            for t, need in at.of.needs.items():
                if t not in elastic[w]:
                    step = at.elastic[t].stairs.reaching(need - near.carries)
                    assert step is not None, "it was listed as a fleet that carries all"
                    elastic[w][t] = at.elastic[t].units(step)
            yield w, Fleet(near.units, elastic[w])


def _best_of(held: Held, blocks: Sequence[Block]) -> list[int]:
    """Numbers of the held units, without those that others which use as much of every link are as
    good as in every block."""
    import numpy as np

    alike: dict[int, list[int]] = {}
    for nth in np.argsort(held.usd, kind="stable").tolist():
        alike.setdefault(int(held.keys[nth]), []).append(nth)
    kept: list[int] = []
    for group in alike.values():
        check()
        better: list[tuple[float, list[NDArray[float64]]]] = []
        for nth in group:
            usd = float(held.usd[nth])
            mine = [block.table(held.workload, held.near[nth]) for block in blocks]
            if not any(
                other_usd + beyond(theirs, mine) <= usd
                for other_usd, theirs in better[:MOST_BETTER]
            ):
                better.append((usd, mine))
                kept.append(nth)
    return sorted(kept)


def _joined(parts: Sequence[_Labels]) -> _Labels:
    """All of them, the cheapest of each key."""
    import numpy as np

    keys = np.concatenate([part.keys for part in parts])
    usd = np.concatenate([part.usd for part in parts])
    came_from = [each for part in parts for each in part.came_from]
    order: NDArray[intp] = firsts(keys, usd)
    return _Labels(keys[order], usd[order], [came_from[i] for i in order.tolist()])
