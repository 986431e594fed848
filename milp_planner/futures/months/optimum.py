"""The best signings over months and futures by one program, with a verified plan of each month."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime, sparing, until
from milp_planner.errors import SolverError
from milp_planner.futures.blocks import (
    SAME_USD,
    BlockOptimizer,
    FuturesAnswer,
    as_proven,
    better_of,
    committed_in,
    is_settled,
    parts_of,
    proof_of,
    run_joined,
    status_of_none,
    verified_plans,
    with_room,
)
from milp_planner.futures.start import kept_of_plans
from milp_planner.inputs.problem.records import Alternatives
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.futures.measures import Measure, of_costs
from milp_planner.milp.futures.pruning import KeptInFutures, kept_in_futures
from milp_planner.milp.months.program import MonthsModel, MonthsShape, Start, join_months
from milp_planner.milp.presolve.dominance import Pruned
from milp_planner.milp.presolve.unit_bounds import is_guessed, room_for_score
from milp_planner.milp.program.refinement import charges_by_utilization
from milp_planner.plans.changes import most_units
from milp_planner.plans.records import Plan, Proof, Provenance, Status, exceeds
from milp_planner.solving.optimum import MOST_REFINEMENTS
from milp_planner.solving.parts import first_answer
from milp_planner.solving.results import NOT_SOLVED, SearchResult, Session, Settings
from milp_planner.solving.search import Search
from milp_planner.units import usd_shown

JOINT_SHARE = 0.6
"""Of the time left, for the program over all months; what it leaves is for single months, which
tell a bound, and for a small program of what their plans are made of."""

TIES_SHARE = 0.2
"""Of the time left, for signings that cost the same and bind less."""

SMALL_S = 0.5

JUDGED = 3
"""How often plans of all months are read and verified once the engines stop: what each engine says,
and what comes of it."""


@dataclass(frozen=True)
class MonthsAnswer(FuturesAnswer):
    """The best signings that were looked for; `plans` has one for each month of each future."""

    starts: Mapping[Start, int] = field(default_factory=dict)
    moves_usd: tuple[float, ...] = ()
    """For each of them, what adding and dropping units costs at its beginning."""


@dataclass
class MonthsOptimizer:
    """The months of all futures of some workloads, and the program over all of them."""

    instances: Sequence[PlanningInput]
    shape: MonthsShape
    kept: KeptInFutures
    settings: Settings
    provenance: Provenance
    session: Session
    judging_s: float = 0.0
    """What it takes to read and verify a plan of every month, as far as that is known."""

    _blocks: list[BlockOptimizer] = field(default_factory=list)

    def shortened(self, shape: MonthsShape) -> MonthsOptimizer:
        """The same over fewer months after the horizon: those of the terms that are left."""
        chosen = [
            self.shape.block(f, i) for f in range(shape.futures) for i in range(shape.all_months)
        ]
        kept = KeptInFutures(
            tuple(self.kept.rentals[b] for b in chosen),
            tuple(self.kept.commitments[b] for b in chosen),
        )
        instances = [self.instances[b] for b in chosen]
        return replace(self, instances=instances, shape=shape, kept=kept, _blocks=[])

    def best(
        self,
        measure: Measure,
        *,
        fixed: Mapping[Start, int] | None = None,
        within_usd: float | None = None,
        alone: bool = False,
        session: Session | None = None,
    ) -> MonthsAnswer:
        """The best signings. fixed: these. within_usd: those that bind the least of all that come
        to no more. alone: one engine's word is enough.

        As over futures of one month, what plans teach goes into the next program: see
        `FuturesOptimizer.best`.
        """
        session = self.session if session is None else session
        best: MonthsAnswer | None = None
        for _ in range(MOST_REFINEMENTS):
            try:
                with session.in_force():
                    model = self._model(measure, fixed, within_usd)
            except OutOfTime:
                return best or _nothing(Status.NO_PLAN)
            run = run_joined(model, self._blocks, model.judged, self.settings, session, alone=alone)
            if not run.values:
                return best or _without_plan(model, run)
            parts = parts_of(model, run)
            pairs = list(zip(self._blocks, model.blocks, parts, strict=True))
            if any([block.teach(one, part) for block, one, part in pairs]):  # all learn
                continue
            found = self._answer(model, run, parts)
            if within_usd is not None:
                return found
            best = found if best is None else better_of(best, found)
            if any(charges_by_utilization(one) for one in model.blocks) and not is_settled(best):
                owed = zip(pairs, found.plans, strict=True)
                again = [block.charge(one, part, plan) for (block, one, part), plan in owed]
                if any(again) and session.seconds_left > 0:
                    continue
            if not session.is_stopped and self._has_raised(model, best):
                continue
            return as_proven(best) if is_settled(best) else best
        return best or _nothing(Status.NO_PLAN)

    def _model(
        self,
        measure: Measure,
        fixed: Mapping[Start, int] | None,
        within_usd: float | None = None,
    ) -> MonthsModel:
        if not self._blocks:
            self._blocks = [self._block(b) for b in range(len(self.instances))]
        wanted: dict[tuple[str, str], int] = {}
        for (key, _, _), units in (fixed or {}).items():
            wanted[key] = wanted.get(key, 0) + units
        models, most = with_room(self._blocks, wanted)
        return join_months(models, measure, self.shape, most, fixed, within_usd)

    def _block(self, b: int) -> BlockOptimizer:
        pruned = Pruned(self.kept.candidates(b))
        given = self.instances[b], self.settings, self.provenance, self.session
        return BlockOptimizer(*given, _pruned=pruned)

    def _answer(
        self, model: MonthsModel, run: CertifiedRun, parts: Sequence[CertifiedRun]
    ) -> MonthsAnswer:
        """The run's plans, each verified, and that they stand on what is signed."""
        shape = self.shape
        plans = verified_plans(model, self._blocks, parts)
        starts = model.signed(run.values)
        self._check_signed(plans, starts)
        moves = moves_between(plans, shape)
        if moves is None:
            raise SolverError("more units change from one month to the next than may")
        if above := broken_budget(self.instances, plans, moves, model.measure, shape):
            raise SolverError(above)
        lost = model.lost_usd(run.values)
        counted = [
            constant
            + sum(
                (plans[b].score_usd_per_month or 0.0) + moves[b] + lost[b]
                for b in (shape.block(f, i) for i in range(shape.all_months))
            )
            + sum(n * shape.owed_usd(start) for start, n in starts.items() if start[2] in (None, f))
            for f, constant in enumerate(model.measure.constants)
        ]
        proven = run.status is EngineStatus.OPTIMAL
        return MonthsAnswer(
            Status.OPTIMAL if proven else Status.FEASIBLE,
            proof_of(model, run),
            plans=tuple(plans),
            counted=tuple(counted),
            minimised_usd=model.measure.minimised(counted),
            bound_usd=None if run.bound is None else run.bound + model.measure.offset,
            starts=starts,
            moves_usd=tuple(moves),
        )

    def _check_signed(self, plans: Sequence[Plan], starts: Mapping[Start, int]) -> None:
        shape = self.shape
        for f in range(shape.futures):
            for i in range(shape.all_months):
                bound: dict[tuple[str, str], int] = {}
                for start, units in starts.items():
                    if shape.is_bound(start, f, i):
                        bound[start[0]] = bound.get(start[0], 0) + units
                on = committed_in(plans[shape.block(f, i)])
                few = {key for key, kind in shape.kinds.items() if kind.is_few}
                by_month = i >= shape.months
                if any(
                    on.get(key, 0) < bound.get(key, 0)
                    or (on.get(key, 0) > bound.get(key, 0) and not (by_month and key not in few))
                    for key in {*on, *bound}
                ):
                    raise SolverError("a month does not stand on what is signed")

    def _has_raised(self, model: MonthsModel, best: MonthsAnswer) -> bool:
        """True where guessed bounds on units may have ruled out something better."""
        if best.minimised_usd is None:
            return False
        measure = model.measure
        floor = measure.mean(measure.constants)
        news = []
        for b, block in enumerate(self._blocks):
            p = measure.probabilities[b // self.shape.all_months]
            if is_guessed(block.instance) and p > 0:
                most = (best.minimised_usd - floor) / p
                news.append(block.give_room(room_for_score(model.blocks[b].fleet, most)))
        return any(news)

    # ---- where time ends early

    def best_in_time(self, measure: Measure) -> MonthsAnswer:
        """The best signings; where time ends before their proof, the better of what the program
        found and of what a small one finds, with a bound."""
        whole = self.session
        ends_s = whole.ends_s - (1 - JOINT_SHARE) * whole.seconds_left - JUDGED * self.judging_s
        found = self.best(measure, session=Session(ends_s, whole.cancel))
        if found.status is Status.INFEASIBLE or found.is_proven(self.settings.gap):
            return self.with_cheapest_months(self.with_least_bound(found, measure), measure)
        months = self.single_months()
        bound = self._bound(measure, months)
        known = [one for one in (found.bound_usd, bound) if one is not None]
        found = replace(found, bound_usd=max(known, default=None))
        if any(one.plan is None for one in months) or JUDGED * self.judging_s > SMALL_S:
            return found
        small = replace(self, kept=kept_of_plans(self.instances, months), _blocks=[])
        ends_s = max(whole.ends_s, time.monotonic() + SMALL_S)
        with sparing(SMALL_S):
            other = small.best(measure, alone=True, session=Session(ends_s, whole.cancel))
        if other.minimised_usd is not None and (
            found.minimised_usd is None or other.minimised_usd < found.minimised_usd
        ):
            found = replace(other, status=Status.FEASIBLE, bound_usd=found.bound_usd)
        return found

    def with_least_bound(self, answer: MonthsAnswer, measure: Measure) -> MonthsAnswer:
        """Of signings that come to no more those that bind the fewest dollars, then those of the
        first offerings by name, where there is time to look."""
        if answer.minimised_usd is None or not answer.starts or self.session.is_stopped:
            return answer
        ends_s = self.session.ends_s - (1 - TIES_SHARE) * self.session.seconds_left
        exact = replace(self, settings=replace(self.settings, gap=0.0))
        found = exact.best(
            measure,
            within_usd=answer.minimised_usd + SAME_USD,
            alone=True,
            session=Session(ends_s, self.session.cancel),
        )
        if found.status is not Status.OPTIMAL or found.minimised_usd is None:
            return answer
        if exceeds(found.minimised_usd, answer.minimised_usd):  # refined costs may be higher
            return answer
        bound = answer.bound_usd
        return replace(found, status=answer.status, proof=answer.proof, bound_usd=bound)

    def with_cheapest_months(self, answer: MonthsAnswer, measure: Measure) -> MonthsAnswer:
        """The same signings, and in each month the best that can be done with them.

        Where the worst alone counts, the program does not mind what the other futures cost.
        """
        if measure.weight < 1 or not answer.plans or self.session.is_stopped:
            return answer
        mean = of_costs(measure.probabilities)
        mine = replace(measure, weight=0.0, tail=None, shift=0.0)
        found = self.best(replace(mine, constants=mean.constants), fixed=answer.starts, alone=True)
        if not found.is_proven(self.settings.gap):
            return answer
        counted = [z + c for z, c in zip(found.counted, measure.constants, strict=True)]
        minimised = measure.minimised(counted)
        if answer.minimised_usd is None or exceeds(minimised, answer.minimised_usd):
            return answer
        return replace(
            answer,
            plans=found.plans,
            moves_usd=found.moves_usd,
            counted=tuple(counted),
            minimised_usd=min(minimised, answer.minimised_usd),
        )

    def single_months(self) -> list[SearchResult]:
        """The best plan of each month by itself, where what is signed is had by the month."""
        found: list[SearchResult] = []
        left = len(self.instances)
        for instance in self.instances:
            seconds = self.session.seconds_left / (left + 2)
            left -= 1
            if self.session.is_stopped:
                found.append(NOT_SOLVED)
                continue
            within = replace(self.settings, time_limit_s=seconds, gap=self.settings.gap)
            with until(self.session.ends_s, self.session.cancel):
                search = Search(instance, within, self.provenance, Alternatives(count=0))
                found.append(first_answer(search))
        return found

    def _bound(self, measure: Measure, months: Sequence[SearchResult]) -> float | None:
        """No signings cost less than if each could be had by the month, and moves were free."""
        return months_counted([one.bound or 0.0 for one in months], self.shape, measure)


def months_counted(usd: Sequence[float], shape: MonthsShape, measure: Measure) -> float:
    """What is counted where each month comes to so much. usd: by block."""
    counted = [
        sum(usd[shape.block(f, 0) : shape.block(f + 1, 0)]) + constant
        for f, constant in enumerate(measure.constants)
    ]
    return measure.minimised(counted)


def kept_over_months(
    instances: Sequence[PlanningInput], shape: MonthsShape, settings: Settings
) -> KeptInFutures:
    """What is left of every month's candidates, with the same optimum over all of them."""
    return kept_in_futures(
        instances,
        pruning=settings.pruning,
        merge_twins=settings.merge_twins,
        over_months=True,
        counts_moves=shape.counts_moves,
    )


def moves_between(plans: Sequence[Plan], shape: MonthsShape) -> list[float] | None:
    """For each month, what it costs to get there from the one before, USD; the first knows it.
    None where more units change than may."""
    usd = [0.0] * len(plans)
    if not shape.counts_moves:
        return usd
    for f in range(shape.futures):
        for i in range(1, shape.months):
            b = shape.block(f, i)
            then, now = (most_units(plan.rented) for plan in (plans[b - 1], plans[b]))
            changes = [now.get(key, 0) - then.get(key, 0) for key in {*then, *now}]
            added, removed = (
                sum(n for n in of if n > 0) for of in (changes, [-n for n in changes])
            )
            if shape.most_changed is not None and added + removed > shape.most_changed:
                return None
            usd[b] = added * shape.usd_per_unit_added + removed * shape.usd_per_unit_removed
    return usd


def broken_budget(
    instances: Sequence[PlanningInput],
    plans: Sequence[Plan],
    moves: Sequence[float],
    measure: Measure,
    shape: MonthsShape,
) -> str:
    """What month's cash is above its budget, with what moves cost; above the one on average where
    there is one. '' where none is."""
    cash = [(plan.cash_usd_per_month or 0.0) + usd for plan, usd in zip(plans, moves, strict=True)]
    for b, instance in enumerate(instances):
        budget = instance.problem.limits.budget
        if budget is not None and exceeds(cash[b], budget.usd_per_month):
            return _above(cash[b], budget.usd_per_month)
    most = shape.mean_budget_usd
    for i in range(shape.months) if most is not None else ():
        mean = measure.mean([cash[shape.block(f, i)] for f in range(shape.futures)])
        if exceeds(mean, most or 0.0):
            return _above(mean, most or 0.0)
    return ""


def _above(cash: float, budget_usd: float) -> str:
    paid, most = usd_shown(cash, 2), usd_shown(budget_usd, 2)
    return f"cash of a month is {paid}, above the budget of {most}"


def _nothing(status: Status) -> MonthsAnswer:
    return MonthsAnswer(status, Proof(certified=False, certified_by=()))


def _without_plan(model: MonthsModel, run: CertifiedRun) -> MonthsAnswer:
    return MonthsAnswer(status_of_none(run), proof_of(model, run), bound_usd=run.bound)
