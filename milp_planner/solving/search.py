"""Finds the best plan of a problem and then the next-best ones, each preferred among its ties."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import has_batches, may_be_short
from milp_planner.inputs.problem.records import Alternatives
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.curves.few_names import counts_of
from milp_planner.milp.presolve.forced_use import Required
from milp_planner.milp.presolve.part_prices import (
    LARGE,
    at_their_part,
    columns_of,
    counts_changes,
    of_one_each,
    without_parts,
)
from milp_planner.milp.program.exclusion import Difference, PassedOver, Where
from milp_planner.milp.program.lexicographic import Held
from milp_planner.plans.records import Plan, Provenance, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.joining import solution_of
from milp_planner.solving.assembly.routes import routed_alike
from milp_planner.solving.assembly.verify import keeps_all
from milp_planner.solving.checks.queueing import (
    OwnMixes,
    has_one_class,
    judged_after,
    may_be_judged_after,
)
from milp_planner.solving.first_plan import FirstPlan
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import (
    NOT_SOLVED,
    KnownParts,
    Query,
    SearchResult,
    Session,
    Settings,
    uses_any,
)
from milp_planner.solving.shortage import best_when_short, still_told
from milp_planner.solving.stages import best_in_order, in_order_of, near_optimal
from milp_planner.solving.tie_break import (
    MOST_COLUMNS,
    Lookahead,
    best_known_apart,
    is_as_cheap,
    next_of,
)
from milp_planner.solving.together import best_together, is_worth_a_look

TIME_WITHOUT = 0.5
"""Of the time left, what looking for a plan without wishes may take."""

MOST_PASSED = 12
"""Plans without wishes that may miss them; then the wishes are in the program."""

FIRST_SHARE, LATER_SHARE = 0.3, 0.5
"""Of the time left, what looks at parts of units, and at units of one's own, may take: about a
third of all each, and as much is left for the program of all."""


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
    """What holds plans to wishes that their program is without; None where it has them all."""

    parts: KnownParts = field(default_factory=KnownParts)
    """What is known of parts that are solved apart."""

    looked_past: dict[str, list[Plan]] = field(default_factory=dict)
    """Plans without a workload's wishes that miss them, where no more were looked at for time, or
    since they are many or large."""

    left_off: dict[str, str] = field(default_factory=dict)
    """Why no more plans without a workload's wishes were looked at; its wishes are kept by rows."""

    held: Held | None = None
    """What stages before the score reached, see `stages`; None before they ran."""

    optimizer: Optimizer = field(init=False)
    _asked_whole: PlanningInput | None = None
    """The problem with those wishes."""

    _passed_over: list[PassedOver] = field(default_factory=list)
    """Plans that do not keep such wishes, and where."""

    _lookahead: Lookahead = field(default_factory=Lookahead)

    def __post_init__(self) -> None:
        session = Session.of(self.settings)
        self.optimizer = self._optimizer(self.instance, session)

    def narrow(self, instance: PlanningInput) -> None:
        """Go on with fewer candidates, within the same time limit: what was left out is in no plan
        that is looked for."""
        self.optimizer = self._optimizer(instance, self.session)

    def _optimizer(self, instance: PlanningInput, session: Session) -> Optimizer:
        known = self.parts.known
        return Optimizer(instance, self.settings, self.provenance, session, self.required, known)

    def learn(self, freed: Search, fractions: Iterable[Candidate]) -> None:
        """Take over what a search found of parts in which every fraction of a unit may be had by
        itself."""
        self.parts.learn(freed.parts.solved, fractions)
        self.optimizer.known = self.parts.known

    def first_kept(self, result: SearchResult) -> SearchResult | None:
        """The best plan that keeps wishes which its program is without: the result, the best of
        all, or one that comes after it. None where that takes many programs, or large ones."""
        for _ in range(MOST_PASSED):
            kept = self._kept(result)
            if kept is not None or self.is_stopped or result.proof.columns > MOST_COLUMNS:
                return kept
            result = self.next()
            if result.plan is None:
                return None
        return None

    def why_left_off(self, passed: SearchResult) -> str | None:
        """Why `first_kept` came to an end before it knew that no plan keeps the wishes."""
        many = len(self._passed_over)
        if self.is_stopped:
            return f"when their part of the time limit was up, after {many} of them"
        is_large = passed.proof.columns > MOST_COLUMNS
        return f"after {many} of them" if is_large or many >= MOST_PASSED else None

    def goes_on_as(self, other: Search, first: SearchResult) -> SearchResult:
        """Take over a search without wishes that its first plan keeps, which is given back."""
        session = self.session
        self._asked_whole = self.instance
        self.instance, self.optimizer, self.mixes = other.instance, other.optimizer, other.mixes
        self.optimizer.session = session
        self.found, self.held, self._lookahead = other.found, other.held, other._lookahead
        self._passed_over = other._passed_over
        return first

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
                if query.held != (self.held or ()):  # what is beyond may have more GPUs
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
            result = self._kept(self.next())
            if result is not None:
                yield result
                if result.plan is None:
                    return

    def _kept(self, result: SearchResult) -> SearchResult | None:
        """A next-best plan, the last found, if it keeps the wishes that its program is without.

        Wishes that all plans keep in one way are in the program from then on. Of others no plan
        comes that has the same units where they miss: what has more of them may keep the wish.
        """
        missed = self.mixes.missed_in(result.plan) if self.mixes and result.plan else frozenset()
        if not missed:
            return self._with_waits(result)
        plan = self.found.pop()
        self._lookahead = Lookahead()  # it took the plan for one that others may not contain
        is_enough = len(self._passed_over) >= MOST_PASSED  # as more units may never help
        names = {name for name, _ in missed}
        learnt = {n for n in names if is_enough or _is_kept_in_one_way(self.instance, n)}
        if learnt:
            self._judge_within(learnt)
            return None
        where: set[Where] = set()
        for name in sorted(names):
            alike, never = self._sent_alike(plan, name, missed)
            plan, where = alike or plan, where | never
        if where:
            self._passed_over.append(PassedOver(result.known, frozenset(where)))
            return None
        self.found.append(plan)
        return self._with_waits(replace(result, plan=plan))

    def _sent_alike(
        self, plan: Plan, name: str, missed: frozenset[tuple[str, int]]
    ) -> tuple[Plan | None, set[Where]]:
        """The plan with all classes of a workload sent alike, where that keeps its wishes; else
        what no plan may be like."""
        assert self.mixes is not None, "a wish is missed"
        apart = {one for one in missed if one[0] == name}
        alike = routed_alike(self.instance, solution_of(self.instance, [plan]), name)
        other = None if alike is None else assemble(self.instance, alike, self.provenance)
        if other is None or not keeps_all(self.instance, other, plan.score_usd_per_month or 0.0):
            peaks = self.instance.schedule.demands[name].peak
            return None, {frozenset((name, t) for t, peak in enumerate(peaks) if peak > 0)}
        still = {one for one in self.mixes.missed_in(other) if one[0] == name}
        if not still:
            proven = plan.lower_bound_usd_per_month
            other = replace(other, status=plan.status, proof=plan.proof)
            return replace(other, lower_bound_usd_per_month=proven), set()
        both = {frozenset({one}) for one in apart & still}
        return None, both or {frozenset({min(apart), min(still)})}

    def _judge_within(self, names: Collection[str]) -> None:
        """Go on with the wishes of these workloads in the program."""
        assert self._asked_whole is not None, "their wishes were left out"
        workloads = self.instance.problem.workloads
        left = {w.name for w in workloads if w.latency.is_judged_after} - set(names)
        instance = judged_after(self._asked_whole, left) if left else self._asked_whole
        self.narrow(instance)
        self.instance, self.mixes = instance, OwnMixes.of(instance) if left else None
        self._lookahead = Lookahead()

    def _near_optimal(self) -> Iterator[SearchResult]:
        """Plans inside the band that is asked for, the simplest first."""
        if not self.asked.count:
            return
        for result in near_optimal(self.optimizer, self.found[0], self.asked, self._query):
            if result.plan is not None:
                self.found.append(result.known)
            kept = self._kept(result)
            if kept is not None:
                yield kept
            if len(self.found) > self.asked.count:
                return

    def _best(self) -> SearchResult:
        """The best plan that no earlier one rules out, as the solvers have it."""
        if self.held is None and may_be_short(self.instance.problem):
            result, self.held = best_when_short(self.optimizer, self._query())
            return result
        query = self._query()
        known = best_known_apart(self.optimizer, query) if self.found else None
        return best_in_order(self.optimizer, query) if known is None else known

    def _query(self) -> Query:
        difference = Difference(self.asked.differ_by, self.asked.per_workload)
        passed = tuple(self._passed_over)
        return Query(difference, tuple(self.found), passed=passed).holding(self.held or ())


