"""What the cheapest units cost that carry what one row asks for, for all that may still be needed.

On a grid of N steps of the most that the row asks for, units counted to the next step above,

    e_j(r) = min(e_{j+1}(r), c_j + e_j(r − a_j)),          e_J(0) = 0            USD/hour, r needed
    E(r) = Σ_t h_t e_0(R_t − R + r),   G_j(r) = min(G_{j+1}(r), C_j + G_j(r − a_j)),   G_J = E

where e_j may use the elastic kinds from j on, and G_j the held kinds from j on beside them; r is
what is needed of the most, R. No fleet that keeps the row costs less.

Where GPUs beyond a count P have a price p, of the most that are on in any block, that is no less
than m (Σ_j g_j n_jt − P) for any m ≤ p and any block t: by a row of such an m every held unit costs
m g_j more, and so does an elastic one in the block in which the row asks for most; all is m P less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.reading import Covering, Surrogates

if TYPE_CHECKING:
    from numpy import bool_, float64, intp
    from numpy.typing import NDArray

NOISE = 1e-9
"""Steps by which a double may be off."""


@dataclass(frozen=True)
class Tables:
    """Curves of some rows; kinds in the order in which they are listed."""

    steps: int
    usd: NDArray[float64]
    """(kinds, rows): what a unit costs, with what its GPUs come to at least by each row."""

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
        usd = _held_usd(covering, surrogates)
        month = _of_elastic(covering, surrogates, steps)
        return cls._growing(month, usd[list(held)], of_unit[list(held)])

    @classmethod
    def of_block(cls, usd: NDArray[float64], of_unit: NDArray[float64], steps: int) -> Tables:
        """e of elastic units, USD/hour. of_unit: (rows, kinds), where 1 is asked for."""
        alike = usd[:, None].repeat(len(of_unit), axis=1)
        return cls._growing(_nothing(steps, len(of_unit)), alike, of_unit.T * steps)

    @classmethod
    def _growing(
        cls, last: NDArray[float64], usd: NDArray[float64], of_unit: NDArray[float64]
    ) -> Tables:
        tables = [last]
        for cost, carried in zip(usd[::-1], of_unit[::-1], strict=True):
            tables.append(_with_kind(tables[-1], cost, carried))
        return cls(len(last) - 1, usd, of_unit, tuple(reversed(tables)))

    def least_usd(
        self, counts: NDArray[intp], left: NDArray[float64], level: int
    ) -> NDArray[float64]:
        """What each of the lists comes to at least, whatever is added of the kinds from a level on.

        counts: (lists, kinds). left: (rows,) steps that are needed beside them.
        """
        import numpy as np

        at = steps_down(left - counts @ self.of_unit), np.arange(len(left))
        least: NDArray[float64] = (counts @ self.usd + self.least[level][at]).max(axis=1)
        return least


def in_order(usd: NDArray[float64], *, dearest_first: bool) -> tuple[int, ...]:
    """Numbers of the kinds by what they cost."""
    sign = -1 if dearest_first else 1
    return tuple(sorted(range(len(usd)), key=lambda j: (sign * usd[j], j)))


def least_usd(covering: Covering, surrogates: Surrogates, steps: int) -> NDArray[float64]:
    """(rows,): what no fleet costs less than by each row, USD/month."""
    table = _of_elastic(covering, surrogates, steps)
    held = zip(_held_usd(covering, surrogates), surrogates.of_unit.T * steps, strict=False)
    for usd, carried in held:
        table = _with_kind(table, usd, carried)
    least: NDArray[float64] = table[steps]
    return least


def _held_usd(covering: Covering, surrogates: Surrogates) -> NDArray[float64]:
    """(held, rows): USD/month."""
    gpus = covering.gpus.of_kind[: len(covering.held), None]
    usd: NDArray[float64] = covering.held_usd[:, None] + gpus * surrogates.usd_per_gpu
    return usd


def _of_elastic(covering: Covering, surrogates: Surrogates, steps: int) -> NDArray[float64]:
    """E, USD/month, less what the GPUs cost that there is no price on."""
    import numpy as np

    first, rows = len(covering.held), len(surrogates.of_unit)
    of_unit, elastic = surrogates.of_unit.T[first:] * steps, covering.elastic_usd[:, None]
    block_usd = _nothing(steps, rows)
    for usd, carried in zip(elastic, of_unit, strict=True):
        block_usd = _with_kind(block_usd, usd, carried)
    if not surrogates.usd_per_gpu.any():
        return _over_month(covering, surrogates, block_usd)
    busiest = surrogates.asked.argmax(axis=1)
    on = covering.hours[busiest]
    priced, gpus = _nothing(steps, rows), covering.gpus.of_kind[first:, None]
    for usd, taken, carried in zip(elastic, gpus * surrogates.usd_per_gpu, of_unit, strict=True):
        priced = _with_kind(priced, usd * on + taken, carried)
    apart = np.arange(len(covering.hours))[:, None] == busiest
    month = _over_month(covering, surrogates, block_usd, besides=apart)
    without_price = surrogates.usd_per_gpu * covering.gpus.without_price
    busy: NDArray[float64] = month + priced - without_price  # of all: the busiest asks for 1
    return busy


def _over_month(
    covering: Covering,
    surrogates: Surrogates,
    block_usd: NDArray[float64],
    besides: NDArray[bool_] | None = None,
) -> NDArray[float64]:
    """E, from e_0. besides: (blocks, rows), those that are left out."""
    import numpy as np

    steps = len(block_usd) - 1
    grid, rows = np.arange(steps + 1)[:, None], np.arange(block_usd.shape[1])
    month = np.zeros_like(block_usd)
    for t, need in enumerate(surrogates.asked.T * steps):
        left = steps_down(need[None, :] - steps + grid)
        usd = covering.hours[t] * block_usd[left, rows]
        month += usd if besides is None else np.where(besides[t], 0.0, usd)
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
    without: NDArray[float64], usd: NDArray[float64], carried: NDArray[float64]
) -> NDArray[float64]:
    """min(without(r), usd + with(r − carried)), as many needs at once as one unit carries."""
    import numpy as np

    steps = np.ceil(carried + NOISE).astype(np.intp)
    steps[carried <= 0] = 0
    if not steps.any():
        return without
    table, pace = without.copy(), int(steps[steps > 0].min())
    rows = np.arange(len(steps))
    for low in range(1, len(table), pace):
        check()
        needs = np.arange(low, min(low + pace, len(table)))[:, None]
        after = table[np.maximum(0, needs - steps), rows]
        here = table[needs[0, 0] : needs[-1, 0] + 1]
        np.minimum(here, usd + after, out=here)
    return table
