"""What a search is told, how long it may take, and what it says."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from milp_planner._version import __version__
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import until
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.presolve.least_costs import NOTHING, Known
from milp_planner.milp.presolve.stages import PartKey
from milp_planner.milp.program.exclusion import Difference, PassedOver, contains
from milp_planner.milp.program.lexicographic import GPUS, Held
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.consequences import ResilienceCost
from milp_planner.plans.reasons import Reason
from milp_planner.plans.records import EngineReport, Plan, Proof, Provenance, Status

SAME_USD = 0.005
SAME = 1e-6
"""Relative difference of scores that is none: what checks of plans and solvers let pass."""

CONTRADICTED = (
    "the solvers prove that there is no plan as cheap as this one, which keeps every rule"
)

RESERVE, MOST_RESERVE_S = 0.1, 0.5
"""Of the time left, what reading and verifying a plan is given."""

LEAST_SOLVER_S = 0.01


NO_DIFFERENCE = Difference("counts")
"""Any plan that contains none of those found is another one."""


@dataclass(frozen=True)
class Query:
    """Which plan of a problem is looked for: the best that nothing here rules out."""

    difference: Difference = NO_DIFFERENCE
    """How it must differ from all plans found."""

    found: tuple[Plan, ...] = ()
    excluded: tuple[Plan, ...] = ()
    """Plans that it may not contain, beside all that were found."""

    passed: tuple[PassedOver, ...] = ()
    """Plans of which some workload may not be served the same way in some block."""

    held: Held = ()
    """What stages before the score reached: see `milp/program/lexicographic.py`."""

    exact_shortfalls: bool = False
    """True where a solver reached what is held, so that shortfalls carry its noise."""

    for_a_tie: bool = False
    """True where only a plan of equal score is looked for: by one engine, with little work."""

    @property
    def follows_others(self) -> bool:
        """True where plans came before."""
        return bool(self.found or self.excluded or self.passed)

    @property
    def others(self) -> list[Plan]:
        """All that came before."""
        return [*self.found, *self.excluded, *(one.plan for one in self.passed)]

    def holding(self, held: Held) -> Query:
        """The same with stages that solvers reached."""
        return replace(self, held=held, exact_shortfalls=bool(held))

    def with_gpus(self, most: int) -> Query:
        """The same of plans with no more GPUs than so many."""
        held = tuple((stage, reached) for stage, reached in self.held if stage != GPUS)
        return replace(self, held=(*held, (GPUS, float(most))))

    def rules_out(self, plan: Plan) -> bool:
        """True when a plan found or excluded, or GPUs that are held, do not let this one be."""
        if any(stage == GPUS and plan.gpus > reached for stage, reached in self.held):
            return True
        if any(contains(plan, other) for other in self.excluded):
            return True
        if any(one.is_again(plan) for one in self.passed):
            return True
        return not all(self.difference.allows(plan, earlier) for earlier in self.found)


@dataclass(frozen=True)
class Settings:
    """How to solve."""

    time_limit_s: float
    gap: float
    seed: int
    solver: str = "both"
    pruning: bool = True
    """False solves over every candidate that no twin stands for, all rules in force at once."""

    merge_twins: bool = True
    """False leaves in every offering that only its region or name tells from another."""

    cancel: threading.Event | None = None
    """Set it from another thread to end the solvers early."""

    ends_s: float = math.inf
    """When the whole question must be answered, a reading of `time.monotonic`: a search within it
    ends by then, whatever time limit of its own it has."""

    patient: bool = False
    """True waits for every engine while time lasts: see `solve_certified`."""

    break_ties: bool = True
    """False takes the solvers' own of plans that score the same: for scores alone."""

    def __getstate__(self) -> dict[str, Any]:
        """What travels to a worker: all but this process's event and its clock."""
        return {**vars(self), "cancel": None, "ends_s": math.inf}


