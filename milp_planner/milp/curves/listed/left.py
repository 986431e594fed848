"""Fleets by what they carry in all and what is left of it without the group that carries most.

Of a fleet that must survive the loss of any one group no more matters than these two, (a, l). With
units that carry c of one more group they are

    (a + c, min(l + c, a)),

as either the group that carried most is lost, or the new one. What is still owed beside a fleet,
of the groups from i on, is a small table, on a grid of steps that rounds what fleets carry up:

    B_i(a, l) = min over fleets of group i:  usd + B_{i+1}(a + c, min(l + c, a))
    B_end(a, l) = Σ_t h_t e(max(A_t − a, L_t − l), L_t − a)

with e(x, y) the least that elastic units cost which carry x, and y without any one of their groups.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.losses import Grouped
from milp_planner.milp.curves.listed.tables import NOISE, steps_down

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

ENOUGH = 1 - 1e-9
"""Part of what is asked for that is all of it: doubles summed."""


@dataclass(frozen=True)
class Fleets:
    """Fleets side by side."""

    carried: NDArray[float64]
    """(fleets,): in all, requests/s."""

    left: NDArray[float64]
    """(fleets,): without the group that carries most."""

    usd: NDArray[float64]
    counts: NDArray[intp]
    """(fleets, kinds): units."""

    @classmethod
    def none(cls, kinds: int) -> Fleets:
        """The one fleet without units."""
        import numpy as np

        nothing = np.zeros(1)
        return cls(nothing, nothing, nothing, np.zeros((1, kinds), dtype=np.intp))

    def among(self, numbers: NDArray[intp]) -> Fleets:
        """Those of these numbers."""
        return Fleets(
            self.carried[numbers], self.left[numbers], self.usd[numbers], self.counts[numbers]
        )

    def undominated(self) -> Fleets:
        """Those that no other does as much as in both for no more money, the cheapest first."""
        import numpy as np

        order = np.lexsort((-self.left, -self.carried, self.usd))
        carried, left = self.carried[order].tolist(), self.left[order].tolist()
        return self.among(order[_undominated(carried, left)])


@dataclass(frozen=True)
class Group:
    """What is lost together, or by no loss: its fleets, none of which another does the work of."""

    fleets: Fleets
    may_be_lost: bool

    def joined(self, others: Fleets, most: float) -> tuple[NDArray[float64], ...]:
        """Each of the others with each of these: (pairs,) carried, left and USD; of the first of
        the others first. Nobody needs more than the most."""
        import numpy as np

        more = self.fleets.carried[None, :]
        carried = np.minimum(others.carried[:, None] + more, most)
        left = np.minimum(others.left[:, None] + more, most)
        if self.may_be_lost:
            left = np.minimum(left, others.carried[:, None])
        usd = others.usd[:, None] + self.fleets.usd[None, :]
        return carried.ravel(), left.ravel(), usd.ravel()

    def counts(self, others: Fleets, pairs: NDArray[intp]) -> NDArray[intp]:
        """(pairs, kinds): units of the pairs with these numbers."""
        mine = len(self.fleets.usd)
        total: NDArray[intp] = others.counts[pairs // mine] + self.fleets.counts[pairs % mine]
        return total


def groups_of(grouped: Grouped, kinds: range, usd: NDArray[float64]) -> list[Group]:
    """The groups of some kinds, by name. usd: (kinds,) of a unit."""
    names = [grouped.groups[j] for j in kinds]
    most = float(max(grouped.asked.max(), grouped.left.max()))
    found = []
    for name in sorted(set(names)):
        fleets = Fleets.none(len(names))
        for j in (j for j, own in enumerate(names) if own == name):
            fleets = _with_kind(fleets, j, float(grouped.carries[kinds[j]]), float(usd[j]), most)
        found.append(Group(fleets, may_be_lost=bool(name)))
    return found


def _with_kind(fleets: Fleets, j: int, carries: float, usd: float, most: float) -> Fleets:
    """Fleets of one group and those with units of one more kind in it."""
    import numpy as np

    check()
    copies = np.arange(1 + math.ceil(most / carries - NOISE))
    carried = np.minimum(fleets.carried[:, None] + carries * copies, most).ravel()
    cost = (fleets.usd[:, None] + usd * copies).ravel()
    order = np.lexsort((-carried, cost))
    before = np.maximum.accumulate(np.concatenate([[-1.0], carried[order][:-1]]))
    kept = order[carried[order] > before]
    counts = fleets.counts[kept // len(copies)].copy()
    counts[:, j] += copies[kept % len(copies)]
    return Fleets(carried[kept], np.zeros(len(kept)), cost[kept], counts)


def _undominated(carried: Sequence[float], left: Sequence[float]) -> list[int]:
    """Numbers of those that none before comes up to in both."""
    kept: list[int] = []
    rising: list[float] = []
    falling: list[float] = []  # what is left of the best of those that carry as much as `rising`
    for nth, (one, other) in enumerate(zip(carried, left, strict=True)):
        at = bisect_left(rising, one)
        if at < len(rising) and falling[at] >= other:
            continue
        kept.append(nth)
        high = bisect_right(rising, one)
        low = high
        while low and falling[low - 1] <= other:
            low -= 1
        rising[low:high], falling[low:high] = [one], [other]
    return kept


@dataclass(frozen=True)
class LeftTables:
    """What is owed at least beside held units, by the groups that are still to come."""

    step: float
    """Requests/s."""

    least: tuple[NDArray[float64], ...]
    """By group: (carried, left) in steps; the last where none is still to come."""

    @classmethod
    def of(
        cls, grouped: Grouped, groups: Sequence[Group], elastic: Fleets, steps: int
    ) -> LeftTables:
        """Raises OutOfTime when time is up before."""
        step = float(max(grouped.asked.max(), grouped.left.max())) / steps
        tables = [_of_elastic(grouped, elastic, step, steps)]
        for group in reversed(groups):
            tables.append(_with_group(tables[-1], group, step))
        return cls(step, tuple(reversed(tables)))

    def least_usd(
        self, nth: int, carried: NDArray[float64], left: NDArray[float64]
    ) -> NDArray[float64]:
        """What fleets owe at least, of the groups from a number on and of elastic units."""
        import numpy as np

        table = self.least[nth]
        at = (
            np.minimum(np.ceil(here / self.step - NOISE).astype(np.intp), most - 1)
            for here, most in zip((carried, left), table.shape, strict=True)
        )
        least: NDArray[float64] = table[tuple(at)]
        return least


def _of_elastic(grouped: Grouped, elastic: Fleets, step: float, steps: int) -> NDArray[float64]:
    """B_end, USD/month."""
    import numpy as np

    shape = steps + 1, 1 + math.ceil(float(grouped.left.max()) / step - NOISE)
    block_usd = np.full(shape, np.inf)
    for nth in np.argsort(-elastic.usd, kind="stable"):
        all_of_it, rest = (
            int(here / step + NOISE) + 1 for here in (elastic.carried[nth], elastic.left[nth])
        )
        block_usd[:all_of_it, :rest] = elastic.usd[nth]
    carried, left = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    month = np.zeros(shape)
    asked_left = zip(grouped.asked / step, grouped.left / step, strict=True)
    for hours, (asked, needed) in zip(grouped.covering.hours, asked_left, strict=True):
        check()
        in_all = steps_down(np.maximum(asked - carried, needed - left))
        month += hours * block_usd[in_all, steps_down(needed - carried)]
    return month


def _with_group(without: NDArray[float64], group: Group, step: float) -> NDArray[float64]:
    """B_i, from B_{i+1}."""
    import numpy as np

    check()
    carried = np.ceil(group.fleets.carried / step + NOISE).astype(np.intp)
    carried, first = np.unique(np.minimum(carried, len(without) - 1), return_index=True)
    table, (rows, columns) = without.copy(), without.shape
    wide = np.pad(without, ((0, rows), (0, rows)), mode="edge")
    each = np.arange(rows)
    for more, usd in zip(carried.tolist(), group.fleets.usd[first].tolist(), strict=True):
        after = wide[more : more + rows, more : more + columns]
        if group.may_be_lost:  # the table falls, so that the least of two needs is the larger owed
            after = np.maximum(after, wide[each + more, np.minimum(each, columns - 1)][:, None])
        np.minimum(table, after + usd, out=table)
    return table
