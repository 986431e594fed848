"""Workloads over months by one program: whatever is asked of a month is asked of each of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.errors import Fault, InputError
from milp_planner.futures.measures import measure_by, value_usd
from milp_planner.futures.months.nodes import Months, all_nodes, kinds_of, shape_of
from milp_planner.futures.months.optimum import (
    MonthsAnswer,
    MonthsOptimizer,
    kept_over_months,
    months_counted,
)
from milp_planner.futures.months.parts import CalendarPart, CalendarStarts, CalendarWay, PartMonth
from milp_planner.futures.months.rented import RentedMonths, least_usd
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import KeptInFutures, Key, binds
from milp_planner.milp.months.program import MonthsShape
from milp_planner.milp.months.records import AtEnd
from milp_planner.milp.presolve.lazy_rows import only_workloads
from milp_planner.plans.calendars.records import RentedUnits, Signing
from milp_planner.plans.changes import most_units
from milp_planner.plans.records import Plan, Provenance, Status
from milp_planner.solving.results import Session, Settings

ALONE_SHARE = 0.3
"""Of the time left, for what each future costs where it is known, when a regret is asked for."""


@dataclass(frozen=True)
class AskedMonths:
    """Every month of every future as a question of its own."""

    shape: MonthsShape
    instances: Sequence[PlanningInput]
    """By block of the shape."""


@dataclass(frozen=True)
class Asked:
    """Some workloads of a problem over its months, and how they are to be planned."""

    months: Months
    workloads: tuple[str, ...]
    settings: Settings
    provenance: Provenance
    known_measure: Measure | None = None
    """What is made small, where it is known."""

    def asked_months(self, known_from: int | None) -> AskedMonths:
        """Every month that may count; raises OutOfTime before they are known."""
        first = self._only(self.months.node(0, 0).instance)
        shape = shape_of(self.months, kinds_of(first), known_from)
        nodes = all_nodes(self.months, shape.all_months)
        return AskedMonths(shape, tuple(self._only(node.instance) for node in nodes))

    def optimizer(
        self, session: Session, known_from: int | None, known: AskedMonths | None = None
    ) -> MonthsOptimizer:
        """Ready to solve; raises OutOfTime before it is. known: the months, where they are."""
        with session.in_force():
            asked = self.asked_months(known_from) if known is None else known
            kept = kept_over_months(asked.instances, asked.shape, self.settings)
        kinds = asked.shape.kinds
        worth_it = {key: kind for key, kind in kinds.items() if key in kept.commitments[0]}
        given = self.settings, self.provenance, session
        whole = MonthsOptimizer(asked.instances, asked.shape, kept, *given)
        return whole.shortened(shape_of(self.months, worth_it, known_from))

    def _only(self, instance: PlanningInput) -> PlanningInput:
        if len(self.workloads) == len(instance.problem.workloads):
            return instance
        return only_workloads(instance, self.workloads, instance.candidates.candidates)

    def measure(self, optimizer: MonthsOptimizer) -> Measure:
        """What is made small over the futures, each of them over all its months."""
        if self.known_measure is not None:
            return self.known_measure
        alone = [*_each_alone(optimizer)] if self.is_regret else None
        return self.measure_against(AskedMonths(optimizer.shape, optimizer.instances), alone)

    @property
    def is_regret(self) -> bool:
        """Whether it counts what each future costs where it is known."""
        risk = self.months.problem.risk
        return risk is not None and risk.of == "regret"

    def measure_against(self, asked: AskedMonths, alone: Sequence[float | None] | None) -> Measure:
        """The same. alone: what each future costs at least by itself, where that counts."""
        problem, shape = self.months.problem, asked.shape
        chances = tuple(future.probability for future in self.months.futures)
        by_future = [
            asked.instances[shape.block(f, 0) : shape.block(f + 1, 0)] for f in range(shape.futures)
        ]

        def worth(of: Measure) -> Iterator[float]:
            return (sum(value_usd(one, of) for one in mine) for mine in by_future)

        known = [None] * len(chances) if alone is None else alone
        return measure_by(problem.risk, problem.value, chances, known, worth)


def _each_alone(optimizer: MonthsOptimizer) -> Iterator[float | None]:
    """No plan of each future by itself costs less; its months are known from the first on."""
    shape, session = optimizer.shape, optimizer.session
    for f in range(shape.futures):
        mine = slice(shape.block(f, 0), shape.block(f + 1, 0))
        kept = KeptInFutures(optimizer.kept.rentals[mine], optimizer.kept.commitments[mine])
        alone = replace(
            optimizer,
            instances=optimizer.instances[mine],
            shape=replace(shape, futures=1, branches_at=shape.months),
            kept=kept,
            _blocks=[],
        )
        share = ALONE_SHARE * session.seconds_left / (shape.futures - f)
        ends_s = session.ends_s - session.seconds_left + share
        found = alone.best(
            Measure((1.0,), constants=(0.0,)), alone=True, session=Session(ends_s, session.cancel)
        )
        yield found.bound_usd


class ProgrammedWay(CalendarWay):
    """Some workloads whose months one program plans."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.known_from = asked.months.problem.known_from_months
        self.known: AskedMonths | None = None
        self.rented: RentedMonths | None = None
        self.judging_s = 0.0

    def first(self) -> CalendarPart | None:
        """Nothing signed; None where what is rented is not enough."""
        known = self.known = self.asked.asked_months(self.known_from)
        began_s = time.thread_time()
        self.rented = RentedMonths.of(known.instances, known.shape, self.asked.provenance)
        self.judging_s = time.thread_time() - began_s
        if self.rented is None:
            return None
        usd = self._least_usd(known)
        alone = None
        if self.asked.is_regret and usd is not None:
            months = known.shape.all_months
            alone = [sum(usd[f * months : (f + 1) * months]) for f in range(known.shape.futures)]
        measure = self.asked.known_measure or self.asked.measure_against(known, alone)
        answer = self.rented.answer(measure, known.shape)
        if answer is None:
            return None
        bound = None if usd is None else months_counted(usd, known.shape, measure)
        answer = replace(answer, bound_usd=bound)
        return ProgrammedPart(self.asked, known.instances[0], known.shape, answer)

    def improving(self, session: Session) -> Iterator[CalendarPart]:
        optimizer = self.asked.optimizer(session, self.known_from, self.known)
        optimizer.judging_s = self.judging_s
        measure = self.asked.measure(optimizer)
        answer = optimizer.best_in_time(measure)
        if answer.status is Status.INFEASIBLE:
            raise InputError([self._why_not(optimizer)])
        answer = self._or_rented(answer, measure, optimizer.shape)
        if answer.minimised_usd is None:
            raise OutOfTime
        solved = Solved(optimizer, measure)
        first = optimizer.instances[0]
        yield ProgrammedPart(self.asked, first, optimizer.shape, answer, solved)

    def _least_usd(self, known: AskedMonths) -> list[float] | None:
        try:
            return least_usd(known.instances)
        except OutOfTime:
            return None

    def _or_rented(
        self, answer: MonthsAnswer, measure: Measure, shape: MonthsShape
    ) -> MonthsAnswer:
        """The answer, or nothing signed where that is better than what was found in time."""
        if self.rented is None or answer.is_proven(self.asked.settings.gap):
            return answer
        mine = self.rented.answer(measure, shape)
        if mine is None or mine.minimised_usd is None:
            return answer
        if answer.minimised_usd is not None and answer.minimised_usd <= mine.minimised_usd:
            return answer
        return replace(mine, bound_usd=answer.bound_usd, proof=answer.proof)

    def _why_not(self, optimizer: MonthsOptimizer) -> Fault:
        """Which month has no plan, where it is one by itself."""
        hint = "loosen its limits, or price what is left unserved (policy.penalties.shortfall)"
        for b, one in enumerate(optimizer.single_months()):
            if one.status is Status.INFEASIBLE:
                f, month = divmod(b, optimizer.shape.all_months)
                name = self.asked.months.futures[f].name
                said = f"month {month + 1} of future {name!r} has no plan even by itself"
                return Fault("", 0, 0, "horizon", said, hint)
        said = "each month can be planned by itself, and no signings serve all of them"
        return Fault("", 0, 0, "horizon", said, hint)