@dataclass(frozen=True)
class Session:
    """Until when may be solved: all that one search does shares it."""

    ends_s: float
    """When time is up, a reading of `time.monotonic`."""

    cancel: threading.Event | None = None

    @classmethod
    def of(cls, settings: Settings) -> Session:
        """A session that begins now."""
        ends_s = min(time.monotonic() + settings.time_limit_s, settings.ends_s)
        return cls(ends_s, settings.cancel)

    @property
    def seconds_left(self) -> float:
        """Time until the limit."""
        return max(0.0, self.ends_s - time.monotonic())

    @property
    def solver_seconds(self) -> float:
        """Time for the solvers: what is left but for a little, to read and verify their plans."""
        left_s = self.seconds_left
        return max(left_s - min(MOST_RESERVE_S, RESERVE * left_s), LEAST_SOLVER_S)

    def in_force(self) -> AbstractContextManager[None]:
        """A block inside which work that takes long raises `OutOfTime` when time is up."""
        return until(self.ends_s, self.cancel)

    @property
    def is_cancelled(self) -> bool:
        """True when another thread asked to stop."""
        return self.cancel is not None and self.cancel.is_set()

    @property
    def is_stopped(self) -> bool:
        """True when nothing more may be solved."""
        return self.is_cancelled or self.seconds_left <= 0


@dataclass(frozen=True)
class SearchResult:
    """What one search said: a verified plan, or why there is none."""

    status: Status
    plan: Plan | None
    proof: Proof
    bound: float | None = None
    """No plan that was looked for scores less, USD/month."""

    @property
    def known(self) -> Plan:
        """The plan, where there is one."""
        assert self.plan is not None
        return self.plan

    @property
    def score_usd_per_month(self) -> float:
        """The plan's score, where there is one."""
        score = self.known.score_usd_per_month
        assert score is not None
        return score


NOT_SOLVED = SearchResult(Status.NO_PLAN, None, Proof(certified=False, certified_by=()))
"""The result where there was no time to look for a plan."""


def proven_by(name: str, plan: Plan, began_s: float, rows: int, columns: int) -> SearchResult:
    """A plan that needed no engine, with the proof of whoever is named; `began_s` is a reading of
    `time.monotonic`."""
    score = plan.score_usd_per_month
    proof = _without_engines(name, Status.OPTIMAL, score, began_s, rows, columns)
    plan = replace(plan, status=Status.OPTIMAL, proof=proof, lower_bound_usd_per_month=score)
    return SearchResult(Status.OPTIMAL, plan, proof, score)


def none_by(name: str, began_s: float, rows: int, columns: int) -> SearchResult:
    """That there is no plan, proven by whoever is named."""
    proof = _without_engines(name, Status.INFEASIBLE, None, began_s, rows, columns)
    return SearchResult(Status.INFEASIBLE, None, proof)


def _without_engines(
    name: str, status: Status, score: float | None, began_s: float, rows: int, columns: int
) -> Proof:
    seconds = time.monotonic() - began_s
    said = EngineReport(name, __version__, status.value, score, score, seconds)
    return Proof(True, (name,), (said,), seconds=seconds, rows=rows, columns=columns)


def result_of(status: Status, plan: Plan, proof: Proof, bound: float | None) -> SearchResult:
    """A plan that says of itself what is known of it."""
    return SearchResult(
        status,
        replace(plan, status=status, proof=proof, lower_bound_usd_per_month=bound),
        proof,
        bound,
    )


class Interrupted(KeyboardInterrupt):
    """A Ctrl-C, or what a program raises like it, while next-best plans were looked for.

    `plan` holds what was proven until then, `cause` is what was raised.
    """

    def __init__(self, plan: Plan, cause: KeyboardInterrupt) -> None:
        self.plan = plan
        self.cause = cause
        super().__init__("stopped while looking for next-best plans")


