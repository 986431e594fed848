"""Of schedules that cost the same the one that owes less: units whose rent would cost no more go.

The search keeps of two part schedules that cost the same the one that carries more, of which fewer
are left to look at. So what it finds may bind units that could as well be rented.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from milp_planner.milp.months.records import MonthsOutlook, Starts
from milp_planner.milp.months.recourse import MonthRecourse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SAME = 1e-9
"""Relative difference of two amounts that are the same."""


def without_needless(
    outlook: MonthsOutlook, recourses: Sequence[Sequence[MonthRecourse]], starts: Sequence[Starts]
) -> tuple[Starts, ...]:
    """The same starts by future, less every unit that costs as much to rent; the latest go first.

    What begins before it is known which future it is goes in all of them or in none.
    """
    left = [dict(mine) for mine in starts]
    carried = [_carried(outlook, mine) for mine in left]
    for k, month, futures in _each(outlook, starts):
        term = outlook.terms[k]
        until = min(month + term.months, outlook.all_months)
        owed = outlook.owed(term, month) * sum(outlook.futures[f].probability for f in futures)
        while left[futures[0]].get((k, month), 0):
            more = sum(
                outlook.futures[f].probability
                * _more_rent(recourses[f][i], carried[f][i], term.carries)
                for f in futures
                for i in range(month, until)
            )
            if more > owed * (1 + SAME):
                break
            for f in futures:
                carried[f][month:until] -= term.carries
                left[f][k, month] -= 1
    return tuple({start: n for start, n in mine.items() if n} for mine in left)


def _carried(outlook: MonthsOutlook, starts: Starts) -> Floats:
    """requests/s that is bound, by month."""
    found = np.zeros(outlook.all_months)
    for (k, month), units in starts.items():
        term = outlook.terms[k]
        found[month : month + term.months] += units * term.carries
    return found


def _each(
    outlook: MonthsOutlook, starts: Sequence[Starts]
) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """(number of the term, month, futures that begin it together), the latest first."""
    everywhere = tuple(range(len(outlook.futures)))
    found = {
        (k, month, everywhere if month < outlook.branches_at else (f,))
        for f, mine in enumerate(starts)
        for k, month in mine
    }
    yield from sorted(found, key=lambda one: (-one[1], one[0], one[2]))


def _more_rent(recourse: MonthRecourse, carried: float, less: float) -> float:
    """USD that a month costs more in rent where less is bound; infinite if too little is left."""
    now, then = recourse.usd(np.array([carried, carried - less]))
    return float(then - now)
