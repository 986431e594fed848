"""The best commitments over several futures, with a verified plan of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.errors import SolverError
from milp_planner.milp.engines.certify import BOTH, solve_certified
from milp_planner.milp.engines.outcome import HIGHS, EngineStatus
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.futures.joint import (
    Asked,
    Committed,
    JointModel,
    bound_columns,
    join,
)
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import KeptInFutures, Key, binds
from milp_planner.milp.presolve.dominance import Pruned
from milp_planner.milp.presolve.unit_bounds import is_guessed, raised, room_for_score
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.read_solution import modelled_costs
from milp_planner.milp.program.refinement import (
    charges_by_utilization,
    tolerance_usd,
    unknown_to,
)
from milp_planner.plans.proof import relative_gap
from milp_planner.plans.records import Plan, Proof, Provenance, Status, exceeds
from milp_planner.solving.optimum import MOST_REFINEMENTS, Optimizer, Query
from milp_planner.solving.results import Session, Settings, proof_by
from milp_planner.solving.verify import as_far_as_comparable, verify, violations
from milp_planner.units import usd_shown

ANY = Query()
NOTHING_ASKED = Asked()
SAME_USD = 0.005


class BlockOptimizer(Optimizer):
    """The programs of one future; what its plans taught the next ones is kept here."""

    _wanted: dict[Key, int] | None = None
    _program: FleetModel | None = None

    def program(self) -> FleetModel:
        """The program of the future by itself; built anew once more is known."""
        if self._program is None:
            self._program = self.model(ANY)
        return self._program

    def teach(self, model: FleetModel, run: CertifiedRun) -> bool:
        """True where the run's plan fails a loss as programs know it from now on."""
        return self._renewed(self.has_learned(model, run.values, ANY))

    def charge(self, model: FleetModel, run: CertifiedRun, plan: Plan) -> bool:
        """True where the next program charges more of what the plan owes."""
        return self._renewed(self._has_refined(model, run, plan))

    def judged(self, model: FleetModel, values: Mapping[str, float]) -> Plan | None:
        """The plan of what a solver says; None where it breaks a rule that programs know."""
        plan = self.plan_from(model, values, ANY)
        return None if violations(self.instance, plan, beside=unknown_to(model)) else plan

    def wants(self, model: FleetModel) -> dict[Key, int]:
        """Units of each offering that binds that any plan of the future can want."""
        alone: dict[Key, int] = {}
        together: dict[Key, int] = {}
        for key, column, joined in bound_columns(model):
            units = joined * round(column.upBound)
            alone[key] = max(alone.get(key, 0), units)
            together[key] = together.get(key, 0) + units
        if self._wanted is None:  # before it has room for what other futures want
            self._wanted = together
        return _highest([self._wanted, alone])

    def give_room(self, room: Mapping[Candidate, int]) -> bool:
        """Let there be more units; True where that is news."""
        before = self._room
        self._room = raised(before, room)
        return self._renewed(self._room != before)

    def _renewed(self, knows_more: bool) -> bool:
        if knows_more:
            self._program = None
        return knows_more


@dataclass(frozen=True)
class FuturesAnswer:
    """The best commitments that were looked for, and what is done in each future."""

    status: Status
    proof: Proof
    committed: Committed = field(default_factory=dict)
    plans: tuple[Plan, ...] = ()
    """One a future, in order; none without a plan."""

    counted: tuple[float, ...] = ()
    """What each future counts under the measure, USD/month."""

    minimised_usd: float | None = None
    bound_usd: float | None = None
    """Nothing that was looked for comes to less."""

    def is_proven(self, gap: float = 0.0) -> bool:
        """True where it is the best, or within the gap that was asked for."""
        if self.status is Status.OPTIMAL:
            return bool(self.plans)
        found = relative_gap(self.minimised_usd, self.bound_usd)
        return bool(self.plans) and found is not None and found <= gap

    @property
    def costs(self) -> tuple[float, ...]:
        """What each future costs, USD/month: cash and penalties."""
        return tuple(plan.score_usd_per_month or 0.0 for plan in self.plans)


