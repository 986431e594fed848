"""From a problem with a horizon to a calendar: what is signed when, and what each month costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.errors import Fault, InputError
from milp_planner.futures.months.enumerated import EnumeratedPart
from milp_planner.futures.months.nodes import Months
from milp_planner.futures.months.outlook import WorkloadMonths, outlooks_of, prices_of
from milp_planner.futures.months.parts import CalendarPart, calendar_month
from milp_planner.futures.months.programmed import Asked, ProgrammedPart, columns_of
from milp_planner.futures.months.risky import RiskAsked, RiskPart, is_risk
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Latency, Problem
from milp_planner.milp.futures.pruning import kept_in_futures
from milp_planner.milp.months.rents import RentChecked
from milp_planner.milp.months.search import GAP
from milp_planner.milp.presolve.lazy_rows import independent, only_workloads
from milp_planner.milp.program.families import rules_of
from milp_planner.milp.program.model import build_model
from milp_planner.plans.futures.calendar import (
    Calendar,
    CalendarEnd,
    CalendarMonth,
    CalendarOffering,
    CalendarProof,
    FutureCalendar,
    OtherEnd,
)
from milp_planner.plans.records import Provenance
from milp_planner.solving.checks.names import future_faults
from milp_planner.solving.results import Session, Settings

ENDS: tuple[CalendarEnd, ...] = ("extend", "pro_rata", "full")

ONE_MONTH: Final = {
    "today": "the bill of today is of one month",
    "choices": "other choices are of one month",
}
"""Keys that a plan over months would leave without effect, each with why."""


def calendar_of(
    problem: Problem, catalog: Catalog, settings: Settings, provenance: Provenance
) -> Calendar | None:
    """The cheapest calendar within the gap; None where time was up before there was one.

    Raises InputError for names unknown, and for what is not planned over months.
    """
    if faults := [*future_faults(problem, catalog), *_faults_of_asking(problem)]:
        raise InputError(faults)
    session = Session.of(settings)
    months = Months(problem, catalog)
    try:
        parts = [*_parts(months, settings, provenance, session)]
    except OutOfTime:
        return None
    unknown, ends = None, list[OtherEnd]()
    try:
        with session.in_force():
            unknown = _unknown(problem, parts)
            ends = [*_other_ends(months, parts)]
    except OutOfTime:  # what is told beside the calendar is left out
        pass
    checked = [one for part in parts for one in part.checked(settings, session)]
    risk = problem.risk
    return Calendar(
        name=problem.name,
        known_from_months=problem.known_from_months,
        at_end=months.horizon.at_end,
        futures=tuple(_future(months, f, parts) for f in range(len(months.futures))),
        proof=_proof(parts, checked),
        unknown_usd=unknown,
        other_ends=tuple(ends),
        measure="expected" if risk is None else risk.measure,
        measured_on="" if risk is None else risk.of or "",
        level=1 - risk.tail if risk is not None and risk.measure == "cvar" else None,
        weight=1.0 if risk is None else risk.weight,
        rests_on=tuple(_rests_on(problem, parts)),
    )


def _rests_on(problem: Problem, parts: Sequence[CalendarPart]) -> Iterator[CalendarOffering]:
    used = {k.id: k for part in parts for k in part.used()}
    for _, k in sorted(used.items()):
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


# The parts


def _parts(
    months: Months, settings: Settings, provenance: Provenance, session: Session
) -> Iterator[CalendarPart]:
    """Workloads that nothing links, each by itself: by enumeration where that knows all that is
    asked, else by one program."""
    with session.in_force():
        today = months.today
        _check_served(today.problem, {k.workload for k in today.candidates.candidates})
        given = [*_enumerated(months, today)]
    settings = replace(settings, gap=settings.gap or GAP)
    left: list[tuple[str, ...]] = []
    for names, listed in given:
        with session.in_force():
            if listed is None:
                left.append(names)
            elif is_risk(months):
                part = RiskPart(RiskAsked(months, tuple(listed), settings.gap))
                yield _better(part, Asked(months, names, settings, provenance), session)
            else:
                yield from (EnumeratedPart.best(asked, settings.gap) for asked in listed)
    for i, names in enumerate(left):  # each has an equal part of the time
        ends_s = session.ends_s - session.seconds_left * (1 - 1 / (len(left) - i))
        mine = Session(ends_s, session.cancel)
        yield ProgrammedPart(Asked(months, names, settings, provenance), mine)


def _enumerated(
    months: Months, today: PlanningInput
) -> Iterator[tuple[tuple[str, ...], list[WorkloadMonths] | None]]:
    """Workloads that nothing links, with how each is enumerated; None where they cannot be."""
    is_plain = _is_plain(months)
    prices = prices_of(months) if is_plain else ()
    if is_plain and (whole := outlooks_of(months.problem, today, prices)) is not None:
        yield tuple(w.name for w in months.problem.workloads), whole
        return
    groups = _groups(months)
    for names in groups:
        group = only_workloads(today, names, today.candidates.candidates)
        can_be = is_plain and len(groups) > 1
        yield names, outlooks_of(months.problem, group, prices) if can_be else None


def _better(part: RiskPart, asked: Asked, session: Session) -> CalendarPart:
    """The schedules, or what one program finds: by weights alone one finds no schedule that two
    others are better than on average, whatever the weights."""
    if part.gap <= asked.settings.gap or session.is_stopped:
        return part
    try:
        other = ProgrammedPart(replace(asked, known_measure=part.measure), session)
    except OutOfTime:
        return part
    if part.all_months != {other.shape.all_months}:  # they count other months
        return part
    better = other if other.counted_usd < part.counted_usd else part
    bound = max(part.bound_usd, other.bound_usd)
    better.bound_usd = min(better.counted_usd, bound)
    return better


def _groups(months: Months) -> list[tuple[str, ...]]:
    """Workloads that rules link, or the measure, or money."""
    problem = months.problem
    names = tuple(w.name for w in problem.workloads)
    all_apart = all(rule.solved_apart for rule in rules_of(problem))
    if len(names) == 1 or is_risk(months) or problem.limits.budget is not None or not all_apart:
        return [names]
    widest = months.widest
    model = build_model(widest, tuple(kept_in_futures([widest]).candidates(0)))
    found = independent(model, lambda workload, _: workload)
    idle = set(names) - {name for group in found for name in group}
    return [*found, *((name,) for name in names if name in idle)]


def _is_plain(months: Months) -> bool:
    """True where no key is in force that programs alone know over months."""
    problem = months.problem
    switching = problem.switching != Problem.model_fields["switching"].default
    paid = bool(problem.current_fleet or problem.commitments)
    return not switching and not paid and problem.limits.budget is None


def _check_served(problem: Problem, served: set[str]) -> None:
    for w in problem.workloads:
        if w.name not in served:
            said = f"nothing that is allowed can serve {w.name!r}"
            raise InputError([Fault("", 0, 0, "workloads", said)])


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
    programs = [part for part in parts if isinstance(part, ProgrammedPart)]
    named = [set(one.engines) for one in checked if one.is_same and one.engines]
    proven = [set(part.proven_by) for part in programs]
    return CalendarProof(
        counted_usd=sum(part.counted_usd for part in parts),
        bound_usd=sum(part.bound_usd for part in parts),
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
