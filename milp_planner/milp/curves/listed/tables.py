"""What the cheapest units cost that carry what one row asks for, for all that may still be needed.

On a grid of N steps of the most that the row asks for, units counted to the next step above,

    e_j(r) = min(e_{j+1}(r), c_j + e_j(r − a_j)),          e_J(0) = 0            USD/hour, r needed
    E(r) = Σ_t h_t e_0(R_t − R + r),   G_j(r) = min(G_{j+1}(r), C_j + G_j(r − a_j)),   G_J = E

where e_j may use the elastic kinds from j on, and G_j the held kinds from j on beside them; r is
what is needed of the most, R. No fleet that keeps the row costs less. Where some kinds may carry
only a part of it, they come last, so that what is needed of them alone is all that they carry:
beyond their part that costs endlessly much.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.reading import Covering, Surrogates

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

NOISE = 1e-9
"""Steps by which a double may be off."""


class Ration(NamedTuple):
    """What the kinds from a level on may carry at most."""

    level: int
    most: NDArray[float64]
    """(rows,), parts of all that is asked for."""

    def of_needs(self, table: NDArray[float64]) -> NDArray[float64]:
        """What these kinds alone cost, endless where they would carry more."""
        import numpy as np

        steps = len(table) - 1
        most = np.maximum(np.floor(self.most * steps + NOISE), 0.0)
        return np.where(np.arange(steps + 1)[:, None] <= most[None, :], table, np.inf)


@dataclass(frozen=True)
class Tables:
    """Curves of some rows; kinds in the order in which they are listed."""

    steps: int
    usd: NDArray[float64]
    """(kinds,): what a unit costs."""

    of_unit: NDArray[float64]
    """(kinds, rows): steps that a unit carries."""

    least: tuple[NDArray[float64], ...]
    """By level, of the kinds from there on: (steps + 1, rows); the last of none of them."""

    @classmethod
    def of_month(
        cls, covering: Covering, surrogates: Surrogates, steps: int, held: Sequence[int]
    ) -> Tables:
        """G of held units, USD/month; raises OutOfTime when time is up before."""
        of_unit = surrogates.of_unit.T[list(held)] * steps
        month = _elastic_usd(covering, surrogates, steps)
        ration = ration_of(covering, held, surrogates.left_to_rationed[:, 0])
        return cls._growing(month, covering.held_usd[list(held)], of_unit, ration)

    @classmethod
    def of_block(
        cls, usd: NDArray[float64], of_unit: NDArray[float64], steps: int, ration: Ration | None
    ) -> Tables:
        """e of elastic units, USD/hour. of_unit: (rows, kinds), where 1 is asked for."""
        return cls._growing(_nothing(steps, len(of_unit)), usd, of_unit.T * steps, ration)

    def among(self, rows: NDArray[intp]) -> Tables:
        """The curves of these rows, by number."""
        least = tuple(table[:, rows] for table in self.least)
        return Tables(self.steps, self.usd, self.of_unit[:, rows], least)

    @classmethod
    def before(
        cls, last: NDArray[float64], usd: NDArray[float64], of_unit: NDArray[float64]
    ) -> Tables:
        """With more kinds ahead of those of a table. of_unit: (kinds, rows), parts of what is asked
        for."""
        return cls._growing(last, usd, of_unit * (len(last) - 1), None)

    @classmethod
    def _growing(
        cls,
        last: NDArray[float64],
        usd: NDArray[float64],
        of_unit: NDArray[float64],
        ration: Ration | None,
    ) -> Tables:
        tables = [last]
        for level in reversed(range(len(usd))):
            table = _with_kind(tables[-1], float(usd[level]), of_unit[level])
            is_ration = ration is not None and level == ration.level
            tables.append(ration.of_needs(table) if ration and is_ration else table)
        return cls(len(last) - 1, usd, of_unit, tuple(reversed(tables)))

    def least_usd(
        self, counts: NDArray[intp], left: NDArray[float64], level: int
    ) -> NDArray[float64]:
        """What each of the lists comes to at least, whatever is added of the kinds from a level on.

        counts: (lists, kinds). left: (rows,) steps that are needed beside them.
        """
        import numpy as np

        at = steps_down(left - counts @ self.of_unit), np.arange(len(left))
        least: NDArray[float64] = counts @ self.usd + self.least[level][at].max(axis=1)
        return least


def in_order(
    usd: NDArray[float64], rationed: Collection[int], *, dearest_first: bool
) -> tuple[int, ...]:
    """Numbers of the kinds by what they cost, those that may carry only a part last."""
    sign = -1 if dearest_first else 1
    return tuple(sorted(range(len(usd)), key=lambda j: (j in rationed, sign * usd[j], j)))


def ration_of(covering: Covering, listed: Sequence[int], most: NDArray[float64]) -> Ration | None:
    """What rationed kinds may carry of rows; None where none are among these, which they end."""
    level = sum(j not in covering.rationed for j in listed)
    return Ration(level, most) if level < len(listed) else None


def least_usd(covering: Covering, surrogates: Surrogates, steps: int) -> NDArray[float64]:
    """(rows,): what no fleet costs less than by each row, USD/month."""
    held = in_order(covering.held_usd, covering.rationed, dearest_first=True)
    least: NDArray[float64] = Tables.of_month(covering, surrogates, steps, held).least[0][steps]
    return least


def _elastic_usd(covering: Covering, surrogates: Surrogates, steps: int) -> NDArray[float64]:
    """E, USD/month."""
    import numpy as np

    first, of_unit = len(covering.held), surrogates.of_unit.T * steps
    kinds = [*range(first, first + len(covering.elastic))]
    table = _nothing(steps, len(surrogates.of_unit))
    rationed = [j for j in kinds if j in covering.rationed]
    for j in rationed:
        table = _with_kind(table, float(covering.elastic_usd[j - first]), of_unit[j])
    left = surrogates.left_to_rationed.T if rationed else np.full((1, len(table[0])), np.inf)
    limits, of_block = np.unique(left, axis=0, return_inverse=True)
    month, blocks = np.zeros_like(table), of_block.ravel() * np.ones(len(covering.hours), np.intp)
    for nth, most in enumerate(limits):
        block_usd = Ration(0, most).of_needs(table)
        for j in kinds:
            if j not in covering.rationed:
                usd = float(covering.elastic_usd[j - first])
                block_usd = _with_kind(block_usd, usd, of_unit[j])
        month += _over_blocks(covering, surrogates, block_usd, np.flatnonzero(blocks == nth))
    return month


def _over_blocks(
    covering: Covering,
    surrogates: Surrogates,
    block_usd: NDArray[float64],
    blocks: NDArray[intp],
) -> NDArray[float64]:
    """What elastic units cost in these blocks, from e_0; USD/month."""
    import numpy as np

    steps = len(block_usd) - 1
    grid = np.arange(steps + 1)[:, None]
    month = np.zeros_like(block_usd)
    for t in blocks:
        left = steps_down(surrogates.asked[:, t] * steps - steps + grid)
        month += covering.hours[t] * np.take_along_axis(block_usd, left, axis=0)
    return month


def steps_down(left: NDArray[float64]) -> NDArray[intp]:
    """What is needed in whole steps, none too many."""
    import numpy as np

    return np.maximum(np.floor(left - NOISE), 0.0).astype(np.intp)


def _nothing(steps: int, rows: int) -> NDArray[float64]:
    """What no units at all cost: nothing where nothing is needed."""
    import numpy as np

    table = np.full((steps + 1, rows), np.inf)
    table[0] = 0.0
    return table


def _with_kind(
    without: NDArray[float64], usd: float, carried: NDArray[float64]
) -> NDArray[float64]:
    """min(without(r), usd + with(r − carried)), as many needs at once as one unit carries."""
    import numpy as np

    steps = np.ceil(carried + NOISE).astype(np.intp)
    steps[carried <= 0] = 0
    if not steps.any():
        return without
    table, pace = without.copy(), int(steps[steps > 0].min())
    for low in range(1, len(table), pace):
        check()
        needs = np.arange(low, min(low + pace, len(table)))[:, None]
        after = np.take_along_axis(table, np.maximum(0, needs - steps[None, :]), axis=0)
        here = table[needs[0, 0] : needs[-1, 0] + 1]
        np.minimum(here, usd + after, out=here)
    return table
