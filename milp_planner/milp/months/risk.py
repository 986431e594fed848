"""Schedules of several workloads where a risk counts: their futures are one another's business.

A risk ρ is the largest mean over probabilities of an envelope, so that with the mean beside it

    (1 − w) Σ p_f Z_f + w ρ(Z) = max over q of Σ q_f Z_f,   q = (1 − w) p + w y,
    Σ y_f = 1,   0 ≤ y_f ≤ p_f ÷ α        (the worst one alone: y_f ≤ 1)

(P. Artzner, F. Delbaen, J.-M. Eber and D. Heath, "Coherent measures of risk", Mathematical Finance
9, 1999). For one q workloads have nothing to do with each other, and `search.py` finds the schedule
of each, with a bound: their sum is a bound for whatever q. The next q is the one that is worst for
the schedules found so far, a linear program; the answer is the best choice among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import inf, prod
from typing import TYPE_CHECKING

import numpy as np
import pulp

from milp_planner.deadline import OutOfTime
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.months.linear import solved
from milp_planner.milp.months.records import MonthsOutlook, MonthsSchedule
from milp_planner.milp.months.search import MonthsSearch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_ROUNDS = 12
FINER = 0.3
"""Of the gap that is asked for, what each search may leave: their sum is held against a risk, which
may be far below what all of it costs."""

MOST_TRIED = 20_000
"""Choices of a schedule for each workload that are all tried; of more, one is changed at a time."""

LEAST_STATED = 1e-4
"""How much of the stated probabilities is in those that are looked at: no future has none."""


@dataclass(frozen=True)
class RiskSchedules:
    """A schedule for each workload, and what they count together."""

    schedules: tuple[MonthsSchedule, ...]
    counted: tuple[float, ...]
    """By future, USD."""

    minimised_usd: float
    bound_usd: float
    """No schedules come to less."""


@dataclass(frozen=True)
class _Column:
    """A schedule, and what it costs in each future."""

    schedule: MonthsSchedule
    usd: tuple[float, ...]


class RiskSearch:
    """Workloads whose schedules are looked for together."""

    def __init__(self, outlooks: Sequence[MonthsOutlook], measure: Measure) -> None:
        self.outlooks, self.measure = outlooks, measure
        self.searches = [MonthsSearch(outlook) for outlook in outlooks]
        self.columns: list[list[_Column]] = [[] for _ in outlooks]

    def rented(self) -> RiskSchedules | None:
        """Nothing bound in any month, at once, with no bound; None where that is too little."""
        schedules = [search.rented() for search in self.searches]
        known = [schedule for schedule in schedules if schedule is not None]
        if len(known) < len(schedules):
            return None
        each = [search.usd_by_future(one) for search, one in zip(self.searches, known, strict=True)]
        costs = zip(self.measure.constants, *each, strict=True)
        counted = tuple(sum(of_future) for of_future in costs)
        return RiskSchedules(tuple(known), counted, self.measure.minimised(counted), -inf)

    def best(self, *, gap: float) -> RiskSchedules | None:
        """The best schedules within a gap; None where nothing carries the load.

        Raises OutOfTime when time is up before there are any.
        """
        chances = np.array(self.measure.probabilities)
        bound, y, found = -np.inf, chances, None
        for _ in range(MOST_ROUNDS):
            try:
                at = self._at(self._weights(y), gap * FINER)
            except OutOfTime:
                if found is None:
                    raise
                break
            if at is None:
                return None
            bound = max(bound, at)
            found = self._chosen(bound)
            within = found.minimised_usd - bound
            if within <= gap * abs(found.minimised_usd):
                break
            worst = self._worst()
            if worst is None or np.allclose(worst, y, atol=1e-9):
                break
            y = worst
        return found

    def _weights(self, y: Floats) -> Floats:
        chances, weight = np.array(self.measure.probabilities), self.measure.weight
        q: Floats = (1 - weight) * chances + weight * y
        return (1 - LEAST_STATED) * q + LEAST_STATED * chances

    def _at(self, q: Floats, gap: float) -> float | None:
        """The bound of these probabilities; the schedules found for them are kept."""
        bound = float(q @ np.array(self.measure.constants))
        for outlook, search, columns in zip(
            self.outlooks, self.searches, self.columns, strict=True
        ):
            weighed = replace(
                outlook,
                futures=tuple(
                    replace(f, probability=float(p))
                    for f, p in zip(outlook.futures, q, strict=True)
                ),
            )
            schedule = MonthsSearch(weighed, search.recourses).best(gap=gap)
            if schedule is None:
                return None
            bound += schedule.bound_usd
            usd = search.usd_by_future(schedule)
            if all(known.schedule.starts != schedule.starts for known in columns):
                columns.append(_Column(schedule, usd))
        return bound

    def _worst(self) -> Floats | None:
        """The y of the envelope at which the cheapest of the schedules cost most; None where
        HiGHS does not say.

            max Σ_w θ_w + Σ_f q_f c_f,    θ_w ≤ Σ_f q_f z_wkf   ∀ schedules k of w
        """
        measure = self.measure
        chances, weight = measure.probabilities, measure.weight
        size = max(1.0, *(abs(z) for of in self.columns for column in of for z in column.usd))
        lp = pulp.LpProblem("worst", pulp.LpMinimize)
        most = [1.0 if measure.tail is None else min(1.0, p / measure.tail) for p in chances]
        ys = [lp.add_variable(f"y{f}", 0, high) for f, high in enumerate(most)]
        thetas = [lp.add_variable(f"t{w}", 0) for w in range(len(self.columns))]
        constant = pulp.lpSum(
            -weight * c / size * y for c, y in zip(measure.constants, ys, strict=True)
        )
        lp.setObjective(constant - pulp.lpSum(thetas))
        lp.addConstraint(pulp.lpSum(ys) == 1, "all")
        names = ["all"]
        for theta, columns in zip(thetas, self.columns, strict=True):
            for column in columns:
                names.append(f"z{len(names)}")
                mean = sum(p * z for p, z in zip(chances, column.usd, strict=True))
                at = pulp.lpSum(-weight * z / size * y for z, y in zip(column.usd, ys, strict=True))
                lp.addConstraint(theta + at <= (1 - weight) * mean / size, names[-1])
        values = solved(lp, names)
        if values is None:
            return None
        return _in_envelope(np.array([values.get(y.name, 0.0) for y in ys]), np.array(most))

    def _chosen(self, bound_usd: float) -> RiskSchedules:
        """The best choice of a schedule for each workload."""
        counts = [len(columns) for columns in self.columns]
        if prod(counts) <= MOST_TRIED:
            best = min(product(*map(range, counts)), key=self._minimised)
        else:
            best = self._improved([count - 1 for count in counts])
        counted = self._counted(best)
        minimised = self.measure.minimised(counted)
        schedules = tuple(of[k].schedule for of, k in zip(self.columns, best, strict=True))
        bound = min(bound_usd, minimised)
        return RiskSchedules(schedules, tuple(counted), minimised, bound)

    def _improved(self, choice: list[int]) -> tuple[int, ...]:
        """The best choice that no change of one schedule betters."""
        least = self._minimised(choice)
        while True:
            for other in self._neighbours(choice):
                if (usd := self._minimised(other)) < least - 1e-9 * abs(least):
                    choice, least = other, usd
                    break
            else:
                return tuple(choice)

    def _neighbours(self, choice: list[int]) -> Iterator[list[int]]:
        for w, columns in enumerate(self.columns):
            for k in range(len(columns)):
                if k != choice[w]:
                    yield [*choice[:w], k, *choice[w + 1 :]]

    def _minimised(self, choice: Sequence[int]) -> float:
        return self.measure.minimised(self._counted(choice))

    def _counted(self, choice: Sequence[int]) -> list[float]:
        chosen = [of[k].usd for of, k in zip(self.columns, choice, strict=True)]
        return [c + sum(usd[f] for usd in chosen) for f, c in enumerate(self.measure.constants)]


def _in_envelope(y: Floats, most: Floats) -> Floats:
    """The same, of the envelope to the last digit: what a solver says may be a little off."""
    y = np.clip(y, 0.0, most)
    if y.sum() >= 1:
        return np.asarray(y / y.sum())
    room = most - y
    return np.asarray(y + room * (1 - y.sum()) / max(float(room.sum()), 1e-300))


def alone(outlook: MonthsOutlook, future: int) -> MonthsOutlook:
    """The outlook of who knows from the first month on that it will be this future."""
    only = replace(outlook.futures[future], probability=1.0)
    return replace(outlook, futures=(only,), known_from=None)