class Solved(NamedTuple):
    """What solved an answer, to be asked the same otherwise."""

    optimizer: MonthsOptimizer
    measure: Measure


class ProgrammedPart(CalendarPart):
    """Some workloads, and the best signings that were found for them."""

    def __init__(
        self,
        asked: Asked,
        first: PlanningInput,
        shape: MonthsShape,
        answer: MonthsAnswer,
        solved: Solved | None = None,
    ) -> None:
        """first: the first month. solved: None of an answer that no program gave."""
        assert answer.minimised_usd is not None
        self.asked, self.first, self.shape, self.answer = asked, first, shape, answer
        self.solved = solved
        self.counted_usd = answer.minimised_usd
        bound = answer.bound_usd
        self.bound_usd = None if bound is None else min(self.counted_usd, bound)

    @property
    def proven_by(self) -> tuple[str, ...]:
        """The engines that proved it, within the gap that is asked for; none where none did."""
        is_proven = self.answer.is_proven(self.asked.settings.gap)
        return self.answer.proof.certified_by if is_proven else ()

    def counted_in(self, future: int) -> float:
        """What a future counts."""
        return self.answer.counted[future]

    def _plan(self, future: int, month: int) -> Plan:
        return self.answer.plans[self.shape.block(future, month)]

    def month(self, future: int, month: int) -> PartMonth:
        plan, shape = self._plan(future, month), self.shape
        bound = [
            (start[0], units)
            for start, units in self.answer.starts.items()
            if shape.is_bound(start, future, month)
        ]
        bound_usd = sum(units * shape.kinds[key].usd_per_month for key, units in bound)
        cash, score = plan.cash_usd_per_month or 0.0, plan.score_usd_per_month or 0.0
        moved = self.answer.moves_usd[shape.block(future, month)]
        first = plan.costs.get("switching", 0.0)  # the first month knows what runs before it
        return PartMonth(
            signed=tuple(self._signed(future, month)),
            bound_units=sum(units for _, units in bound),
            bound_usd=bound_usd,
            rent_usd=cash - first - bound_usd,
            rented=tuple(_rented(plan)),
            moves_usd=moved + first,
            penalties_usd=score - cash,
            shortfall_share=max((w.shortfall_share for w in plan.workloads), default=0.0),
        )

    def owed_usd(self, future: int) -> float:
        return sum(
            units * self.shape.left_usd(start)
            for start, units in self.answer.starts.items()
            if start[2] in (None, future)
        )

    def used(self) -> Iterator[Candidate]:
        for f in range(self.shape.futures):
            for month in range(self.shape.months):
                yield from (p.candidate for p in self._plan(f, month).purchases)

    def starts(self) -> tuple[CalendarStarts, ...]:
        return _named(self.answer, self.shape.futures)

    def starts_at(self, at_end: AtEnd) -> tuple[CalendarStarts, ...] | None:
        problem = self.asked.months.problem
        horizon = problem.horizon
        assert horizon is not None
        changed = horizon.model_copy(update={"at_end": at_end})
        other = problem.model_copy(update={"horizon": changed})
        asked = replace(self.asked, months=Months(other, self.asked.months.catalog))
        if self.solved is None or (session := self.solved.optimizer.session).is_stopped:
            return None
        optimizer = asked.optimizer(session, problem.known_from_months)
        found = self._proven(optimizer, asked.measure(optimizer))
        return None if found is None else _named(found, self.shape.futures)

    def unknown_usd(self) -> float | None:
        if self.solved is None:
            return None
        never = replace(self.shape, branches_at=self.shape.months)
        optimizer = replace(self.solved.optimizer, shape=never)
        found = self._proven(optimizer, self.solved.measure)
        return None if found is None else found.minimised_usd

    def _proven(self, optimizer: MonthsOptimizer, measure: Measure) -> MonthsAnswer | None:
        """For what is told beside the calendar: None where time ends before its proof."""
        if optimizer.session.is_stopped:
            return None
        found = optimizer.best(measure, alone=True)
        return found if found.is_proven(self.asked.settings.gap) else None

    @cached_property
    def _offerings(self) -> dict[Key, list[Candidate]]:
        found: dict[Key, list[Candidate]] = {}
        for k in self.first.candidates.candidates:
            if binds(k):
                found.setdefault(k.offering.key, []).append(k)
        return found

    def _signed(self, future: int, month: int) -> Iterator[Signing]:
        for (key, since, of), units in sorted(self.answer.starts.items(), key=str):
            if since != month or of not in (None, future):
                continue
            serving = sorted({k.workload for k in self._offerings[key]})
            kind = self.shape.kinds[key]
            yield Signing(
                month=month + 1,
                workload=serving[0] if len(serving) == 1 else "",
                offering=key[0],
                billing=key[1],
                gpu=self._offerings[key][0].gpu,
                units=units,
                usd_per_month=units * kind.usd_per_month,
                term_months=kind.months or 0,
            )


def _rented(plan: Plan) -> Iterator[RentedUnits]:
    """What is not bound, the most at a time."""
    rented = [p for p in plan.purchases if not binds(p.candidate)]
    for (offering, billing, workload), units in sorted(most_units(rented).items()):
        if units:
            yield RentedUnits(workload, offering, billing, units)
    for p in rented:
        if p.candidate.mode.per_token:
            k = p.candidate
            yield RentedUnits(k.workload, k.offering.id, k.mode.name, 0)


def _named(answer: MonthsAnswer, futures: int) -> tuple[CalendarStarts, ...]:
    return tuple(
        {(key, month): n for (key, month, of), n in answer.starts.items() if of in (None, f)}
        for f in range(futures)
    )


def columns_of(parts: Sequence[ProgrammedPart]) -> int:
    """Columns of all programs."""
    return sum(part.answer.proof.columns for part in parts)
