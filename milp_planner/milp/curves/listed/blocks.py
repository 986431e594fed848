"""What the elastic units of a block cost beside what is held, and how counts of units are listed.

All of which none is too many are looked at, where these are few enough; else those that no row says
come to more than a limit, which rises until there are some that are enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.tables import Tables, steps_down

if TYPE_CHECKING:
    from numpy import bool_, float64, intp
    from numpy.typing import NDArray

FIRST_OF_BLOCK, TIMES = 0.02, 3.0
"""Of the least cost of a block: how far above it lists begin to look, and how fast that grows."""

MOST_LISTED = 100_000
"""Lists at once, beyond which this is left to the solvers."""

MOST_OF_BLOCK = 10_000
"""Numbers of elastic units that a block looks at all at once; beyond, lists are made for what is
held."""

ENOUGH = 1 - 1e-9
"""Part of what a row asks for that is all of it: doubles summed."""


class TooMany(Exception):
    """There is more to list than this is quick at."""


class Rest(NamedTuple):
    """The elastic units of a block."""

    usd_per_hour: float
    units: tuple[int, ...]
    gpus: float


NOTHING = Rest(0.0, (), 0.0)


@dataclass(frozen=True)
class Block:
    """What elastic units of a block cost, and what its rows ask for."""

    of_held: NDArray[float64]
    """(held, rows): in the block's own rows, where 1 is asked for."""

    of_elastic: NDArray[float64]
    found_by: Every | Listing

    def least_usd(self, held: NDArray[intp]) -> float:
        """USD/hour at least beside these held units."""
        return self.found_by.least_usd(held, self._lacking(held))

    def least_gpus(self, held: NDArray[intp]) -> float:
        """The fewest GPUs beside these held units, or less."""
        return self.found_by.least_gpus(held, self._lacking(held))

    def cheapest(
        self, held: NDArray[intp], least: float, most: float, most_gpus: float = math.inf
    ) -> Rest | None:
        """Its cheapest elastic units of no more GPUs; None where they cost more than most.

        least: USD/hour that none costs less than.
        """
        lacking = self._lacking(held)
        if (lacking <= 0).all():
            return Rest(0.0, (0,) * len(self.of_elastic), 0.0)
        if isinstance(self.found_by, Every):
            return self.found_by.cheapest(lacking, most, most_gpus)
        return self.found_by.cheapest(held, (lacking, self.of_elastic), least, most, most_gpus)

    def _lacking(self, held: NDArray[intp]) -> NDArray[float64]:
        return ENOUGH - held @ self.of_held


@dataclass(frozen=True)
class Listing:
    """Elastic units of a block that are listed against its rows, for what is held."""

    usd: NDArray[float64]
    """(elastic,) USD/hour."""

    gpus: NDArray[float64]
    """(elastic,) of a unit."""

    of_held: NDArray[float64]
    """(held, rows): what a unit counts for in the rows of the tables, where 1 is asked for."""

    tables: Tables
    """By its own rows, in which units count for no more than it needs, and by common ones."""

    gpu_tables: Tables
    """The same where a unit costs its GPUs."""

    def least_usd(self, held: NDArray[intp], lacking: NDArray[float64]) -> float:
        """See `Block`."""
        return self._least(self.tables, held)

    def least_gpus(self, held: NDArray[intp], lacking: NDArray[float64]) -> float:
        """See `Block`."""
        return self._least(self.gpu_tables, held)

    def _least(self, tables: Tables, held: NDArray[intp]) -> float:
        import numpy as np

        left = steps_down((1 - held @ self.of_held) * tables.steps)
        return float(tables.least[0][left, np.arange(len(left))].max())

    def cheapest(
        self,
        held: NDArray[intp],
        needed: tuple[NDArray[float64], NDArray[float64]],
        least: float,
        most: float,
        most_gpus: float,
    ) -> Rest | None:
        """See `Block`. needed: what the block lacks by row, and what elastic units add to it."""
        import numpy as np

        (lacking, of_elastic), usd = needed, self.usd
        left = 1 - held @ self.of_held
        slack = max(least, float(usd.min(initial=np.inf))) * FIRST_OF_BLOCK
        tolerance = most + abs(most) * 1e-12
        few = [] if most_gpus == math.inf else [(self.gpu_tables, most_gpus)]
        while len(usd) and least <= tolerance:
            limit = min(least + slack, tolerance)
            counts, _ = listed([(self.tables, limit), *few], left)
            enough = (counts @ of_elastic >= lacking).all(axis=1)
            if enough.any():
                costs = np.where(enough, counts @ usd, np.inf)
                on = counts[int(costs.argmin())]
                return Rest(float(costs.min()), tuple(on.tolist()), float(on @ self.gpus))
            if limit >= tolerance:
                break
            slack *= TIMES
        return None