@dataclass
class FuturesOptimizer:
    """The futures of one problem, and the programs over all of them or some."""

    instances: Sequence[PlanningInput]
    kept: KeptInFutures
    settings: Settings
    provenance: Provenance
    session: Session
    budget_usd: float | None = None
    """Cash that may be spent on average over the futures."""

    _blocks: dict[tuple[int, frozenset[Key]], BlockOptimizer] = field(default_factory=dict)

    def best(
        self,
        measure: Measure,
        asked: Asked = NOTHING_ASKED,
        futures: Sequence[int] | None = None,
        *,
        alone: bool = False,
        session: Session | None = None,
    ) -> FuturesAnswer:
        """The best commitments over the futures of these numbers; default: all.

        alone: one engine's word is enough, for figures beside the plan. session: until when, where
        that is before all time is up. Where the overload penalty can fire, or losses are counted
        by weights, the program is refined as that of one month is.
        """
        session = self.session if session is None else session
        chosen = range(len(self.instances)) if futures is None else futures
        blocks = [self._block(f, asked.keys) for f in chosen]
        best: FuturesAnswer | None = None
        for _ in range(MOST_REFINEMENTS):
            try:
                with session.in_force():
                    model = self._model(blocks, measure, asked)
            except OutOfTime:
                return best or _nothing(Status.NO_PLAN)
            run = self._run(model, blocks, session, alone=alone)
            if not run.values:
                return best or _without_plan(model, run)
            parts = [
                replace(run, values=model.values_of(f, run.values)) for f in range(len(blocks))
            ]
            pairs = list(zip(blocks, model.blocks, parts, strict=True))
            if any([block.teach(one, part) for block, one, part in pairs]):  # all learn
                continue
            found = self._answer(model, blocks, run, parts)
            best = found if best is None else _better(best, found)
            if asked.within_usd is not None:
                return found
            if any(charges_by_utilization(one) for one in model.blocks) and not _settled(best):
                owed = zip(pairs, found.plans, strict=True)
                again = [block.charge(one, part, plan) for (block, one, part), plan in owed]
                if any(again) and session.seconds_left > 0:
                    continue
            if not session.is_stopped and self._has_raised(blocks, model, best):
                continue
            return _proven(best) if _settled(best) else best
        return best or _nothing(Status.NO_PLAN)

    def proven(
        self, measure: Measure, asked: Asked = NOTHING_ASKED, futures: Sequence[int] | None = None
    ) -> FuturesAnswer | None:
        """The same for figures beside the plan: None where time ended before it was proven."""
        if self.session.is_stopped:
            return None
        found = self.best(measure, asked, futures, alone=True)
        return found if found.is_proven(self.settings.gap) else None

    def with_cheapest_recourse(self, answer: FuturesAnswer, measure: Measure) -> FuturesAnswer:
        """The same commitments, and in each future the best that can be done with them.

        Where the worst alone counts, the program does not mind what the other futures cost.
        """
        if measure.weight < 1 or not answer.plans:
            return answer
        fixed = Asked(fixed=answer.committed, keys=frozenset(answer.committed))
        plans, counted = [*answer.plans], [*answer.counted]
        for f, plan in enumerate(answer.plans):
            mine = replace(measure, probabilities=(1.0,), weight=0.0, tail=None)
            found = self.proven(replace(mine, constants=(measure.constants[f],)), fixed, [f])
            if found is None or found.counted[0] >= counted[f]:
                continue
            cash, before = (one.cash_usd_per_month or 0.0 for one in (found.plans[0], plan))
            if self.budget_usd is None or cash <= before:
                plans[f], counted[f] = found.plans[0], found.counted[0]
        return replace(answer, plans=tuple(plans), counted=tuple(counted))

    def _block(self, f: int, beside: frozenset[Key]) -> BlockOptimizer:
        """The programs of a future, with candidates of the offerings that are fixed."""
        if (f, beside) not in self._blocks:
            instance = self.instances[f]
            kept = {k.id: k for k in self.kept.candidates(f)}
            fixed = (k for k in instance.candidates.candidates if k.offering.key in beside)
            kept |= {k.id: k for k in fixed}
            pruned = Pruned(sorted(kept.values(), key=lambda k: k.id))
            self._blocks[f, beside] = BlockOptimizer(
                instance, self.settings, self.provenance, self.session, _pruned=pruned
            )
        return self._blocks[f, beside]

    def _model(
        self, blocks: Sequence[BlockOptimizer], measure: Measure, asked: Asked
    ) -> JointModel:
        """The joint program, in which every future has room for what any of them wants."""
        models = [block.program() for block in blocks]
        most = _highest(block.wants(one) for block, one in zip(blocks, models, strict=True))
        if asked.fixed is not None:
            most = {key: max(most.get(key, 0), n) for key, n in {**most, **asked.fixed}.items()}
        for key, n in asked.least.items():
            most[key] = max(most.get(key, 0), n)
        news = [block.give_room(_room(block, most)) for block in blocks]
        if any(news):
            models = [block.program() for block in blocks]
        if len(blocks) == len(self.instances):
            asked = replace(asked, budget_usd=self.budget_usd)
        return join(models, measure, most, asked)

    def _run(
        self,
        model: JointModel,
        blocks: Sequence[BlockOptimizer],
        session: Session,
        *,
        alone: bool,
    ) -> CertifiedRun:
        def judge(values: Mapping[str, float]) -> float | None:
            for f, block in enumerate(blocks):
                if block.judged(model.blocks[f], model.values_of(f, values)) is None:
                    return None
            return model.judged(values)

        with scratch_folder() as folder:
            mps = folder / "futures.mps"
            model.write_mps(mps)
            solver = self.settings.solver
            return solve_certified(
                mps,
                model.columns,
                time_limit_s=session.solver_seconds,
                gap=self.settings.gap,
                seed=self.settings.seed,
                solver=HIGHS if alone and solver == BOTH else solver,
                judge=judge,
                cancel=self.session.cancel,
                confirm=not alone,
                patient=self.settings.patient,
            )

    def _answer(
        self,
        model: JointModel,
        blocks: Sequence[BlockOptimizer],
        run: CertifiedRun,
        parts: Sequence[CertifiedRun],
    ) -> FuturesAnswer:
        """The run's plans, each verified, and that all of them stand on the same commitments."""
        committed = model.commitments(run.values)
        plans = []
        for block, one, part in zip(blocks, model.blocks, parts, strict=True):
            plan = block.plan_from(one, part.values, ANY)
            said = modelled_costs(one, part.values)
            verify(block.instance, plan, as_far_as_comparable(said, plan, run))
            if committed_in(plan) != committed:
                raise SolverError("the futures do not stand on the same commitments")
            plans.append(plan)
        self._check_budget(model, plans)
        lost = model.lost_usd(run.values)
        counted = [
            (plan.score_usd_per_month or 0.0) + constant + usd
            for plan, constant, usd in zip(plans, model.measure.constants, lost, strict=True)
        ]
        proven = run.status is EngineStatus.OPTIMAL
        minimised = model.measure.minimised(counted)
        bound = None if run.bound is None else run.bound + model.measure.offset
        return FuturesAnswer(
            Status.OPTIMAL if proven else Status.FEASIBLE,
            _proof(model, run),
            committed,
            tuple(plans),
            tuple(counted),
            minimised,
            bound,
        )

    def _check_budget(self, model: JointModel, plans: Sequence[Plan]) -> None:
        """Cash on average within the budget, where it is one on average."""
        budget_usd = model.asked.budget_usd
        if budget_usd is None:
            return
        cash = model.measure.mean([plan.cash_usd_per_month or 0.0 for plan in plans])
        if exceeds(cash, budget_usd):
            paid, most = usd_shown(cash, 2), usd_shown(budget_usd, 2)
            raise SolverError(f"cash is {paid} per month on average, above the budget of {most}")

    def _has_raised(
        self, blocks: Sequence[BlockOptimizer], model: JointModel, best: FuturesAnswer
    ) -> bool:
        """True where guessed bounds on units may have ruled out something better.

        No risk is below the mean, so in what is better than the best a future costs no more than
        that leaves it where all others cost nothing.
        """
        if best.minimised_usd is None or model.is_extreme:
            return False
        measure = model.measure
        floor = sum(p * c for p, c in zip(measure.probabilities, measure.constants, strict=True))
        news = []
        for f, block in enumerate(blocks):
            p = measure.probabilities[f]
            if is_guessed(block.instance) and p > 0:
                most = (best.minimised_usd - floor) / p
                news.append(block.give_room(room_for_score(model.blocks[f].fleet, most)))
        return any(news)


