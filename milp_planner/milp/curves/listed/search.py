"""The cheapest fleet that covers several rows in every block, found by listing and proven by it.

By one row alone the fleet is one of a single class, whose cost is known for whatever is still
needed (`tables.py`). So held units are listed kind by kind, and only while no row says that they
come to more than a limit: for each list blocks are apart, and elastic units are listed in the same
way, against the rows of the block themselves. The limit starts at what no fleet costs less than,
and rises until a fleet is found below it: every cheaper one was listed. That nothing is cheaper is
then counted once more, on another grid and in the other order.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.reading import (
    Covering,
    Surrogates,
    covering_of,
    surrogates_of,
)
from milp_planner.milp.curves.listed.tables import Tables, least_usd, steps_down
from milp_planner.milp.program.model import FleetModel

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

STEPS, OTHER_STEPS = 4000, 3001
"""Of the grid, and of the one that is counted once more."""

COARSE_STEPS, LEAST_STEPS = 1000, 500
"""Of the grid on which rows are compared; and the fewest of any."""

MOST_CELLS = 8_000_000
"""Numbers in the tables, about, beyond which their grid is coarser."""

MOST_ROWS, BEST_ROWS, ROUNDS = 24, 6, 2
"""Rows that bound a list, those whose means are looked at, and how often."""

FIRST_PART, TIMES = 0.001, 3.0
"""Of the least cost: how far above it lists begin to look, and how fast that grows."""

MOST_LISTED = 100_000
"""Lists at once, beyond which this is left to the solvers."""

SAME_USD = 0.005
"""Half a cent: what two fleets that cost the same may differ by."""

ENOUGH = 1 - 1e-9
"""Part of what a row asks for that is all of it: doubles summed."""


class Listed(NamedTuple):
    """The cheapest fleet."""

    values: Mapping[str, float]
    """Of all columns."""

    usd_per_month: float
    began_s: float
    """A reading of `time.monotonic`."""


class TooMany(Exception):
    """There is more to list than this is quick at."""


def cheapest_listed(model: FleetModel) -> Listed | None:
    """The cheapest fleet of a program; None where it is not one of such rows, or takes too many
    lists. Raises OutOfTime when time is up."""
    began_s = time.monotonic()
    covering = covering_of(model)
    found = None if covering is None else cheapest_cover(covering)
    return None if found is None else Listed(*found, began_s)


def cheapest_cover(covering: Covering) -> tuple[Mapping[str, float], float] | None:
    """The columns of the cheapest fleet, and USD/month; None where it takes too many lists."""
    surrogates = _best_of(covering, surrogates_of(covering))
    if surrogates is None:
        return None
    try:
        search = _Search.of(covering, surrogates, _steps(covering, STEPS))
        found = search.cheapest()
        steps = _steps(covering, OTHER_STEPS)
        again = _Search.of(covering, surrogates, steps, dearest_first=False)
        if again.has_below(found.usd_per_month - SAME_USD):
            return None
    except TooMany:
        return None
    values = search.values(found)
    if any(on > covering.most[name] for name, on in values.items()):
        return None
    return values, found.usd_per_month


def _steps(covering: Covering, steps: int) -> int:
    """So many, or fewer where there are many kinds."""
    kinds = len(covering.held) + len(covering.elastic)
    return min(steps, MOST_CELLS // (MOST_ROWS * kinds) + LEAST_STEPS)


def _best_of(covering: Covering, surrogates: Surrogates) -> Surrogates | None:
    """The rows, and means of them, by which the least cost is highest."""
    import numpy as np

    for nth in range(ROUNDS + 1):
        least = least_usd(covering, surrogates, COARSE_STEPS)
        if not np.isfinite(least).all():
            return None  # some row no kind can keep
        order = np.argsort(-least, kind="stable")[:MOST_ROWS]
        surrogates = surrogates.among(order)
        if nth < ROUNDS and len(order) > 1:
            pairs = combinations(range(min(BEST_ROWS, len(order))), 2)
            surrogates = surrogates.with_means(pairs)
    return surrogates


class _Fleet(NamedTuple):
    usd_per_month: float
    held: tuple[int, ...]
    elastic: tuple[tuple[int, ...], ...]
    """By block: units of each kind."""


@dataclass(frozen=True)
class _Search:
    covering: Covering
    tables: Tables
    held_usd: NDArray[float64]
    elastic_usd: NDArray[float64]
    of_held: tuple[NDArray[float64], ...]
    """For each block (held, rows): what a unit counts for in the block's own rows."""

    of_elastic: tuple[NDArray[float64], ...]

    @classmethod
    def of(
        cls, covering: Covering, surrogates: Surrogates, steps: int, *, dearest_first: bool = True
    ) -> _Search:
        tables = Tables.of(covering, surrogates, steps, dearest_first=dearest_first)
        held, first = list(tables.held), len(covering.held)
        elastic = [first + j for j in tables.elastic]
        return cls(
            covering,
            tables,
            covering.held_usd[held],
            covering.elastic_usd[list(tables.elastic)],
            tuple(rows[:, held].T for rows in covering.rows),
            tuple(rows[:, elastic].T for rows in covering.rows),
        )

    def cheapest(self) -> _Fleet:
        """The cheapest fleet; raises TooMany."""
        least = float(self.tables.all_usd[0][self.tables.steps].max())
        part, best = FIRST_PART, None
        while True:
            limit = least * (1 + part)
            best = self._best_within(limit, best)
            if best is not None and best.usd_per_month <= limit:
                return best
            part *= TIMES

    def has_below(self, usd: float) -> bool:
        """Whether any fleet costs less."""
        return self._best_within(usd, None) is not None

    def values(self, fleet: _Fleet) -> Mapping[str, float]:
        """Those of all columns."""
        covering, tables = self.covering, self.tables
        held = zip(tables.held, fleet.held, strict=True)
        values = {covering.held[j]: float(n) for j, n in held}
        for t, counts in enumerate(fleet.elastic):
            mine = zip(tables.elastic, counts, strict=True)
            values |= {covering.elastic[j][t]: float(n) for j, n in mine}
        return values

    def _best_within(self, limit: float, best: _Fleet | None) -> _Fleet | None:
        """The best known, or a cheaper one of those that the limit lets through."""
        import numpy as np

        tables = self.tables
        full = np.full(tables.needed.shape[1], float(tables.steps))
        counts, least = _listed(tables.all_usd, self.held_usd, tables.of_held, full, limit)
        below = min(limit, best.usd_per_month) if best is not None else limit
        for nth in np.argsort(least, kind="stable"):
            if least[nth] > below:
                break
            found = self._with_held(counts[nth], below)
            if found is not None and (best is None or found.usd_per_month < best.usd_per_month):
                best, below = found, min(below, found.usd_per_month)
        return best

    def _with_held(self, held: NDArray[int64], below: float) -> _Fleet | None:
        """The cheapest fleet with these held units; None where it costs more than `below`."""
        import numpy as np

        tables, hours = self.tables, self.covering.hours
        left = tables.needed - held @ tables.of_held
        least = tables.block_usd[0][steps_down(left), np.arange(left.shape[1])].max(axis=1)
        usd = float(held @ self.held_usd + hours @ least)
        if usd > below:  # or endless, where elastic units alone are not enough
            return None
        elastic: list[tuple[int, ...]] = [()] * len(hours)
        for t in np.argsort(-(hours * least), kind="stable"):
            most = float(least[t] + (below - usd) / hours[t])
            found = self._block(int(t), held, left[t], float(least[t]), most)
            if found is None:
                return None
            cost, elastic[t] = found
            usd += float(hours[t] * (cost - least[t]))
        return _Fleet(usd, tuple(held.tolist()), tuple(elastic))

    def _block(
        self, t: int, held: NDArray[int64], left: NDArray[float64], least: float, most: float
    ) -> tuple[float, tuple[int, ...]] | None:
        """The cheapest elastic units of a block, USD/hour; None where they cost more than most."""
        import numpy as np

        lacking = ENOUGH - held @ self.of_held[t]
        if (lacking <= 0).all():
            return 0.0, (0,) * len(self.elastic_usd)
        slack = max(least, float(self.elastic_usd.min(initial=np.inf))) * FIRST_PART
        tolerance = most + abs(most) * 1e-12
        while len(self.elastic_usd) and least <= tolerance:
            limit = min(least + slack, tolerance)
            counts, _ = _listed(
                self.tables.block_usd, self.elastic_usd, self.tables.of_elastic, left, limit
            )
            enough = (counts @ self.of_elastic[t] >= lacking).all(axis=1)
            if enough.any():
                costs = np.where(enough, counts @ self.elastic_usd, np.inf)
                nth = int(costs.argmin())
                return float(costs[nth]), tuple(counts[nth].tolist())
            if limit >= tolerance:
                break
            slack *= TIMES
        return None


