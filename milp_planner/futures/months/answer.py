"""From a problem with a horizon to a calendar: what is signed when, and what each month costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from milp_planner.candidates.records import Candidate
from milp_planner.deadline import OutOfTime, sparing
from milp_planner.errors import Fault, InputError
from milp_planner.futures.months.nodes import Months
from milp_planner.futures.months.parts import CalendarPart, calendar_month
from milp_planner.futures.months.programmed import ProgrammedPart, columns_of
from milp_planner.futures.months.risky import is_risk
from milp_planner.futures.months.ways import InHand, ways_of
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Latency, Problem
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.months.rents import RentChecked
from milp_planner.milp.months.search import GAP
from milp_planner.plans.calendars.records import (
    Calendar,
    CalendarEnd,
    CalendarMonth,
    CalendarOffering,
    CalendarProof,
    FutureCalendar,
    OtherEnd,
)
from milp_planner.plans.records import Provenance
from milp_planner.solving.assembly.left_out import not_included
from milp_planner.solving.checks.names import future_faults
from milp_planner.solving.results import Session, Settings

ENDS: tuple[CalendarEnd, ...] = ("extend", "pro_rata", "full")

ONE_MONTH: Final = {
    "today": "the bill of today is of one month",
    "choices": "other choices are of one month",
}
"""Keys that a plan over months would leave without effect, each with why."""

FIRST_CPU_S = 0.35
"""Of a processor, for a first calendar: also where a busy machine let time run out before it."""


class CalendarInterrupted(KeyboardInterrupt):
    """A Ctrl-C, or what a program raises like it, while a calendar was made better.

    `calendar` is the best until then, `cause` is what was raised.
    """

    def __init__(self, calendar: Calendar, cause: KeyboardInterrupt) -> None:
        self.calendar = calendar
        self.cause = cause
        super().__init__("stopped while looking for a better calendar")


def calendar_of(
    problem: Problem, catalog: Catalog, settings: Settings, provenance: Provenance
) -> Calendar | None:
    """The cheapest calendar within the gap, or the best one in time; None where time was up before
    there was one.

    Raises InputError for names unknown, and for what is not planned over months;
    CalendarInterrupted on a Ctrl-C once there is a calendar.
    """
    if faults := [*future_faults(problem, catalog), *_faults_of_asking(problem)]:
        raise InputError(faults)
    session = Session.of(settings)
    settings = replace(settings, gap=settings.gap or GAP)
    provenance = replace(provenance, gap_asked=settings.gap)
    months = Months(problem, catalog)
    in_hand = InHand(())
    try:
        with session.in_force(), sparing(FIRST_CPU_S):
            in_hand = InHand(ways_of(months, settings, provenance))
            in_hand.begin()
    except OutOfTime:
        return None
    beside, checked = Beside(), list[RentChecked]()
    try:
        in_hand.improve(session)
        parts = in_hand.parts
        if parts is None:
            return None
        with session.in_force():
            beside.look_at(months, parts)
        checked.extend(one for part in parts for one in part.checked(settings, session))
    except KeyboardInterrupt as stop:
        parts = in_hand.parts
        if parts is None:
            raise
        known = _calendar(months, parts, checked, beside, provenance)
        raise CalendarInterrupted(known, stop) from stop
    return _calendar(months, parts, checked, beside, provenance)


@dataclass
class Beside:
    """What is told beside a calendar, as far as time lasts."""

    unknown_usd: float | None = None
    ends: list[OtherEnd] = field(default_factory=list)

    def look_at(self, months: Months, parts: Sequence[CalendarPart]) -> None:
        """Solve the same otherwise; what there is no time for is left out."""
        try:
            self.unknown_usd = _unknown(months.problem, parts)
            self.ends.extend(_other_ends(months, parts))
        except OutOfTime:
            pass


def _calendar(
    months: Months,
    parts: Sequence[CalendarPart],
    checked: Sequence[RentChecked],
    beside: Beside,
    provenance: Provenance,
) -> Calendar:
    problem = months.problem
    used = _used(parts)
    rests_on = tuple(_rests_on(problem, used))
    oldest = min((one.priced_on for one in rests_on), default="")
    risk = problem.risk
    return Calendar(
        name=problem.name,
        known_from_months=problem.known_from_months,
        at_end=months.horizon.at_end,
        futures=tuple(_future(months, f, parts) for f in range(len(months.futures))),
        proof=_proof(parts, checked),
        unknown_usd=beside.unknown_usd,
        other_ends=tuple(beside.ends),
        measure="expected" if risk is None else risk.measure,
        measured_on="" if risk is None else risk.of or "",
        level=1 - risk.tail if risk is not None and risk.measure == "cvar" else None,
        weight=1.0 if risk is None else risk.weight,
        rests_on=rests_on,
        not_included=tuple(not_included(problem, used)),
        provenance=replace(provenance, oldest_price=oldest),
    )


def _used(parts: Sequence[CalendarPart]) -> list[Candidate]:
    """All that is signed for or rented, once each."""
    used = {k.id: k for part in parts for k in part.used()}
    return [k for _, k in sorted(used.items())]


def _rests_on(problem: Problem, used: Sequence[Candidate]) -> Iterator[CalendarOffering]:
    for k in used:
        wishes = problem.workload(k.workload).latency
        yield CalendarOffering(
            workload=k.workload,
            offering=k.offering.id,
            billing=k.offering.billing,
            priced_on=k.offering.as_of.isoformat(),
            sources=tuple(point.source for point in k.serving_points),
            not_measured=tuple(_not_measured(k, wishes)),
        )


def _not_measured(k: Candidate, wishes: Latency) -> Iterator[str]:
    """Wishes whose times no measurement of the candidate judges."""
    points = k.serving_points
    if wishes.tpot_s is not None and any(
        p.tpot_s is None or p.source != "measured" for p in points
    ):
        yield "tpot"
    if wishes.ttft_s is not None and not all(p.ttft_measured for p in points):
        yield "ttft"


def _faults_of_asking(problem: Problem) -> Iterator[Fault]:
    for key, why in ONE_MONTH.items():
        if getattr(problem, key) != Problem.model_fields[key].default:
            yield Fault("", 0, 0, key, why, "leave it out")
    if problem.alternatives.count and "alternatives" in problem.model_fields_set:
        said = "next-best plans are of one month"
        hint = "leave it out, or write alternatives: {count: 0}"
        yield Fault("", 0, 0, "alternatives", said, hint)


def _unknown(problem: Problem, parts: Sequence[CalendarPart]) -> float | None:
    """What is counted where no signing follows the future."""
    if problem.known_from_months is None:
        return None
    found = [part.unknown_usd() for part in parts]
    known = [usd for usd in found if usd is not None]
    return sum(known) if len(known) == len(found) else None


def _other_ends(months: Months, parts: Sequence[CalendarPart]) -> Iterator[OtherEnd]:
    chances = [future.probability for future in months.futures]
    here = [part.starts() for part in parts]
    for at_end in ENDS:
        if at_end == months.horizon.at_end:
            continue
        found = [part.starts_at(at_end) for part in parts]
        others = [starts for starts in found if starts is not None]
        if len(others) < len(parts):
            continue
        now = sum(n for x in others for (_, m), n in x[0].items() if m == 0)
        later = sum(
            p * n
            for x in others
            for p, starts in zip(chances, x, strict=True)
            for (_, m), n in starts.items()
            if m > 0
        )
        yield OtherEnd(at_end, others == here, now, later)


def _proof(parts: Sequence[CalendarPart], checked: Sequence[RentChecked]) -> CalendarProof:
    bounds = [part.bound_usd for part in parts if part.bound_usd is not None]
    programs = [part for part in parts if isinstance(part, ProgrammedPart)]
    named = [set(one.engines) for one in checked if one.is_same and one.engines]
    proven = [set(part.proven_by) for part in programs]
    return CalendarProof(
        counted_usd=sum(part.counted_usd for part in parts),
        bound_usd=None if len(bounds) < len(parts) else sum(bounds),
        rents_checked=sum(one.is_same for one in checked),
        rents=sum(part.rents for part in parts),
        engines=_in_all(named),
        parts=len(parts),
        programs=len(programs),
        program_columns=columns_of(programs),
        program_engines=_in_all(proven),
    )


def _in_all(engines: Sequence[set[str]]) -> tuple[str, ...]:
    return tuple(sorted(set.intersection(*engines))) if engines else ()


# The months of a future


def _future(months: Months, f: int, parts: Sequence[CalendarPart]) -> FutureCalendar:
    future, horizon = months.futures[f], months.horizon
    course = horizon.course(future.name)
    counted = [part.counted_in(f) for part in parts] if is_risk(months) else []
    return FutureCalendar(
        name=future.name,
        probability=future.probability,
        months=tuple(
            _month(f, m, future.traffic * course.factor(m), parts) for m in range(horizon.months)
        ),
        owed_usd=sum(part.owed_usd(f) for part in parts),
        counted_usd=sum(usd or 0.0 for usd in counted) if counted else None,
    )


def _month(f: int, month: int, traffic: float, parts: Sequence[CalendarPart]) -> CalendarMonth:
    return calendar_month([part.month(f, month) for part in parts], month + 1, traffic)
