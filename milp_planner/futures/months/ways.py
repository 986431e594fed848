"""Which workloads are planned by themselves and how, and what is in hand of each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.errors import Fault, InputError
from milp_planner.futures.months.enumerated import EnumeratedWay
from milp_planner.futures.months.nodes import Months
from milp_planner.futures.months.outlook import WorkloadMonths, outlooks_of, prices_of
from milp_planner.futures.months.parts import CalendarPart, CalendarWay
from milp_planner.futures.months.programmed import Asked, ProgrammedWay
from milp_planner.futures.months.risky import RiskAsked, RiskWay, is_risk
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, field
from milp_planner.milp.futures.pruning import kept_in_futures
from milp_planner.milp.presolve.lazy_rows import independent, only_workloads
from milp_planner.milp.program.families import rules_of
from milp_planner.milp.program.model import build_model
from milp_planner.plans.records import Provenance
from milp_planner.solving.results import Session, Settings


@dataclass
class InHand:
    """The parts of a calendar, each the best that there is so far."""

    ways: Sequence[CalendarWay]
    found: list[CalendarPart | None] = field(default_factory=list)

    @property
    def parts(self) -> list[CalendarPart] | None:
        """One of each way; None where one is lacking still."""
        known = [part for part in self.found if part is not None]
        return known if len(known) == len(self.ways) else None

    def begin(self) -> None:
        """A first part of each way, where what is rented is enough; raises OutOfTime."""
        self.found = [None] * len(self.ways)
        for i, way in enumerate(self.ways):
            self.found[i] = way.first()

    def improve(self, session: Session) -> None:
        """Better parts while time lasts: those by enumeration, which takes little of it, and then
        those by programs, each of which has an equal part of what is left.

        Raises InputError where what is allowed cannot carry the load.
        """
        programs = [i for i, way in enumerate(self.ways) if isinstance(way, ProgrammedWay)]
        others = [i for i in range(len(self.ways)) if i not in programs]
        for i in others:
            self._improve(i, session)
        for left, i in zip(range(len(programs), 0, -1), programs, strict=True):
            ends_s = session.ends_s - session.seconds_left * (1 - 1 / left)
            self._improve(i, Session(ends_s, session.cancel))

    def _improve(self, i: int, session: Session) -> None:
        better = self.ways[i].improving(session)
        try:
            while True:
                with session.in_force():
                    self.found[i] = next(better)
        except (OutOfTime, StopIteration):
            pass


def ways_of(months: Months, settings: Settings, provenance: Provenance) -> tuple[CalendarWay, ...]:
    """Workloads that nothing links, each by itself: by enumeration where that knows all that is
    asked, else by one program. Raises InputError where nothing can serve one of them."""
    today = months.today
    _check_served(today.problem, {k.workload for k in today.candidates.candidates})
    given = _enumerated(months, today)
    return tuple(
        way
        for names, listed in given
        for way in _ways(Asked(months, names, settings, provenance), listed)
    )


def _ways(asked: Asked, listed: Sequence[WorkloadMonths] | None) -> Iterator[CalendarWay]:
    months, gap = asked.months, asked.settings.gap
    if listed is None:
        yield ProgrammedWay(asked)
    elif is_risk(months):
        yield RiskWay(RiskAsked(months, tuple(listed), gap), ProgrammedWay(asked))
    else:
        yield from (EnumeratedWay(one, gap) for one in listed)


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
