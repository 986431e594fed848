"""Counts of units in pieces, of which one holds: what is convex in a count, by lines over it.

A count n from 0 to N is 0 or in one piece, a ≤ n ≤ b. In a piece of one count what depends on it is
exact; over more a line through both ends never says less than a convex function does between them.

    n = Σ_p n_p,   a_p y_p ≤ n_p ≤ b_p y_p,   Σ_p y_p ≤ 1            ∀ count
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pulp


class CountPiece(NamedTuple):
    """Counts from `first` to `last`, and the columns that say that the count is one of them."""

    first: int
    last: int
    chosen: pulp.LpVariable
    """y, 1 if the count is in the piece."""

    units: pulp.LpVariable | None
    """n_p, the count if it is; None where the piece is of one count, so that y says it."""


def bounds_of_pieces(most: int, exact: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of the pieces of 1 to `most`: each twice as long, and the exact ones alone.

    >>> list(bounds_of_pieces(10, [6]))
    [(1, 1), (2, 2), (3, 4), (5, 5), (6, 6), (7, 8), (9, 10)]
    """
    starts = {1}
    step = 1
    while step < most:
        starts.add(step + 1)
        step *= 2
    for count in exact:
        starts |= {count, count + 1}
    ordered = sorted(start for start in starts if 1 <= start <= most)
    for first, after in zip(ordered, [*ordered[1:], most + 1], strict=True):
        yield first, after - 1
