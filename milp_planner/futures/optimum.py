"""The best commitments over several futures, with a verified plan of each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.errors import SolverError
from milp_planner.futures.blocks import (
    SAME_USD,
    BlockOptimizer,
    FuturesAnswer,
    as_proven,
    better_of,
    committed_in,
    highest,
    is_settled,
    nothing_found,
    parts_of,
    proof_of,
    run_joined,
    verified_plans,
    with_room,
    without_plan,
)
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.futures.joint import Asked, JointModel, join
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import KeptInFutures, Key, offered_in_all
from milp_planner.milp.presolve.dominance import Pruned
from milp_planner.milp.presolve.unit_bounds import all_room, is_guessed, room_for_score
from milp_planner.milp.program.lexicographic import Held, Stage
from milp_planner.milp.program.refinement import charges_by_utilization
from milp_planner.plans.records import Plan, Provenance, Status, exceeds
from milp_planner.solving.optimum import MOST_REFINEMENTS
from milp_planner.solving.results import Session, Settings
from milp_planner.units import usd_shown

NOTHING_ASKED = Asked()

TIES_SHARE = 0.2
"""Of the time left, for commitments that cost the same and owe less."""


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
                return best or nothing_found(Status.NO_PLAN)
            run = run_joined(model, blocks, model.judged, self.settings, session, alone=alone)
            if not run.values:
                return best or without_plan(model, run)
            parts = parts_of(model, run)
            pairs = list(zip(blocks, model.blocks, parts, strict=True))
            if any([block.teach(one, part) for block, one, part in pairs]):  # all learn
                continue
            found = self._answer(model, blocks, run, parts)
            best = found if best is None else better_of(best, found)
            if asked.within_usd is not None:
                return found
            if any(charges_by_utilization(one) for one in model.blocks) and not is_settled(best):
                owed = zip(pairs, found.plans, strict=True)
                again = [block.charge(one, part, plan) for (block, one, part), plan in owed]
                if any(again) and session.seconds_left > 0:
                    continue
            if not session.is_stopped and self._has_raised(blocks, model, best):
                continue
            return as_proven(best) if is_settled(best) else best
        return best or nothing_found(Status.NO_PLAN)

    def minimum(
        self, measure: Measure, stage: Stage, held: Held
    ) -> tuple[CertifiedRun, FuturesAnswer]:
        """The least that a stage can reach once others are held, and a plan of each future that
        does, of which nothing is proven; raises OutOfTime when time is up."""
        blocks = [self._block(f, frozenset()) for f in range(len(self.instances))]
        asked = Asked(stage=stage, held=held)
        with self.session.in_force():
            for block in blocks:
                if is_guessed(block.instance):
                    block.give_room(all_room(block.program().fleet))
            for _ in range(MOST_REFINEMENTS):
                model = self._model(blocks, measure, asked)
                how = self.settings, self.session
                run = run_joined(model, blocks, model.judged, *how, alone=False)
                parts = parts_of(model, run)
                pairs = list(zip(blocks, model.blocks, parts, strict=True))
                if not run.values or not any([b.teach(one, part) for b, one, part in pairs]):
                    break
        plans = [block.judged(one, part.values) for block, one, part in pairs if run.values]
        known = [plan for plan in plans if plan is not None]
        if len(known) < len(blocks):
            return run, without_plan(model, run)
        counted = tuple(plan.score_usd_per_month or 0.0 for plan in known)
        proof = replace(proof_of(model, run), certified=False, certified_by=())
        committed = model.commitments(run.values)
        so_far = Status.FEASIBLE, proof, committed, tuple(known), counted
        return run, FuturesAnswer(*so_far, measure.minimised(counted))

    def proven(
        self, measure: Measure, asked: Asked = NOTHING_ASKED, futures: Sequence[int] | None = None
    ) -> FuturesAnswer | None:
        """The same for figures beside the plan: None where time ended before it was proven."""
        if self.session.is_stopped:
            return None
        found = self.best(measure, asked, futures, alone=True)
        return found if found.is_proven(self.settings.gap) else None

    def with_least_owed(
        self, answer: FuturesAnswer, measure: Measure, held: Held = ()
    ) -> FuturesAnswer:
        """Of commitments that count the same those that owe the least, where there is time to look.

        Plans that are proven alone: of others it is not known what counts the same.
        """
        if answer.status is not Status.OPTIMAL or not answer.committed or self.session.is_stopped:
            return answer
        assert answer.minimised_usd is not None
        ends_s = self.session.ends_s - (1 - TIES_SHARE) * self.session.seconds_left
        asked = Asked(within_usd=answer.minimised_usd + SAME_USD, extreme=1, held=held)
        session = Session(ends_s, self.session.cancel)
        found = self.best(measure, asked, alone=True, session=session)
        if not found.plans or found.committed == answer.committed:
            return answer
        return replace(
            found,
            status=answer.status,
            proof=answer.proof,
            bound_usd=answer.bound_usd,
            is_tie=True,
        )

    @cached_property
    def offered(self) -> frozenset[Key]:
        """Every offering that may be committed to, also those that others do all for; of offerings
        that only their names tell apart one. Raises OutOfTime when time is up."""
        with self.session.in_force():
            return offered_in_all(self.instances)

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
        wanted = highest([asked.fixed or {}, asked.least])
        models, most = with_room(blocks, wanted)
        if len(blocks) == len(self.instances):
            asked = replace(asked, budget_usd=self.budget_usd)
        return join(models, measure, most, asked)

    def _answer(
        self,
        model: JointModel,
        blocks: Sequence[BlockOptimizer],
        run: CertifiedRun,
        parts: Sequence[CertifiedRun],
    ) -> FuturesAnswer:
        """The run's plans, each verified, and that all of them stand on the same commitments."""
        committed = model.commitments(run.values)
        plans = verified_plans(model, blocks, parts)
        if any(committed_in(plan) != committed for plan in plans):
            raise SolverError("the futures do not stand on the same commitments")
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
            proof_of(model, run),
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
