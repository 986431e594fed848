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
from milp_planner.milp.model import FleetModel, build_model, utilization_levels
from milp_planner.milp.prune import DIFFERENCES, Pruned, prune
from milp_planner.milp.read import modelled_costs, read_choice
from milp_planner.milp.ties import preferred
from milp_planner.planning.assemble import assemble
from milp_planner.planning.plan import (
    EngineReport,
    Plan,
    Proof,
    Provenance,
    Status,
)
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
    _splits: dict[str, set[float]] = field(default_factory=dict)
    _started_s: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """Time until the limit, which covers the optimum and all alternatives."""
        return max(0.0, self.settings.time_limit_s - (time.monotonic() - self._started_s))

    def next(self) -> Answer:
        """The best plan that no earlier one rules out."""
        for _ in range(MOST_REFINEMENTS):
            model = self._model()
            verdict = self._run(model)
            if not verdict.values:
                return self._without_plan(model, verdict)
            answer = self._with_plan(model, verdict)
            if not self._refined(model, verdict, answer.plan):
                self.found += [answer.plan] if answer.plan else []
                return answer
        return answer

    def alternatives(self) -> Iterator[Answer]:
        """Next-best plans, until enough, none is left, or the time is up."""
        while len(self.found) <= self.asked.count:
            self._readmit()
            answer = self.next()
            yield answer
            if answer.plan is None:
                return

    def _model(self) -> FleetModel:
        if self._pruned is None:
            self._pruned = (
                prune(self.given, self.given.candidates.candidates)
                if self.settings.pruning
                else Pruned(list(self.given.candidates.candidates), {})
            )
        model = build_model(
            self.given,
            tuple(self._pruned.kept),
            utilization_levels(self.given.problem, self._splits),
        )
        if self.found:
            exclude(model, self.found, self.asked.differ_by, self.asked.per_workload)
        return model

    def _readmit(self) -> None:
        assert self._pruned is not None
        naming = DIFFERENCES.get(self.asked.differ_by)
        used = {p.candidate.offering.id for plan in self.found for p in plan.purchases}
        if naming is not None:
            used |= {naming(p.candidate) for plan in self.found for p in plan.purchases}
        self._pruned.readmit(used, self.asked.differ_by)

    def _run(self, model: FleetModel) -> Verdict:
        def judge(values: Mapping[str, float]) -> float | None:
            plan = assemble(self.given, read_choice(model, values), self.provenance)
            return None if violations(self.given, plan) else sum(
                modelled_costs(model, values).values()
            )

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
        verify(self.given, plan, modelled)
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

    def _without_plan(self, model: FleetModel, verdict: Verdict) -> Answer:
        infeasible = verdict.status is EngineStatus.INFEASIBLE
        status = Status.INFEASIBLE if infeasible else Status.NO_PLAN
        return Answer(status, None, proof_of(model, verdict), verdict.bound)

    def _refined(self, model: FleetModel, verdict: Verdict, plan: Plan | None) -> bool:
        """Split levels where the exact overload exceeds the relaxed one; True when any was."""
        if plan is None or self.seconds_left <= 0:
            return False
        relaxed = modelled_costs(model, verdict.values)["overload"]
        if plan.costs["overload"] - relaxed <= OVERLOAD_TOLERANCE_USD:
            return False
        penalty = self.given.problem.policy.active_penalties.overload
        assert penalty is not None
        slope = penalty.usd_at_full_load / (1 - penalty.above)
        width = OVERLOAD_TOLERANCE_USD / 2 / slope / max(1, len(plan.workloads))
        for w in plan.workloads:
            if w.penalties["overload"] > 0 and w.utilization is not None:
                edges = self._splits.setdefault(w.name, set())
                edges |= {w.utilization - width, w.utilization}
        return True


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
