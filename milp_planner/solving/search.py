"""Finds the best plan and then the next-best ones: build, run, read, verify, cut, again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.records import Alternatives
from milp_planner.milp.engines.certify import Verdict, solve_certified
from milp_planner.milp.engines.outcome import HIGHS, EngineStatus
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.presolve.dominance import Pruned, all_of, prune, without_twins
from milp_planner.milp.presolve.forced_use import Required, keep_required, require
from milp_planner.milp.presolve.lazy_rows import relaxed_values
from milp_planner.milp.presolve.routing import balanced
from milp_planner.milp.presolve.ties import most_nodes
from milp_planner.milp.presolve.unit_bounds import (
    MOST_ROOM,
    all_room,
    is_guessed,
    raised,
    room_for_score,
    wider_room,
)
from milp_planner.milp.program.exclusion import Difference, contains, exclude, without_traces
from milp_planner.milp.program.levels import (
    Splits,
    charges_by_utilization,
    tolerance_usd,
    undercharged_usd,
)
from milp_planner.milp.program.lexicographic import Held, Stage, hold, minimise
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.milp.program.read_solution import modelled_costs, objective_value, read_choice
from milp_planner.plans.records import (
    EngineReport,
    Plan,
    Proof,
    Provenance,
    Status,
)
from milp_planner.solving.assemble import assemble
from milp_planner.solving.shortage import may_be_short, next_when_short, without_noise
from milp_planner.solving.tie_break import Ahead, next_of
from milp_planner.solving.verify import verify, violations

MOST_REFINEMENTS = 60

SAME_USD = 0.005


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

    for_a_tie: bool = False
    """True where only a plan of equal score is looked for, within a limit on the work."""

    break_ties: bool = True
    """False takes the solvers' own of plans that score the same: for scores alone."""


@dataclass
class Answer:
    """What one search said: a verified plan, or why there is none."""

    status: Status
    plan: Plan | None
    proof: Proof
    bound: float | None = None

    @property
    def known(self) -> Plan:
        """The plan, where there is one."""
        assert self.plan is not None
        return self.plan


class Interrupted(KeyboardInterrupt):
    """A Ctrl-C, or what a program raises like it, while next-best plans were looked for.

    `plan` holds what was proven until then, `cause` is what was raised.
    """

    def __init__(self, plan: Plan, cause: KeyboardInterrupt) -> None:
        self.plan = plan
        self.cause = cause
        super().__init__("stopped while looking for next-best plans")


