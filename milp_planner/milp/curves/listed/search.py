"""The cheapest fleet that covers several rows in every block, found by listing and proven by it.

By one row alone the fleet is one of a single class, whose cost is known for whatever is still
needed (`tables.py`). So held units are listed kind by kind, and only while no row says that they
come to more than a limit: for each list blocks are apart, and elastic units are listed in the same
way, against the rows of the block themselves. The limit starts at what no fleet costs less than,
and rises until a fleet is found below it: every cheaper one was listed. That nothing is cheaper is
then counted once more, on another grid and in the other order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import OutOfTime, check
from milp_planner.lazily import dataclass, field
from milp_planner.milp.curves.listed.reading import (
    Covering,
    Surrogates,
    asked_by,
    surrogates_of,
)
from milp_planner.milp.curves.listed.tables import (
    Tables,
    in_order,
    least_usd,
    ration_of,
    steps_down,
)

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

STEPS, OTHER_STEPS = 4000, 3001
"""Of the grid, and of the one that is counted once more."""

COARSE_STEPS, LEAST_STEPS = 1000, 500
"""Of the grid on which rows are compared; and the fewest of any."""

BLOCK_PART = 8
"""Of the steps: those of the grid of a block."""

MOST_CELLS = 8_000_000
"""Numbers in the tables, about, beyond which their grid is coarser."""

MOST_ROWS, BEST_ROWS, ROUNDS = 24, 6, 2
"""Rows that bound a list, those whose means are looked at, and how often."""

FIRST_PART, FIRST_OF_BLOCK, TIMES = 0.001, 0.02, 3.0
"""Of the least cost, of the month and of a block: how far above it lists begin to look, and how
fast that grows."""

MOST_LISTED = 100_000
"""Lists at once, beyond which this is left to the solvers."""

SAME_USD = 0.005
"""Half a cent: what two fleets that cost the same may differ by."""

ENOUGH = 1 - 1e-9
"""Part of what a row asks for that is all of it: doubles summed."""


class Listed(NamedTuple):
    """The cheapest fleet, or what none costs less than."""

    values: Mapping[str, float]
    """Of all columns; none where it was not found."""

    least_usd: float
    """USD/month: what the fleet costs, or a lower bound."""

    is_plan: bool = True
    """False of a fleet that is none for what the program does not know; it is not counted again."""

    began_s: float = 0.0
    """A reading of `time.monotonic`, of what was read from a program."""


class TooMany(Exception):
    """There is more to list than this is quick at."""


def cheapest_cover(
    covering: Covering, is_plan: Callable[[Mapping[str, float]], bool] = lambda _: True
) -> Listed | None:
    """The cheapest fleet, or a lower bound where that takes too many lists or time; None where
    there is none.

    is_plan: asked of its columns before it is counted again that none is cheaper.
    """
    surrogates = best_surrogates(covering, surrogates_of(covering))
    if surrogates is None:
        return None
    search, least = CoverSearch.of(covering, surrogates, STEPS), [0.0]
    try:
        found = search.cheapest(least)
        values = search.values(found)
        if any(on > covering.most[name] for name, on in values.items()):
            return None
        if not is_plan(values):
            return Listed(values, found.usd_per_month, is_plan=False)
        again = CoverSearch.of(covering, surrogates, OTHER_STEPS, dearest_first=False)
        if again.has_below(found.usd_per_month - SAME_USD):
            return None
    except (TooMany, OutOfTime):
        return Listed({}, max(least))
    return Listed(values, found.usd_per_month)


def _steps(covering: Covering, steps: int) -> int:
    """So many, or fewer where there are many kinds."""
    kinds = len(covering.held) + len(covering.elastic)
    return min(steps, MOST_CELLS // (MOST_ROWS * kinds) + LEAST_STEPS)


def best_surrogates(covering: Covering, surrogates: Surrogates) -> Surrogates | None:
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
class CoverSearch:
    """Fleets that cover rows, listed by what tables let through."""

    covering: Covering
    surrogates: Surrogates
    tables: Tables
    block_steps: int
    held: tuple[int, ...]
    """Kinds by number, in the order in which they are listed."""

    elastic: tuple[int, ...]
    of_blocks: dict[int, BlockSearch] = field(default_factory=dict)

    @classmethod
    def of(
        cls, covering: Covering, surrogates: Surrogates, steps: int, *, dearest_first: bool = True
    ) -> CoverSearch:
        first, rationed = len(covering.held), covering.rationed
        held = in_order(covering.held_usd, rationed, dearest_first=dearest_first)
        of_elastic = [j - first for j in rationed]
        elastic = in_order(covering.elastic_usd, of_elastic, dearest_first=dearest_first)
        steps = _steps(covering, steps)
        tables = Tables.of_month(covering, surrogates, steps, held)
        block_steps = LEAST_STEPS + steps // BLOCK_PART
        return cls(covering, surrogates, tables, block_steps, held, elastic)

    def block(self, t: int) -> BlockSearch:
        """A block, with tables of its own."""
        if t not in self.of_blocks:
            self.of_blocks[t] = self._block(t)
        return self.of_blocks[t]

    def _block(self, t: int) -> BlockSearch:
        """By its own rows, in which units count for no more than it needs, and by common ones."""
        import numpy as np

        covering, rows = self.covering, self.covering.rows[t]
        asked = self.surrogates.asked[:, t, None]
        common = self.surrogates.of_unit[asked[:, 0] > 0] / asked[asked[:, 0] > 0]
        all_rows = np.vstack([rows, common])
        left = 1 - asked_by(all_rows * covering.of_others, rows)
        first, usd = len(covering.held), covering.elastic_usd[list(self.elastic)]
        elastic = [first + j for j in self.elastic]
        ration = ration_of(covering, elastic, left)
        tables = Tables.of_block(usd, all_rows[:, elastic], self.block_steps, ration)
        least = tables.least[0][-1]
        best = np.sort(np.argsort(-least, kind="stable")[:MOST_ROWS])
        held = list(self.held)
        bounding = all_rows[best][:, held].T
        return BlockSearch(tables.among(best), bounding, rows[:, held].T, rows[:, elastic].T)

    def cheapest(self, passed: list[float]) -> _Fleet:
        """The cheapest fleet; raises TooMany, or OutOfTime. passed: is given what none costs less
        than, as that becomes known."""
        least = float(self.tables.least[0][-1].max())
        passed.append(least)
        part, best = FIRST_PART, None
        while True:
            limit = least * (1 + part)
            best = self._best_within(limit, best)
            if best is not None and best.usd_per_month <= limit:
                return best
            passed.append(limit)
            part *= TIMES

    def has_below(self, usd: float) -> bool:
        """Whether any fleet costs less."""
        return self._best_within(usd, None) is not None

    def values(self, fleet: _Fleet) -> Mapping[str, float]:
        """Those of all columns."""
        held = zip(self.held, fleet.held, strict=True)
        values = {self.covering.held[j]: float(n) for j, n in held}
        for t, counts in enumerate(fleet.elastic):
            mine = zip(self.elastic, counts, strict=True)
            values |= {self.covering.elastic[j][t]: float(n) for j, n in mine}
        return values

    def _best_within(self, limit: float, best: _Fleet | None) -> _Fleet | None:
        """The best known, or a cheaper one of those that the limit lets through."""
        import numpy as np

        counts, least = all_within(self.tables, np.full(len(self.surrogates.of_unit), 1.0), limit)
        below = min(limit, best.usd_per_month) if best is not None else limit
        for nth in np.argsort(least, kind="stable"):
            if least[nth] > below:
                break
            found = self._with_held(counts[nth], below)
            if found is not None and (best is None or found.usd_per_month < best.usd_per_month):
                best, below = found, min(below, found.usd_per_month)
        return best

    def _with_held(self, held: NDArray[intp], below: float) -> _Fleet | None:
        """The cheapest fleet with these held units; None where it costs more than `below`."""
        import numpy as np

        hours, blocks = self.covering.hours, [self.block(t) for t in range(len(self.covering.rows))]
        least = np.array([block.least_usd(held) for block in blocks])
        usd = float(held @ self.tables.usd + hours @ least)
        if usd > below:  # or endless, where elastic units alone are not enough
            return None
        elastic: list[tuple[int, ...]] = [()] * len(hours)
        for t in np.argsort(-(hours * least), kind="stable"):
            most = float(least[t] + (below - usd) / hours[t])
            found = blocks[t].cheapest(held, float(least[t]), most)
            if found is None:
                return None
            cost, elastic[t] = found
            usd += float(hours[t] * (cost - least[t]))
        return _Fleet(usd, tuple(held.tolist()), tuple(elastic))


@dataclass(frozen=True)
class BlockSearch:
    """What elastic units of a block cost at least, and what its rows ask for."""

    tables: Tables
    bounding: NDArray[float64]
    """(held, rows): what a unit counts for in the rows of the tables, where 1 is asked for."""

    of_held: NDArray[float64]
    """(held, rows): in the block's own rows."""

    of_elastic: NDArray[float64]

    def least_usd(self, held: NDArray[intp]) -> float:
        """USD/hour beside these held units."""
        import numpy as np

        left = steps_down((1 - held @ self.bounding) * self.tables.steps)
        return float(self.tables.least[0][left, np.arange(len(left))].max())

    def cheapest(
        self, held: NDArray[intp], least: float, most: float
    ) -> tuple[float, tuple[int, ...]] | None:
        """Its cheapest elastic units and USD/hour; None where they cost more than most."""
        import numpy as np

        usd = self.tables.usd
        lacking = ENOUGH - held @ self.of_held
        if (lacking <= 0).all():
            return 0.0, (0,) * len(usd)
        left = 1 - held @ self.bounding
        slack = max(least, float(usd.min(initial=np.inf))) * FIRST_OF_BLOCK
        tolerance = most + abs(most) * 1e-12
        while len(usd) and least <= tolerance:
            limit = min(least + slack, tolerance)
            counts, _ = all_within(self.tables, left, limit)
            enough = (counts @ self.of_elastic >= lacking).all(axis=1)
            if enough.any():
                costs = np.where(enough, counts @ usd, np.inf)
                nth = int(costs.argmin())
                return float(costs[nth]), tuple(counts[nth].tolist())
            if limit >= tolerance:
                break
            slack *= TIMES
        return None


def all_within(
    tables: Tables, needed: NDArray[float64], limit: float
) -> tuple[NDArray[intp], NDArray[float64]]:
    """All counts of the kinds that no row says come to more than the limit, and what each comes to
    at least. needed: (rows,), parts of all that is asked for. Raises TooMany."""
    import numpy as np

    left = needed * tables.steps
    counts = np.zeros((1, len(tables.usd)), dtype=np.intp)
    for level in range(len(tables.usd)):
        kept, more = [], counts
        while len(more):
            check()
            kept.append(more[tables.least_usd(more, left, level + 1) <= limit])
            more = more.copy()
            more[:, level] += 1
            more = more[tables.least_usd(more, left, level) <= limit]
            if len(more) + sum(map(len, kept)) > MOST_LISTED:
                raise TooMany
        counts = np.concatenate(kept) if kept else counts
    return counts, tables.least_usd(counts, left, -1)