Answer = Callable[[Search], SearchResult]
"""Gives the best plan of a search."""


def kept_by_the_best_without(search: Search, answer: Answer) -> SearchResult | None:
    """The best plan that keeps the wishes for times in queues, though its program is without them:
    each offering with a queue of its own, or all behind one router. The search goes on there.

    Without a wish nothing is worse. A workload whose wish is not kept has it in the program again,
    where no plan after it is soon found to keep it; None where that is so of all.
    Where requests are of one class the program with it finds the same: it is left out of large
    ones, which are solved far faster without.
    """
    instance = search.instance
    is_large = columns_of(instance, instance.candidates.candidates) > LARGE
    is_open = is_large and instance.problem.limits.survival is None  # else it takes a solver anyway
    names = may_be_judged_after(instance, of_one_class=is_open)
    while names and not search.is_stopped:
        freed = judged_after(instance, names)
        settings = replace(search.settings, time_limit_s=search.seconds_left * TIME_WITHOUT)
        trial = Search(freed, settings, search.provenance, search.asked, required=search.required)
        trial.mixes = OwnMixes.of(freed)
        result = answer(trial)
        if result.plan is None:
            return None
        try:
            with search.session.in_force():
                missed = trial.mixes.missed(result.plan)
                alike = {name for name in missed if _is_kept_in_one_way(instance, name)}
                kept = None if alike else trial.first_kept(result)
                if kept is not None:
                    return search.goes_on_as(trial, kept)
                if not alike and (why := trial.why_left_off(result)):
                    search.left_off |= dict.fromkeys(missed, why)
        except OutOfTime:
            return None
        names -= missed
    return None


