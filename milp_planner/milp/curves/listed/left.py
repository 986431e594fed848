"""Fleets by what they carry in all and what is left of it without the group that carries most.

Of a fleet that must survive the loss of any one group no more matters than these two of each row,
(a, l). With units that carry c of one more group they are

    (a + c, min(l + c, a)),

as either the group that carried most is lost, or the new one. What is still owed beside a fleet,
of the groups from i on, is by one row a small table, on a grid that rounds what fleets carry up:

    B_i(a, l) = min over fleets of group i:  usd + B_{i+1}(a + c, min(l + c, a))
    B_end(a, l) = Σ_t h_t e(max(A_t − a, L_t − l), L_t − a)

with e(x, y) the least that elastic units cost which carry x, and y without any one of their groups.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.blocks import TooMany
from milp_planner.milp.curves.listed.losses import Grouped
from milp_planner.milp.curves.listed.tables import NOISE, steps_down

if TYPE_CHECKING:
    from numpy import bool_, float64, intp
    from numpy.typing import NDArray

MOST_PAIRS = 2_000_000
"""Fleets at once, with one group or kind more, beyond which this is left to others."""

SIDE_BY_SIDE = 256
"""Fleets that are compared at once, in more than two numbers."""


@dataclass(frozen=True)
class Fleets:
    """Fleets side by side; nobody needs more than 1 by any row."""

    carried: NDArray[float64]
    """(fleets, rows): in all."""

    left: NDArray[float64]
    """(fleets, rows): without the group that carries most."""

    usd: NDArray[float64]
    counts: NDArray[intp]
    """(fleets, kinds): units."""

    @classmethod
    def none(cls, rows: int, kinds: int) -> Fleets:
        """The one fleet without units."""
        import numpy as np

        nothing = np.zeros((1, rows))
        return cls(nothing, nothing, np.zeros(1), np.zeros((1, kinds), dtype=np.intp))

    def among(self, numbers: NDArray[intp]) -> Fleets:
        """Those of these numbers."""
        return Fleets(
            self.carried[numbers], self.left[numbers], self.usd[numbers], self.counts[numbers]
        )

    def undominated(self) -> Fleets:
        """Those that no other does as much as, by any row, for no more money, cheapest first."""
        import numpy as np

        done = np.hstack([self.carried, self.left])
        return self.among(undominated(done, self.usd))


@dataclass(frozen=True)
class Group:
    """What is lost together, or by no loss: its fleets, none of which another does the work of."""

    fleets: Fleets
    may_be_lost: bool

    def joined(self, others: Fleets, most_left: NDArray[float64]) -> tuple[NDArray[float64], ...]:
        """Each of the others with each of these: carried, left, (pairs, rows), and USD; of the
        first of the others first. most_left: (rows,) what is asked for at most. Raises TooMany."""
        import numpy as np

        if len(others.usd) * len(self.fleets.usd) > MOST_PAIRS:
            raise TooMany
        carried = np.minimum(others.carried[:, None] + self.fleets.carried, 1.0)
        left = np.minimum(others.left[:, None] + self.fleets.carried, most_left)
        if self.may_be_lost:
            left = np.minimum(left, others.carried[:, None])
        usd = others.usd[:, None] + self.fleets.usd[None, :]
        rows = carried.shape[2]
        return carried.reshape(-1, rows), left.reshape(-1, rows), usd.ravel()

    def counts(self, others: Fleets, pairs: NDArray[intp]) -> NDArray[intp]:
        """(pairs, kinds): units of the pairs with these numbers."""
        mine = len(self.fleets.usd)
        total: NDArray[intp] = others.counts[pairs // mine] + self.fleets.counts[pairs % mine]
        return total


def groups_of(
    grouped: Grouped, kinds: range, usd: NDArray[float64], within: Within | None = None
) -> dict[str, Group]:
    """The groups of some kinds, by name. usd: (kinds,) of a unit. Raises TooMany, or OutOfTime."""
    names = [grouped.groups[j] for j in kinds]
    found = {}
    for name in sorted(set(names)):
        group = Group(Fleets.none(grouped.carries.shape[1], len(names)), may_be_lost=bool(name))
        for j in (j for j, own in enumerate(names) if own == name):
            group = _with_kind(group, j, grouped.carries[kinds[j]], float(usd[j]), within)
        found[name] = group
    return found


def _with_kind(
    group: Group, j: int, carries: NDArray[float64], usd: float, within: Within | None
) -> Group:
    """The group with units of one more kind in it."""
    import numpy as np

    check()
    most = 1 / float(carries[carries > 0].min(initial=math.inf)) - NOISE
    copies = np.arange(1 + math.ceil(min(most, MOST_PAIRS)))
    more = np.minimum(copies[:, None] * carries, 1.0)
    if within is not None:
        usd_of_more = (usd * copies).astype(float)
        used = within.lets_through(more, usd_of_more, may_be_lost=group.may_be_lost)
        copies, more = copies[used], more[used]
    fleets = group.fleets
    if len(fleets.usd) * len(copies) > MOST_PAIRS:
        raise TooMany
    carried = np.minimum(fleets.carried[:, None] + more, 1.0).reshape(-1, len(carries))
    cost = (fleets.usd[:, None] + usd * copies).ravel()
    numbers = np.arange(len(cost))
    if within is not None:
        through = within.lets_through(carried, cost, may_be_lost=group.may_be_lost)
        numbers = np.flatnonzero(through)
    numbers = numbers[undominated(carried[numbers], cost[numbers])]
    counts = fleets.counts[numbers // len(copies)].copy()
    counts[:, j] += copies[numbers % len(copies)]
    carried = carried[numbers]
    return Group(Fleets(carried, np.zeros_like(carried), cost[numbers], counts), group.may_be_lost)


def undominated(done: NDArray[float64], usd: NDArray[float64]) -> NDArray[intp]:
    """Numbers of those that no other does as much as in all for no more money, cheapest first.

    done: (fleets, numbers).
    """
    import numpy as np

    order = np.lexsort((*-done.T[::-1], usd))
    done = done[order]
    if done.shape[1] == 1:
        before = np.maximum.accumulate(np.concatenate([[-1.0], done[:-1, 0]]))
        return order[done[:, 0] > before]
    if done.shape[1] == 2:
        return order[_undominated_in_two(*done.T.tolist())]
    return order[_undominated_in_all(done)]


def _undominated_in_two(one: Sequence[float], other: Sequence[float]) -> list[int]:
    """Numbers of those that none before comes up to."""
    kept: list[int] = []
    rising: list[float] = []
    falling: list[float] = []  # the other of the best of those that have as much as `rising`
    for nth, (x, y) in enumerate(zip(one, other, strict=True)):
        at = bisect_left(rising, x)
        if at < len(rising) and falling[at] >= y:
            continue
        kept.append(nth)
        high = bisect_right(rising, x)
        low = high
        while low and falling[low - 1] <= y:
            low -= 1
        rising[low:high], falling[low:high] = [x], [y]
    return kept


def _undominated_in_all(done: NDArray[float64]) -> NDArray[intp]:
    """Numbers of those that none before comes up to."""
    import numpy as np

    kept = np.zeros(0, dtype=np.intp)
    for start in range(0, len(done), SIDE_BY_SIDE):
        check()
        here = np.arange(start, min(start + SIDE_BY_SIDE, len(done)))
        for low in range(0, len(kept), SIDE_BY_SIDE):
            best = done[kept[low : low + SIDE_BY_SIDE]]
            here = here[~_reaches(best, done[here]).any(axis=0)]
        before = np.triu(np.ones((len(here), len(here)), dtype=bool), 1)
        kept = np.concatenate(
            [kept, here[~(_reaches(done[here], done[here]) & before).any(axis=0)]]
        )
    return kept


def _reaches(one: NDArray[float64], other: NDArray[float64]) -> NDArray[bool_]:
    """(one, other): whether it does as much in every number."""
    import numpy as np

    reaches = np.ones((len(one), len(other)), dtype=bool)
    for mine, its in zip(one.T, other.T, strict=True):
        reaches &= mine[:, None] >= its[None, :]
    return reaches


@dataclass(frozen=True)
class LeftTables:
    """What is owed at least beside held units, by the groups that are still to come, by the first
    row."""

    step: float
    """Of what nobody needs more than 1 of."""

    least: tuple[NDArray[float64], ...]
    """By group: (carried, left) in steps; the last where none is still to come."""

    @classmethod
    def of(
        cls, grouped: Grouped, groups: Sequence[Group], elastic: Fleets, steps: int
    ) -> LeftTables:
        """Raises OutOfTime when time is up before."""
        step = 1 / steps
        tables = [_of_elastic(grouped, elastic, step, steps)]
        for group in reversed(groups):
            tables.append(_with_group(tables[-1], group, step))
        return cls(step, tuple(reversed(tables)))

    def least_usd(
        self, nth: int, carried: NDArray[float64], left: NDArray[float64]
    ) -> NDArray[float64]:
        """What fleets owe at least, of the groups from a number on and of elastic units. carried,
        left: (fleets, rows)."""
        import numpy as np

        table = self.least[nth]
        at = (
            np.minimum(np.ceil(here[:, 0] / self.step - NOISE).astype(np.intp), most - 1)
            for here, most in zip((carried, left), table.shape, strict=True)
        )
        least: NDArray[float64] = table[tuple(at)]
        return least


class Within(NamedTuple):
    """What may be used in fleets that cost no more than a limit."""

    tables: LeftTables
    limit: float

    def lets_through(
        self, carried: NDArray[float64], usd: NDArray[float64], *, may_be_lost: bool
    ) -> NDArray[bool_]:
        """Whether fleets of one group may be part of such a fleet: (fleets,)."""
        left = 0 * carried if may_be_lost else carried
        through: NDArray[bool_] = usd + self.tables.least_usd(0, carried, left) <= self.limit
        return through


def _of_elastic(grouped: Grouped, elastic: Fleets, step: float, steps: int) -> NDArray[float64]:
    """B_end, USD/month."""
    import numpy as np

    asked, left = grouped.asked[:, 0] / step, grouped.left[:, 0] / step
    shape = steps + 1, 1 + math.ceil(float(left.max()) - NOISE)
    block_usd = np.full(shape, np.inf)
    for nth in np.argsort(-elastic.usd, kind="stable"):
        in_all = int(elastic.carried[nth, 0] / step + NOISE) + 1
        rest = int(elastic.left[nth, 0] / step + NOISE) + 1
        block_usd[:in_all, :rest] = elastic.usd[nth]
    has, has_left = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    month = np.zeros(shape)
    for hours, need, need_left in zip(grouped.covering.hours, asked, left, strict=True):
        check()
        lacking = steps_down(np.maximum(need - has, need_left - has_left))
        month += hours * block_usd[lacking, steps_down(need_left - has)]
    return month


def _with_group(without: NDArray[float64], group: Group, step: float) -> NDArray[float64]:
    """B_i, from B_{i+1}."""
    import numpy as np

    check()
    carried = np.ceil(group.fleets.carried[:, 0] / step + NOISE).astype(np.intp)
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