def best_known(one: SearchResult, later: SearchResult) -> SearchResult:
    """The later result; the earlier one, unproven, where the later was stopped before its own."""
    if one.plan is None or (
        later.plan is not None and later.score_usd_per_month <= one.score_usd_per_month + SAME_USD
    ):
        return later
    plan = replace(one.plan, status=Status.FEASIBLE, lower_bound_usd_per_month=later.bound)
    return SearchResult(Status.FEASIBLE, plan, one.proof, later.bound)


def unproven(result: SearchResult) -> SearchResult:
    """The result where something better may have been missed: not optimal, and without a bound."""
    if result.plan is None:
        return replace(NOT_SOLVED, bound=None)
    plan = replace(result.plan, status=Status.FEASIBLE, lower_bound_usd_per_month=None)
    return SearchResult(Status.FEASIBLE, plan, result.proof, None)


def cheaper(one: SearchResult, later: SearchResult) -> SearchResult:
    """The cheaper of two answers to the same question; of equal ones the later, proven further."""
    if later.plan is None or (
        one.plan is not None and one.score_usd_per_month < later.score_usd_per_month
    ):
        return one
    return later


def with_newer_bound(one: SearchResult, later: SearchResult) -> SearchResult:
    """The cheaper of two plans, with the higher of their lower bounds: a later run that was stopped
    may have come less far.

    A bound above what a verified plan costs is none: that plan contradicts whoever says it.
    """
    best = later if later.score_usd_per_month < one.score_usd_per_month else one
    known = (b for b in (one.bound, later.bound) if b is not None and not is_above(b, best))
    bound = max(known, default=None)
    plan = replace(best.known, lower_bound_usd_per_month=bound, proof=later.proof)
    return SearchResult(best.status, plan, later.proof, bound)


def is_as_good(result: SearchResult, usd_per_month: float) -> bool:
    """True where the result's plan scores no more, within what solvers leave open."""
    if result.plan is None:
        return False
    score = result.score_usd_per_month
    return score <= usd_per_month + _left_open_usd(score)


def is_above(usd_per_month: float, known: SearchResult) -> bool:
    """True of more than the known plan scores, beyond what solvers leave open."""
    score = known.score_usd_per_month
    return usd_per_month > score + _left_open_usd(score)


def _left_open_usd(score_usd: float) -> float:
    return max(SAME_USD, SAME * abs(score_usd))


def contradicted(result: SearchResult, known: SearchResult) -> SearchResult:
    """A plan that keeps every rule and costs less than the result proves that any can: nothing is
    proven but its own lower bound."""
    notes = dict.fromkeys((*result.proof.notes, *known.proof.notes, CONTRADICTED))
    proof = replace(
        result.proof, certified=False, certified_by=(), unconfirmed=False, notes=tuple(notes)
    )
    bound = known.bound
    plan = replace(
        known.known, status=Status.FEASIBLE, proof=proof, lower_bound_usd_per_month=bound
    )
    return SearchResult(Status.FEASIBLE, plan, proof, bound)


def without_plan(model: FleetModel, run: CertifiedRun) -> SearchResult:
    """What is known where no plan was found."""
    infeasible = run.status is EngineStatus.INFEASIBLE
    status = Status.INFEASIBLE if infeasible else Status.NO_PLAN
    return SearchResult(status, None, proof_of(model, run), run.bound)


def no_plan(
    name: str, status: Status, proof: Proof, provenance: Provenance, reasons: Sequence[Reason] = ()
) -> Plan:
    """A plan without a fleet, and why."""
    return Plan(
        name=name,
        status=status,
        score_usd_per_month=None,
        cash_usd_per_month=None,
        lower_bound_usd_per_month=None,
        costs={},
        purchases=(),
        routes=(),
        workloads=(),
        blocks=(),
        proof=proof,
        provenance=provenance,
        reasons=tuple(reasons),
    )


def proof_of(model: FleetModel, run: CertifiedRun) -> Proof:
    """What the solvers said of a program."""
    return proof_by(run, rows=len(model.row_meaning), columns=len(model.fleet.meaning))


