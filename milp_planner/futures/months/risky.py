"""Workloads by enumeration where a risk counts, which makes them one another's business."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import inf, isfinite

from milp_planner.candidates.records import Candidate
from milp_planner.futures.measures import measure_by, value_usd
from milp_planner.futures.months.enumerated import EnumeratedPart, cannot_carry
from milp_planner.futures.months.nodes import Months
from milp_planner.futures.months.outlook import WorkloadMonths
from milp_planner.futures.months.parts import (
    CalendarPart,
    CalendarStarts,
    CalendarWay,
    PartMonth,
    together,
)
from milp_planner.futures.months.programmed import ProgrammedPart, ProgrammedWay
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.months.records import AtEnd
from milp_planner.milp.months.rents import RentChecked
from milp_planner.milp.months.risk import RiskSchedules, RiskSearch, alone
from milp_planner.milp.months.search import best_schedule
from milp_planner.milp.presolve.lazy_rows import only_workloads
from milp_planner.solving.results import Session, Settings


@dataclass(frozen=True)
class RiskAsked:
    """Workloads over their months, and the risk of the problem."""

    months: Months
    workloads: tuple[WorkloadMonths, ...]
    gap: float

    def changed(self, **outlook: object) -> RiskAsked:
        """The same with other outlooks."""
        workloads = (
            replace(one, outlook=replace(one.outlook, **outlook))  # type: ignore[arg-type]
            for one in self.workloads
        )
        return replace(self, workloads=tuple(workloads))

    def search(self) -> RiskSearch:
        """Ready to look for schedules; raises OutOfTime before it is."""
        outlooks = [one.outlook for one in self.workloads]
        return RiskSearch(outlooks, self._measure())

    def _measure(self) -> Measure:
        problem = self.months.problem
        chances = tuple(future.probability for future in self.months.futures)
        is_regret = problem.risk is not None and problem.risk.of == "regret"
        known = [*self._each_alone()] if is_regret else [None] * len(chances)
        return measure_by(problem.risk, problem.value, chances, known, self._worth)

    def _each_alone(self) -> Iterator[float | None]:
        """No schedules of each future by itself cost less."""
        for f in range(len(self.months.futures)):
            found = [best_schedule(alone(one.outlook, f), gap=self.gap) for one in self.workloads]
            known = [one for one in found if one is not None]
            yield sum(one.bound_usd for one in known) if len(known) == len(found) else None

    def _worth(self, of: Measure) -> Iterator[float]:
        """What all traffic of each future is worth where it is served, in all months counted."""
        today = self.months.today
        for future in self.months.futures:
            course, last = self.months.horizon.course(future.name), self.months.horizon.months - 1
            yield sum(
                value_usd(only_workloads(today, [one.workload], ()), of)
                * future.times(one.workload)
                * sum(course.factor(min(i, last)) for i in range(one.outlook.all_months))
                for one in self.workloads
            )


class RiskPart(CalendarPart):
    """All workloads of a problem, each enumerated, and the best schedules for its risk."""

    def __init__(self, asked: RiskAsked, search: RiskSearch, found: RiskSchedules) -> None:
        self.asked, self.measure, self.found = asked, search.measure, found
        self.counted_usd = found.minimised_usd
        self.bound_usd = found.bound_usd if isfinite(found.bound_usd) else None
        self.parts = [
            EnumeratedPart(one, asked.gap, schedule, of.recourses)
            for one, schedule, of in zip(
                asked.workloads, found.schedules, search.searches, strict=True
            )
        ]
        self.rents = sum(part.rents for part in self.parts)

    def month(self, future: int, month: int) -> PartMonth:
        return together([part.month(future, month) for part in self.parts])

    def owed_usd(self, future: int) -> float:
        return sum(part.owed_usd(future) for part in self.parts)

    def counted_in(self, future: int) -> float:
        return self.found.counted[future]

    def used(self) -> Iterator[Candidate]:
        for part in self.parts:
            yield from part.used()

    def starts(self) -> tuple[CalendarStarts, ...]:
        return _all_starts(self.found)

    def starts_at(self, at_end: AtEnd) -> tuple[CalendarStarts, ...] | None:
        found = self.asked.changed(at_end=at_end).search().best(gap=self.asked.gap)
        return None if found is None else _all_starts(found)

    def unknown_usd(self) -> float | None:
        never = self.asked.changed(known_from=None)
        outlooks = [one.outlook for one in never.workloads]
        found = RiskSearch(outlooks, self.measure).best(gap=self.asked.gap)
        return None if found is None else found.minimised_usd

    def checked(self, settings: Settings, session: Session) -> Iterator[RentChecked]:
        for part in self.parts:
            yield from part.checked(settings, session)

    @property
    def gap(self) -> float:
        """Share of what is counted that other schedules may save."""
        if self.bound_usd is None:
            return inf
        above = self.counted_usd - self.bound_usd
        return above / abs(self.counted_usd) if self.counted_usd else above

    @property
    def all_months(self) -> set[int]:
        """How many months count, of each workload."""
        return {one.outlook.all_months for one in self.asked.workloads}


class RiskWay(CalendarWay):
    """All workloads of a problem, each enumerated; by one program where that leaves too much."""

    def __init__(self, asked: RiskAsked, program: ProgrammedWay) -> None:
        self.asked, self.program = asked, program

    @cached_property
    def _search(self) -> RiskSearch:
        return self.asked.search()

    def first(self) -> CalendarPart | None:
        """Nothing signed; None where what is rented is not enough."""
        found = self._search.rented()
        return None if found is None else RiskPart(self.asked, self._search, found)

    def improving(self, session: Session) -> Iterator[CalendarPart]:
        """The best schedules; then what one program finds: by weights alone one finds no schedule
        that two others are better than on average, whatever the weights."""
        found = self._search.best(gap=self.asked.gap)
        if found is None:
            raise cannot_carry(self.asked.workloads)
        part = RiskPart(self.asked, self._search, found)
        yield part
        if part.gap <= self.asked.gap or session.is_stopped:
            return
        asked = replace(self.program.asked, known_measure=part.measure)
        for other in ProgrammedWay(asked).improving(session):
            yield _better(part, other)


def _better(part: RiskPart, other: CalendarPart) -> CalendarPart:
    assert isinstance(other, ProgrammedPart)
    if part.all_months != {other.shape.all_months}:  # they count other months
        return part
    better: CalendarPart = other if other.counted_usd < part.counted_usd else part
    bounds = [one for one in (part.bound_usd, other.bound_usd) if one is not None]
    bound = max(bounds, default=None)
    better.bound_usd = None if bound is None else min(better.counted_usd, bound)
    return better


def _all_starts(found: RiskSchedules) -> tuple[CalendarStarts, ...]:
    return tuple(
        {
            ((w, k), month): n
            for w, schedule in enumerate(found.schedules)
            for (k, month), n in schedule.starts[f].items()
        }
        for f in range(len(found.counted))
    )


def is_risk(months: Months) -> bool:
    """True where it is not the average alone that is made small."""
    risk = months.problem.risk
    return risk is not None and risk.measure != "expected"
