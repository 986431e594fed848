"""Finds the best plan of one problem: build, run, read, verify, and where need be refine."""

from __future__ import annotations

from collections.abc import Mapping

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.curves.fleets import CURVES
from milp_planner.milp.curves.listed.lists import Lists
from milp_planner.milp.curves.listed.search import Listed
from milp_planner.milp.engines.certify import BOTH, solve_certified
from milp_planner.milp.engines.outcome import CBC, HIGHS, EngineStatus
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.presolve.dominance import Pruned, reduced
from milp_planner.milp.presolve.folding import folds_of
from milp_planner.milp.presolve.forced_use import Required, keep_required, require
from milp_planner.milp.presolve.held_first import held_first, steps_pay
from milp_planner.milp.presolve.lazy_rows import relaxed_values
from milp_planner.milp.presolve.least_costs import NOTHING, Known, hold_least
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
from milp_planner.milp.presolve.worth_sharing import every_part
from milp_planner.milp.program.enough_units import with_enough_units
from milp_planner.milp.program.exclusion import beyond, exclude, without_traces
from milp_planner.milp.program.idle_units import without_idle_units
from milp_planner.milp.program.language.elastic_steps import on_own_steps
from milp_planner.milp.program.language.folds import ElasticFold
from milp_planner.milp.program.levels import Splits
from milp_planner.milp.program.lexicographic import GPUS, Stage, hold, minimise
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.milp.program.read_solution import (
    modelled_costs,
    objective_value,
    read_solution,
    without_noise,
)
from milp_planner.milp.program.refinement import (
    charges_by_utilization,
    learn,
    learn_from_parts,
    learns_from_parts,
    refine,
    undercharged_usd,
    unknown_to,
)
from milp_planner.milp.program.routed_fleets import with_routes
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.records import Plan, Provenance, Status
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.next_fleets import NextFleets
from milp_planner.solving.assembly.spare_units import with_spare_units
from milp_planner.solving.assembly.verify import (
    as_far_as_comparable,
    is_settled,
    keeps_all,
    verify,
    violations,
)
from milp_planner.solving.priced import at_least
from milp_planner.solving.results import (
    NOT_SOLVED,
    Query,
    SearchResult,
    Session,
    Settings,
    best_known,
    proof_of,
    proven_by,
    result_of,
    unproven,
    with_newer_bound,
    without_plan,
)

MOST_REFINEMENTS, MOST_RELAXED = 60, 20

MOST_DRAFTS, DRAFTS_OF_TIME, DRAFT_GAP = 8, 8, 0.005
"""Fleets, with the part of the time left that each may take, and how near to the best, from which a
program learns before it is solved in earnest."""

FEW_COLUMNS = 20
"""Of programs that solvers have at once."""

STEPS_OF_TIME, DRAFTS_OF_STEPS = 4, 3
"""The part for one that is put together in steps, and how many more it counts for."""