@dataclass
class Search:
    """One problem on its way through the solvers; remembers what it found."""

    given: PlanningInput
    settings: Settings
    provenance: Provenance
    asked: Alternatives
    found: list[Plan] = field(default_factory=list)
    required: Required | None = None
    """What must be in use somewhere; None asks for nothing."""

    held: Held | None = None
    """What stages before the score reached; None before they ran. See `shortage`."""

    _ahead: Ahead = field(default_factory=Ahead)
    _aside: Sequence[Plan] = ()
    """Plans that the best one may not contain, beside all that were found."""

    _pruned: Pruned | None = None
    _splits: Splits = field(default_factory=Splits)
    _room: dict[Candidate, int] = field(default_factory=dict)
    """Least bounds on units, beyond those that follow from the demand."""

    _ends_s: float = 0.0

    def __post_init__(self) -> None:
        self._ends_s = time.monotonic() + self.settings.time_limit_s

    @property
    def seconds_left(self) -> float:
        """Time until the limit, which covers the optimum and all alternatives."""
        return max(0.0, self._ends_s - time.monotonic())

    @property
    def difference(self) -> Difference:
        """How plans must differ from all found before."""
        return Difference(self.asked.differ_by, self.asked.per_workload)

    @property
    def more_wanted(self) -> bool:
        """True when the plan at hand, once found, is not the last."""
        return len(self.found) < self.asked.count

    def next(self) -> Answer:
        """The best plan that no earlier one rules out; of several that score the same, one."""
        ahead, self._ahead = self._ahead, Ahead()
        if not ahead.tied:
            ahead = Ahead((self._next(),))
        answer = ahead.tied[0]
        if answer.plan is None:
            return answer
        try:
            if self.settings.break_ties:
                answer, self._ahead = next_of(self, ahead)
        finally:  # a Ctrl-C leaves the plan that is there already
            self.found.append(answer.known)
        return answer

    def _next(self) -> Answer:
        self._kept().readmit(self.found, self.asked.differ_by)
        return next_when_short(self) if may_be_short(self.given.problem) else self.best()

    def best_beside(self, plans: Sequence[Plan]) -> Answer:
        """The best plan that contains none of these.

        Where it is no next-best plan but only a possible tie, one engine will do, for as much work
        as a tie is worth: see `milp/presolve/ties.py`.
        """
        before = self.settings
        self._aside = plans
        if not self.more_wanted:
            self.settings = replace(self.settings, solver=HIGHS, for_a_tie=True)
        try:
            self._kept().readmit([*self.found, *plans], self.asked.differ_by)
            return self.best(self.held or ())
        finally:
            self._aside = ()
            self.settings = before

    def best(self, held: Held = (), enough: float = math.inf) -> Answer:
        """The plan of least score that serves what is held.

        Where the overload penalty can fire the program is a relaxation, refined until it charges
        the best plan seen what that owes: see `milp/program/levels.py`. Once no plan can score
        below `enough`, the one at hand will do. Where bounds on units are guesses, they are raised
        until no plan beyond them can be better: see `milp/presolve/unit_bounds.py`.
        """
        answer = self._best(held, enough)
        while is_guessed(self.given) and self._has_raised(answer, held):
            answer = best_known(answer, self._best(held, enough))
        return answer

    def _has_raised(self, answer: Answer, held: Held) -> bool:
        """True where bounds on units were raised that may have ruled out something better."""
        if self.is_stopped or answer.status is Status.NO_PLAN:
            return False
        fleet = self.model(held).fleet
        if answer.plan is not None:
            more = room_for_score(fleet, _score(answer))
        else:
            more = wider_room(fleet) if self._could_be_wider(held) else {}
        self._room = raised(self._room, more)
        return bool(more)

    def _could_be_wider(self, held: Held) -> bool:
        """True unless fractions of units, however many, have no plan either."""
        room, self._room = self._room, dict.fromkeys(self._kept().kept, MOST_ROOM)
        try:
            return relaxed_values(self.model(held), self.seconds_left) is not None
        finally:
            self._room = room

    def _best(self, held: Held, enough: float) -> Answer:
        best: Answer | None = None
        for _ in range(MOST_REFINEMENTS):
            model = self.model(held)
            verdict = self._run(model)
            if not verdict.values:
                return best or self.without_plan(model, verdict)
            if not charges_by_utilization(model):
                return self._with_plan(model, verdict)
            seen = self._unproven(model, verdict)
            best = seen if best is None else _better(best, seen)
            if self._is_settled(best, model, verdict):
                return self._settled(best, model, verdict)
            if verdict.bound is not None and verdict.bound > enough:
                break
            if self.seconds_left <= 0 or not self._refined(model, verdict, seen):
                break
        assert best is not None
        return best

    def minimum(self, stage: Stage, held: Held) -> tuple[FleetModel, Verdict]:
        """The least that a stage can reach once others are held."""
        if is_guessed(self.given):
            self._room = raised(self._room, all_room(self.model(held).fleet))
        model = self.model(held)
        minimise(model, stage)
        return model, self._run(model)

    @property
    def is_cancelled(self) -> bool:
        """True when another thread asked to stop."""
        return self.settings.cancel is not None and self.settings.cancel.is_set()

    @property
    def is_stopped(self) -> bool:
        """True when nothing more may be solved."""
        return self.is_cancelled or self.seconds_left <= 0

    @property
    def twins(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of offerings that count as one, by the id of the one that stands for them."""
        return self._kept().twins

    def alternatives(self) -> Iterator[Answer]:
        """Next-best plans, until enough, none is left, or the time is up."""
        while len(self.found) <= self.asked.count:
            if self.is_stopped and not self._ahead.tied:
                yield Answer(Status.NO_PLAN, None, Proof(certified=False, certified_by=()))
                return
            answer = self.next()
            yield answer
            if answer.plan is None:
                return

    def model(self, held: Held = ()) -> FleetModel:
        """The program of what no found plan rules out."""
        model = build_model(self.given, tuple(self._kept().kept), self._splits, room=self._room)
        hold(model, held)
        if self.required is not None:
            require(model, self.required)
        if self.found or self._aside:
            exclude(model, self.found, self.difference, self._aside)
        return model

    def _kept(self) -> Pruned:
        """The candidates after pruning, which is done once."""
        if self._pruned is None:
            candidates = self.given.candidates.candidates
            self._pruned = _reduced(self.given, candidates, self.settings)
            if self.required is not None:
                keep_required(self._pruned, self.given.candidates.candidates, self.required.wanted)
        return self._pruned

    def _run(self, model: FleetModel) -> Verdict:
        def judge(values: Mapping[str, float]) -> float | None:
            choice = read_choice(model, self._tidy(model, values))
            plan = assemble(self.given, choice, self.provenance)
            wrong = violations(self.given, plan) or self._repeats(plan)
            return None if wrong else objective_value(model, values)

        with scratch_folder() as folder:
            mps = folder / "fleet.mps"
            model.write_mps(mps)
            verdict = solve_certified(
                mps,
                model.columns,
                time_limit_s=max(self.seconds_left, 0.01),
                gap=self.settings.gap,
                seed=self.settings.seed,
                solver=self.settings.solver,
                judge=judge,
                cancel=self.settings.cancel,
                nodes=most_nodes(model) if self.settings.for_a_tie else None,
            )
        return replace(verdict, values=self._tidy(model, verdict.values))

    def _tidy(self, model: FleetModel, values: Mapping[str, float]) -> Mapping[str, float]:
        """The columns without per-token shares that are a solver's noise: no rule misses them."""
        tidied = without_traces(model, values)
        if tidied == values:
            return values
        plan = assemble(self.given, read_choice(model, tidied), self.provenance)
        return values if violations(self.given, plan) else tidied

    def _repeats(self, plan: Plan) -> bool:
        """True when a plan found before rules this one out."""
        if any(contains(plan, aside) for aside in self._aside):
            return True
        return not all(self.difference.allows(plan, earlier) for earlier in self.found)

    def _with_plan(self, model: FleetModel, verdict: Verdict) -> Answer:
        values = verdict.values
        status = Status.OPTIMAL if verdict.status is EngineStatus.OPTIMAL else Status.FEASIBLE
        proof = proof_of(model, verdict)
        modelled = modelled_costs(model, values)
        plan = self.plan_from(model, values)
        verify(self.given, plan, as_far_as_comparable(modelled, plan, verdict))
        bound = plan.score_usd_per_month if status is Status.OPTIMAL else verdict.bound
        plan = replace(plan, status=status, proof=proof, bound=bound)
        return Answer(status, plan, proof, bound)

    def plan_from(self, model: FleetModel, values: Mapping[str, float]) -> Plan:
        """The plan that a program's columns say, without status or proof."""
        choice = balanced(self.given, read_choice(model, self._tidy(model, values)))
        if self.held:
            choice = without_noise(self.given, choice)
        return assemble(self.given, choice, self.provenance)

    def without_plan(self, model: FleetModel, verdict: Verdict) -> Answer:
        infeasible = verdict.status is EngineStatus.INFEASIBLE
        status = Status.INFEASIBLE if infeasible else Status.NO_PLAN
        return Answer(status, None, proof_of(model, verdict), verdict.bound)

    def _unproven(self, model: FleetModel, verdict: Verdict) -> Answer:
        """The verdict's plan, priced exactly; what the program says of it is a lower bound."""
        plan = self.plan_from(model, verdict.values)
        modelled = modelled_costs(model, verdict.values)
        verify(self.given, plan, as_far_as_comparable(modelled, plan, verdict))
        proof = proof_of(model, verdict)
        plan = replace(plan, proof=proof, bound=verdict.bound)
        return Answer(Status.FEASIBLE, plan, proof, verdict.bound)

    def _is_settled(self, best: Answer, model: FleetModel, verdict: Verdict) -> bool:
        """True when the program's optimum and the best plan seen agree, to a dollar at least."""
        score, bound = _score(best), verdict.bound
        if verdict.status is not EngineStatus.OPTIMAL or bound is None:
            return False
        return score - bound <= tolerance_usd(model)

    def _settled(self, best: Answer, model: FleetModel, verdict: Verdict) -> Answer:
        """The best plan as proven, or one of equal score that ties are broken for."""
        proof = proof_of(model, verdict)
        bound = best.known.score_usd_per_month
        plan = replace(best.known, status=Status.OPTIMAL, proof=proof, bound=bound)
        return Answer(Status.OPTIMAL, plan, proof, bound)

    def _refined(self, model: FleetModel, verdict: Verdict, seen: Answer) -> bool:
        """Split levels where the plan seen owes more than it is charged; True when any was."""
        assert seen.plan is not None
        owed = undercharged_usd(model, verdict.values, seen.plan)
        return self._splits.refine(model, owed, seen.plan)


def _score(answer: Answer) -> float:
    assert answer.plan is not None
    assert answer.plan.score_usd_per_month is not None
    return answer.plan.score_usd_per_month


def best_known(one: Answer, other: Answer) -> Answer:
    """The later answer; the earlier one, unproven, where the later was stopped before its own."""
    if one.plan is None or (other.plan is not None and _score(other) <= _score(one) + SAME_USD):
        return other
    plan = replace(one.plan, status=Status.FEASIBLE, bound=other.bound)
    return Answer(Status.FEASIBLE, plan, one.proof, other.bound)


def _better(one: Answer, other: Answer) -> Answer:
    """The cheaper of two plans, with the newer and so the higher lower bound."""
    assert one.plan is not None
    if _score(other) < _score(one):
        return other
    plan = replace(one.plan, bound=other.bound, proof=other.proof)
    return Answer(one.status, plan, other.proof, other.bound)


def as_far_as_comparable(
    modelled: Mapping[str, float], plan: Plan, verdict: Verdict
) -> dict[str, float]:
    """What the program says a plan costs, where the two ought to agree.

    A plan that the solvers stopped at may owe less than the program says: its level may be hotter,
    its counts of changes or of extra GPUs higher than the fleet asks for.
    """
    said = dict(modelled)
    if verdict.status is not EngineStatus.OPTIMAL:
        for name in ("strict_latency", "scaling", "switching"):
            said[name] = min(said[name], plan.costs[name])
    return said


def _reduced(given: PlanningInput, candidates: Sequence[Candidate], settings: Settings) -> Pruned:
    if not settings.merge_twins:
        return all_of(candidates)
    return (prune if settings.pruning else without_twins)(given, candidates)


def proof_of(model: FleetModel, verdict: Verdict) -> Proof:
    """What the solvers said, as plain data."""
    return Proof(
        certified=verdict.certified,
        certified_by=tuple(verdict.certified_by),
        engines=tuple(
            EngineReport(o.name, o.version, o.status.value, o.objective, o.bound, o.seconds)
            for o in verdict.engines
        ),
        notes=tuple(verdict.notes),
        seconds=verdict.seconds,
        rows=len(model.row_meaning),
        columns=len(model.fleet.meaning),
    )
