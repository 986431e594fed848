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
    held: tuple[int, ...]
    """Held kinds, by number, the dearest first or last."""

    elastic: tuple[int, ...]
    """Elastic kinds, by number."""

    of_held: NDArray[float64]
    """(held, rows): steps that a unit carries."""

    of_elastic: NDArray[float64]
    """(elastic, rows)."""

    needed: NDArray[float64]
    """(blocks, rows): steps that are asked for."""

    all_usd: tuple[NDArray[float64], ...]
    """G_j: (steps + 1, rows), USD/month; the last without held units."""

    block_usd: tuple[NDArray[float64], ...]
    """e_j: (steps + 1, rows), USD/hour; the last of nothing."""

    @classmethod
    def of(
        cls, covering: Covering, surrogates: Surrogates, steps: int, *, dearest_first: bool = True
    ) -> Tables:
        """The tables; raises OutOfTime when time is up before."""
        import numpy as np

        rows, first = len(surrogates.of_unit), len(covering.held)
        held = _by_price(covering.held_usd, dearest_first=dearest_first)
        elastic = _by_price(covering.elastic_usd, dearest_first=dearest_first)
        of_unit = surrogates.of_unit.T * steps
        of_held, of_elastic = of_unit[list(held)], of_unit[[first + j for j in elastic]]
        nothing = np.full((steps + 1, rows), np.inf)
        nothing[0] = 0.0
        block_usd = _growing(nothing, covering.elastic_usd[list(elastic)], of_elastic)
        month = _over_month(covering, surrogates, block_usd[0])
        all_usd = _growing(month, covering.held_usd[list(held)], of_held)
        needed = surrogates.asked.T * steps
        return cls(steps, held, elastic, of_held, of_elastic, needed, all_usd, block_usd)


def least_usd(covering: Covering, surrogates: Surrogates, steps: int) -> NDArray[float64]:
    """(rows,): what no fleet costs less than by each row, USD/month."""
    import numpy as np

    first, of_unit = len(covering.held), surrogates.of_unit.T * steps
    table = np.full((steps + 1, len(surrogates.of_unit)), np.inf)
    table[0] = 0.0
    for usd, carried in zip(covering.elastic_usd, of_unit[first:], strict=True):
        table = _with_kind(table, float(usd), carried)
    table = _over_month(covering, surrogates, table)
    for usd, carried in zip(covering.held_usd, of_unit[:first], strict=True):
        table = _with_kind(table, float(usd), carried)
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


def _by_price(usd: NDArray[float64], *, dearest_first: bool) -> tuple[int, ...]:
    sign = -1 if dearest_first else 1
    return tuple(sorted(range(len(usd)), key=lambda j: (sign * usd[j], j)))


def _growing(
    last: NDArray[float64], usd: Sequence[float] | NDArray[float64], of_unit: NDArray[float64]
) -> tuple[NDArray[float64], ...]:
    """The tables of ever fewer kinds, down to the last, which is of none."""
    tables = [last]
    for cost, carried in zip(reversed(list(usd)), of_unit[::-1], strict=True):
        tables.append(_with_kind(tables[-1], float(cost), carried))
    return tuple(reversed(tables))


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
