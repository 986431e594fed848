"""What the cheapest units cost that carry what one row asks for, for all that may still be needed.

On a grid of N steps of the most that the row asks for, units counted to the next step above,

    e_j(r) = min(e_{j+1}(r), c_j + e_j(r − a_j)),          e_J(0) = 0            USD/hour, r needed
    E(r) = Σ_t h_t e_0(R_t − R + r),   G_j(r) = min(G_{j+1}(r), C_j + G_j(r − a_j)),   G_J = E

where e_j may use the elastic kinds from j on, and G_j the held kinds from j on beside them; r is
what is needed of the most, R. No fleet that keeps the row costs less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.reading import Covering, Surrogates

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

NOISE = 1e-9
"""Steps by which a double may be off."""


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
        of_unit = surrogates.of_unit.T * steps
        block_usd = _nothing(steps, len(surrogates.of_unit))
        elastic = zip(covering.elastic_usd, of_unit[len(covering.held) :], strict=True)
        for usd, carried in elastic:
            block_usd = with_kind(block_usd, float(usd), carried)
        month = _over_month(covering, surrogates, block_usd)
        return cls._growing(month, covering.held_usd[list(held)], of_unit[list(held)])

    @classmethod
    def of_block(cls, usd: NDArray[float64], of_unit: NDArray[float64], steps: int) -> Tables:
        """e of elastic units, USD/hour. of_unit: (rows, kinds), where 1 is asked for."""
        return cls._growing(_nothing(steps, len(of_unit)), usd, of_unit.T * steps)

    @classmethod
    def _growing(
        cls, last: NDArray[float64], usd: NDArray[float64], of_unit: NDArray[float64]
    ) -> Tables:
        tables = [last]
        for cost, carried in zip(usd[::-1], of_unit[::-1], strict=True):
            tables.append(with_kind(tables[-1], float(cost), carried))
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


def in_order(usd: NDArray[float64], *, dearest_first: bool) -> tuple[int, ...]:
    """Numbers of the kinds by what they cost."""
    sign = -1 if dearest_first else 1
    return tuple(sorted(range(len(usd)), key=lambda j: (sign * usd[j], j)))


def least_usd(covering: Covering, surrogates: Surrogates, steps: int) -> NDArray[float64]:
    """(rows,): what no fleet costs less than by each row, USD/month."""
    first, of_unit = len(covering.held), surrogates.of_unit.T * steps
    table = _nothing(steps, len(surrogates.of_unit))
    for usd, carried in zip(covering.elastic_usd, of_unit[first:], strict=True):
        table = with_kind(table, float(usd), carried)
    table = _over_month(covering, surrogates, table)
    for usd, carried in zip(covering.held_usd, of_unit[:first], strict=True):
        table = with_kind(table, float(usd), carried)
    least: NDArray[float64] = table[steps]
    return least


def _over_month(
    covering: Covering, surrogates: Surrogates, block_usd: NDArray[float64]
) -> NDArray[float64]:
    """E, from e_0."""
    import numpy as np

    steps = len(block_usd) - 1
    grid = np.arange(steps + 1)[:, None]
    month = np.zeros_like(block_usd)
    for hours, need in zip(covering.hours, surrogates.asked.T * steps, strict=True):
        left = steps_down(need[None, :] - steps + grid)
        month += hours * np.take_along_axis(block_usd, left, axis=0)
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


def with_kind(without: NDArray[float64], usd: float, carried: NDArray[float64]) -> NDArray[float64]:
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
