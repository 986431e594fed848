"""Next-best plans of workloads of which nothing links some to others, out of lists of each part.

Each list is made by small programs of its part alone, and goes on from one plan to the next; see
`apart/merged.py`. Where workloads may share units, plans in which none does come apart as well; of
the others the cheapest is looked for in the program of all, and again once it is ruled out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import (
    has_batches,
    is_gpus_first,
    may_be_short,
    may_fall_short,
    shares_units,
)
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.engines.outcome import ENGINE_NAMES
from milp_planner.milp.presolve.dominance import Pruned
from milp_planner.milp.presolve.forced_use import Required, require
from milp_planner.milp.presolve.lazy_rows import independent, only_workloads
from milp_planner.milp.presolve.routing import balanced
from milp_planner.milp.program.exclusion import Difference, NameOf, contain
from milp_planner.milp.program.families import rules_of
from milp_planner.milp.program.language.folds import ElasticFold
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.proof import provers_of_all
from milp_planner.plans.records import Plan, Proof, Status
from milp_planner.solving.apart.lists import Asked, ListOfPart, pays_for_hours_alone
from milp_planner.solving.apart.merged import Merged, NextOfParts
from milp_planner.solving.apart.served import SAME_USD, AllDearer, AskTheWhole
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.joining import joined_proof, solution_of
from milp_planner.solving.assembly.next_fleets import (
    FEW_PLANS,
    QUICK_COLUMNS,
    freed,
)
from milp_planner.solving.assembly.verify import keeps_all, violations
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import (
    NO_DIFFERENCE,
    NOT_SOLVED,
    Query,
    SearchResult,
    Session,
    result_of,
)

AT_FIRST, AT_LENGTH = 0.25, 0.4
"""Of a part's share of the time left, what it may take at first: often a lower bound is enough; and
of all that is left, once it is not."""

OF_SHARED = 0.5
"""The part of the time left that the cheapest plan with shared units may take."""

MOST_BROKEN_HERE = 10
"""Plans that break a limit which no part knows, after which all are asked at once."""

Curved = Callable[[Optimizer, Query], SearchResult | None]
"""Finds such a plan without a solver; None where it takes one."""


def best_by_parts(optimizer: Optimizer, query: Query, curved: Curved) -> SearchResult | None:
    """The best plan that those of the query do not rule out; None where the program of all has to
    be asked, or is as quick. curved: is asked of every part first."""
    try:
        with optimizer.session.in_force():
            kept = _kept(optimizer, query, curved)
            return None if kept is None else kept.best(query)
    except OutOfTime:
        return NOT_SOLVED


def are_dearer(optimizer: Optimizer, query: Query, curved: Curved, usd_per_month: float) -> bool:
    """True where parts tell that what the query does not rule out costs more than this."""
    try:
        with optimizer.session.in_force():
            kept = _kept(optimizer, query, curved)
            return kept is not None and kept.is_dearer(query, usd_per_month)
    except OutOfTime:
        return False


def come_apart(optimizer: Optimizer) -> bool:
    """True where next-best plans come out of lists, as far as they were looked for."""
    kept = optimizer.next_fleets.by_parts
    return isinstance(kept, ByParts) and kept.merged is not None


def _kept(optimizer: Optimizer, query: Query, curved: Curved) -> ByParts | None:
    """The search for such plans, kept from one to the next; None where there is none."""
    if query.held or query.passed or not query.others or not _may_come_apart(optimizer):
        return None
    kept = optimizer.next_fleets.by_parts
    if not isinstance(kept, ByParts) or kept.difference != query.difference:
        kept = optimizer.next_fleets.by_parts = ByParts.of(optimizer, query, curved)
    is_small = kept.columns <= QUICK_COLUMNS and len(query.found) <= FEW_PLANS
    return None if is_small or not kept.may_tell(query) else kept


def _may_come_apart(optimizer: Optimizer) -> bool:
    problem = optimizer.instance.problem
    in_stages = may_be_short(problem) or is_gpus_first(problem) or has_batches(problem)
    is_narrowed = optimizer.required is not None or not optimizer.settings.pruning
    if len(problem.workloads) == 1 or in_stages or is_narrowed or shares_units(problem):
        return False
    return all(rule.solved_apart for rule in rules_of(problem))


@dataclass
class ByParts:
    """What is known of the next-best plans of one problem."""

    optimizer: Optimizer
    difference: Difference
    merged: Merged | None
    """None where all workloads are linked, by rows or by a limit that binds."""

    asked: AskOfParts
    shared: SharedPlans
    columns: int
    broken: list[Plan] = field(default_factory=list)
    """Plans that break a limit which no part knows: whatever contains one breaks it, too."""

    _may_be_bound: bool = True

    @classmethod
    def of(cls, optimizer: Optimizer, query: Query, curved: Curved) -> ByParts:
        """Raises OutOfTime when time is up."""
        difference, instance = query.difference, freed(optimizer.instance)
        optimizer.pruned.readmit(query.others, difference.differ_by)
        alone = _of_ones_own(optimizer.pruned, instance.schedule.demands)
        model = build_model(instance, tuple(alone.kept))
        groups = independent(model, lambda workload, _: workload)
        asked, shared = AskOfParts(optimizer, len(groups), curved), SharedPlans(optimizer)
        merged = None
        if len(groups) > 1:
            first = _proven_first(optimizer.instance, instance, query)
            is_priced = pays_for_hours_alone(model)
            lists = []
            for names in groups:
                mine = _of_ones_own(optimizer.pruned, names)
                part = only_workloads(instance, names, (*mine.kept, *mine.dominated_by))
                best = None if first is None else _only(first, part, optimizer)
                lists.append(ListOfPart(part, mine, difference, asked, best, is_priced))
            merged = Merged(lists, difference)
            if first is not None:
                asked.proofs.append(first.proof)
        columns = max(len(model.fleet.meaning), *(plan.proof.columns for plan in query.others), 0)
        return cls(optimizer, difference, merged, asked, shared, columns)

    def may_tell(self, query: Query) -> bool:
        """False where the program of all has to be asked: where workloads are linked, or where a
        limit over all makes the best plan dearer than the best of each part."""
        first, *_ = query.others
        if self.merged is not None and self._may_be_bound and first.status is Status.OPTIMAL:
            self._may_be_bound = False
            try:
                least_usd = self.merged.least_usd()
            except AskTheWhole:
                least_usd = 0.0
            if least_usd < (first.score_usd_per_month or 0.0) - SAME_USD:
                self.merged = None
        return self.merged is not None

    def best(self, query: Query) -> SearchResult | None:
        """The best plan that those of the query do not rule out; None where the program of all has
        to be asked. Raises OutOfTime when time is up."""
        try:
            alone = self._best_alone(query)
            return self.shared.or_cheaper(alone, query)
        except AskTheWhole:
            return None

    def is_dearer(self, query: Query, usd_per_month: float) -> bool:
        """True where it is known to cost more than this."""
        assert self.merged is not None
        try:
            self.merged.after(query.found, query.excluded, usd_per_month)
        except AskTheWhole:
            return False
        except AllDearer:
            return self.merged.is_proven and self.shared.is_dearer(query, usd_per_month)
        return False

    def _best_alone(self, query: Query) -> SearchResult:
        """The best in which no unit is shared."""
        assert self.merged is not None
        while len(self.broken) <= MOST_BROKEN_HERE:
            found = self.merged.after(query.found, (*query.excluded, *self.broken))
            if found is None and not self.merged.is_proven:
                break
            if found is None:
                return SearchResult(
                    Status.INFEASIBLE, None, self.asked.proof_of([], is_proven=True)
                )
            plan = self._plan_of(found)
            if not violations(self.optimizer.instance, plan):
                return self._proven(plan, found, query)
            if violations(freed(self.optimizer.instance), plan):
                break
            self.broken.append(plan)
        raise AskTheWhole

    def _proven(self, plan: Plan, found: NextOfParts, query: Query) -> SearchResult:
        instance = self.optimizer.instance
        if query.rules_out(plan) or not keeps_all(instance, plan, found.usd_per_month):
            raise AskTheWhole
        assert self.merged is not None
        proof = self.asked.proof_of(
            [one.plan.proof for one in found.parts], is_proven=self.merged.is_proven
        )
        if self.merged.is_proven:
            return result_of(Status.OPTIMAL, plan, proof, plan.score_usd_per_month)
        return result_of(Status.FEASIBLE, plan, proof, None)

    def _plan_of(self, found: NextOfParts) -> Plan:
        instance = self.optimizer.instance
        solution = solution_of(instance, [one.plan for one in found.parts])
        if found.spares:
            units = dict(solution.units)
            for one in found.spares:
                on = {t for _, t in one.uses}
                blocks = range(len(instance.schedule.blocks))
                units[one.candidate] = tuple(int(t in on) for t in blocks)
            solution = balanced(instance, replace(solution, units=units))
        return assemble(instance, solution, self.optimizer.provenance)


def _of_ones_own(pruned: Pruned, workloads: Collection[str]) -> Pruned:
    """The candidates of some workloads that stand on units that nobody shares."""

    def is_one(k: Candidate) -> bool:
        return k.workload in workloads and not k.part_of_unit

    kept = [k for k in pruned.kept if is_one(k)]
    stood_for = {a: b for a, b in pruned.dominated_by.items() if is_one(a)}
    return replace(pruned, kept=kept, dominated_by=stood_for)


def _proven_first(asked: PlanningInput, unlimited: PlanningInput, query: Query) -> Plan | None:
    """The best plan of all where its parts are the best of each: no limit counts over them."""
    first, *_ = query.others
    proven = first.status is Status.OPTIMAL and not first.shared_units
    is_short = may_fall_short(asked.problem)  # what is not served is of no unit
    is_unlimited = asked.problem == unlimited.problem
    return first if proven and is_unlimited and not is_short else None


def _only(plan: Plan, part: PlanningInput, optimizer: Optimizer) -> Plan:
    """What it has of a part."""
    whole = solution_of(optimizer.instance, [plan])
    mine = part.schedule.demands
    solution = FleetSolution(
        units={k: on for k, on in whole.units.items() if k.workload in mine},
        shares={key: x for key, x in whole.shares.items() if key[0].workload in mine},
    )
    found = assemble(part, solution, optimizer.provenance)
    return replace(found, status=plan.status, proof=plan.proof)


# --- the engines ----------------------------------------------------------------------------------


@dataclass
class AskOfParts:
    """Solves the programs of parts."""

    optimizer: Optimizer
    parts: int
    curved: Curved
    proofs: list[Proof] = field(default_factory=list)
    """Of all that was solved: a plan is the next only if each of them is right."""

    _made: dict[int, Optimizer] = field(default_factory=dict)

    def __call__(
        self, part: PlanningInput, pruned: Pruned, asked: Asked, *, at_length: bool
    ) -> tuple[Plan | None, float]:
        whole = self.optimizer
        of_left = AT_LENGTH if at_length else AT_FIRST / (self.parts + 1)
        seconds = of_left * whole.session.seconds_left
        session = Session(time.monotonic() + seconds, whole.session.cancel)
        mine = self._made.get(id(pruned))
        if mine is None:
            given = part, whole.settings, whole.provenance, session
            mine = OfNames(*given, _pruned=pruned, asked=asked)
            if asked.is_of_a_list:
                self._made[id(pruned)] = mine
        mine.session = session
        query = Query(asked.difference, asked.unlike, asked.without)
        result = self.curved(mine, query) if asked.unlike else None
        if result is None:
            result = mine.best(query)
        least_usd, proof = _least_of(result)
        if proof.certified_by:  # else it says nothing
            self.proofs.append(proof)
        return result.plan, least_usd

    def proof_of(self, parts: Sequence[Proof], *, is_proven: bool) -> Proof:
        """That of a plan of these parts: no more than all before it are proven."""
        every = self.proofs
        by = provers_of_all(proof.certified_by for proof in every)
        return replace(
            joined_proof(parts or every),
            certified=is_proven and all(proof.certified for proof in every),
            certified_by=by if is_proven else (),
            unconfirmed=any(proof.unconfirmed for proof in every),
            notes=tuple(dict.fromkeys(note for proof in every for note in proof.notes)),
        )


def _least_of(result: SearchResult) -> tuple[float, Proof]:
    """What no plan costs less than, and whose word that is.

    Where time ended before a proof that is the bound of each engine that has one: the lowest is
    what all of them say.
    """
    proof = result.proof
    if result.status is Status.INFEASIBLE:
        return math.inf, proof
    if result.status is Status.OPTIMAL:
        return result.score_usd_per_month, proof
    bounds = [one.bound for one in proof.engines if one.bound is not None]
    names = {name: engine for engine, name in ENGINE_NAMES.items()}
    by = {names[one.name] for one in proof.engines if one.bound is not None}
    proof = replace(proof, certified=len(by) > 1, certified_by=tuple(sorted(by)), notes=())
    return min(bounds, default=0.0), proof


@dataclass
class OfNames(Optimizer):
    """Finds plans that use each of some names, or contain a plan and use something beside it."""

    asked: Asked = Asked(NO_DIFFERENCE)

    def model(
        self,
        query: Query,
        room: Mapping[Candidate, int] | None = None,
        folds: Mapping[str, ElasticFold] | None = None,
    ) -> FleetModel:
        model = super().model(query, room, folds)
        naming = self.asked.difference.name_of
        for name in sorted(self.asked.names):
            assert naming is not None
            require(model, Required(_named(naming, name)))
        if self.asked.containing is not None:
            assert naming is not None
            contain(model, self.asked.containing)
            require(model, Required(_beside(naming, self.asked.beside)))
        return model


def _beside(naming: NameOf, names: frozenset[str]) -> Callable[[Candidate], bool]:
    return lambda k: naming(k) not in names


def _named(naming: NameOf, name: str) -> Callable[[Candidate], bool]:
    return lambda k: naming(k) == name


@dataclass
class SharedPlans:
    """The cheapest plan in which a unit is shared, by the program of all."""

    optimizer: Optimizer
    _found: SearchResult | None = None
    _query: Query = Query()
    _parts: frozenset[Candidate] = frozenset()
    """Those that may share when it was looked for."""

    def or_cheaper(self, alone: SearchResult, query: Query) -> SearchResult:
        """The plan without shared units, or one with them that costs less."""
        shared = self._best(query)
        if shared is None or shared.status is Status.INFEASIBLE:
            return alone
        is_less = shared.plan is not None and (
            alone.plan is None or shared.score_usd_per_month < alone.score_usd_per_month - SAME_USD
        )
        best = shared if is_less else alone
        if shared.status is Status.OPTIMAL or best.plan is None:
            return best
        proof = replace(best.proof, certified=False, certified_by=())
        return result_of(Status.FEASIBLE, best.plan, proof, None)

    def is_dearer(self, query: Query, usd_per_month: float) -> bool:
        """True where it is known to cost more than this."""
        shared = self._best(query)
        if shared is None or shared.status is Status.INFEASIBLE:
            return True
        is_proven = shared.status is Status.OPTIMAL
        return is_proven and shared.score_usd_per_month > usd_per_month + SAME_USD

    def _best(self, query: Query) -> SearchResult | None:
        """None where none can be shared."""
        whole = self.optimizer
        whole.pruned.readmit(query.others, query.difference.differ_by)
        parts = frozenset(k for k in whole.pruned.kept if k.part_of_unit)
        if not parts:
            return None
        if self._found is None or not parts <= self._parts or not self._still_first(query):
            left_s = OF_SHARED * whole.session.seconds_left
            session = Session(time.monotonic() + left_s, whole.session.cancel)
            given = whole.instance, whole.settings, whole.provenance, session
            required = Required(lambda k: k.part_of_unit)
            asked = Optimizer(*given, required, _pruned=whole.pruned)
            self._found = asked.best(replace(query, for_a_tie=False))
            self._query, self._parts = query, parts
        return self._found

    def _still_first(self, query: Query) -> bool:
        """True where no less is ruled out than was, and the plan is not."""
        before, found = self._query, self._found
        others = [*query.found, *query.excluded]
        as_much = all(
            any(one is other for other in others) for one in (*before.found, *before.excluded)
        )
        is_ruled_out = found is not None and found.plan is not None and query.rules_out(found.plan)
        return as_much and not is_ruled_out