@dataclass(frozen=True)
class Every:
    """All numbers of elastic units of a block of which none is too many, the cheapest first."""

    units: NDArray[intp]
    """(fleets, elastic)."""

    carried: NDArray[float64]
    """(fleets, rows): in the block's own rows."""

    usd: NDArray[float64]
    """(fleets,) USD/hour."""

    gpus: NDArray[float64]

    def least_usd(self, held: NDArray[intp], lacking: NDArray[float64]) -> float:
        """See `Block`."""
        enough = self._enough(lacking)
        nth = int(enough.argmax())
        return float(self.usd[nth]) if enough[nth] else math.inf

    def least_gpus(self, held: NDArray[intp], lacking: NDArray[float64]) -> float:
        """See `Block`."""
        return float(self.gpus[self._enough(lacking)].min(initial=math.inf))

    def cheapest(self, lacking: NDArray[float64], most: float, most_gpus: float) -> Rest | None:
        """The cheapest of those that make up for what is lacking; None where there is none."""
        enough = self._enough(lacking)
        if most_gpus < math.inf:
            enough &= self.gpus <= most_gpus
        nth = int(enough.argmax())
        if not enough[nth] or self.usd[nth] > most + abs(most) * 1e-12:
            return None
        units = tuple(self.units[nth].tolist())
        return Rest(float(self.usd[nth]), units, float(self.gpus[nth]))

    def _enough(self, lacking: NDArray[float64]) -> NDArray[bool_]:
        """(fleets,): whether each makes up for it."""
        import numpy as np

        return np.asarray((self.carried >= lacking).all(axis=1))


def every_of(
    of_elastic: NDArray[float64], usd: NDArray[float64], gpus: NDArray[float64]
) -> Every | None:
    """None where there are too many, or no elastic units. of_elastic: (elastic, rows)."""
    import numpy as np

    if not len(usd):
        return None
    counts = np.zeros((1, len(usd)), dtype=np.intp)
    for j, of_unit in enumerate(of_elastic):
        kept, more, known = [], counts, 0
        while len(more):
            check()
            kept.append(more)
            known += len(more)
            lacks = (more @ of_elastic < ENOUGH) & (of_unit > 0)  # what one more is good for
            more = more[lacks.any(axis=1)]
            more[:, j] += 1
            if known + len(more) > MOST_OF_BLOCK:
                return None
        counts = np.concatenate(kept)
    costs, taken = counts @ usd, counts @ gpus
    order = np.lexsort((taken, costs))
    counts = counts[order]
    return Every(counts, counts @ of_elastic, costs[order], taken[order])


def listed(
    bounds: Sequence[tuple[Tables, float]], needed: NDArray[float64]
) -> tuple[NDArray[intp], NDArray[float64]]:
    """All counts of the kinds of which no row says that they come to more than the limit of its
    tables, and what each comes to at least by the first. needed: (rows,), parts of all that is
    asked for. Raises TooMany."""
    import numpy as np

    kinds = len(bounds[0][0].usd)

    def within(counts: NDArray[intp], level: int) -> NDArray[intp]:
        for tables, limit in bounds:
            least = tables.least_usd(counts, needed * tables.steps, level)
            counts = counts[least <= limit]
        return counts

    counts = np.zeros((1, kinds), dtype=np.intp)
    for level in range(kinds):
        kept, more = [], counts
        while len(more):
            check()
            kept.append(within(more, level + 1))
            more = more.copy()
            more[:, level] += 1
            more = within(more, level)
            if len(more) + sum(map(len, kept)) > MOST_LISTED:
                raise TooMany
        counts = np.concatenate(kept) if kept else counts
    tables, _ = bounds[0]
    return counts, tables.least_usd(counts, needed * tables.steps, -1)
