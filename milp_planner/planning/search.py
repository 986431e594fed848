"""Finds the best plan and then the next-best ones: build, run, read, verify, cut, again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from milp_planner.inputs.problem import Alternatives
from milp_planner.milp.balance import balanced
from milp_planner.milp.certify import Verdict, solve_certified
from milp_planner.milp.engines import EngineStatus
from milp_planner.milp.exclusion import exclude
from milp_planner.milp.levels import Splits, undercharged_usd
from milp_planner.milp.model import FleetModel, build_model, utilization_levels
from milp_planner.milp.prune import DIFFERENCES, Pruned, prune
from milp_planner.milp.read import modelled_costs, objective_value, read_choice
from milp_planner.milp.stages import Held, Stage, hold, minimise
from milp_planner.milp.ties import preferred
from milp_planner.planning.assemble import assemble
from milp_planner.planning.plan import (
    EngineReport,
    Plan,
    Proof,
    Provenance,
    Status,
)
from milp_planner.planning.shortage import may_be_short, next_when_short
from milp_planner.planning.verify import verify, violations
from milp_planner.serving.candidates import PlanningInput

OVERLOAD_TOLERANCE_USD = 1.0
"""The relaxed overload ramp is refined until it is this close to the exact one."""

MOST_REFINEMENTS = 60

TIE_SECONDS = 2.0
TIE_TOLERANCE_USD = 0.001


@dataclass(frozen=True)
class Settings:
    """How to solve."""

    time_limit_s: float
    gap: float
    seed: int
    solver: str = "both"
    pruning: bool = True


@dataclass
class Answer:
    """What one search said: a verified plan, or why there is none."""

    status: Status
    plan: Plan | None
    proof: Proof
    bound: float | None = None


@dataclass
class Search:
    """One problem on its way through the solvers; remembers what it found."""

    given: PlanningInput
    settings: Settings
    provenance: Provenance
    asked: Alternatives
    found: list[Plan] = field(default_factory=list)
    _pruned: Pruned | None = None
    held: Held | None = None
    """What stages before the score reached; None before they ran. See `shortage`."""

    _splits: Splits = field(default_factory=Splits)
    _started_s: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """Time until the limit, which covers the optimum and all alternatives."""
        return max(0.0, self.settings.time_limit_s - (time.monotonic() - self._started_s))

    def next(self) -> Answer:
        """The best plan that no earlier one rules out."""
        answer = next_when_short(self) if may_be_short(self.given.problem) else self.best()
        self.found += [answer.plan] if answer.plan else []
        return answer

    def best(self, held: Held = ()) -> Answer:
        """The plan of least score that serves what is held.

        Where a penalty is charged by utilization level the program is a relaxation: its levels are
        split until it charges the best plan seen what that owes.
        """
        best: Answer | None = None
        for _ in range(MOST_REFINEMENTS):
            model = self._model(held)
            verdict = self._run(model)
            if not verdict.values:
                return best or self.without_plan(model, verdict)
            if not model.fleet.level_used:
                return self._with_plan(model, verdict)
            seen = self._unproven(model, verdict)
            best = seen if best is None else _better(best, seen)
            if self._is_settled(best, verdict):
                return self._settled(best, model, verdict)
            if self.seconds_left <= 0 or not self._refined(model, verdict, seen):
                break
        assert best is not None
        return best

    def minimum(self, stage: Stage, held: Held) -> tuple[FleetModel, Verdict]:
        """The least that a stage can reach once others are held."""
        model = self._model(held)
        minimise(model, stage)
        return model, self._run(model)

    def alternatives(self) -> Iterator[Answer]:
        """Next-best plans, until enough, none is left, or the time is up."""
        while len(self.found) <= self.asked.count:
            self._readmit()
            answer = self.next()
            yield answer
            if answer.plan is None:
                return

    def _model(self, held: Held = ()) -> FleetModel:
        model = build_model(
            self.given,
            tuple(self._kept().kept),
            utilization_levels(self.given.problem, self._splits.edges),
        )
        hold(model, held)
        if self.found:
            exclude(model, self.found, self.asked.differ_by, self.asked.per_workload)
        return model

    def _kept(self) -> Pruned:
        """The candidates after pruning, which is done once."""
        if self._pruned is None:
            self._pruned = (
                prune(self.given, self.given.candidates.candidates)
                if self.settings.pruning
                else Pruned(list(self.given.candidates.candidates), {})
            )
        return self._pruned

    def _readmit(self) -> None:
        naming = DIFFERENCES.get(self.asked.differ_by)
        used = {p.candidate.offering.id for plan in self.found for p in plan.purchases}
        if naming is not None:
            used |= {naming(p.candidate) for plan in self.found for p in plan.purchases}
        self._kept().readmit(used, self.asked.differ_by)

    def _run(self, model: FleetModel) -> Verdict:
        def judge(values: Mapping[str, float]) -> float | None:
            plan = assemble(self.given, read_choice(model, values), self.provenance)
            return None if violations(self.given, plan) else objective_value(model, values)

        with tempfile.TemporaryDirectory(prefix="milp-planner-") as folder:
            mps = Path(folder) / "fleet.mps"
            model.write_mps(mps)
            return solve_certified(
                mps,
                model.columns,
                time_limit_s=max(self.seconds_left, 0.01),
                gap=self.settings.gap,
                seed=self.settings.seed,
                solver=self.settings.solver,
                judge=judge,
            )

    def _with_plan(self, model: FleetModel, verdict: Verdict) -> Answer:
        values = verdict.values
        status = Status.OPTIMAL if verdict.status is EngineStatus.OPTIMAL else Status.FEASIBLE
        proof = proof_of(model, verdict)
        modelled = modelled_costs(model, values)
        if status is Status.OPTIMAL:
            values = self._preferred(model, values, sum(modelled.values()))
            modelled = modelled_costs(model, values)
        plan = self._plan(model, values)
        verify(self.given, plan, as_far_as_comparable(modelled, plan, verdict))
        bound = plan.score_usd_per_month if status is Status.OPTIMAL else verdict.bound
        plan = replace(plan, status=status, proof=proof, bound=bound)
        return Answer(status, plan, proof, bound)

    def _plan(self, model: FleetModel, values: Mapping[str, float]) -> Plan:
        choice = balanced(self.given, read_choice(model, values))
        return assemble(self.given, choice, self.provenance)

    def _preferred(
        self, model: FleetModel, values: Mapping[str, float], score: float
    ) -> Mapping[str, float]:
        """The columns of the plan that ties are broken for, if it keeps every rule."""
        limit_s = min(TIE_SECONDS, self.seconds_left)
        tied = preferred(model, score, time_limit_s=limit_s, seed=self.settings.seed)
        if tied is None:
            return values
        plan = assemble(self.given, read_choice(model, tied), self.provenance)
        dearer = sum(modelled_costs(model, tied).values()) - score > TIE_TOLERANCE_USD
        return values if dearer or violations(self.given, plan) else tied

    def without_plan(self, model: FleetModel, verdict: Verdict) -> Answer:
        infeasible = verdict.status is EngineStatus.INFEASIBLE
        status = Status.INFEASIBLE if infeasible else Status.NO_PLAN
        return Answer(status, None, proof_of(model, verdict), verdict.bound)

    def _unproven(self, model: FleetModel, verdict: Verdict) -> Answer:
        """The verdict's plan, priced exactly; what the program says of it is a lower bound."""
        plan = self._plan(model, verdict.values)
        modelled = modelled_costs(model, verdict.values)
        verify(self.given, plan, as_far_as_comparable(modelled, plan, verdict))
        proof = proof_of(model, verdict)
        plan = replace(plan, proof=proof, bound=verdict.bound)
        return Answer(Status.FEASIBLE, plan, proof, verdict.bound)

    def _is_settled(self, best: Answer, verdict: Verdict) -> bool:
        """True when the program's optimum and the best plan seen agree to a dollar."""
        score, bound = _score(best), verdict.bound
        if verdict.status is not EngineStatus.OPTIMAL or bound is None:
            return False
        return score - bound <= OVERLOAD_TOLERANCE_USD

    def _settled(self, best: Answer, model: FleetModel, verdict: Verdict) -> Answer:
        """The best plan as proven, or one of equal score that ties are broken for."""
        proof = proof_of(model, verdict)
        plan, score = best.plan, _score(best)
        limit_s = min(TIE_SECONDS, self.seconds_left)
        tied = preferred(model, score, time_limit_s=limit_s, seed=self.settings.seed)
        if tied is not None:
            other = self._plan(model, tied)
            dearer = (other.score_usd_per_month or 0.0) - score > TIE_TOLERANCE_USD
            plan = plan if dearer or violations(self.given, other) else other
        assert plan is not None
        bound = plan.score_usd_per_month
        plan = replace(plan, status=Status.OPTIMAL, proof=proof, bound=bound)
        return Answer(Status.OPTIMAL, plan, proof, bound)

    def _refined(self, model: FleetModel, verdict: Verdict, seen: Answer) -> bool:
        """Split levels where the plan seen owes more than it is charged; True when any was."""
        assert seen.plan is not None
        owed = undercharged_usd(model, verdict.values, seen.plan, OVERLOAD_TOLERANCE_USD / 2)
        return self._splits.refine(model, owed, seen.plan)


def _score(answer: Answer) -> float:
    assert answer.plan is not None
    assert answer.plan.score_usd_per_month is not None
    return answer.plan.score_usd_per_month


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

    The strict latency penalty is charged by level, and a utilization within a solver's tolerance of
    the edge may owe more than the program charges. A plan that the solvers stopped at may owe less:
    its level may be hotter, its counts of changes or of extra GPUs higher than the fleet asks for.
    """
    said = dict(modelled)
    said["strict_latency"] = max(said["strict_latency"], plan.costs["strict_latency"])
    if verdict.status is not EngineStatus.OPTIMAL:
        for name in ("strict_latency", "scaling", "switching"):
            said[name] = min(said[name], plan.costs[name])
    return said


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