def _is_kept_in_one_way(instance: PlanningInput, workload: str) -> bool:
    """True where a program with the wishes of a workload says all that there is to them: of one
    class, and beside batches, where units alone do not tell who is sent what."""
    return has_one_class(instance.schedule, workload) or has_batches(instance.problem)


NAMED_SHARE = 0.6
"""The first where there are limits on how many names there may be: names are looked for branch by
branch then, which settles them or nothing, and no program of all is as quick."""


def answer_apart(search: Search, answer: Answer) -> SearchResult | None:
    """The best plan of units of one's own, with a lower bound of what any plan costs.

    answer: gives the best plan of a problem. Returns a result that is optimal where no unit would
    be shared: then none is in what else is looked for. None where that is not looked at, or nothing
    is found.
    """
    if not is_worth_a_look(search.optimizer):
        return None
    if counts_changes(search.instance.problem):
        return _unproven(search, answer, None)
    kept = search.optimizer.pruned.kept
    alone = [k for k in kept if not k.part_of_unit]
    fractions = [*at_their_part(k for k in kept if k.part_of_unit)]
    share = NAMED_SHARE if counts_of(search.instance.problem) else FIRST_SHARE
    trial = _search_of(search, of_one_each(search.instance, (*alone, *fractions)), share)
    freed = answer(trial)
    search.learn(trial, fractions)
    if freed.status is Status.INFEASIBLE:
        search.narrow(without_parts(search.instance))
        return None
    if freed.plan is not None and not uses_any(freed.plan, fractions):
        if freed.status is Status.OPTIMAL:
            search.narrow(without_parts(search.instance))
        return freed
    return _unproven(search, answer, freed)


def _unproven(search: Search, answer: Answer, freed: SearchResult | None) -> SearchResult | None:
    """The best plan of units of one's own, which parts of units may better; proven where they cost
    as much.

    freed: what parts of units cost; None where that is not known.
    """
    trial = _search_of(search, without_parts(search.instance), LATER_SHARE)
    trial.parts.reused = search.parts.reused
    apart = answer(trial)
    search.parts.own = trial.parts.solved_whole(search.instance)
    if apart.plan is None:
        return None
    if freed is not None and is_as_cheap(apart, freed):
        search.narrow(without_parts(search.instance))
        return apart
    if freed is not None and apart.status is Status.OPTIMAL:
        joint = best_together(search.optimizer, apart)
        if joint is not None:
            return joint
    bound = None if freed is None else freed.bound
    plan = replace(apart.plan, status=Status.FEASIBLE, lower_bound_usd_per_month=bound)
    return SearchResult(Status.FEASIBLE, plan, apart.proof, bound)


def _search_of(search: Search, instance: PlanningInput, share: float) -> Search:
    limit_s = share * search.seconds_left
    settings = replace(search.settings, time_limit_s=limit_s, break_ties=False)
    asked = search.asked.model_copy(update={"count": 0})
    return Search(instance, settings, search.provenance, asked)
