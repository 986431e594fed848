"""What the cheapest units cost that carry what one row asks for, for all that may still be needed.

On a grid of N steps of the most that the row asks for, units counted to the next step above,

    e_j(r) = min(e_{j+1}(r), c_j + e_j(r − a_j)),          e_J(0) = 0            USD/hour, r needed
    E(r) = Σ_t h_t e_0(R_t − R + r),   G_j(r) = min(G_{j+1}(r), C_j + G_j(r − a_j)),   G_J = E

where e_j may use the elastic kinds from j on, and G_j the held kinds from j on beside them; r is
what is needed of the most, R. No fleet that keeps the row costs less. Where some kinds may carry
only a part of it, they come last, so that what is needed of them alone is all that they carry:
beyond their part that costs endlessly much.

Where GPUs beyond a count P have a price p, of the most that are on in any block, that is no less
than m (Σ_j g_j n_jt − P) for any m ≤ p and any block t: by a row of such an m every held unit costs
m g_j more, and so does an elastic one in the block in which the row asks for most; all is m P less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.reading import Covering, Surrogates

if TYPE_CHECKING:
    from numpy import bool_, float64, intp
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
        of_unit = surrogates.of_unit.T[list(held)] * steps
        usd = _held_usd(covering, surrogates)[list(held)]
        month = _of_elastic(covering, surrogates, steps)
        ration = ration_of(covering, held, surrogates.left_to_rationed[:, 0])
        return cls._growing(month, usd, of_unit, ration)

    @classmethod
    def of_block(
        cls, usd: NDArray[float64], of_unit: NDArray[float64], steps: int, ration: Ration | None
    ) -> Tables:
        """e of elastic units, USD/hour. of_unit: (rows, kinds), where 1 is asked for."""
        last = _nothing(steps, len(of_unit))
        return cls._growing(last, _alike(usd, len(of_unit)), of_unit.T * steps, ration)

    def among(self, rows: NDArray[intp]) -> Tables:
        """The curves of these rows, by number."""
        least = tuple(table[:, rows] for table in self.least)
        return Tables(self.steps, self.usd[:, rows], self.of_unit[:, rows], least)

    @classmethod
    def before(
        cls, last: NDArray[float64], usd: NDArray[float64], of_unit: NDArray[float64]
    ) -> Tables:
        """With more kinds ahead of those of a table. of_unit: (kinds, rows), parts of what is asked
        for."""
        alike = _alike(usd, last.shape[1])
        return cls._growing(last, alike, of_unit * (len(last) - 1), None)

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
            table = with_kind(tables[-1], usd[level], of_unit[level])
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
        least: NDArray[float64] = (counts @ self.usd + self.least[level][at]).max(axis=1)
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


def _alike(usd: NDArray[float64], rows: int) -> NDArray[float64]:
    """(kinds, rows): the same by every row."""
    alike: NDArray[float64] = usd[:, None].repeat(rows, axis=1)
    return alike


def _held_usd(covering: Covering, surrogates: Surrogates) -> NDArray[float64]:
    """(held, rows): USD/month."""
    gpus = covering.gpus.of_kind[: len(covering.held), None]
    usd: NDArray[float64] = covering.held_usd[:, None] + gpus * surrogates.usd_per_gpu
    return usd


def _of_elastic(covering: Covering, surrogates: Surrogates, steps: int) -> NDArray[float64]:
    """E, USD/month, less what the GPUs cost that there is no price on."""
    import numpy as np

    of_gpus, busiest = surrogates.usd_per_gpu, surrogates.asked.argmax(axis=1)
    apart = np.arange(len(covering.hours))[:, None] == busiest
    if not of_gpus.any():
        apart[:] = False
    left = surrogates.left_to_rationed.T
    month = np.zeros((steps + 1, len(of_gpus)))
    for most, blocks in _alike_blocks(covering, left):
        block_usd = _of_block(covering, surrogates, steps, most)
        month += _over_blocks(covering, surrogates, block_usd, blocks, apart)
    if not of_gpus.any():
        return month
    most = np.take_along_axis(left, busiest[None, :], axis=0)[0]
    priced = _of_block(covering, surrogates, steps, most, hours=covering.hours[busiest])
    busy: NDArray[float64] = month + priced - of_gpus * covering.gpus.without_price
    return busy  # of all: the busiest asks for 1


def _alike_blocks(
    covering: Covering, left: NDArray[float64]
) -> Iterator[tuple[NDArray[float64], NDArray[intp]]]:
    """What rationed kinds may carry of each row, with the numbers of blocks where that is so; left:
    (blocks, rows). All blocks at once where no elastic kind is rationed."""
    import numpy as np

    if all(j < len(covering.held) for j in covering.rationed):
        yield np.full(left.shape[1], np.inf), np.arange(len(left))
        return
    limits, nth = np.unique(left, axis=0, return_inverse=True)
    for i, most in enumerate(limits):
        yield most, np.flatnonzero(nth.ravel() == i)


def _of_block(
    covering: Covering,
    surrogates: Surrogates,
    steps: int,
    most: NDArray[float64],
    hours: NDArray[float64] | None = None,
) -> NDArray[float64]:
    """e_0, USD/hour; with hours, by row, USD/month, GPUs at their price. most: what rationed kinds
    may carry of each row."""
    import numpy as np

    first, rows = len(covering.held), len(surrogates.of_unit)
    of_unit = surrogates.of_unit.T * steps

    def usd(j: int) -> NDArray[float64]:
        unit: NDArray[float64] = np.full(rows, covering.elastic_usd[j - first])
        if hours is not None:
            unit = unit * hours + covering.gpus.of_kind[j] * surrogates.usd_per_gpu
        return unit

    kinds = range(first, first + len(covering.elastic))
    table = _nothing(steps, rows)
    for j in (j for j in kinds if j in covering.rationed):
        table = with_kind(table, usd(j), of_unit[j])
    table = Ration(0, most).of_needs(table)
    for j in (j for j in kinds if j not in covering.rationed):
        table = with_kind(table, usd(j), of_unit[j])
    return table


def _over_blocks(
    covering: Covering,
    surrogates: Surrogates,
    block_usd: NDArray[float64],
    blocks: NDArray[intp],
    besides: NDArray[bool_],
) -> NDArray[float64]:
    """What elastic units cost in these blocks, from e_0; USD/month. besides: (blocks, rows), those
    that are left out."""
    import numpy as np

    steps = len(block_usd) - 1
    grid, rows = np.arange(steps + 1)[:, None], np.arange(block_usd.shape[1])
    month = np.zeros_like(block_usd)
    for t in blocks:
        left = steps_down(surrogates.asked[:, t] * steps - steps + grid)
        usd = covering.hours[t] * block_usd[left, rows]
        month += np.where(besides[t], 0.0, usd) if besides[t].any() else usd
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


def with_kind(
    without: NDArray[float64], usd: float | NDArray[float64], carried: NDArray[float64]
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