def proof_by(run: CertifiedRun, *, rows: int, columns: int) -> Proof:
    """What the solvers said of a program of so many rows and columns, as plain data."""
    return Proof(
        certified=run.certified,
        certified_by=tuple(run.certified_by),
        unconfirmed=run.unconfirmed,
        engines=tuple(
            EngineReport(o.name, o.version, o.status.value, o.objective, o.bound, o.seconds)
            for o in run.engines
        ),
        notes=tuple(run.notes),
        seconds=run.seconds,
        rows=rows,
        columns=columns,
    )


def resilience_cost(plan: Plan, freed: SearchResult | None) -> ResilienceCost | None:
    """What `limits.survive_loss_of` adds to the score of `plan`; `freed` is the result without it.

    None without a result: there is no such limit, or it was not asked for.
    """
    if freed is None or plan.score_usd_per_month is None:
        return None
    if freed.plan is None:
        return ResilienceCost(plan.score_usd_per_month, None, proven=False)
    return ResilienceCost(
        plan.score_usd_per_month,
        freed.plan.score_usd_per_month,
        proven=plan.status is Status.OPTIMAL and freed.status is Status.OPTIMAL,
        unserved=_unserved(plan),
        unserved_without=_unserved(freed.plan),
    )


def _unserved(plan: Plan) -> float:
    return max((w.shortfall_share for w in plan.workloads), default=0.0)


@dataclass
class KnownParts:
    """What a search knows of parts that are solved apart."""

    known: Known = NOTHING
    """What they say of the program of all, units that are shared by the part that each holds."""

    reused: dict[PartKey, SearchResult] = field(default_factory=dict)
    """Their best plans, from a search over no fewer plans of each."""

    own: dict[PartKey, SearchResult] = field(default_factory=dict)
    """Their best plans of units of one's own."""

    solved: dict[PartKey, SearchResult] = field(default_factory=dict)
    """What this search found of them."""

    def learn(self, freed: Mapping[PartKey, SearchResult], fractions: Iterable[Candidate]) -> None:
        """Take over results of problems in which every fraction of a unit may be had by itself: a
        plan that uses none is one of this problem, and nothing costs less."""
        least: dict[tuple[str, ...], float] = {}
        for (names, blocks), result in freed.items():
            if result.plan is not None and not uses_any(result.plan, fractions):
                self.reused[names, blocks] = result
            if result.bound is not None:
                least[names] = least.get(names, 0.0) + result.bound
        self.known = Known(least)

    def solved_whole(self, whole: PlanningInput) -> dict[PartKey, SearchResult]:
        """What was found of parts that have all blocks of the problem."""
        every = tuple(block.name for block in whole.schedule.blocks)
        return {key: one for key, one in self.solved.items() if key[1] == every}

    def known_of(
        self, part: PlanningInput, whole: PlanningInput, own: SearchResult | None
    ) -> Known:
        """What is known of a part, of which `own` is the best plan of units of one's own."""
        if len(part.schedule.blocks) < len(whole.schedule.blocks):
            return NOTHING
        inside = set(part.schedule.demands)
        least = {names: usd for names, usd in self.known.least.items() if inside.issuperset(names)}
        return Known(least, None if own is None else own.score_usd_per_month)

    def own_of(self, part: PlanningInput) -> list[SearchResult]:
        """The best plans of units of one's own that come to one of a part, over its blocks; none
        where any lacks."""
        inside, blocks = set(part.schedule.demands), tuple(b.name for b in part.schedule.blocks)
        found = {
            names: one
            for (names, at), one in self.own.items()
            if inside.issuperset(names) and at == blocks
        }
        told = sorted(name for names in found for name in names)
        plans = [one for one in found.values() if one.plan is not None]
        return plans if len(plans) == len(found) and told == sorted(inside) else []


def uses_any(plan: Plan, candidates: Iterable[Candidate]) -> bool:
    """Whether a plan has any of these."""
    used = {p.candidate for p in plan.purchases}
    return not used.isdisjoint(candidates)
