"""From a problem with a horizon to a calendar: what is signed when, and what each month costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from milp_planner.candidates.records import Candidate
from milp_planner.deadline import OutOfTime
from milp_planner.errors import Fault, InputError
from milp_planner.futures.months.outlook import WorkloadMonths, futures_of, outlooks_of
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.uncertain.futures import FutureCase
from milp_planner.milp.months.records import MonthsSchedule
from milp_planner.milp.months.recourse import MonthRecourse
from milp_planner.milp.months.rents import RentChecked, check_rents
from milp_planner.milp.months.search import GAP, MonthsSearch, best_schedule
from milp_planner.plans.futures.calendar import (
    Calendar,
    CalendarEnd,
    CalendarMonth,
    CalendarProof,
    FutureCalendar,
    OtherEnd,
    RentedUnits,
    Signing,
)
from milp_planner.solving.results import Session, Settings

ENDS: tuple[CalendarEnd, ...] = ("extend", "pro_rata", "full")
CHECK_TIME_LIMIT_S = 20.0
"""For the solvers' word on the rents of one workload and future."""


@dataclass(frozen=True)
class _Planned:
    """A workload, and the best schedule that was found for it."""

    asked: WorkloadMonths
    schedule: MonthsSchedule
    recourses: Sequence[Sequence[MonthRecourse]]

    def bound(self, future: int, month: int) -> Iterator[tuple[int, int]]:
        """Number of the term and units of those that are paid in a month."""
        for (k, start), units in self.schedule.starts[future].items():
            if start <= month < start + self.asked.outlook.terms[k].months:
                yield k, units

    def carried(self, future: int, month: int) -> float:
        """requests/s that is bound."""
        terms = self.asked.outlook.terms
        return sum(units * terms[k].carries for k, units in self.bound(future, month))

    def rent(self, future: int, month: int) -> float:
        """USD of a month within the horizon."""
        carried = np.array([self.carried(future, month)])
        return float(self.recourses[future][month].usd(carried)[0])


def calendar_of(problem: Problem, catalog: Catalog, settings: Settings) -> Calendar | None:
    """The cheapest calendar within the gap; None where time was up before there was one.

    Raises InputError for names unknown, and for what is not planned over months.
    """
    session = Session.of(settings)
    gap = settings.gap or GAP
    try:
        with session.in_force():
            planned = [_planned(asked, gap) for asked in outlooks_of(problem, catalog)]
    except OutOfTime:
        return None
    unknown, ends = None, list[OtherEnd]()
    try:
        with session.in_force():
            unknown = _unknown(planned, gap)
            ends = [*_other_ends(problem, planned, gap)]
    except OutOfTime:  # what is told beside the calendar is left out
        pass
    checked = [*_checked(planned, settings, session)]
    assert problem.horizon is not None
    return Calendar(
        name=problem.name,
        known_from_months=problem.known_from_months,
        at_end=problem.horizon.at_end,
        futures=tuple(
            _future(problem, future, f, planned) for f, future in enumerate(futures_of(problem))
        ),
        proof=CalendarProof(
            counted_usd=sum(one.schedule.usd for one in planned),
            bound_usd=sum(one.schedule.bound_usd for one in planned),
            rents_checked=sum(one.is_same for one in checked),
            rents=len(planned) * len(futures_of(problem)),
            engines=_engines(checked),
        ),
        unknown_usd=unknown,
        other_ends=tuple(ends),
    )


def _planned(asked: WorkloadMonths, gap: float) -> _Planned:
    search = MonthsSearch(asked.outlook)
    schedule = search.best(gap=gap)
    if schedule is None:
        said = f"what is allowed cannot carry the traffic of {asked.workload!r} in every month"
        hint = "allow a way to pay that is not bound, or state less traffic"
        raise InputError([Fault("", 0, 0, "horizon", said, hint)])
    return _Planned(asked, schedule, search.recourses)


def _unknown(planned: Sequence[_Planned], gap: float) -> float | None:
    """What is counted where no signing follows the future."""
    if all(one.asked.outlook.known_from is None for one in planned):
        return None
    never = (replace(one.asked.outlook, known_from=None) for one in planned)
    found = [best_schedule(outlook, gap=gap) for outlook in never]
    return sum(schedule.usd for schedule in found if schedule is not None)


