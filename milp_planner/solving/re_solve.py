"""Solves changed problems one after another, within one time limit.

What-if, explain and diagnose claim nothing that was not solved again; this is where they solve.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from milp_planner.candidates.listing import Lister
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime, began_s, cancel_asked, until
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.policy import Penalties
from milp_planner.inputs.problem.records import Alternatives, Problem
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.presolve.forced_use import Required, Wanted
from milp_planner.plans.records import Plan, Proof, Provenance, Status
from milp_planner.solving.checks.arguments import SolverChoice, check_settings
from milp_planner.solving.checks.batch import batch_faults
from milp_planner.solving.checks.llms import any_llm_faults
from milp_planner.solving.checks.sharing import sharing_faults
from milp_planner.solving.narrowed import narrowed
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.parts import first_answer
from milp_planner.solving.prepare import listed, listing_key, outline_of
from milp_planner.solving.results import NOT_SOLVED, SearchResult, Session, Settings
from milp_planner.solving.search import Search, kept_by_the_best_without

NO_ALTERNATIVES = Alternatives(count=0)
LEAST_S = 0.01
SHARE_TOLERANCE = 1e-6
"""Shares of the demand closer than this are one to the solvers."""


@dataclass
class Resolver:
    """Answers for changes of one problem; the time limit covers them all."""

    instance: PlanningInput
    settings: Settings
    provenance: Provenance
    most_s: float = math.inf
    """Seconds that one answer may take of them all."""

    lister: Lister | None = None
    """What lists candidates of the catalog; None: nothing that knows of earlier listings."""

    _listed: list[tuple[tuple[Any, ...], PlanningInput]] = field(default_factory=list)
    _known: dict[tuple[object, bool], SearchResult] = field(default_factory=dict)
    _started_s: float = field(default_factory=time.monotonic)

    @property
    def problem(self) -> Problem:
        """The question that is changed."""
        return self.instance.problem

    @property
    def seconds_left(self) -> float:
        """Time until the limit."""
        ends_s = min(self._started_s + self.settings.time_limit_s, self.settings.ends_s)
        return max(0.0, ends_s - time.monotonic())

    def in_force(self) -> AbstractContextManager[None]:
        """A block inside which work that takes long raises `OutOfTime` when time is up."""
        return until(time.monotonic() + self.seconds_left, self.settings.cancel)

    @property
    def is_stopped(self) -> bool:
        """True when nothing more may be solved."""
        return self.seconds_left <= 0 or self._is_cancelled()

    def answer(self, problem: Problem, *, break_ties: bool = False) -> SearchResult:
        """The best plan of a changed problem; solved once, however often it is asked.

        Of plans that score the same it is any one, unless ties are broken as `solve` breaks them.
        """
        asked = _identity(problem)
        key = asked, break_ties or (asked, True) in self._known
        if key not in self._known:
            try:
                with self.in_force():
                    instance = self.given_for(problem)
            except OutOfTime:
                return NOT_SOLVED
            answer = self.answer_of(instance, break_ties=break_ties)
            if answer.status is Status.NO_PLAN:
                return answer  # with more time it may be known
            self._known[key] = answer
        return self._known[key]

    def answer_of(
        self, instance: PlanningInput, required: Required | None = None, *, break_ties: bool = False
    ) -> SearchResult:
        """The best plan of a prepared problem, with something that must be in use."""
        if any(stranded(instance)):
            return SearchResult(Status.INFEASIBLE, None, Proof(certified=True, certified_by=()))
        if self.is_stopped:
            return NOT_SOLVED
        search = self.search(instance, required, break_ties=break_ties)
        if required is None:
            return first_answer(search)
        return kept_by_the_best_without(search, Search.next) or search.next()

    def search(
        self, instance: PlanningInput, required: Required | None = None, *, break_ties: bool = False
    ) -> Search:
        """A search of its own for a prepared problem, within the time that is left."""
        settings = replace(self._settings_left, break_ties=break_ties)
        return Search(instance, settings, self.provenance, NO_ALTERNATIVES, required=required)

    def optimizer(self, instance: PlanningInput) -> Optimizer:
        """An optimizer for a prepared problem, within the time that is left."""
        settings = self._settings_left
        return Optimizer(instance, settings, self.provenance, Session.of(settings))

    @property
    def _settings_left(self) -> Settings:
        limit_s = max(min(self.seconds_left, self.most_s), LEAST_S)
        return replace(self.settings, time_limit_s=limit_s)

    def _is_cancelled(self) -> bool:
        return self.settings.cancel is not None and self.settings.cancel.is_set()

    def knows_plan(self, plan: Plan) -> None:
        """Take the best plan of the problem itself, where it is proven, as an answer."""
        if plan.status is Status.OPTIMAL:
            bound = plan.lower_bound_usd_per_month
            for break_ties in (False, True):
                known = SearchResult(plan.status, plan, plan.proof, bound)
                self._known[_identity(self.problem), break_ties] = known

    def for_at_most(self, seconds: float) -> Resolver:
        """The same with all that it knows, and so much less time."""
        ends_s = min(self.settings.ends_s, time.monotonic() + seconds)
        return replace(self, settings=replace(self.settings, ends_s=ends_s))

    def knows(self, instance: PlanningInput) -> None:
        """Take candidates from a wider listing, too, instead of listing them anew."""
        self._listed.append((listing_key(instance.problem), instance))

    def given_for(self, problem: Problem) -> PlanningInput:
        """Candidates and blocks of a changed problem, taken over where they cannot differ."""
        if faults := [
            *sharing_faults(problem),
            *batch_faults(problem),
            *any_llm_faults(problem),
        ]:
            raise InputError(faults)
        key = listing_key(problem)
        if not self._listed:
            self._listed.append((listing_key(self.problem), self.instance))
        for known, instance in self._listed:
            if known == key:
                return replace(instance, problem=problem)
        for _, instance in self._listed:
            fewer = narrowed(instance, problem)
            if fewer is not None:
                self._listed.append((key, fewer))
                return fewer
        instance = listed(outline_of(problem, self.instance.catalog), self.lister)
        self._listed.append((key, instance))
        return instance


def _identity(problem: Problem) -> object:
    """What two problems that ask the same have in common."""
    return problem.model_dump_json(), problem.rules


def stranded(instance: PlanningInput) -> Iterator[str]:
    """Names of the workloads that have no candidate."""
    served = {k.workload for k in instance.candidates.candidates}
    return (w.name for w in instance.problem.workloads if w.name not in served)


def settings_of(
    problem: Problem,
    *,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
    cancel: threading.Event | None = None,
    began: float | None = None,
) -> Settings:
    """How to solve: the problem's own settings, and what the caller says instead.

    began: when the time limit began, a reading of `time.monotonic`; cancel: what ends the solvers
    early. Both default to those of the question around this: see `deadline`.

    Raises InputError for a setting out of range, ArgumentError for one of the wrong type.
    """
    check_settings(time_limit_s=time_limit_s, gap=gap, solver=solver)
    limit_s = problem.solver.time_limit_s if time_limit_s is None else time_limit_s
    return Settings(
        time_limit_s=limit_s,
        ends_s=(began_s() if began is None else began) + limit_s,
        gap=problem.solver.gap if gap is None else gap,
        seed=problem.solver.seed,
        solver=solver or ("both" if problem.solver.certify else "cbc"),
        cancel=cancel_asked() if cancel is None else cancel,
    )


def without_budget(problem: Problem) -> Problem:
    """The problem when money does not count."""
    limits = problem.limits.model_copy(update={"budget": None})
    return problem.model_copy(update={"limits": limits})


def cash_only(problem: Problem) -> Problem:
    """The problem without penalties, by cost, so that the least score is the least cash."""
    policy = problem.policy.model_copy(update={"preset": None, "penalties": Penalties()})
    return problem.model_copy(update={"policy": policy, "objective": "cost"})


def scaled_traffic(problem: Problem, factor: float) -> Problem:
    """The problem with all traffic times `factor`."""
    workloads = tuple(
        w.model_copy(
            update={"traffic": w.traffic.model_copy(update={"growth": w.traffic.growth * factor})}
        )
        for w in problem.workloads
    )
    return problem.model_copy(update={"workloads": workloads})


def only_candidates(instance: PlanningInput, kept: Callable[[Candidate], bool]) -> PlanningInput:
    """`instance` with some of its candidates."""
    return _with_each(instance, lambda listed: filter(kept, listed))


def repriced(instance: PlanningInput, wanted: Wanted, factor: float) -> PlanningInput:
    """`instance` with the prices of the wanted candidates times `factor`."""
    return _with_each(
        instance,
        lambda listed: (repriced_candidate(k, factor) if wanted(k) else k for k in listed),
    )


def _with_each(
    instance: PlanningInput, changed: Callable[[Iterable[Candidate]], Iterable[Candidate]]
) -> PlanningInput:
    """`instance` with its candidates changed, whatever routing they are for."""
    listed = instance.candidates
    found = replace(
        listed,
        candidates=tuple(changed(listed.candidates)),
        before_queues=tuple(changed(listed.before_queues)),
    )
    return replace(instance, candidates=found)


def repriced_candidate(k: Candidate, factor: float) -> Candidate:
    """The candidate at another price."""
    if k.mode.per_token:
        return replace(k, usd_per_request=tuple(usd * factor for usd in k.usd_per_request))
    assert isinstance(k.offering, Offering)
    hourly = k.offering.usd_per_hour * factor
    return replace(k, offering=k.offering.model_copy(update={"usd_per_hour": hourly}))


def served_share(plan: Plan) -> float:
    """The smallest share of any workload's peak that is served, in any block."""
    return 1 - max((w.shortfall_share for w in plan.workloads), default=0.0)


def fleet_line(plan: Plan) -> str:
    """The fleet on one line: `1 x b200-180gb-sxm acme + 22 % per token bolt`."""
    several = len(plan.workloads) > 1
    parts = []
    for p in plan.purchases:
        k = p.candidate
        what = f"{p.requests_share:.0%}".replace("%", " % per token")
        if not k.mode.per_token:
            box = f"{k.gpus_per_unit} x " if k.gpus_per_unit > 1 else ""
            what = f"{p.units} x {box}{k.gpu}"
        if k.part_of_unit:
            what = f"{p.gpus} shared {k.gpu}"
        billing = "" if k.mode.name in ("dedicated", "per_token") else f" {k.mode.name}"
        parts.append(f"{what} {k.provider}{billing}" + (f" ({k.workload})" if several else ""))
    return " + ".join(parts) or "nothing"


def score_of(plan: Plan) -> float:
    """The plan's score; every plan with a fleet has one."""
    assert plan.score_usd_per_month is not None
    return plan.score_usd_per_month


def cash_of(plan: Plan) -> float:
    """The plan's cash; every plan with a fleet has one."""
    assert plan.cash_usd_per_month is not None
    return plan.cash_usd_per_month
