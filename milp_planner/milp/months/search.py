"""When to bind what: a search over schedules, month by month, with a bound on what is to come.

A label is a part schedule: what it owes so far, and what it carries in each month. One that carries
no more in any month and owes no less than another is dropped, as is one whose bound (`bound.py`)
shows that it cannot save the gap. Where labels become too many, those of the lowest bounds are
kept, and the lowest of the others' bounds is told: the gap says what that may have cost.

A first schedule comes out of a linear program (`rounded.py`): where it is within the gap of the
bound, nothing is searched; else the search looks for less than it costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from milp_planner.deadline import OutOfTime, check
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.months.bound import ToGo
from milp_planner.milp.months.leaner import without_needless
from milp_planner.milp.months.records import MonthsOutlook, MonthsSchedule, Starts
from milp_planner.milp.months.recourse import MonthRecourse, recourses_of
from milp_planner.milp.months.rounded import rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Wholes = NDArray[np.int64]

FIRST_WIDTH, WIDTH = 20, 400
"""Labels that are kept at a time: for a first schedule where rounding gives none, and for the
proof."""

FIRST_FOLLOWED, MOST_FOLLOWED = 4, 8
"""Labels that each future is followed from, once it is known: the most promising ones."""

WIDTH_ALONE = 100
"""Labels that are kept at a time for one future."""

GAP = 0.001
"""Share of the cost that is worth no more search."""

COMPARED, LEAST_COMPARED = 2, 200
"""Labels that are held against one another: so many times what is kept, and at least so many."""


@dataclass(frozen=True)
class _Labels:
    """Part schedules, a row each."""

    usd: Floats
    carried: Floats
    """(labels, months) requests/s bound."""

    starts: Wholes
    """(labels, months of the horizon, terms)"""

    def __len__(self) -> int:
        return len(self.usd)

    def only(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> _Labels:
        return _Labels(self.usd[rows], self.carried[rows], self.starts[rows])


@dataclass(frozen=True)
class _Made:
    """Labels that may be: each one of others with some units of a term more."""

    of: _Labels
    rows: NDArray[np.intp]
    """Which one of them."""

    units: Wholes
    month: int
    term: int
    usd: Floats
    carried: Floats

    def labels(self, chosen: NDArray[np.intp]) -> _Labels:
        """The chosen ones: of the others, of which there are many, no starts are written."""
        starts = self.of.starts[self.rows[chosen]]
        starts[:, self.month, self.term] += self.units[chosen]
        return _Labels(self.usd[chosen], self.carried[chosen], starts)


@dataclass(frozen=True)
class _Found:
    """The best schedule from a label on."""

    usd: float
    bound_usd: float
    starts: Wholes
    labels: int


class MonthsSearch:
    """The search of one workload."""

    def __init__(
        self, outlook: MonthsOutlook, recourses: list[list[MonthRecourse]] | None = None
    ) -> None:
        """recourses: of the same outlook, with whatever probabilities."""
        self.outlook = outlook
        self.recourses = recourses_of(outlook) if recourses is None else recourses
        self.chances = [future.probability for future in outlook.futures]
        # The highest load from each month on: what is bound beyond it is of no use.
        peaks = np.array([[float(r.loads.max(initial=0.0)) for r in of] for of in self.recourses])
        self.peaks = np.maximum.accumulate(peaks[:, ::-1], axis=1)[:, ::-1]

    @cached_property
    def to_go(self) -> ToGo:
        """What the months to come cost at least; raises OutOfTime when time is up."""
        return ToGo(self.outlook, self.recourses)

    def rented(self) -> MonthsSchedule | None:
        """Nothing bound in any month, at once, with no bound; None where that is too little."""
        nothing = MonthsSchedule(tuple({} for _ in self.chances), 0.0, 0.0, 1)
        usd = self._mean_usd(nothing)
        return replace(nothing, usd=usd) if math.isfinite(usd) else None

    def best(self, *, gap: float = GAP, width: int = WIDTH) -> MonthsSchedule | None:
        """The cheapest schedule within a gap; None where nothing carries the load.

        Raises OutOfTime when time is up before there is one.
        """
        best: MonthsSchedule | None = None
        try:
            for best in self.improving(gap=gap, width=width):  # noqa: B007 - the last one counts
                pass
        except OutOfTime:  # the first one stands, with its own bound
            if best is None:
                raise
        return best

    def improving(self, *, gap: float = GAP, width: int = WIDTH) -> Iterator[MonthsSchedule]:
        """A first schedule soon, then the best that is looked for, where the first may not be it;
        none where nothing carries the load. Raises OutOfTime when time is up.
        """
        nothing = self._nothing()
        found, bound = self._soon(nothing, gap)
        if found is None:
            return
        yield self._schedule(found, bound)
        if bound < found.usd * (1 - gap):
            second, proven = self._run(nothing, width, found.usd, gap)
            found = second if second is not None and second.usd < found.usd else found
            yield self._schedule(found, max(bound, proven))

    def _nothing(self) -> _Labels:
        """Nothing bound, and nothing owed."""
        outlook = self.outlook
        return _Labels(
            np.zeros(1),
            np.zeros((1, outlook.all_months)),
            np.zeros((1, outlook.months, len(outlook.terms)), dtype=np.int64),
        )

    def _soon(self, nothing: _Labels, gap: float) -> tuple[_Found | None, float]:
        """A first schedule, and what none costs less than: signings in parts of units, rounded; a
        narrow search where that is none."""
        bound = float(self.to_go.usd(nothing.carried, 0)[0])
        found = rounded(self.outlook, self.recourses, self.to_go, bound / (1 - gap))
        if found is None:
            return self._run(nothing, FIRST_WIDTH, math.inf, gap)
        starts, usd = found
        return _Found(usd, bound, starts, 1), bound

    def _schedule(self, found: _Found, bound_usd: float) -> MonthsSchedule:
        starts = tuple(_starts(found.starts[f]) for f in range(len(self.outlook.futures)))
        leaner = without_needless(self.outlook, self.recourses, starts)
        schedule = MonthsSchedule(leaner, 0.0, 0.0, found.labels)
        usd = found.usd if leaner == starts else self._mean_usd(schedule)
        return replace(schedule, usd=usd, bound_usd=min(bound_usd, usd))

    def _mean_usd(self, schedule: MonthsSchedule) -> float:
        each = self.usd_by_future(schedule)
        return sum(p * usd for p, usd in zip(self.chances, each, strict=True) if p)

    def _run(
        self, labels: _Labels, width: int, most: float, gap: float
    ) -> tuple[_Found | None, float]:
        """The best schedule, and what none costs less than. most: what one is known to cost."""
        branches = self.outlook.branches_at
        walk = _Walk(self, None, width, most, gap)
        labels = walk.through(labels, 0, branches)
        if branches == self.outlook.months:
            found = self._ended(walk, labels)
        else:
            found = self._branched(walk, labels)
        return found, min(walk.left_out, math.inf if found is None else found.bound_usd)

    def _ended(self, walk: _Walk, labels: _Labels) -> _Found | None:
        """Nothing follows the futures: what is bound at the end of the horizon runs out."""
        for i in range(self.outlook.months, self.outlook.all_months):
            labels = replace(labels, usd=labels.usd + self.month_usd(i, labels.carried[:, i]))
        labels = labels.only(np.isfinite(labels.usd))
        if not len(labels):
            return None
        at = int(labels.usd.argmin())
        usd = float(labels.usd[at])
        starts = np.stack([labels.starts[at]] * len(self.chances))
        return _Found(usd, usd, starts, walk.most_kept)

    def _branched(self, walk: _Walk, labels: _Labels) -> _Found | None:
        """From here on each future goes its own way from each label, the most promising first."""
        bounds = labels.usd + self.to_go.usd(labels.carried, self.outlook.branches_at)
        best: _Found | None = None
        lowest = math.inf
        most = MOST_FOLLOWED if walk.width > FIRST_WIDTH else FIRST_FOLLOWED
        for number, row in enumerate(bounds.argsort(kind="stable")):
            check()
            least = float(bounds[row])
            ceiling = walk.most if best is None else min(best.usd, walk.most)
            if least >= ceiling * (1 - walk.gap) or (number >= most and best is not None):
                walk.leave(bounds[row : row + 1])
                break
            one = labels.only(np.array([row]))
            parts = [self._alone(one, f, walk) for f in range(len(self.chances))]
            found = [part for part in parts if part is not None]
            if len(found) < len(parts):
                continue
            weighed = list(zip(self.chances, found, strict=True))
            usd = float(one.usd[0]) + sum(p * x.usd for p, x in weighed)
            bound = float(one.usd[0]) + sum(p * x.bound_usd for p, x in weighed)
            lowest = min(lowest, max(bound, least))
            if best is None or usd < best.usd:
                starts = np.stack([x.starts for x in found])
                best = _Found(usd, usd, starts, max(walk.most_kept, *(x.labels for x in found)))
        return None if best is None else replace(best, bound_usd=min(best.usd, lowest))

    def _alone(self, one: _Labels, future: int, common: _Walk) -> _Found | None:
        """The best that follows a label once its future is known; usd without what it owes."""
        start, outlook = self.outlook.branches_at, self.outlook
        fresh = replace(one, usd=np.zeros(1))
        best: _Found | None = None
        for width in sorted({FIRST_WIDTH, min(common.width, WIDTH_ALONE)}):
            walk = _Walk(self, future, width, best.usd if best else math.inf, common.gap)
            labels = walk.through(fresh, start, outlook.months)
            usd = labels.usd.copy()
            for i in range(outlook.months, outlook.all_months):
                usd = usd + self.month_usd(i, labels.carried[:, i], future)
            bound = walk.left_out
            if len(usd) and np.isfinite(usd).any():
                at = int(usd.argmin())
                bound = min(bound, float(usd[at]))
                if best is None or usd[at] < best.usd:
                    best = _Found(float(usd[at]), 0.0, labels.starts[at], walk.most_kept)
            if best is None:
                return None
            best = replace(best, bound_usd=max(best.bound_usd, min(bound, best.usd)))
            if best.bound_usd >= best.usd * (1 - common.gap):
                break
        return best

    def month_usd(self, month: int, carried: Floats, future: int | None = None) -> Floats:
        """The rent of a month: expected, or of one future. Each capacity is computed once."""
        if future is None:
            total = np.zeros(len(carried))
            for f, chance in enumerate(self.chances):
                total = total + chance * self.month_usd(month, carried, f)
            return total
        unique, where = np.unique(carried, return_inverse=True)
        usd: Floats = self.recourses[future][month].usd(unique)[where]
        return usd

    def usd_by_future(self, schedule: MonthsSchedule) -> tuple[float, ...]:
        """What a schedule costs in each future, of all months counted."""
        return tuple(self._usd_in(f, starts) for f, starts in enumerate(schedule.starts))

    def _usd_in(self, future: int, starts: Starts) -> float:
        outlook = self.outlook
        carried = np.zeros(outlook.all_months)
        usd = 0.0
        for (k, month), units in starts.items():
            term = outlook.terms[k]
            carried[month : month + term.months] += units * term.carries
            usd += units * outlook.owed(term, month)
        for i, amount in enumerate(carried):
            usd += float(self.month_usd(i, np.array([amount]), future)[0])
        return usd

    def useful(self, month: int, future: int | None) -> float:
        """The highest load from a month on."""
        peaks = self.peaks[:, month] if future is None else self.peaks[future : future + 1, month]
        return float(peaks.max())


class _Walk:
    """Labels led through months; remembers the lowest bound of those that were left behind."""

    def __init__(
        self, search: MonthsSearch, future: int | None, width: int, most: float, gap: float
    ) -> None:
        self.search, self.future, self.width = search, future, width
        self.most, self.gap = most, gap
        self.left_out = math.inf
        self.most_kept = 1

    def through(self, labels: _Labels, start: int, end: int) -> _Labels:
        """The labels after the months from `start` up to `end`, with the rent of each."""
        for month in range(start, end):
            for k in range(len(self.search.outlook.terms)):
                check()
                if not len(labels):
                    return labels
                labels = self._pruned(self._with_more(labels, month, k), month)
            usd = self.search.month_usd(month, labels.carried[:, month], self.future)
            labels = replace(labels, usd=labels.usd + usd)
            labels = labels.only(np.isfinite(labels.usd))
        return labels

    def _with_more(self, labels: _Labels, month: int, k: int) -> _Made:
        """Each label with every number of units of a term that is of use."""
        outlook = self.search.outlook
        term = outlook.terms[k]
        until = min(month + term.months, outlook.all_months)
        useful = self.search.useful(month, self.future)
        lacking = np.maximum(0.0, useful - labels.carried[:, month:until].min(axis=1))
        counts = np.ceil(lacking / term.carries - 1e-9).astype(np.int64)
        if term.most is not None:
            since = max(0, month - term.months + 1)  # units whose term is over can be had again
            signed = labels.starts[:, since : month + 1, k].sum(axis=1)
            counts = np.minimum(counts, np.maximum(0, term.most - signed))
        rows = np.repeat(np.arange(len(labels)), counts + 1)
        firsts = np.concatenate([[0], np.cumsum(counts + 1)[:-1]])
        units = np.arange(len(rows)) - np.repeat(firsts, counts + 1)
        carried = labels.carried[rows]
        carried[:, month:until] += (units * term.carries)[:, np.newaxis]
        usd = labels.usd[rows] + units * outlook.owed(term, month)
        return _Made(labels, rows, units, month, k, usd, carried)

    def _pruned(self, made: _Made, month: int) -> _Labels:
        bounds = made.usd + self.search.to_go.usd(made.carried, month, self.future)
        keep = bounds < self.most * (1 - self.gap)
        self.leave(bounds[~keep])
        among = np.flatnonzero(keep)
        order = among[bounds[among].argsort(kind="stable")]
        compared = max(COMPARED * self.width, LEAST_COMPARED)
        self.leave(bounds[order[compared:]])
        chosen = order[:compared]
        labels, bounds = made.labels(chosen), bounds[chosen]
        kept = self._undominated(labels, month)
        labels, bounds = labels.only(kept), bounds[kept]
        self.leave(bounds[self.width :])
        labels = labels.only(np.arange(min(len(labels), self.width)))
        self.most_kept = max(self.most_kept, len(labels))
        return labels

    def _undominated(self, labels: _Labels, month: int) -> NDArray[np.bool_]:
        """Which labels no other carries as much as in every month to come, and owes no more.

        Of a term of which there are only so many, it must leave as many to be had, too.
        """
        usd, count = labels.usd, np.arange(len(labels))
        ahead = np.asarray(np.less_equal.outer(usd, usd))  # [i, j]: i owes no more than j
        carried = labels.carried[:, month:]
        is_other = (carried[:, 1:] != carried[:, :-1]).any(axis=0)  # months alike count once
        for column in carried[:, np.append(True, is_other)].T:
            ahead &= np.greater_equal.outer(column, column - 1e-12)
        for k, term in enumerate(self.search.outlook.terms):
            if term.most is not None:
                for since in labels.starts[:, ::-1, k].cumsum(axis=1).T:
                    ahead &= np.less_equal.outer(since, since)
        ahead &= ~ahead.T | np.less.outer(count, count)  # of equals the first stays
        np.fill_diagonal(ahead, False)
        kept: NDArray[np.bool_] = np.logical_not(ahead.any(axis=0))
        return kept

    def leave(self, bounds: Floats) -> None:
        """Remember the lowest bound of labels that are not followed."""
        self.left_out = min(self.left_out, float(bounds.min(initial=math.inf)))


def _starts(rows: Wholes) -> Starts:
    return dict(_counted(rows))


def _counted(rows: Wholes) -> Iterator[tuple[tuple[int, int], int]]:
    for month, of_terms in enumerate(rows):
        for k, units in enumerate(of_terms):
            if units:
                yield (k, month), int(units)


def best_schedule(
    outlook: MonthsOutlook,
    *,
    gap: float = GAP,
    width: int = WIDTH,
    recourses: list[list[MonthRecourse]] | None = None,
) -> MonthsSchedule | None:
    """The cheapest schedule of commitments within a gap; None where nothing carries the load.

    recourses: of an outlook that differs in no more than when futures are known and in what counts
    at the end; the first months of them serve as well.
    """
    if recourses is not None and all(len(of) >= outlook.all_months for of in recourses):
        recourses = [of[: outlook.all_months] for of in recourses]
    else:
        recourses = None
    return MonthsSearch(outlook, recourses).best(gap=gap, width=width)
