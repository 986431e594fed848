"""All that a workload may choose while it costs no more than an amount, shared units at their part.

Its units of its own, and replicas on units that others may stand on as well, are kinds that cover
its rows (`listed/`), the replicas at their part of the price of a unit: no plan costs it less. So
what it holds is listed while no table says that it comes to more than the amount, and beside each
of these lists what it may have on in a block. Of several with the same replicas the cheapest
counts, and none that has more replicas for no less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.curves.listed.blocks import ENOUGH, Listing, TooMany, listed
from milp_planner.milp.curves.listed.reading import Covering, surrogates_of
from milp_planner.milp.curves.listed.search import (
    OTHER_STEPS,
    STEPS,
    CoverSearch,
    best_surrogates,
)
from milp_planner.milp.curves.listed.tables import Tables, steps_down

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

MOST_HELD = 2_000
"""Lists of held units of a workload, beyond which this is left to the solvers."""

MOST_OPTIONS = 40_000
"""What there may be in blocks beside all of these, the same."""

MOST_FLEETS = 4_000
"""Fleets of a workload's own elastic units in a block, the same."""

CELLS = 4_000_000
"""Numbers that are compared at once, about."""

NOISE = 1e-12
"""Of what is asked for, far less than what a row may lack: sums in another order."""

SAME = 1e-9
"""Relative: what sums of doubles may be off by."""

DIGITS = 6
"""Of USD, by which choices are told apart."""


def _shown(usd: float) -> float:
    return round(usd, DIGITS) + 0.0


class Stands(NamedTuple):
    """Where a replica of a kind stands: the number of the unit, and how many GPUs it takes."""

    unit: int
    gpus: int


class InBlock(NamedTuple):
    """Elastic units that a workload may have on in a block."""

    usd: float
    """USD/hour, replicas at their part."""

    own_usd: float
    """Of those that it has to itself."""

    gpus: tuple[int, ...]
    """That its replicas take of each unit."""

    counts: tuple[int, ...]
    """By elastic kind."""


class Choice(NamedTuple):
    """Held units, and what there may be beside them."""

    own_usd: float
    """USD/month of those that it has to itself."""

    gpus: tuple[int, ...]
    counts: tuple[int, ...]
    """By held kind."""

    blocks: tuple[tuple[InBlock, ...], ...]

    @property
    def key(self) -> tuple[float, tuple[int, ...]]:
        """What others see of what it holds."""
        return _shown(self.own_usd), self.gpus

    @property
    def beside(self) -> list[set[tuple[float, tuple[int, ...]]]]:
        """What others see of what there may be in each block."""
        return [{(_shown(one.own_usd), one.gpus) for one in block} for block in self.blocks]