def _other_ends(problem: Problem, planned: Sequence[_Planned], gap: float) -> Iterator[OtherEnd]:
    chances = [future.probability for future in futures_of(problem)]
    outlook = planned[0].asked.outlook
    for at_end in ENDS:
        if at_end == outlook.at_end:
            continue
        asked = [replace(one.asked.outlook, at_end=at_end) for one in planned]
        found = [best_schedule(other, gap=gap) for other in asked]
        others = [schedule for schedule in found if schedule is not None]
        is_same = [x.starts for x in others] == [one.schedule.starts for one in planned]
        now = sum(n for x in others for (_, m), n in x.starts[0].items() if m == 0)
        later = sum(
            p * n
            for x in others
            for p, starts in zip(chances, x.starts, strict=True)
            for (_, m), n in starts.items()
            if m > 0
        )
        yield OtherEnd(at_end, is_same, now, later)


def _checked(
    planned: Sequence[_Planned], settings: Settings, session: Session
) -> Iterator[RentChecked]:
    """What solvers say of the rents, while time lasts."""
    for one in planned:
        for f in range(len(one.asked.outlook.futures)):
            left_s = min(session.seconds_left, CHECK_TIME_LIMIT_S)
            if left_s <= 0 or session.is_stopped:
                return
            months = range(one.asked.outlook.months)
            yield check_rents(
                one.asked.outlook,
                f,
                [one.carried(f, m) for m in months],
                [one.rent(f, m) for m in months],
                time_limit_s=left_s,
                solver=settings.solver,
            )


def _engines(checked: Sequence[RentChecked]) -> tuple[str, ...]:
    """Those that proved every rent that was proven."""
    named = [set(one.engines) for one in checked if one.is_same and one.engines]
    return tuple(sorted(set.intersection(*named))) if named else ()


# The months of a future


def _future(
    problem: Problem, future: FutureCase, f: int, planned: Sequence[_Planned]
) -> FutureCalendar:
    horizon = problem.horizon
    assert horizon is not None
    course = horizon.course(future.name)
    owed = 0.0
    for one in planned:
        for (k, start), units in one.schedule.starts[f].items():
            term = one.asked.outlook.terms[k]
            left = max(0, start + term.months - horizon.months)
            owed += units * term.usd_per_month * left
    return FutureCalendar(
        name=future.name,
        probability=future.probability,
        months=tuple(
            _month(planned, f, m, future.traffic * course.factor(m)) for m in range(horizon.months)
        ),
        owed_usd=owed,
    )


def _month(planned: Sequence[_Planned], f: int, month: int, traffic: float) -> CalendarMonth:
    bound = [(one, k, units) for one in planned for k, units in one.bound(f, month)]
    return CalendarMonth(
        month=month + 1,
        traffic=traffic,
        signed=tuple(signing for one in planned for signing in _signed(one, f, month)),
        bound_units=sum(units for _, _, units in bound),
        bound_usd=sum(n * one.asked.outlook.terms[k].usd_per_month for one, k, n in bound),
        rent_usd=sum(one.rent(f, month) for one in planned),
        rented=tuple(rented for one in planned for rented in _rented(one, f, month)),
    )


def _signed(one: _Planned, f: int, month: int) -> Iterator[Signing]:
    for (k, start), units in sorted(one.schedule.starts[f].items()):
        if start == month:
            term, candidate = one.asked.outlook.terms[k], one.asked.bound[k]
            yield Signing(
                month=month + 1,
                workload=one.asked.workload,
                offering=candidate.offering.id,
                billing=candidate.mode.name,
                gpu=candidate.gpu,
                units=units,
                usd_per_month=units * term.usd_per_month,
                term_months=term.months,
            )


def _rented(one: _Planned, f: int, month: int) -> Iterator[RentedUnits]:
    recourse = one.recourses[f][month]
    held, blocks = recourse.rented(one.carried(f, month))
    by_name = {k.id: k for k in one.asked.rented}
    most: dict[str, int] = {}
    for number, units in held.items():
        most[recourse.market.held.rentals[number].name] = units
    for block in blocks:
        for number, units in block.items():
            name = recourse.market.elastic.rentals[number].name
            most[name] = max(most.get(name, 0), units)
    for name in sorted(most):
        candidate: Candidate = by_name[name]
        yield RentedUnits(
            one.asked.workload, candidate.offering.id, candidate.mode.name, most[name]
        )