@dataclass
class Optimizer:
    """One problem and its programs; remembers what each of them taught about the next."""

    instance: PlanningInput
    settings: Settings
    provenance: Provenance
    session: Session
    required: Required | None = None
    """What must be in use somewhere; None asks for nothing."""

    known: Known = NOTHING
    next_fleets: NextFleets = field(default_factory=NextFleets)

    _pruned: Pruned | None = None
    _folds: Mapping[str, ElasticFold] | None = None
    _splits: Splits = field(default_factory=Splits)
    _room: Mapping[Candidate, int] = field(default_factory=dict)
    """Least bounds on units, beyond those that follow from the demand."""

    _lists: Lists = field(default_factory=Lists)
    _has_learned_from_parts: bool = False
    _drafts_left: int = MOST_DRAFTS

    @property
    def pruned(self) -> Pruned:
        """The candidates after pruning, which is done once."""
        if self._pruned is None:
            pruning, merging = self.settings.pruning, self.settings.merge_twins
            self._pruned = reduced(self.instance, pruning=pruning, merge_twins=merging)
            if self.required is not None:
                listed, wanted = self.instance.candidates.candidates, self.required.wanted
                shared = every_part(self.instance, filter(wanted, listed))
                keep_required(self._pruned, (*listed, *shared), wanted)
        return self._pruned

    def instead(self, there: PlanningInput) -> Optimizer:
        """The same with fewer candidates, or less load; what either learns of rows both know."""
        return replace(self, instance=there, _pruned=None, _folds=None, _room={}, _lists=Lists())

    def listed(self, query: Query) -> SearchResult | None:
        """The plan that lists alone find, or a lower bound where they come to no end; None where
        the program has none, or no fleet. Raises OutOfTime."""
        for _ in range(MOST_REFINEMENTS):
            model = self._taught(query)
            found = self._listed(model, query)
            if found is None:
                break
            if found.is_plan:
                return self._by_lists(model, found, query)
        return replace(NOT_SOLVED, bound=self._lists.least_usd) if self._lists.least_usd else None

    def best(self, query: Query) -> SearchResult:
        """The plan of least score that is looked for.

        Where the overload penalty can fire the program is a relaxation, refined until it charges
        the best plan seen what that owes: see `milp/program/refinement.py`. Where bounds on units
        are guesses, they are raised until no plan beyond them can be better: see
        `milp/presolve/unit_bounds.py`.
        """
        result = NOT_SOLVED
        try:
            with self.session.in_force():
                result = self._best(query)
                while is_guessed(self.instance) and self._has_raised(result, query):
                    result = best_known(result, self._best(query))
        except OutOfTime:
            return unproven(result)
        return at_least(result, 0.0 if query.follows_others else self._lists.least_usd)

    def minimum(self, stage: Stage, query: Query) -> tuple[FleetModel, CertifiedRun]:
        """The least that a stage can reach once others are held; OutOfTime when time is up."""
        with self.session.in_force():
            if is_guessed(self.instance):
                self._room = raised(self._room, all_room(self.model(query).fleet))
            for _ in range(MOST_REFINEMENTS):
                model = self._taught(query)
                minimise(model, stage)
                # a gap is one of money: GPUs are counted to the last
                run = self._run(model, query, gap=0.0 if stage == GPUS else None)
                if not run.values or not self.has_learned(model, run.values, query):
                    break
            return model, run

    def folds(self, query: Query) -> Mapping[str, ElasticFold]:
        """The workloads whose elastic units are steps where that is looked for, by name."""
        if self.required is not None or query.held or query.follows_others:
            return {}  # what is in use must be told unit by unit
        if self._folds is None:
            self._folds = folds_of(self.instance, tuple(self.pruned.kept))
        return self._folds

    def model(
        self,
        query: Query,
        room: Mapping[Candidate, int] | None = None,
        folds: Mapping[str, ElasticFold] | None = None,
    ) -> FleetModel:
        """The program of what is looked for; `room` in place of what is known of bounds."""
        self.pruned.readmit(query.others, query.difference.differ_by)
        room = raised(self._room if room is None else room, beyond(query.passed))
        kept = tuple(self.pruned.kept)
        model = build_model(self.instance, kept, self._splits, room=room, folds=folds)
        hold(model, query.held)
        hold_least(model, self.known.least)
        if self.required is not None:
            require(model, self.required)
        if query.follows_others:
            exclude(model, query.found, query.difference, query.excluded, query.passed)
        return model

    def plan_from(self, model: FleetModel, values: Mapping[str, float], query: Query) -> Plan:
        """The plan that a program's columns say, without status or proof."""
        solution = balanced(self.instance, self._fleet(model, self._tidy(model, values)))
        if query.exact_shortfalls:
            solution = without_noise(self.instance, solution)
        return assemble(self.instance, solution, self.provenance)

    def _best(self, query: Query) -> SearchResult:
        best: SearchResult | None = None
        for _ in range(MOST_REFINEMENTS):
            try:
                model = self._taught(query, self.folds(query))
                listed = self._listed(model, query)
                if listed is not None and not listed.is_plan:
                    continue
                found = None if listed is None else self._by_lists(model, listed, query)
                if found is not None:
                    return found
                is_draft = self._is_draft(model, query)
                run = self._run(model, query, is_draft=is_draft)
            except OutOfTime:
                if best is None:
                    raise
                return best
            if not run.values and not is_draft:
                return self._kept(best, run) or without_plan(model, run)
            if run.values and self.has_learned(model, run.values, query):
                best = self._with_spare_units(model, run, query, best)
                continue
            if is_draft:
                best = self._with_draft(model, run, query, best)
                continue
            if not charges_by_utilization(model):
                found = self._with_plan(model, run, query)
                return found if best is None else best_known(best, found)
            seen = self._unproven(model, run, query)
            best = seen if best is None else with_newer_bound(best, seen)
            if is_settled(best.known, run) or self._agrees_but_for_noise(model, run, query):
                return _settled(best, model, run)
            if self.session.seconds_left <= 0 or not self._has_refined(model, run, seen.known):
                break
        return best or NOT_SOLVED

    def _listed(self, model: FleetModel, query: Query) -> Listed | None:
        """The cheapest fleet of a program that takes no solver; None elsewhere."""
        is_large = bool(model.fleet.prices) or len(model.columns) > FEW_COLUMNS
        is_bound = self.required or query.held or query.follows_others or query.for_a_tie
        if is_large and not is_bound and self.settings.solver == BOTH:
            return self._lists.cheapest(model, lambda on: not self.has_learned(model, on, query))
        return None

    def _by_lists(self, model: FleetModel, listed: Listed, query: Query) -> SearchResult | None:
        """Its plan; None where that breaks a rule, or costs other than its columns say."""
        plan = self.plan_from(model, listed.values, query)
        if not keeps_all(self.instance, plan, listed.least_usd):
            self._lists = Lists(are_open=False)
            return None
        size = len(model.row_meaning), len(model.fleet.meaning)
        return proven_by(CURVES, plan, listed.began_s, *size)

    def _kept(self, best: SearchResult | None, run: CertifiedRun) -> SearchResult | None:
        """The best plan known, but for one that is dearer than what a proof is about."""
        most = self.known.most_usd
        if best is None or most is None or run.status is not EngineStatus.INFEASIBLE:
            return best
        return best if best.score_usd_per_month <= most else None

    def _is_draft(self, model: FleetModel, query: Query) -> bool:
        """True where a program is to learn first. Who is first of two engines, no run repeats."""
        if not model.fleet.prices or self.settings.patient or query.for_a_tie:
            return False
        self._drafts_left -= 1
        return self._drafts_left >= 0

    def _with_draft(
        self, model: FleetModel, run: CertifiedRun, query: Query, best: SearchResult | None
    ) -> SearchResult | None:
        """The best plan known, now that a draft had nothing to teach."""
        self._drafts_left = 0
        if not run.values:
            return best
        seen = self._unproven(model, replace(run, status=EngineStatus.FEASIBLE), query)
        return seen if best is None else with_newer_bound(best, seen)

    def _taught(self, query: Query, folds: Mapping[str, ElasticFold] | None = None) -> FleetModel:
        """The program. Fractions of units teach the first, which takes far less time than plans."""
        model = self.model(query, folds=folds)
        if self._has_learned_from_parts or not learns_from_parts(model):
            return model
        self._has_learned_from_parts = True
        for _ in range(MOST_RELAXED):
            plain = self.model(query)
            values = relaxed_values(plain, self.session.solver_seconds, self.session.cancel)
            if values is None or not learn_from_parts(self._splits, plain, values):
                break
        return self.model(query, folds=folds)

    def has_learned(self, model: FleetModel, values: Mapping[str, float], query: Query) -> bool:
        """True where the plan of the columns is none as programs know it from now on."""
        if not unknown_to(model):
            return False
        solution = read_solution(model, values)
        return learn(self._splits, model, solution, self.plan_from(model, values, query))

    def _with_spare_units(
        self, model: FleetModel, run: CertifiedRun, query: Query, best: SearchResult | None
    ) -> SearchResult | None:
        """The best plan known, now that the run's plan may be made one by a few units more."""
        enough = with_enough_units(model, read_solution(model, run.values))
        solution = None if enough is None else balanced(self.instance, with_routes(model, enough))
        seen = None if solution is None else self._survivor(solution, query)
        if seen is None:
            return best if best is None else replace(best, bound=run.bound)
        found = result_of(Status.FEASIBLE, seen, proof_of(model, run), run.bound)
        return found if best is None else with_newer_bound(best, found)

    def _survivor(self, solution: FleetSolution, query: Query) -> Plan | None:
        """A fleet with spare units until it survives every loss; None where that breaks a rule."""
        plan = assemble(self.instance, solution, self.provenance)
        more = with_spare_units(self.instance, plan, solution)
        if more is None:
            return None
        survivor = assemble(self.instance, balanced(self.instance, more), self.provenance)
        wrong = violations(self.instance, survivor) or query.rules_out(survivor)
        return None if wrong else survivor

    def _has_refined(self, model: FleetModel, run: CertifiedRun, seen: Plan) -> bool:
        """Split where the plan seen owes more than it is charged; True when any was."""
        return refine(self._splits, model, undercharged_usd(model, run.values, seen), seen)

    def _agrees_but_for_noise(self, model: FleetModel, run: CertifiedRun, query: Query) -> bool:
        """True where the program charges its own plan what that owes.

        With exact shortfalls the plan may owe more: what a solver may miss of the stages that are
        held, on a steep ramp.
        """
        if not query.exact_shortfalls:
            return False
        raw = self.plan_from(model, run.values, replace(query, exact_shortfalls=False))
        return is_settled(raw, run)

    def _has_raised(self, result: SearchResult, query: Query) -> bool:
        """True where bounds on units were raised that may have ruled out something better."""
        if self.session.is_stopped or result.status is Status.NO_PLAN:
            return False
        fleet = self.model(query).fleet
        if result.plan is not None:
            more = room_for_score(fleet, result.score_usd_per_month)
        else:
            more = wider_room(fleet) if self._could_be_wider(query) else {}
        self._room = raised(self._room, more)
        return bool(more)

    def _could_be_wider(self, query: Query) -> bool:
        """True unless fractions of units, however many, have no plan either."""
        widest = self.model(query, dict.fromkeys(self.pruned.kept, MOST_ROOM))
        return relaxed_values(widest, self.session.seconds_left) is not None

    def _run(
        self,
        model: FleetModel,
        query: Query,
        gap: float | None = None,
        *,
        is_draft: bool = False,
    ) -> CertifiedRun:
        gap = self.settings.gap if gap is None else gap
        seconds = self.session.solver_seconds

        def judge(values: Mapping[str, float]) -> float | None:
            solution = self._fleet(model, self._tidy(model, values))
            plan = assemble(self.instance, solution, self.provenance)
            # what a program does not know yet is learned from its plans
            broken = violations(self.instance, plan, beside=unknown_to(model))
            is_wrong = broken or query.rules_out(plan)
            return None if is_wrong else objective_value(model, values)

        if is_draft and self.settings.solver != CBC and steps_pay(model):
            self._drafts_left -= DRAFTS_OF_STEPS
            steps = held_first(model, seconds / STEPS_OF_TIME, self.session.cancel)
            if steps is not None and judge(steps.values) is not None:
                tidy = self._tidy(model, steps.values)
                return CertifiedRun(EngineStatus.FEASIBLE, tidy, bound=steps.bound)
        with scratch_folder() as folder:
            mps = folder / "fleet.mps"
            model.write_mps(mps)
            run = solve_certified(
                mps,
                model.columns,
                time_limit_s=seconds / DRAFTS_OF_TIME if is_draft else seconds,
                gap=max(gap, DRAFT_GAP) if is_draft else gap,
                seed=self.settings.seed,
                solver=HIGHS if query.for_a_tie else self.settings.solver,
                judge=judge,
                cancel=self.session.cancel,
                nodes=most_nodes(model) if query.for_a_tie else None,
                confirm=not (query.for_a_tie or is_draft),
                patient=self.settings.patient,
                hasty=is_draft,
                known=self.known.most_usd,
            )
        return replace(run, values=self._tidy(model, run.values))

    def _fleet(self, model: FleetModel, values: Mapping[str, float]) -> FleetSolution:
        """The fleet that the columns say, and who serves whom where no column says it."""
        return with_routes(model, read_solution(model, values))

    def _tidy(self, model: FleetModel, values: Mapping[str, float]) -> Mapping[str, float]:
        """The columns without what no rule misses: noise of per-token shares, idle shared units."""
        tidied = without_idle_units(model.fleet, without_traces(model, values))
        tidied = on_own_steps(model.fleet, tidied)
        if tidied == values:
            return values
        plan = assemble(self.instance, self._fleet(model, tidied), self.provenance)
        return values if violations(self.instance, plan) else tidied

    def _with_plan(self, model: FleetModel, run: CertifiedRun, query: Query) -> SearchResult:
        """The run's plan, verified, and proven as far as the solvers came."""
        plan = self._verified(model, run, query)
        status = Status.OPTIMAL if run.status is EngineStatus.OPTIMAL else Status.FEASIBLE
        bound = plan.score_usd_per_month if status is Status.OPTIMAL else run.bound
        return result_of(status, plan, proof_of(model, run), bound)

    def _unproven(self, model: FleetModel, run: CertifiedRun, query: Query) -> SearchResult:
        """The run's plan, priced exactly; what the program says of it is a lower bound."""
        plan = self._verified(model, run, query)
        return result_of(Status.FEASIBLE, plan, proof_of(model, run), run.bound)

    def _verified(self, model: FleetModel, run: CertifiedRun, query: Query) -> Plan:
        plan = self.plan_from(model, run.values, query)
        modelled = modelled_costs(model, run.values)
        verify(self.instance, plan, as_far_as_comparable(modelled, plan, run))
        return plan


def _settled(best: SearchResult, model: FleetModel, run: CertifiedRun) -> SearchResult:
    """The best plan as proven, or one of equal score that ties are broken for."""
    return result_of(Status.OPTIMAL, best.known, proof_of(model, run), best.score_usd_per_month)
