"""The cheapest fleet of one class that survives the loss of any one group, proven by tables.

Held fleets are listed group by group, those alone that the tables let through (`left.py`) and that
no other does all the work of for no more money; beside each that is left every block takes its own
cheapest elastic units. The limit rises until a fleet is found below it, as in `search.py`, and that
nothing is cheaper is counted once more, on another grid and in the other order.

Held and elastic units of one group count as two, which no fleet is dearer for: where the cheapest
keeps the program's own rows even so, it is the cheapest of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import OutOfTime, check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.left import (
    ENOUGH,
    Fleets,
    Group,
    LeftTables,
    groups_of,
)
from milp_planner.milp.curves.listed.losses import Grouped
from milp_planner.milp.curves.listed.search import FIRST_PART, SAME_USD, TIMES, TooMany

if TYPE_CHECKING:
    from numpy import intp
    from numpy.typing import NDArray

STEPS, OTHER_STEPS = 200, 163
"""Of the grid, and of the one that is counted once more."""

MOST_LIMITS = 16
"""That are tried; the last is thousands of times what no fleet costs less than."""

MOST_PAIRS = 2_000_000
"""Fleets at once, with one group more, beyond which this is left to others."""


class _Survivor(NamedTuple):
    usd_per_month: float
    held: NDArray[intp]
    elastic: NDArray[intp]
    """(blocks, kinds)."""


def cheapest_survivor(grouped: Grouped) -> tuple[Mapping[str, float], float] | None:
    """The columns of the cheapest fleet and USD/month, or no columns and what none costs less
    than; None where there is no fleet."""
    least = [0.0]
    try:
        found = _Search.of(grouped, STEPS).cheapest(least)
        if found is None:
            return None
        again = _Search.of(grouped, OTHER_STEPS, dearest_first=False)
        if again.best_within(found.usd_per_month - SAME_USD) is not None:
            return {}, 0.0
    except (TooMany, OutOfTime):
        return {}, max(least)
    values = _values(grouped, found)
    return (values if _is_allowed(grouped, found, values) else {}), found.usd_per_month


def _values(grouped: Grouped, fleet: _Survivor) -> Mapping[str, float]:
    """Those of all columns."""
    covering = grouped.covering
    values = dict(zip(covering.held, map(float, fleet.held), strict=True))
    for columns, counts in zip(covering.elastic, fleet.elastic.T, strict=True):
        values |= dict(zip(columns, map(float, counts), strict=True))
    return values


def _is_allowed(grouped: Grouped, fleet: _Survivor, values: Mapping[str, float]) -> bool:
    """Whether it keeps all that the program asks for, known here or not."""
    import numpy as np

    if any(on > grouped.covering.most[name] for name, on in values.items()):
        return False
    for rows, elastic in zip(grouped.covering.rows, fleet.elastic, strict=True):
        if (rows @ np.concatenate([fleet.held, elastic]) < ENOUGH).any():
            return False
    return True


@dataclass(frozen=True)
class _Search:
    grouped: Grouped
    groups: tuple[Group, ...]
    """Of held units, in the order in which they are listed."""

    elastic: Fleets
    """Of elastic units, the cheapest first; USD/hour."""

    tables: LeftTables
    most: float
    """Requests/s, more than which nothing needs."""

    @classmethod
    def of(cls, grouped: Grouped, steps: int, *, dearest_first: bool = True) -> _Search:
        covering, most = grouped.covering, float(max(grouped.asked.max(), grouped.left.max()))
        first = len(covering.held)
        elastic = Fleets.none(len(covering.elastic))
        kinds = range(first, len(grouped.groups))
        for group in groups_of(grouped, kinds, covering.elastic_usd):
            elastic = _with(elastic, group, most).undominated()
        groups = groups_of(grouped, range(first), covering.held_usd)
        sign = -1 if dearest_first else 1
        groups.sort(key=lambda group: sign * _least_price(group))
        tables = LeftTables.of(grouped, groups, elastic, steps)
        return cls(grouped, tuple(groups), elastic, tables, most)

    def cheapest(self, passed: list[float]) -> _Survivor | None:
        """The cheapest fleet; None where there is none. Raises TooMany, or OutOfTime. passed: is
        given what none costs less than, as that becomes known."""
        least, part = float(self.tables.least[0][0, 0]), FIRST_PART
        if least == float("inf"):
            return None
        passed.append(least)
        for _ in range(MOST_LIMITS):
            limit = least * (1 + part)
            best = self.best_within(limit)
            if best is not None:
                return best
            passed.append(limit)
            part *= TIMES
        raise TooMany

    def best_within(self, limit: float) -> _Survivor | None:
        """The cheapest of the fleets that cost no more than a limit; None where there is none."""
        import numpy as np

        held = Fleets.none(len(self.grouped.covering.held))
        for nth, group in enumerate(self.groups, 1):
            held = _with(held, group, self.most, (self.tables, nth, limit)).undominated()
        least = held.usd + self.tables.least_usd(len(self.groups), held.carried, held.left)
        best = None
        for nth in np.argsort(least, kind="stable"):
            if least[nth] > limit:
                break
            found = self._beside(held.among(np.array([nth])))
            if found is not None and found.usd_per_month <= limit:
                best, limit = found, found.usd_per_month
        return best

    def _beside(self, held: Fleets) -> _Survivor | None:
        """The fleet with these held units and each block's cheapest elastic ones; None where they
        are not enough."""
        import numpy as np

        check()
        asked, left = self.grouped.asked * ENOUGH, self.grouped.left * ENOUGH
        carried = np.maximum(asked - held.carried, left - held.left)
        enough = (self.elastic.carried >= carried[:, None]) & (
            self.elastic.left >= (left - held.carried)[:, None]
        )
        if not enough.any(axis=1).all():
            return None
        cheapest = enough.argmax(axis=1)
        usd = float(held.usd[0] + self.grouped.covering.hours @ self.elastic.usd[cheapest])
        return _Survivor(usd, held.counts[0], self.elastic.counts[cheapest])


def _least_price(group: Group) -> float:
    """USD for what carries one request/s, at its cheapest."""
    fleets = group.fleets
    return float((fleets.usd[1:] / fleets.carried[1:]).min(initial=float("inf")))


def _with(
    others: Fleets,
    group: Group,
    most: float,
    within: tuple[LeftTables, int, float] | None = None,
) -> Fleets:
    """Fleets with one group more; within: those alone that tables, of the groups from a number on,
    let through for so much. Raises TooMany, or OutOfTime."""
    import numpy as np

    check()
    if len(others.usd) * len(group.fleets.usd) > MOST_PAIRS:
        raise TooMany
    carried, left, usd = group.joined(others, most)
    pairs = np.arange(len(usd))
    if within is not None:
        tables, nth, limit = within
        pairs = np.flatnonzero(usd + tables.least_usd(nth, carried, left) <= limit)
    counts = group.counts(others, pairs)
    return Fleets(carried[pairs], left[pairs], usd[pairs], counts)