def _listed(
    tables: Sequence[NDArray[float64]],
    usd: NDArray[float64],
    of_unit: NDArray[float64],
    left: NDArray[float64],
    limit: float,
) -> tuple[NDArray[int64], NDArray[float64]]:
    """All counts of the kinds that no row says come to more than the limit, and what each comes to
    at least. left: (rows,) steps that are needed. Raises TooMany."""
    import numpy as np

    counts = np.zeros((1, len(usd)), dtype=np.int64)
    for level in range(len(usd)):
        kept, more = [], counts
        while len(more):
            check()
            kept.append(more[_least(tables[level + 1], more, usd, of_unit, left) <= limit])
            more = more.copy()
            more[:, level] += 1
            more = more[_least(tables[level], more, usd, of_unit, left) <= limit]
            if len(more) + sum(map(len, kept)) > MOST_LISTED:
                raise TooMany
        counts = np.concatenate(kept) if kept else counts
    return counts, _least(tables[-1], counts, usd, of_unit, left)


def _least(
    table: NDArray[float64],
    counts: NDArray[int64],
    usd: NDArray[float64],
    of_unit: NDArray[float64],
    left: NDArray[float64],
) -> NDArray[float64]:
    """What lists come to at least, whatever is added to them of the kinds that a table is of."""
    import numpy as np

    at = steps_down(left - counts @ of_unit), np.arange(len(left))
    least: NDArray[float64] = counts @ usd + table[at].max(axis=1)
    return least