@dataclass(frozen=True)
class Sharer:
    """A workload that may share units."""

    search: CoverSearch
    beside: CoverSearch
    """Blocks alone: its own elastic units, beside whatever it holds or has on shared units."""

    held: _Kinds
    shared: _Kinds
    """Elastic replicas."""

    own: tuple[int, ...]
    """The other elastic kinds, by number; of all elastic ones."""

    blocks: dict[int, _Block] = field(default_factory=dict)

    @classmethod
    def of(
        cls, covering: Covering, stands: Mapping[int, Stands], units: int, *, again: bool = False
    ) -> Sharer | None:
        """None where some row no kind keeps. again: on the other grid, in the other order."""
        surrogates = best_surrogates(covering, surrogates_of(covering))
        if surrogates is None:
            return None
        steps = OTHER_STEPS if again else STEPS
        search = CoverSearch.of(covering, surrogates, steps, dearest_first=not again)
        first = len(covering.held)
        at = [stands.get(j) for j in range(first)]
        held = _Kinds.of(range(first), covering.held_usd, at, units)
        replicas = [j for j in range(len(covering.elastic)) if first + j in stands]
        at = [stands[first + j] for j in replicas]
        shared = _Kinds.of(replicas, covering.elastic_usd[replicas], at, units)
        own = tuple(j for j in search.elastic if j not in replicas)
        return cls(search, _beside(search, replicas, own), held, shared, own)

    def least_usd(self) -> float:
        """What it costs at least, USD/month; raises TooMany, or OutOfTime."""
        found = self.search.cheapest([])
        return math.inf if found is None else found.usd_per_month

    def within(self, most_usd: float) -> list[Choice]:
        """All that it may choose that comes to no more, USD/month. Raises TooMany, or OutOfTime."""
        import numpy as np

        most_usd *= 1 + SAME
        search, blocks = self.search, range(len(self.search.covering.rows))
        rows = len(search.surrogates.of_unit)
        counts, least = listed([(search.tables, most_usd)], np.ones(rows))
        counts = counts[np.argsort(least, kind="stable")][:, np.argsort(search.held)]
        held = len(search.held)
        carried = np.hstack([counts @ self.block(t).of_held[:held] for t in blocks])
        kept = not_beaten(counts @ self.held.own_usd, counts @ self.held.gpus, carried)
        if len(kept) > MOST_HELD:
            raise TooMany
        found, options = [], 0
        for nth in kept:
            choice = self._beside(counts[nth], most_usd)
            if choice is not None:
                found.append(choice)
                options += sum(map(len, choice.blocks))
                if options > MOST_OPTIONS:
                    raise TooMany
        return found

    def are_among(self, known: Sequence[Choice], most_usd: float) -> bool:
        """Whether all that it may choose for so much is known."""
        told: dict[object, list[list[set[tuple[float, tuple[int, ...]]]]]] = {}
        for choice in known:
            told.setdefault(choice.key, []).append(choice.beside)
        return all(
            any(_contains(one, choice.beside) for one in told.get(choice.key, ()))
            for choice in self.within(most_usd)
        )

    def _beside(self, held: NDArray[intp], most_usd: float) -> Choice | None:
        """Held units with all that there may be beside them; None where that comes to more."""
        import numpy as np

        check()
        hours = self.search.covering.hours
        least = np.array([self.block(t).least_usd(held) for t in range(len(hours))])
        total = float(held @ self.held.usd + hours @ least)
        options: dict[int, list[InBlock]] = {}
        for t in np.argsort(-hours, kind="stable").tolist():
            if not total <= most_usd:  # or endless
                return None
            options[t] = self._in_block(t, held, float(least[t] + (most_usd - total) / hours[t]))
            if not options[t]:
                return None
            total += float(hours[t] * (min(one.usd for one in options[t]) - least[t]))
        if total > most_usd:
            return None
        of_blocks = []
        for t, hour in enumerate(hours):
            most = min(one.usd for one in options[t]) + (most_usd - total) / hour
            of_blocks.append(tuple(one for one in options[t] if one.usd <= most))
        own, gpus = float(held @ self.held.own_usd), held @ self.held.gpus
        return Choice(own, tuple(gpus.tolist()), tuple(held.tolist()), tuple(of_blocks))

    def block(self, t: int) -> _Block:
        """A block, with tables of replicas ahead of those of its own units."""
        if t not in self.blocks:
            rows, held = self.beside.covering.rows[t], len(self.held.usd)
            self.blocks[t] = _Block.of(self.beside.listing(t), rows, self.shared, held)
        return self.blocks[t]

    def _in_block(self, t: int, held: NDArray[intp], most: float) -> list[InBlock]:
        """What there may be in a block for no more, USD/hour: for every way to have replicas on
        shared units the cheapest of one's own."""
        import numpy as np

        block, shared = self.block(t), self.shared
        replicas = block.replicas_within(held, most)
        own = block.cheapest_own(held, replicas)
        part, fleets = replicas @ shared.usd, block.fleets
        own_usd = np.append(fleets.usd, np.inf)[own]
        near = np.flatnonzero(own_usd + part <= most)
        taken = replicas[near] @ shared.gpus
        kinds = np.argsort([*shared.kinds, *self.own])
        found = []
        for nth in not_beaten(own_usd[near], taken, np.zeros((len(near), 0))):
            n, gpus = near[nth], tuple(taken[nth].tolist())
            counts = np.concatenate([replicas[n], fleets.counts[own[n]]])[kinds]
            usd = float(own_usd[n]) + float(part[n]), float(own_usd[n])
            found.append(InBlock(*usd, gpus, tuple(counts.tolist())))
        return found


