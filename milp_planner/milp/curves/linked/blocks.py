"""A block in which elastic units use links: what workloads cost in it, by what they use together.

    T(u) = min Σ_w ρ_wt,        that of the workloads whose held units are known,
    S(u) the same of the others, whatever they hold, and of what is left at its price.

No fleet costs less in the block than min T(u) + S(Q − u): no more than that is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from milp_planner.deadline import check
from milp_planner.milp.curves.linked.held_together import Held, Link
from milp_planner.milp.curves.linked.near import Near, NearAt
from milp_planner.milp.curves.linked.priced import TooMany

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MOST_CELLS = 5_000
"""Ways to use the links of a block beyond which this is left to others."""

Uses = tuple[int, ...]
"""Of the links of a block."""

Option = tuple[float, Uses, Mapping[int, int]]
"""What some elastic units cost above the cheapest, what is used with them, and which they are."""

_Key = tuple[int, int, Uses]
"""What options depend on: the workload, what it lacks, and what its held units use."""


class Block:
    """What workloads may use in it for at most so much above their cheapest."""

    def __init__(
        self, near: Sequence[NearAt], t: int, links: Mapping[int, Link], usd: float
    ) -> None:
        """near: of each workload. links: those of the block, by their place among all. Raises
        TooMany."""
        import numpy as np

        self.t = t
        self._near, self._places, self._links = near, tuple(links), tuple(links.values())
        self._usd = usd
        shape = tuple(link.most + 1 for link in self._links)
        if math.prod(shape) > MOST_CELLS:
            raise TooMany
        self.nothing = np.full(shape, math.inf)
        """T of no workloads."""

        self.nothing[(0,) * len(shape)] = 0.0
        self._options: dict[_Key, tuple[Option, ...]] = {}
        self._tables: dict[_Key, NDArray[float64]] = {}
        self._rests: list[NDArray[float64]] = []

    def open_to(self, held: Sequence[Held]) -> None:
        """Learn what workloads, one after another, cost at least before it is known what they
        hold."""
        import numpy as np

        left = np.zeros(self.nothing.shape)
        for axis, link in enumerate(self._links):
            left = left + self._worth(axis, link)
        rests = [left]
        for one in held:
            least: dict[Uses, float] = {}
            for near in one.near:
                for usd, uses, _ in self.options(one.workload, near):
                    least[uses] = min(usd, least.get(uses, math.inf))
            rests.append(_merged(rests[-1], least.items()))
        self._rests = [np.flip(rest) for rest in rests]

    def options(self, w: int, near: Near) -> tuple[Option, ...]:
        """What a workload may use, with its held units. Raises TooMany, or OutOfTime."""
        key = w, lacking, own = self._key(w, near)
        if key not in self._options:
            if self.t not in self._near[w].at.of.needs:
                self._options[key] = ((0.0, own, {}),)
            else:
                check()
                also = list(zip(self._places, own, strict=True))
                self._options[key] = tuple(
                    (one.usd, tuple(one.uses[r] + n for r, n in also), one.units)
                    for one in self._near[w].block(self.t, lacking, self._usd)
                )
        return self._options[key]

    def table(self, w: int, near: Near) -> NDArray[float64]:
        """The least of these by what there is: what is left has its price."""
        import numpy as np

        key = self._key(w, near)
        if key not in self._tables:
            options = ((uses, usd) for usd, uses, _ in self.options(w, near))
            table = _merged(self.nothing, options)
            for axis, link in enumerate(self._links):
                worth = self._worth(axis, link)
                table = np.minimum.accumulate(table - worth, axis=axis) + worth
            self._tables[key] = table
        return self._tables[key]

    def with_workload(
        self, table: NDArray[float64], options: tuple[Option, ...]
    ) -> NDArray[float64]:
        """T with one workload more."""
        if is_nothing(options):
            return table
        return _merged(table, ((uses, usd) for usd, uses, _ in options))

    def least(self, before: int, table: NDArray[float64]) -> float:
        """What the block comes to at least where the workloads before some are open."""
        return float((table + self._rests[before]).min())

    def cheapest(
        self, chosen: Sequence[tuple[int, Near]]
    ) -> Iterator[tuple[int, Mapping[int, int]]]:
        """The elastic units of its cheapest fleet, by workload."""
        import numpy as np

        tables, listed = [self.nothing], [self.options(w, near) for w, near in chosen]
        for options in listed:
            tables.append(self.with_workload(tables[-1], options))
        last = tables.pop() + self._rests[0]
        used = tuple(map(int, np.unravel_index(int(last.argmin()), last.shape)))
        for (w, _), options, table in zip(chosen[::-1], listed[::-1], tables[::-1], strict=True):
            best: tuple[float, Uses, Mapping[int, int]] | None = None
            for usd, uses, units in options:
                rest = tuple(a - b for a, b in zip(used, uses, strict=True))
                if min(rest) >= 0 and (best is None or usd + float(table[rest]) < best[0]):
                    best = usd + float(table[rest]), rest, units
            assert best is not None, "the table was made of these"
            used = best[1]
            yield w, best[2]

    def _key(self, w: int, near: Near) -> _Key:
        need = self._near[w].at.of.needs.get(self.t, 0)
        return w, max(0, need - near.carries), tuple(near.uses[r] for r in self._places)

    def _worth(self, axis: int, link: Link) -> NDArray[float64]:
        """What a link is worth by how much there is of it, to be added to a table of all."""
        import numpy as np

        shape = [1] * len(self._links)
        shape[axis] = -1
        worth: NDArray[float64] = np.arange(link.most + 1.0).reshape(shape) * link.usd
        return worth


def is_nothing(options: tuple[Option, ...]) -> bool:
    """True where a workload has nothing to do with the links of a block."""
    return len(options) == 1 and not options[0][0] and not any(options[0][1])


def beyond(theirs: Iterable[NDArray[float64]], mine: Iterable[NDArray[float64]]) -> float:
    """By how much some units may come to more than others, over all blocks."""
    import numpy as np

    total = 0.0
    for one, other in zip(theirs, mine, strict=True):
        if one is not other:
            told = np.isfinite(other)
            total += max(0.0, float((one[told] - other[told]).max(initial=0.0)))
    return total


def _merged(table: NDArray[float64], options: Iterable[tuple[Uses, float]]) -> NDArray[float64]:
    """min over options of table(n − uses) + usd."""
    import numpy as np

    merged = np.full(table.shape, math.inf)
    for uses, usd in options:
        if all(n < size for n, size in zip(uses, table.shape, strict=True)):
            low = tuple(slice(n, None) for n in uses)
            high = tuple(slice(0, size - n) for n, size in zip(uses, table.shape, strict=True))
            merged[low] = np.minimum(merged[low], table[high] + usd)
    return merged
