"""Every month of every future as a question of its own, for a program over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property

from milp_planner.candidates.listing import Lister, lister_of
from milp_planner.candidates.paying.commitments import HOURS_PER_DAY
from milp_planner.candidates.records import CandidateList, PlanningInput
from milp_planner.deadline import checked
from milp_planner.futures.cases import case_of, without_futures
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.commitments import Commitment
from milp_planner.inputs.problem.records import Problem, Switching
from milp_planner.inputs.problem.uncertain.futures import FutureCase
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.futures.pruning import Key, binds, is_few
from milp_planner.milp.months.program import MonthsShape, SignedKind
from milp_planner.solving.prepare import outline_of, outline_of_known, with_known_names
from milp_planner.solving.re_solve import repriced_candidate
from milp_planner.today import day_today
from milp_planner.traffic.month import Schedule

THE_ONLY = "base"
"""What the one future is called where the problem names none."""


def futures_of(problem: Problem) -> tuple[FutureCase, ...]:
    """The futures of a problem; one where it is known what comes."""
    return problem.futures or (FutureCase(name=THE_ONLY, probability=1),)


@dataclass(frozen=True)
class MonthNode:
    """A month of a future, ready to be planned."""

    future: int
    month: int
    """Counted from 0; those after the horizon follow."""

    instance: PlanningInput


@dataclass
class Months:
    """The months of a problem, as they are asked for."""

    problem: Problem
    catalog: Catalog

    def __post_init__(self) -> None:
        assert self.problem.horizon is not None
        self.horizon = self.problem.horizon
        self.futures = futures_of(self.problem)
        plain, priced = (_Once(lister_of(self.catalog)) for _ in range(2))
        self._listers = {False: plain, True: priced}
        self._today = self.catalog.read_on or day_today()

    def lister(self, future: FutureCase) -> Lister:
        """Lists what can be rented in a future, once for all that have its prices or none."""
        return self._listers[bool(future.prices)]

    @property
    def today(self) -> PlanningInput:
        """What is asked of a month of the traffic and the prices that are stated."""
        known = FutureCase(name=THE_ONLY, probability=1)
        return case_of(
            without_futures(self.problem), self.catalog, known, self.lister(known)
        ).instance

    @property
    def widest(self) -> PlanningInput:
        """A month in which each workload has the most traffic that it ever has."""
        months = range(self.horizon.months)
        most = {
            w.name: max(
                future.times(w.name) * self.horizon.course(future.name).factor(m)
                for future in self.futures
                for m in months
            )
            for w in self.problem.workloads
        }
        there = FutureCase(name=THE_ONLY, probability=1).model_copy(update={"workloads": most})
        return case_of(self.problem, self.catalog, there, self.lister(there)).instance

    def node(self, future: int, month: int) -> MonthNode:
        """One of them; raises InputError, which names the future."""
        case = self.futures[future]
        times = self.horizon.course(case.name).factor(min(month, self.horizon.months - 1))
        factors = {w.name: case.times(w.name) * times for w in self.problem.workloads}
        there = case.model_copy(update={"workloads": factors})
        outlined = outline_of if month == 0 else outline_of_known
        given = self._asked(month), self.catalog, there, self.lister(case), outlined
        instance = case_of(*given).instance
        trend: float = (1 + self.horizon.price_trend) ** month
        return MonthNode(future, month, _at_trend(instance, trend))

    def _asked(self, month: int) -> Problem:
        """What is asked of a month: nothing is known of what runs before it but in the first."""
        update: dict[str, object] = {}
        problem = self.problem if month == 0 else self._known
        if month > 0:
            update |= {"current_fleet": (), "switching": Switching()}
            paid = (self._paid_then(one, month) for one in self.problem.commitments)
            update["commitments"] = tuple(one for one in paid if one is not None)
        if month >= self.horizon.months:
            limits = self.problem.limits.model_copy(update={"budget": None})
            update["limits"] = limits
        return problem.model_copy(update=update)

    @cached_property
    def _known(self) -> Problem:
        """The problem with its names as the catalog has them: the first month checks them all."""
        return with_known_names(self.problem, self.catalog)

    def _paid_then(self, paid: Commitment, month: int) -> Commitment | None:
        """What is paid already as it is seen from a later month; None of what is over by then."""
        if paid.until is None:
            return paid
        days = round(month * self.problem.policy.hours_per_month / HOURS_PER_DAY)
        until = paid.until - timedelta(days=days)
        return paid.model_copy(update={"until": until}) if until >= self._today else None


class _Once:
    """Lists candidates once: the sizes of requests, and so the rates, are those of all months."""

    def __init__(self, lister: Lister) -> None:
        self._lister = lister
        self._known: CandidateList | None = None

    def __call__(self, problem: Problem, schedule: Schedule, catalog: Catalog) -> CandidateList:
        if self._known is None:
            self._known = self._lister(problem, schedule, catalog)
        return self._known


def _at_trend(instance: PlanningInput, trend: float) -> PlanningInput:
    """What is rented at the prices of its month; what binds costs what it does today."""
    if trend == 1:
        return instance
    listed = instance.candidates
    priced = (k if binds(k) else repriced_candidate(k, trend) for k in listed.candidates)
    return replace(instance, candidates=replace(listed, candidates=tuple(priced)))


def all_nodes(months: Months, all_months: int) -> tuple[MonthNode, ...]:
    """All months of the first future, then of the next."""
    return tuple(checked(_nodes(months, all_months)))


def _nodes(months: Months, all_months: int) -> Iterator[MonthNode]:
    for f in range(len(months.futures)):
        for i in range(all_months):
            yield months.node(f, i)


def kinds_of(first: PlanningInput) -> dict[Key, SignedKind]:
    """Every offering that may be signed for, as the first month lists it."""
    hours = first.problem.policy.hours_per_month
    return {
        k.offering.key: SignedKind(
            k.commitment_months or None, hours * k.usd_per_hour / k.units_joined, is_few(k)
        )
        for k in first.candidates.candidates
        if binds(k)
    }


def shape_of(months: Months, kinds: dict[Key, SignedKind], known_from: int | None) -> MonthsShape:
    """What a program over the months is of. known_from: months after which the future is known."""
    problem, horizon = months.problem, months.horizon
    longest = max((kind.months or 1 for kind in kinds.values()), default=1)
    after = longest - 1 if horizon.at_end == "extend" else 0
    switching, budget = problem.switching, problem.limits.budget
    mean = budget is not None and budget.futures == "expected"
    return MonthsShape(
        futures=len(months.futures),
        months=horizon.months,
        all_months=horizon.months + after,
        branches_at=horizon.months if known_from is None else min(known_from, horizon.months),
        at_end=horizon.at_end,
        kinds=kinds,
        usd_per_unit_added=switching.usd_per_unit_added,
        usd_per_unit_removed=switching.usd_per_unit_removed,
        most_changed=switching.max_units_changed,
        mean_budget_usd=budget.usd_per_month if budget is not None and mean else None,
    )
