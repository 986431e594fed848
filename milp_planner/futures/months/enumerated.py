"""A workload over months by enumeration: see `milp/months/search.py`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from milp_planner.candidates.records import Candidate
from milp_planner.errors import Fault, InputError
from milp_planner.futures.months.outlook import WorkloadMonths
from milp_planner.futures.months.parts import CalendarPart, CalendarStarts, CalendarWay, PartMonth
from milp_planner.milp.months.records import AtEnd, MonthsOutlook, MonthsSchedule
from milp_planner.milp.months.recourse import MonthRecourse
from milp_planner.milp.months.rents import RentChecked, check_rents
from milp_planner.milp.months.search import MonthsSearch, best_schedule
from milp_planner.plans.calendars.records import RentedUnits, Signing
from milp_planner.solving.results import Session, Settings

CHECK_TIME_LIMIT_S = 10.0
"""For the solvers' word on the rents of one workload, each future an equal part of what is left."""


class EnumeratedPart(CalendarPart):
    """A workload of one class that nothing links, and the best schedule that was found for it."""

    def __init__(
        self,
        asked: WorkloadMonths,
        gap: float,
        schedule: MonthsSchedule,
        recourses: list[list[MonthRecourse]],
    ) -> None:
        self.asked, self.gap = asked, gap
        self.schedule, self.recourses = schedule, recourses
        self.counted_usd, self.bound_usd = schedule.usd, schedule.bound_usd
        self.rents = len(asked.outlook.futures)

    def _bound(self, future: int, month: int) -> Iterator[tuple[int, int]]:
        """Number of the term and units of those that are paid in a month."""
        for (k, start), units in self.schedule.starts[future].items():
            if start <= month < start + self.asked.outlook.terms[k].months:
                yield k, units

    def _carried(self, future: int, month: int) -> float:
        """requests/s that is bound."""
        terms = self.asked.outlook.terms
        return sum(units * terms[k].carries for k, units in self._bound(future, month))

    def _rent(self, future: int, month: int) -> float:
        """USD of a month within the horizon."""
        carried = np.array([self._carried(future, month)])
        return float(self.recourses[future][month].usd(carried)[0])

    def month(self, future: int, month: int) -> PartMonth:
        bound = [*self._bound(future, month)]
        terms = self.asked.outlook.terms
        return PartMonth(
            signed=tuple(self._signed(future, month)),
            bound_units=sum(units for _, units in bound),
            bound_usd=sum(n * terms[k].usd_per_month for k, n in bound),
            rent_usd=self._rent(future, month),
            rented=tuple(self._rented(future, month)),
        )

    def owed_usd(self, future: int) -> float:
        outlook = self.asked.outlook
        owed = 0.0
        for (k, start), units in self.schedule.starts[future].items():
            term = outlook.terms[k]
            owed += units * term.usd_per_month * max(0, start + term.months - outlook.months)
        return owed

    def used(self) -> Iterator[Candidate]:
        by_name = {k.offering.key: k for k in self.asked.rented}
        for f, starts in enumerate(self.schedule.starts):
            yield from (self.asked.bound[k] for k, _ in starts)
            for month in range(self.asked.outlook.months):
                yield from (by_name[r.offering, r.billing] for r in self._rented(f, month))

    def starts(self) -> tuple[CalendarStarts, ...]:
        return _named(self.schedule)

    def starts_at(self, at_end: AtEnd) -> tuple[CalendarStarts, ...] | None:
        found = self._best_of(replace(self.asked.outlook, at_end=at_end))
        return None if found is None else _named(found)

    def unknown_usd(self) -> float | None:
        found = self._best_of(replace(self.asked.outlook, known_from=None))
        return None if found is None else found.usd

    def _best_of(self, outlook: MonthsOutlook) -> MonthsSchedule | None:
        return best_schedule(outlook, gap=self.gap, recourses=self.recourses)

    def checked(self, settings: Settings, session: Session) -> Iterator[RentChecked]:
        ends_s = time.monotonic() + min(session.seconds_left, CHECK_TIME_LIMIT_S)
        for f in range(self.rents):
            left_s = (ends_s - time.monotonic()) / (self.rents - f)
            if left_s <= 0 or session.is_stopped:
                return
            months = range(self.asked.outlook.months)
            yield check_rents(
                self.asked.outlook,
                f,
                [self._carried(f, m) for m in months],
                [self._rent(f, m) for m in months],
                time_limit_s=left_s,
                solver=settings.solver,
                patient=settings.patient,
            )

    def _signed(self, f: int, month: int) -> Iterator[Signing]:
        for (k, start), units in sorted(self.schedule.starts[f].items()):
            if start == month:
                term, candidate = self.asked.outlook.terms[k], self.asked.bound[k]
                yield Signing(
                    month=month + 1,
                    workload=self.asked.workload,
                    offering=candidate.offering.id,
                    billing=candidate.mode.name,
                    gpu=candidate.gpu,
                    units=units,
                    usd_per_month=units * term.usd_per_month,
                    term_months=term.months,
                )

    def _rented(self, f: int, month: int) -> Iterator[RentedUnits]:
        recourse = self.recourses[f][month]
        held, blocks = recourse.rented(self._carried(f, month))
        by_name = {k.id: k for k in self.asked.rented}
        most: dict[str, int] = {}
        for number, units in held.items():
            most[recourse.market.held.rentals[number].name] = units
        for block in blocks:
            for number, units in block.items():
                name = recourse.market.elastic.rentals[number].name
                most[name] = max(most.get(name, 0), units)
        for name in sorted(most):
            k = by_name[name]
            yield RentedUnits(self.asked.workload, k.offering.id, k.mode.name, most[name])


def _named(schedule: MonthsSchedule) -> tuple[CalendarStarts, ...]:
    return tuple({(k, m): n for (k, m), n in starts.items()} for starts in schedule.starts)


class EnumeratedWay(CalendarWay):
    """A workload of one class that nothing links."""

    def __init__(self, asked: WorkloadMonths, gap: float) -> None:
        self.asked, self.gap = asked, gap

    @cached_property
    def _search(self) -> MonthsSearch:
        return MonthsSearch(self.asked.outlook)

    def _part(self, schedule: MonthsSchedule) -> EnumeratedPart:
        return EnumeratedPart(self.asked, self.gap, schedule, self._search.recourses)

    def first(self) -> CalendarPart | None:
        """Nothing signed; None where what is rented is not enough."""
        schedule = self._search.rented()
        return None if schedule is None else self._part(schedule)

    def improving(self, session: Session) -> Iterator[CalendarPart]:
        """A first schedule, and the best that is found."""
        found = False
        for schedule in self._search.improving(gap=self.gap):
            found = True
            yield self._part(schedule)
        if not found:
            raise cannot_carry([self.asked])


def cannot_carry(asked: Sequence[WorkloadMonths]) -> InputError:
    """That what is allowed is not enough."""
    names = ", ".join(repr(one.workload) for one in asked)
    said = f"what is allowed cannot carry the traffic of {names} in every month"
    hint = "allow a way to pay that is not bound, or state less traffic"
    return InputError([Fault("", 0, 0, "horizon", said, hint)])
