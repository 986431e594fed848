"""The cheapest fleet that survives the loss of any one group, proven by tables.

Held fleets are listed group by group, those alone that the tables of one row let through
(`left.py`) and that no other does all the work of for no more money; beside each that is left every
block takes its own cheapest elastic units. The limit rises until a fleet is found below it, as in
`search.py`, and that nothing is cheaper is counted once more, on another grid and in another
order.

Of several rows the first is the one by which alone the cheapest fleet costs most. The cheapest by
it breaks others or none; the one that it breaks most is counted, too, until none is broken. So it
is with the program's own rows, whatever they ask for: what one asks for in its block is counted
with what follows from it in the others.

Held and elastic units of one group count as two, which no fleet is dearer for; what that leaves out
the program's own rows say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import OutOfTime, check
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.curves.listed.blocks import ENOUGH, TIMES, TooMany
from milp_planner.milp.curves.listed.left import Fleets, Group, LeftTables, Within, groups_of
from milp_planner.milp.curves.listed.losses import Grouped
from milp_planner.milp.curves.listed.search import FIRST_PART, SAME_USD

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

STEPS, OTHER_STEPS = 200, 163
"""Of the grid, and of the one that is counted once more."""

FIRST_ROWS, COARSE_STEPS = 4, 100
"""Rows that are compared, and of the grid of that."""

MOST_LIMITS = 16
"""That are tried; the last is thousands of times what no fleet costs less than."""


class Survivor(NamedTuple):
    usd_per_month: float
    held: NDArray[intp]
    elastic: NDArray[intp]
    """(blocks, kinds)."""


def cheapest_survivor(grouped: Grouped) -> tuple[Mapping[str, float], float] | None:
    """The columns of the cheapest fleet and USD/month, or no columns and what none costs less
    than; None where there is no fleet."""
    least = [0.0]
    try:
        found = fleet_of(grouped, least)
    except (TooMany, OutOfTime):
        return {}, max(least)
    if found is None:
        return None
    values = _values(grouped, found)
    if any(on > grouped.covering.most[name] for name, on in values.items()):
        return {}, found.usd_per_month
    return values, found.usd_per_month


def fleet_of(grouped: Grouped, least: list[float]) -> Survivor | None:
    """The cheapest fleet that keeps all rows, counted twice; None where there is none. Raises
    TooMany, or OutOfTime. least: is given what none costs less than, as that becomes known."""
    first = _first_row(grouped, least)
    if first is None:
        return None
    rows, guide = [first], _Search.of(grouped.by([first]), STEPS)
    while True:
        asked = grouped.by(rows)
        elastic = _elastic(asked)
        found = guide.by(asked, elastic).cheapest(least)
        if found is None:
            return None
        broken = _broken_by(grouped, found)
        broken[rows] = 0.0
        if broken.any():
            rows.append(int(broken.argmax()))
            continue
        unknown = _broken_row(grouped, found)
        if unknown is None:
            break
        rows.append(grouped.carries.shape[1])
        grouped = grouped.with_row(unknown)
    other = _Search.of(grouped.by([first]), OTHER_STEPS, by_name=True)
    again = other.by(asked, elastic)
    if again.best_within(found.usd_per_month - SAME_USD) is not None:
        raise TooMany
    return found


def _first_row(grouped: Grouped, least: list[float]) -> int | None:
    """The row by which alone the cheapest fleet costs most, of those by which a unit's work does;
    None where there is no fleet."""
    import numpy as np

    held = len(grouped.covering.held)
    if grouped.carries.shape[1] == 1 or not held:
        return 0
    of_usd = grouped.carries[:held] / grouped.covering.held_usd[:, None]
    first, dearest = 0, -1.0
    for nth in np.argsort(of_usd.max(axis=0), kind="stable")[:FIRST_ROWS].tolist():
        found = _Search.of(grouped.by([nth]), COARSE_STEPS).cheapest(least)
        if found is None:
            return None
        if found.usd_per_month > dearest:
            first, dearest = nth, found.usd_per_month
    return first


def _broken_by(grouped: Grouped, fleet: Survivor) -> NDArray[float64]:
    """(rows,): the largest part that is lacking of what a row asks for, in any block."""
    import numpy as np

    broken = np.zeros(grouped.carries.shape[1])
    names = np.array(grouped.groups)
    for t, elastic in enumerate(fleet.elastic):
        carried = np.concatenate([fleet.held, elastic])[:, None] * grouped.carries
        lost = [carried[names == name].sum(axis=0) for name in sorted(set(grouped.groups) - {""})]
        left = carried.sum(axis=0) - np.max(lost, axis=0, initial=0.0)
        for has, asked in ((carried.sum(axis=0), grouped.asked[t]), (left, grouped.left[t])):
            lacks = np.flatnonzero(has < asked * ENOUGH)
            broken[lacks] = np.maximum(broken[lacks], 1 - has[lacks] / asked[lacks])
    return broken


def _values(grouped: Grouped, fleet: Survivor) -> Mapping[str, float]:
    """Those of all columns."""
    covering = grouped.covering
    values = dict(zip(covering.held, map(float, fleet.held), strict=True))
    for columns, counts in zip(covering.elastic, fleet.elastic.T, strict=True):
        values |= dict(zip(columns, map(float, counts), strict=True))
    return values


def _broken_row(grouped: Grouped, fleet: Survivor) -> NDArray[float64] | None:
    """The row of the program that lacks most in its block; None where all are kept."""
    import numpy as np

    least, found = ENOUGH, None
    for rows, elastic in zip(grouped.covering.rows, fleet.elastic, strict=True):
        has = rows @ np.concatenate([fleet.held, elastic])
        if len(has) and has.min() < least:
            least, found = float(has.min()), rows[int(has.argmin())]
    return found


@dataclass(frozen=True)
class _Search:
    grouped: Grouped
    order: tuple[str, ...]
    """Groups of held units, as they are listed."""

    elastic: Fleets
    """Of elastic units, the cheapest first; USD/hour."""

    tables: LeftTables
    """By the first row."""

    @classmethod
    def of(cls, grouped: Grouped, steps: int, *, by_name: bool = False) -> _Search:
        """By one row; groups in the order of their names, or those first that are dearest."""
        covering, elastic = grouped.covering, _elastic(grouped)
        groups = groups_of(grouped, range(len(covering.held)), covering.held_usd)
        order = sorted(groups, key=lambda name: 0.0 if by_name else -_least_price(groups[name]))
        tables = LeftTables.of(grouped, [groups[name] for name in order], elastic, steps)
        return cls(grouped, tuple(order), elastic, tables)

    def by(self, grouped: Grouped, elastic: Fleets) -> _Search:
        """The same by more rows, of which the first is its own."""
        return replace(self, grouped=grouped, elastic=elastic)

    def cheapest(self, passed: list[float]) -> Survivor | None:
        """The cheapest fleet; None where there is none. Raises TooMany, or OutOfTime. passed: what
        none costs less than; is given more of it, as that becomes known."""
        root = float(self.tables.least[0][0, 0])
        if root == float("inf"):
            return None
        passed.append(root)
        least, part = max(passed), FIRST_PART
        for _ in range(MOST_LIMITS):
            limit = least * (1 + part)
            best = self.best_within(limit)
            if best is not None:
                passed.append(best.usd_per_month)
                return best
            passed.append(limit)
            part *= TIMES
        raise TooMany

    def best_within(self, limit: float) -> Survivor | None:
        """The cheapest of the fleets that cost no more than a limit; None where there is none."""
        import numpy as np

        covering, within = self.grouped.covering, Within(self.tables, limit)
        kinds = range(len(covering.held))
        groups = groups_of(self.grouped, kinds, covering.held_usd, within)
        held = Fleets.none(self.grouped.carries.shape[1], len(kinds))
        for nth, name in enumerate(self.order, 1):
            held = _with(held, groups[name], self.grouped, within, nth).undominated()
        least = held.usd + self.tables.least_usd(len(self.order), held.carried, held.left)
        best = None
        for nth in np.argsort(least, kind="stable"):
            if least[nth] > limit:
                break
            found = self._beside(held.among(np.array([nth])))
            if found is not None and found.usd_per_month <= limit:
                best, limit = found, found.usd_per_month
        return best

    def _beside(self, held: Fleets) -> Survivor | None:
        """The fleet with these held units and each block's cheapest elastic ones; None where they
        are not enough."""
        import numpy as np

        check()
        cheapest = []
        for asked, left in zip(self.grouped.asked, self.grouped.left, strict=True):
            in_all = np.maximum(asked * ENOUGH - held.carried, left * ENOUGH - held.left)
            enough = (self.elastic.carried >= in_all).all(axis=1)
            enough &= (self.elastic.left >= left * ENOUGH - held.carried).all(axis=1)
            if not enough.any():
                return None
            cheapest.append(int(enough.argmax()))
        usd = float(held.usd[0] + self.grouped.covering.hours @ self.elastic.usd[cheapest])
        return Survivor(usd, held.counts[0], self.elastic.counts[cheapest])


def _least_price(group: Group) -> float:
    """USD for what carries all that the first row asks for, at the cheapest."""
    carried, usd = group.fleets.carried[:, 0], group.fleets.usd
    does = carried > 0
    return float((usd[does] / carried[does]).min(initial=float("inf")))


def _elastic(grouped: Grouped) -> Fleets:
    """Fleets of elastic units, the cheapest first."""
    first, covering = len(grouped.covering.held), grouped.covering
    fleets = Fleets.none(grouped.carries.shape[1], len(covering.elastic))
    kinds = range(first, len(grouped.groups))
    for group in groups_of(grouped, kinds, covering.elastic_usd).values():
        fleets = _with(fleets, group, grouped).undominated()
    return fleets


def _with(
    others: Fleets, group: Group, grouped: Grouped, within: Within | None = None, nth: int = 0
) -> Fleets:
    """Fleets with one group more; within: those alone that tables, of the groups from a number on,
    let through. Raises TooMany, or OutOfTime."""
    import numpy as np

    check()
    carried, left, usd = group.joined(others, grouped.left.max(axis=0))
    pairs = np.arange(len(usd))
    if within is not None:
        least = usd + within.tables.least_usd(nth, carried, left)
        pairs = np.flatnonzero(least <= within.limit)
    counts = group.counts(others, pairs)
    return Fleets(carried[pairs], left[pairs], usd[pairs], counts)
