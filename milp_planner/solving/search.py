"""Finds the best plan of a problem and then the next-best ones, each preferred among its ties."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import may_be_short
from milp_planner.inputs.problem.records import Alternatives
from milp_planner.milp.presolve.forced_use import Required
from milp_planner.milp.program.exclusion import Difference
from milp_planner.milp.program.lexicographic import Held
from milp_planner.plans.records import Plan, Provenance
from milp_planner.solving.first_plan import FirstPlan
from milp_planner.solving.near_optimal import near_optimal
from milp_planner.solving.optimum import Optimizer, Query
from milp_planner.solving.queueing import OwnMixes
from milp_planner.solving.results import NOT_SOLVED, SearchResult, Session, Settings
from milp_planner.solving.shortage import best_when_short, still_told
from milp_planner.solving.stages import best_in_order, in_order_of
from milp_planner.solving.tie_break import Lookahead, best_by_curves, next_of


@dataclass
class Search:
    """One problem and the plans found for it, within one time limit."""

    instance: PlanningInput
    settings: Settings
    provenance: Provenance
    asked: Alternatives
    found: list[Plan] = field(default_factory=list)
    required: Required | None = None
    """What must be in use somewhere; None asks for nothing."""

    in_hand: FirstPlan | None = None
    """A first plan that is made already; None where none is."""

    mixes: OwnMixes | None = None
    """What plans are held against, where their program is without wishes that these have to keep;
    None elsewhere."""

    optimizer: Optimizer = field(init=False)
    _passed_over: list[Plan] = field(default_factory=list)
    """Plans that do not keep such wishes."""

    _held: Held | None = None
    """What stages before the score reached; None before they ran. See `shortage`."""

    _lookahead: Lookahead = field(default_factory=Lookahead)

    def __post_init__(self) -> None:
        session = Session.of(self.settings)
        self.optimizer = Optimizer(
            self.instance, self.settings, self.provenance, session, self.required
        )

    def goes_on_as(self, other: Search, mixes: OwnMixes, first: SearchResult) -> SearchResult:
        """Take over a search without wishes that its first plan keeps, which is given back."""
        session = self.session
        self.instance, self.optimizer, self.mixes = other.instance, other.optimizer, mixes
        self.optimizer.session = session
        self.found, self._held, self._lookahead = other.found, other._held, other._lookahead
        return self._with_waits(first)

    def _with_waits(self, result: SearchResult) -> SearchResult:
        """The result, which is the last found, with what its plan says of the wishes it keeps."""
        if self.mixes is None or result.plan is None:
            return result
        plan = replace(result.plan, warnings=(*result.plan.warnings, *self.mixes.said(result.plan)))
        self.found[-1] = plan
        return replace(result, plan=plan)

    @property
    def session(self) -> Session:
        """The time limit, which covers the optimum and all alternatives."""
        return self.optimizer.session

    @property
    def seconds_left(self) -> float:
        """Time until the limit."""
        return self.session.seconds_left

    @property
    def is_cancelled(self) -> bool:
        """True when another thread asked to stop."""
        return self.session.is_cancelled

    @property
    def is_stopped(self) -> bool:
        """True when nothing more may be solved."""
        return self.session.is_stopped

    @property
    def more_wanted(self) -> bool:
        """True when the plan at hand, once found, is not the last."""
        return len(self.found) < self.asked.count

    @property
    def twins(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of offerings that count as one, by the id of the one that stands for them."""
        return self.optimizer.pruned.twins

    def next(self) -> SearchResult:
        """The best plan that no earlier one rules out; of several that score the same, one."""
        ahead, self._lookahead = self._lookahead, Lookahead()
        if not ahead.tied:
            ahead = Lookahead((self._best(),))
        result = ahead.tied[0]
        if result.plan is None:
            return result
        try:
            if self.settings.break_ties:
                query = in_order_of(self.optimizer, self._query(), result.plan)
                with contextlib.suppress(OutOfTime), self.session.in_force():
                    chosen, self._lookahead = next_of(
                        self.optimizer, query, ahead, more_wanted=self.more_wanted
                    )
                    result = still_told(self.instance.problem, result.known, chosen)
                if query.held != (self._held or ()):  # what is beyond may have more GPUs
                    self._lookahead = self._lookahead.of_plans()
        finally:  # a Ctrl-C leaves the plan that is there already
            self.found.append(result.known)
        return result

    def first_plan(self) -> FirstPlan:
        """A plan without the solvers, over all candidates, else the one that is in hand."""
        if self.in_hand is not None and not self.in_hand.of_few:
            return self.in_hand
        with self.session.in_force():
            first = FirstPlan.of(self.instance)
        return first if first.fleets or self.in_hand is None else self.in_hand

    def alternatives(self) -> Iterator[SearchResult]:
        """Next-best plans, until there are as many as asked, none is left, or the time is up."""
        if self.asked.within is not None:
            yield from self._near_optimal()
            return
        while len(self.found) <= self.asked.count:
            if self.is_stopped and not self._lookahead.tied:
                yield NOT_SOLVED
                return
            result = self.next()
            if self._has_passed_over(result):
                continue
            yield self._with_waits(result)
            if result.plan is None:
                return

    def _has_passed_over(self, result: SearchResult) -> bool:
        """True of a next-best plan, the last found, that does not keep what all have to."""
        if self.mixes is None or result.plan is None or not self.mixes.missed(result.plan):
            return False
        self._passed_over.append(self.found.pop())
        return True

    def _near_optimal(self) -> Iterator[SearchResult]:
        """Plans inside the band that is asked for, the simplest first."""
        if not self.asked.count:
            return
        for result in near_optimal(self.optimizer, self.found[0], self.asked, self._query):
            if result.plan is not None:
                self.found.append(result.known)
                if self._has_passed_over(result):
                    continue
            yield self._with_waits(result)
            if len(self.found) > self.asked.count:
                return

    def _best(self) -> SearchResult:
        """The best plan that no earlier one rules out, as the solvers have it."""
        if self._held is None and may_be_short(self.instance.problem):
            result, self._held = best_when_short(self.optimizer, self._query())
            return result
        query = self._query()
        curved = best_by_curves(self.optimizer, query) if self.found else None
        return best_in_order(self.optimizer, query) if curved is None else curved

    def _query(self) -> Query:
        difference = Difference(self.asked.differ_by, self.asked.per_workload)
        known = (*self.found, *self._passed_over)
        return Query(difference, known).holding(self._held or ())