class _Kinds(NamedTuple):
    """Kinds of units, replicas at their part of the price."""

    kinds: tuple[int, ...]
    usd: NDArray[float64]
    own_usd: NDArray[float64]
    """Without replicas."""

    gpus: NDArray[intp]
    """(kinds, units): that replicas take."""

    @classmethod
    def of(
        cls, kinds: Sequence[int], usd: NDArray[float64], at: Sequence[Stands | None], units: int
    ) -> _Kinds:
        """at: where those stand that are replicas, by kind."""
        import numpy as np

        own, gpus = usd.copy(), np.zeros((len(kinds), units), dtype=np.intp)
        for nth, stands in enumerate(at):
            if stands is not None:
                own[nth] = 0.0
                gpus[nth, stands.unit] = stands.gpus
        return cls(tuple(kinds), usd, own, gpus)


@dataclass(frozen=True)
class _Block:
    """A block of a workload: its own elastic units, beside what it holds and its replicas."""

    of_held: NDArray[float64]
    """(held + replicas, rows): in the block's own rows."""

    bounding: NDArray[float64]
    """The same in the rows of the tables."""

    tables: Tables
    """Replicas ahead of units of its own."""

    held: int
    """Kinds, which come before the replicas."""

    fleets: _Fleets
    """Of its own elastic units, all that others do not beat."""

    @classmethod
    def of(cls, own: Listing, rows: NDArray[float64], shared: _Kinds, held: int) -> _Block:
        """own: elastic units beside what is held and replicas, which come first in the rows."""
        beside = held + len(shared.usd)
        tables = Tables.before(own.tables.least[0], shared.usd, own.of_held[held:])
        fleets = _Fleets.of(own.usd, rows[:, beside:].T)
        return cls(rows[:, :beside].T, own.of_held, tables, held, fleets)

    def least_usd(self, held: NDArray[intp]) -> float:
        """USD/hour beside these held units."""
        import numpy as np

        left = steps_down(self._left(held) * self.tables.steps)
        return float(self.tables.least[0][left, np.arange(len(left))].max())

    def replicas_within(self, held: NDArray[intp], most: float) -> NDArray[intp]:
        """(lists, kinds): all replicas beside which no table says that there is more to pay; none
        of which one could go where they are enough by themselves."""
        import numpy as np

        counts, _ = listed([(self.tables, most)], self._left(held))
        of_replica = self.of_held[self.held :]
        left = counts @ of_replica - (ENOUGH - held @ self.of_held[: self.held])
        spare = np.zeros(len(counts), dtype=bool)
        for nth, worth in enumerate(of_replica):
            spare |= (counts[:, nth] > 0) & (left >= worth).all(axis=1)
        return counts[~spare]

    def _left(self, held: NDArray[intp]) -> NDArray[float64]:
        return 1 - held @ self.bounding[: self.held]

    def cheapest_own(self, held: NDArray[intp], replicas: NDArray[intp]) -> NDArray[intp]:
        """(lists,): numbers of the cheapest fleets of its own beside held units and each list of
        replicas, from the cheapest on; one too high where none is enough."""
        import numpy as np

        of_held, carries = self.of_held, self.fleets.carries
        lacking = ENOUGH - held @ of_held[: self.held] - replicas @ of_held[self.held :]
        first = np.full(len(replicas), len(carries), dtype=np.intp)
        pace = max(1, CELLS // (carries.size + 1))
        for low in range(0, len(replicas), pace):
            check()
            some = lacking[low : low + pace]
            enough = (carries[None, :, :] >= some[:, None, :]).all(axis=2)
            nth = np.where(enough.max(axis=1), enough.argmax(axis=1), len(carries))
            first[low : low + pace] = nth
        return first


class _Fleets(NamedTuple):
    """Fleets of some kinds than which none carries as much for less, the cheapest first."""

    usd: NDArray[float64]
    carries: NDArray[float64]
    """(fleets, rows), no more than the 1 that is asked for."""

    counts: NDArray[intp]
    """(fleets, kinds)."""

    def among(self, some: Sequence[int]) -> _Fleets:
        """Those of these numbers."""
        nth = list(some)
        return _Fleets(self.usd[nth], self.carries[nth], self.counts[nth])

    def and_others(self, more: _Fleets) -> _Fleets:
        """These and more."""
        import numpy as np

        usd = np.concatenate([self.usd, more.usd])
        carries = np.concatenate([self.carries, more.carries])
        return _Fleets(usd, carries, np.concatenate([self.counts, more.counts]))

    @classmethod
    def of(cls, usd: NDArray[float64], of_unit: NDArray[float64]) -> _Fleets:
        """of_unit: (kinds, rows). Raises TooMany."""
        import numpy as np

        kinds, rows = of_unit.shape
        fleets = cls(np.zeros(1), np.zeros((1, rows)), np.zeros((1, kinds), dtype=np.intp))
        for j in range(kinds):
            more = fleets
            while len(more.usd):
                counts = more.counts.copy()
                counts[:, j] += 1
                carries = np.minimum(1.0, counts @ of_unit)
                gains = (carries > more.carries + NOISE).any(axis=1)
                more = cls(counts[gains] @ usd, carries[gains], counts[gains])
                both, before = fleets.and_others(more), len(fleets.usd)
                nobody = np.zeros((len(both.usd), 0), dtype=np.intp)
                kept = not_beaten(both.usd, nobody, both.carries)
                more, fleets = both.among([n for n in kept if n >= before]), both.among(kept)
                if len(kept) > MOST_FLEETS:
                    raise TooMany
        return fleets


def _beside(search: CoverSearch, replicas: Sequence[int], own: Sequence[int]) -> CoverSearch:
    """The same blocks with elastic replicas among what is held, and the other elastic kinds."""
    covering, first = search.covering, len(search.covering.held)
    order = [*range(first), *(first + j for j in replicas), *(first + j for j in own)]
    moved = {j: nth for nth, j in enumerate(order)}
    there = replace(
        covering,
        held=(*covering.held, *(covering.elastic[j][0] for j in replicas)),
        elastic=tuple(covering.elastic[j] for j in own),
        elastic_usd=covering.elastic_usd[list(own)],
        rows=tuple(rows[:, order] for rows in covering.rows),
        rationed=tuple(moved[j] for j in covering.rationed),
    )
    surrogates = replace(search.surrogates, of_unit=search.surrogates.of_unit[:, order])
    held, elastic = tuple(range(first + len(replicas))), tuple(range(len(own)))
    return CoverSearch(there, surrogates, search.tables, search.block_steps, held, elastic)


def _contains(one: Sequence[set[Any]], other: Sequence[set[Any]]) -> bool:
    return all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def not_beaten(usd: NDArray[float64], gpus: NDArray[intp], carried: NDArray[float64]) -> list[int]:
    """Numbers of those than which no other costs less or the same, takes no more GPUs and carries
    no less, the cheapest first; of equal ones the first."""
    import numpy as np

    kept: list[int] = []
    usd = np.round(usd, DIGITS)  # what is summed in another order is the same
    order = np.lexsort((np.arange(len(usd)), -carried.sum(axis=1), gpus.sum(axis=1), usd))
    while len(order):
        check()
        best, others = order[0], order[1:]
        kept.append(int(best))
        beaten = (gpus[others] >= gpus[best]).all(axis=1)
        beaten &= (carried[others] <= carried[best] + NOISE).all(axis=1)
        order = others[~beaten]
    return kept