def committed_in(plan: Plan) -> dict[Key, int]:
    """Units of a plan of what binds, by offering."""
    units: dict[Key, int] = {}
    for p in plan.purchases:
        if binds(p.candidate) and p.units:
            key = p.candidate.offering.key
            units[key] = units.get(key, 0) + p.units * p.candidate.units_joined
    return units


def _highest(each: Iterable[Mapping[Key, int]]) -> dict[Key, int]:
    most: dict[Key, int] = {}
    for mine in each:
        most = {key: max(most.get(key, 0), mine.get(key, 0)) for key in {**most, **mine}}
    return most


def _room(block: Optimizer, most: Mapping[Key, int]) -> dict[Candidate, int]:
    """So many units of every candidate that binds as any future can want."""
    return {
        k: -(-most[k.offering.key] // k.units_joined)
        for k in block.pruned.kept
        if binds(k) and k.offering.key in most
    }


def _better(one: FuturesAnswer, later: FuturesAnswer) -> FuturesAnswer:
    """The cheaper of two answers, with the higher bound."""
    assert one.minimised_usd is not None
    assert later.minimised_usd is not None
    best = later if later.minimised_usd <= one.minimised_usd + SAME_USD else one
    known = [bound for bound in (one.bound_usd, later.bound_usd) if bound is not None]
    return replace(best, bound_usd=max(known, default=None), proof=later.proof, status=later.status)


def _settled(best: FuturesAnswer) -> bool:
    """True when the bound and the best answer agree, and engines proved the bound."""
    if best.minimised_usd is None or best.bound_usd is None:
        return False
    return best.minimised_usd - best.bound_usd <= tolerance_usd(best.minimised_usd)


def _proven(best: FuturesAnswer) -> FuturesAnswer:
    if best.status is not Status.OPTIMAL:
        return best
    return replace(best, bound_usd=best.minimised_usd)


def _nothing(status: Status) -> FuturesAnswer:
    return FuturesAnswer(status, Proof(certified=False, certified_by=()))


def _without_plan(model: JointModel, run: CertifiedRun) -> FuturesAnswer:
    infeasible = run.status is EngineStatus.INFEASIBLE
    status = Status.INFEASIBLE if infeasible else Status.NO_PLAN
    return FuturesAnswer(status, _proof(model, run), bound_usd=run.bound)


def _proof(model: JointModel, run: CertifiedRun) -> Proof:
    return proof_by(run, rows=len(model.rows), columns=len(model.columns))
