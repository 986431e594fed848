"""Workloads over months by one program: whatever is asked of a month is asked of each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.errors import Fault, InputError
from milp_planner.futures.measures import measure_by, value_usd
from milp_planner.futures.months.nodes import Months, all_nodes, kinds_of, shape_of
from milp_planner.futures.months.optimum import MonthsAnswer, MonthsOptimizer, kept_over_months
from milp_planner.futures.months.parts import CalendarPart, CalendarStarts, PartMonth
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import KeptInFutures, Key, binds
from milp_planner.milp.months.program import MonthsShape
from milp_planner.milp.months.records import AtEnd
from milp_planner.milp.presolve.lazy_rows import only_workloads
from milp_planner.plans.changes import most_units
from milp_planner.plans.futures.calendar import RentedUnits, Signing
from milp_planner.plans.records import Plan, Provenance, Status
from milp_planner.solving.results import Session, Settings

ALONE_SHARE = 0.3
"""Of the time left, for what each future costs where it is known, when a regret is asked for."""


@dataclass(frozen=True)
class Asked:
    """Some workloads of a problem over its months, and how they are to be planned."""

    months: Months
    workloads: tuple[str, ...]
    settings: Settings
    provenance: Provenance
    known_measure: Measure | None = None
    """What is made small, where it is known."""

    def optimizer(self, session: Session, known_from: int | None) -> MonthsOptimizer:
        """Ready to solve; raises OutOfTime before it is."""
        with session.in_force():
            first = self._only(self.months.node(0, 0).instance)
            kinds = kinds_of(first)
            shape = shape_of(self.months, kinds, known_from)
            nodes = all_nodes(self.months, shape.all_months)
            instances = [self._only(node.instance) for node in nodes]
            kept = kept_over_months(instances, shape, self.settings)
        worth_it = {key: kind for key, kind in kinds.items() if key in kept.commitments[0]}
        given = self.settings, self.provenance, session
        whole = MonthsOptimizer(instances, shape, kept, *given)
        return whole.shortened(shape_of(self.months, worth_it, known_from))

    def _only(self, instance: PlanningInput) -> PlanningInput:
        if len(self.workloads) == len(instance.problem.workloads):
            return instance
        return only_workloads(instance, self.workloads, instance.candidates.candidates)

    def measure(self, optimizer: MonthsOptimizer) -> Measure:
        """What is made small over the futures, each of them over all its months."""
        if self.known_measure is not None:
            return self.known_measure
        problem, shape = self.months.problem, optimizer.shape
        chances = tuple(future.probability for future in self.months.futures)
        by_future = [
            optimizer.instances[shape.block(f, 0) : shape.block(f + 1, 0)]
            for f in range(shape.futures)
        ]

        def worth(of: Measure) -> Iterator[float]:
            return (sum(value_usd(one, of) for one in mine) for mine in by_future)

        is_regret = problem.risk is not None and problem.risk.of == "regret"
        alone = [*_each_alone(optimizer)] if is_regret else [None] * len(chances)
        return measure_by(problem.risk, problem.value, chances, alone, worth)


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


class ProgrammedPart(CalendarPart):
    """Some workloads, and the best signings that were found for them."""

    def __init__(self, asked: Asked, session: Session) -> None:
        """Raises InputError where there is no plan, OutOfTime before there is one."""
        self.asked, self.session = asked, session
        known_from = asked.months.problem.known_from_months
        self.optimizer = asked.optimizer(session, known_from)
        self.measure = asked.measure(self.optimizer)
        self.answer = self.optimizer.best_in_time(self.measure)
        if self.answer.status is Status.INFEASIBLE:
            raise InputError([self._why_not()])
        if self.answer.minimised_usd is None:
            raise OutOfTime
        self.counted_usd = self.answer.minimised_usd
        bound = self.answer.bound_usd
        self.bound_usd = min(self.counted_usd, 0.0 if bound is None else bound)

    def _why_not(self) -> Fault:
        """Which month has no plan, where it is one by itself."""
        hint = "loosen its limits, or price what is left unserved (policy.penalties.shortfall)"
        shape = self.optimizer.shape
        for b, one in enumerate(self.optimizer.single_months()):
            if one.status is Status.INFEASIBLE:
                f, month = divmod(b, shape.all_months)
                name = self.asked.months.futures[f].name
                said = f"month {month + 1} of future {name!r} has no plan even by itself"
                return Fault("", 0, 0, "horizon", said, hint)
        said = "each month can be planned by itself, and no signings serve all of them"
        return Fault("", 0, 0, "horizon", said, hint)

    @property
    def shape(self) -> MonthsShape:
        """What was solved."""
        return self.optimizer.shape

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
        optimizer = asked.optimizer(self.session, problem.known_from_months)
        found = self._proven(optimizer, asked.measure(optimizer))
        return None if found is None else _named(found, self.shape.futures)

    def unknown_usd(self) -> float | None:
        never = replace(self.shape, branches_at=self.shape.months)
        found = self._proven(replace(self.optimizer, shape=never), self.measure)
        return None if found is None else found.minimised_usd

    def _proven(self, optimizer: MonthsOptimizer, measure: Measure) -> MonthsAnswer | None:
        """For what is told beside the calendar: None where time ends before its proof."""
        if self.session.is_stopped:
            return None
        found = optimizer.best(measure, alone=True)
        return found if found.is_proven(self.asked.settings.gap) else None

    @cached_property
    def _offerings(self) -> dict[Key, list[Candidate]]:
        found: dict[Key, list[Candidate]] = {}
        for k in self.optimizer.instances[0].candidates.candidates:
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
