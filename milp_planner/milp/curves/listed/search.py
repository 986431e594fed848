"""The cheapest fleet that covers several rows in every block, found by listing and proven by it.

By one row alone the fleet is one of a single class, whose cost is known for whatever is still
needed (`tables.py`). So held units are listed kind by kind, and only while no row says that they
come to more than a limit: for each list blocks are apart, and elastic units are listed in the same
way, against the rows of the block themselves. The limit starts at what no fleet costs less than,
and rises until a fleet is found below it: every cheaper one was listed. That nothing is cheaper is
then counted once more, on another grid and in the other order.

Where GPUs beyond a count have a price, blocks beside held units are linked by the most GPUs that
are on in any. With what each takes at its cheapest, blocks that have the most then do with fewer,
one by one, as long as that may pay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import OutOfTime
from milp_planner.lazily import dataclass, field
from milp_planner.milp.curves.listed.blocks import (
    NOTHING,
    TIMES,
    Block,
    Listing,
    Rest,
    TooMany,
    every_of,
    listed,
)
from milp_planner.milp.curves.listed.reading import (
    Covering,
    Surrogates,
    asked_by,
    surrogates_of,
)
from milp_planner.milp.curves.listed.tables import NOISE, Tables, in_order, least_usd, ration_of

if TYPE_CHECKING:
    from numpy import intp
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

GPU_PRICES = (0.5, 0.0, 1.0)
"""Parts of the price of a GPU by which rows bound a fleet, where there is one; the first is that by
which the rows are chosen."""

FIRST_PART = 0.001
"""Of the least cost of the month: how far above it lists begin to look."""

SAME_USD = 0.005
"""Half a cent: what two fleets that cost the same may differ by."""


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


IsPlan = Callable[[Mapping[str, float]], bool]
"""Asked of the columns of a fleet: False where there is more to it than the program knows."""


def any_is(values: Mapping[str, float]) -> bool:
    """Every fleet is a plan."""
    return True


def cheapest_cover(
    covering: Covering, is_plan: IsPlan = any_is, below_usd: float = math.inf
) -> Listed | None:
    """The cheapest fleet that costs less than so much, or a lower bound where there is none, or
    that takes too many lists or time; None where there is no fleet.

    is_plan: asked of it before it is counted again that none is cheaper.
    """
    surrogates = best_surrogates(covering, surrogates_of(covering))
    if surrogates is None:
        return None
    search, least = CoverSearch.of(covering, surrogates, STEPS), [0.0]
    try:
        found = search.cheapest(least, below_usd)
        values = {} if found is None else search.values(found)
        if any(on > covering.most[name] for name, on in values.items()):
            return None
        most_usd = below_usd if found is None else found.usd_per_month
        if values and not is_plan(values):
            return Listed(values, most_usd, is_plan=False)
        again = CoverSearch.of(covering, surrogates, OTHER_STEPS, dearest_first=False)
        if again.has_below(most_usd - SAME_USD):
            return None
    except (TooMany, OutOfTime):
        return Listed({}, max(least))
    return Listed(values, most_usd)


def _steps(covering: Covering, steps: int) -> int:
    """So many, or fewer where there are many kinds."""
    kinds = len(covering.held) + len(covering.elastic)
    return min(steps, MOST_CELLS // (MOST_ROWS * kinds) + LEAST_STEPS)


def best_surrogates(covering: Covering, surrogates: Surrogates) -> Surrogates | None:
    """The rows, and means of them, by which the least cost is highest; where GPUs have a price,
    each at some of it."""
    price = covering.gpus.usd_each
    if not price:
        return _best_at(covering, surrogates, MOST_ROWS)
    best = _best_at(covering, surrogates.at(price * GPU_PRICES[0]), MOST_ROWS // len(GPU_PRICES))
    return best and Surrogates.joined([best.at(price * part) for part in GPU_PRICES])


def _best_at(covering: Covering, surrogates: Surrogates, most: int) -> Surrogates | None:
    import numpy as np

    for nth in range(ROUNDS + 1):
        least = least_usd(covering, surrogates, COARSE_STEPS)
        if not np.isfinite(least).all():
            return None  # some row no kind can keep
        order = np.argsort(-least, kind="stable")[:most]
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
    of_blocks: dict[int, Block] = field(default_factory=dict)

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

    def block(self, t: int) -> Block:
        """A block, with tables of its own."""
        if t not in self.of_blocks:
            self.of_blocks[t] = self._block(t)
        return self.of_blocks[t]

    def _block(self, t: int) -> Block:
        covering, rows = self.covering, self.covering.rows[t]
        held, elastic = list(self.held), [len(covering.held) + j for j in self.elastic]
        usd, gpus = covering.elastic_usd[list(self.elastic)], covering.gpus.of_kind[elastic]
        of_elastic = rows[:, elastic].T
        every = every_of(of_elastic, usd, gpus)
        return Block(rows[:, held].T, of_elastic, self.listing(t) if every is None else every)

    def listing(self, t: int) -> Listing:
        """Elastic units of a block, by its own rows and by common ones."""
        import numpy as np

        covering, rows = self.covering, self.covering.rows[t]
        held, elastic = list(self.held), [len(covering.held) + j for j in self.elastic]
        usd, gpus = covering.elastic_usd[list(self.elastic)], covering.gpus.of_kind[elastic]
        asked = self.surrogates.asked[:, t, None]
        common = self.surrogates.of_unit[asked[:, 0] > 0] / asked[asked[:, 0] > 0]
        all_rows = np.vstack([rows, common])
        left = 1 - asked_by(all_rows * covering.of_others, rows)
        on_units, ration = all_rows[:, elastic], ration_of(covering, elastic, left)
        tables = Tables.of_block(usd, on_units, self.block_steps, ration)
        best = np.sort(np.argsort(-tables.least[0][-1], kind="stable")[:MOST_ROWS])
        of_gpus = Tables.of_block(gpus, on_units[best], self.block_steps, None)
        return Listing(usd, gpus, all_rows[best][:, held].T, tables.among(best), of_gpus)

    def cheapest(self, passed: list[float], below: float = math.inf) -> _Fleet | None:
        """The cheapest fleet below so much, or None; raises TooMany, or OutOfTime. passed: is given
        what none costs less than, as that becomes known."""
        least = float(self.tables.least[0][-1].max())
        passed.append(min(least, below))
        part, best = FIRST_PART, None
        while least < below:
            limit = min(least + abs(least) * part, below)
            best = self._best_within(limit, best)
            if best is not None and best.usd_per_month <= limit:
                return best
            if limit >= below:
                break
            passed.append(limit)
            part *= TIMES
        return None

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

        needed = np.full(len(self.surrogates.of_unit), 1.0)
        counts, least = listed([(self.tables, limit)], needed)
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
        usd = float(held @ self.covering.held_usd[list(self.held)] + hours @ least)
        owed = self._owed_for_gpus(held, blocks) if usd <= below else 0.0
        if usd + owed > below:  # or endless, where elastic units alone are not enough
            return None
        rest = [NOTHING] * len(hours)
        for t in np.argsort(-(hours * least), kind="stable"):
            room = (below - owed - usd) / hours[t]
            found = blocks[t].cheapest(held, float(least[t]), float(least[t] + room))
            if found is None:
                return None
            rest[t] = found
            usd += float(hours[t] * (found.usd_per_hour - least[t]))
        return self._with_fewer_gpus(held, rest, usd, owed, below)

    def _owed_for_gpus(self, held: NDArray[intp], blocks: Sequence[Block]) -> float:
        """What GPUs come to at least beside these held units, USD/month."""
        if not self.covering.gpus.usd_each:
            return 0.0
        more = max(block.least_gpus(held) for block in blocks)
        return self._usd_of_gpus(held, math.ceil(more - NOISE))

    def _usd_of_gpus(self, held: NDArray[intp], more: float) -> float:
        """What those of held units and so many more cost, USD/month."""
        gpus = self.covering.gpus
        return gpus.usd(float(held @ gpus.of_kind[list(self.held)]) + more)

    def _with_fewer_gpus(
        self, held: NDArray[intp], rest: list[Rest], usd: float, least_owed: float, below: float
    ) -> _Fleet | None:
        """The cheapest with these held units, from where each block is at its cheapest.

        usd: what units cost. least_owed: what GPUs cost at least.
        """
        best: _Fleet | None = None
        while True:
            most = max(one.gpus for one in rest)
            owed = self._usd_of_gpus(held, most)
            if usd + owed <= below:
                units = tuple(one.units for one in rest)
                best, below = _Fleet(usd + owed, tuple(held.tolist()), units), usd + owed
            if owed <= least_owed:
                return best
            for t in (t for t, one in enumerate(rest) if one.gpus == most):
                hours, before = float(self.covering.hours[t]), rest[t].usd_per_hour
                room = (below - least_owed - usd) / hours
                found = self.block(t).cheapest(held, before, before + room, most - 1)
                if found is None:
                    return best
                usd += hours * (found.usd_per_hour - before)
                rest[t] = found
