"""A schedule made cheaper: units more or fewer, put off, signed earlier or for another term.

Each change is made as often as saves most, and all of them are gone through until none saves: such
a schedule may still not be the best, which takes several changes at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.months.records import MonthsOutlook
from milp_planner.milp.months.recourse import MonthRecourse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Wholes = NDArray[np.int64]

MOST_SWEEPS = 12
"""How often every change is tried."""

LEAST_SAVED = 1e-9
"""Share of the cost that a change saves at least."""

MOST_TIMES = 2**20
"""A change is made so often at a time at most."""


@dataclass(frozen=True)
class _Move:
    """Units of a term more, or fewer, from a month on."""

    term: int
    month: int
    units: int


@dataclass(frozen=True)
class _Change:
    """Moves that are made together, in some futures alike."""

    futures: tuple[int, ...]
    moves: tuple[_Move, ...]


class Descent:
    """Units signed, and what they cost on average; changes that save are made one by one."""

    def __init__(
        self, outlook: MonthsOutlook, recourses: list[list[MonthRecourse]], units: Wholes
    ) -> None:
        """units: (futures, months, terms); those that are given are changed."""
        self.outlook, self.recourses, self.units = outlook, recourses, units
        self.chances = np.array([future.probability for future in outlook.futures])
        highest = np.array([[r.loads.max(initial=0.0) for r in of] for of in recourses])
        # (futures, months) the highest load from each month on
        self.peaks = np.maximum.accumulate(highest[:, ::-1], axis=1)[:, ::-1]
        shape = len(self.chances), outlook.all_months
        self.carried, self.rents_usd = np.zeros(shape), np.zeros(shape)
        for f, m, k in np.argwhere(units):
            term = outlook.terms[k]
            self.carried[f, m : m + term.months] += units[f, m, k] * term.carries
        for f, i in np.ndindex(shape):
            self.rents_usd[f, i] = recourses[f][i].usd(self.carried[f, i : i + 1])[0]

    @property
    def usd(self) -> float:
        """Expected, of all months counted; infinite where some load is not carried."""
        owed = sum(
            self.chances[f] * int(self.units[f, m, k]) * self.outlook.owed(self.outlook.terms[k], m)
            for f, m, k in np.argwhere(self.units)
        )
        return float(owed + self.chances @ self.rents_usd.sum(axis=1))

    def run(self, enough_usd: float) -> None:
        """Until no change saves, or no more than `enough_usd` is left. Raises OutOfTime; what is
        changed until then stands."""
        least_usd = LEAST_SAVED * max(1.0, self.usd)
        for _ in range(MOST_SWEEPS):
            before = self.usd
            for change in self._changes():
                check()
                while self._better(change, least_usd):
                    pass
            if self.usd <= enough_usd or before - self.usd <= least_usd:
                return

    def _changes(self) -> Iterator[_Change]:
        everywhere, terms = tuple(range(len(self.chances))), range(len(self.outlook.terms))
        for m in range(self.outlook.months):
            is_known = m >= self.outlook.branches_at
            for futures in [(f,) for f in everywhere] if is_known else [everywhere]:
                for k in terms:
                    yield _Change(futures, (_Move(k, m, 1),))
                    yield _Change(futures, (_Move(k, m, -1),))
                    # What was signed for all of them is put off for all of them.
                    those = everywhere if m == self.outlook.branches_at else futures
                    for first in (-1, 1) if m > 0 else ():
                        yield _Change(those, (_Move(k, m - 1, first), _Move(k, m, -first)))
                    for other in terms:
                        for units in self._in_place_of(k, other) if other != k else ():
                            yield _Change(futures, (_Move(k, m, -1), _Move(other, m, units)))

    def _in_place_of(self, k: int, other: int) -> set[int]:
        """Units of another term that carry about as much as one."""
        ratio = int(self.outlook.terms[k].carries / self.outlook.terms[other].carries)
        return {max(1, ratio), ratio + 1}

    def _better(self, change: _Change, least_usd: float) -> bool:
        """Whether the change, made some number of times, saves more than that: it is made."""
        most = self._most_times(change)
        if most < 1:
            return False
        times = np.unique(np.minimum(2 ** np.arange(most.bit_length()), most))
        more = np.zeros(self.outlook.all_months)
        owed_usd = 0.0
        for move in change.moves:
            term = self.outlook.terms[move.term]
            more[move.month : move.month + term.months] += move.units * term.carries
            owed_usd += move.units * self.outlook.owed(term, move.month)
        months = np.flatnonzero(more)
        rents_usd = self._rents_usd(change.futures, months, np.outer(more[months], times))
        chances = self.chances[list(change.futures)]
        before_usd = self.rents_usd[list(change.futures)][:, months].sum(axis=1)
        more_usd = rents_usd.sum(axis=1) - before_usd[:, np.newaxis]
        usd = times * owed_usd * chances.sum() + chances @ more_usd
        best = int(usd.argmin())
        if not usd[best] < -least_usd:
            return False
        for a, f in enumerate(change.futures):
            self.carried[f, months] += times[best] * more[months]
            self.rents_usd[f, months] = rents_usd[a, :, best]
            for move in change.moves:
                self.units[f, move.month, move.term] += times[best] * move.units
        return True

    def _rents_usd(
        self, futures: tuple[int, ...], months: NDArray[np.intp], more: Floats
    ) -> Floats:
        """(futures, months, times) USD; more: (months, times) requests/s bound."""
        rents_usd = np.empty((len(futures), *more.shape))
        for a, f in enumerate(futures):
            for b, i in enumerate(months):
                then = np.maximum(0.0, self.carried[f, i] + more[b])
                rents_usd[a, b] = self.recourses[f][i].usd(then)
        return rents_usd

    def _most_times(self, change: _Change) -> int:
        """How often a change may be made, and is of use."""
        most = MOST_TIMES
        for move in change.moves:
            if move.units > 0 and self.outlook.terms[move.term].most is not None:
                if len(change.moves) > 1:
                    return 0  # few enough to be added and left out one by one
                room = self._to_be_had
            else:
                room = self._useful if move.units > 0 else self._signed
            most = min(most, *(room(move, f) for f in change.futures))
        return most

    def _signed(self, move: _Move, f: int) -> int:
        return int(self.units[f, move.month, move.term]) // -move.units

    def _to_be_had(self, move: _Move, f: int) -> int:
        """Of a term of which there are only so many at a time."""
        term = self.outlook.terms[move.term]
        signed = self.units[f, :, move.term]
        ends = range(move.month, min(move.month + term.months, self.outlook.months))
        most = max(int(signed[max(0, i - term.months + 1) : i + 1].sum()) for i in ends)
        return ((term.most or 0) - most) // move.units

    def _useful(self, move: _Move, f: int) -> int:
        """At least one; as many as the highest load from that month on lacks."""
        term = self.outlook.terms[move.term]
        bound = float(self.carried[f, move.month : move.month + term.months].min())
        lacking = max(0.0, float(self.peaks[f, move.month]) - bound)
        return max(1, math.ceil(lacking / (term.carries * move.units)))
