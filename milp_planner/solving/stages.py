"""One program after another, each holding what those before it reached; see
`milp/program/lexicographic.py`.

With `objective: gpus` the fewest GPUs come first, and of those fleets the cheapest. Next-best plans
follow in the same order: each is the one with the fewest GPUs, then the cheapest, of those left.

Plans inside a band of cost, the simplest first: fewest providers, offerings or types of GPU.

    min M,  then min score     Σ_i z_i ≤ M,   score ≤ (1 + ε) V₀,   what is found already excluded

V₀ is the score of the best plan, z_i is 1 where name i is used, and ε the band. M rises from 1, one
program for each: the first that has a plan inside the band has the fewest names, and its optimum is
the cheapest such plan. Modellers of energy systems call the idea modelling to generate alternatives
(E. D. Brill, S.-Y. Chang and L. D. Hopkins, Management Science 28, 1982,
https://doi.org/10.1287/mnsc.28.3.221). The most different plan is, as there, the one that spends
least on what the plans found so far buy, and of those the cheapest. Without a wish the band alone
is kept to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from milp_planner.candidates.records import Candidate
from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import is_gpus_first
from milp_planner.inputs.problem.records import Alternatives, Problem
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.program.lexicographic import GPUS, Stage
from milp_planner.milp.program.limits.names_count import NamesCount
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.proof import provers_of_all
from milp_planner.plans.records import Plan, Proof, Status, exceeds
from milp_planner.solving.assembly.verify import violations
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import NOT_SOLVED, Query, SearchResult, proof_of, without_plan

OF_A_STAGE = "time ended before the cheapest way to serve as much was looked for"
OF_FEWEST_GPUS = "time ended before the cheapest of the fleets with the fewest GPUs was looked for"


def best_in_order(optimizer: Optimizer, query: Query) -> SearchResult:
    """The plan of least score; where GPUs count first, of those with the fewest GPUs.

    Both are proven, by the engines that proved both or each by its own, or neither is.
    """
    if not is_gpus_first(optimizer.instance.problem):
        return optimizer.best(query)
    try:
        model, run = optimizer.minimum(GPUS, query)
    except OutOfTime:
        return NOT_SOLVED
    if not run.values:
        return without_plan(model, run)
    assert run.objective is not None
    result = optimizer.best(query.with_gpus(round(run.objective)))
    if result.plan is None:  # there is a plan with so few: only time can have ended
        return plan_of_stage(optimizer, model, run, query, OF_FEWEST_GPUS)
    return proven_throughout(result, [run])


def in_order_of(optimizer: Optimizer, query: Query, plan: Plan) -> Query:
    """The query for plans that may tie with this one: with no more GPUs, where they count first."""
    if not is_gpus_first(optimizer.instance.problem):
        return query
    return query.with_gpus(plan.gpus)


def plan_of_stage(
    optimizer: Optimizer, model: FleetModel, run: CertifiedRun, query: Query, note: str = OF_A_STAGE
) -> SearchResult:
    """What a stage reached as a plan, whatever it costs within the budget: nothing is proven."""
    plan = optimizer.plan_from(model, run.values, query)
    if violations(optimizer.instance, plan):
        return NOT_SOLVED
    said = proof_of(model, run)
    proof = replace(said, certified=False, certified_by=(), notes=(*said.notes, note))
    plan = replace(plan, status=Status.FEASIBLE, proof=proof)
    return SearchResult(Status.FEASIBLE, plan, proof)


def proven_throughout(result: SearchResult, runs: Sequence[CertifiedRun]) -> SearchResult:
    """The result with no more proof than the weakest of the stages before it."""
    proof = proof_throughout(result.proof, runs)
    if all(run.status is EngineStatus.OPTIMAL for run in runs):
        return replace(result, proof=proof, plan=replace(result.known, proof=proof))
    status = Status.FEASIBLE
    plan = replace(result.known, status=status, proof=proof, lower_bound_usd_per_month=None)
    return replace(result, status=status, proof=proof, bound=None, plan=plan)


def proof_throughout(proof: Proof, runs: Sequence[CertifiedRun]) -> Proof:
    """No more proof than the weakest of the stages before has."""
    notes = (note for run in runs for note in run.notes)
    return replace(
        proof,
        certified=proof.certified and all(run.certified for run in runs),
        certified_by=provers_of_all([proof.certified_by, *(r.certified_by for r in runs)]),
        unconfirmed=proof.unconfirmed or any(run.unconfirmed for run in runs),
        notes=tuple(dict.fromkeys((*proof.notes, *notes))),
    )


# --- plans inside a band of cost ------------------------------------------------------------------


class FewNames(NamesCount):
    """No more different names than a number: what a wish for simplicity asks for, step by step."""

    path = "alternatives.prefer"

    def __init__(self, number: int) -> None:
        self.number = number

    def most(self, problem: Problem) -> int | None:
        return self.number


class FewProviders(FewNames):
    """Few providers; a service counts as the provider behind it."""

    thing = "provider"

    def name_of(self, k: Candidate) -> str:
        return k.owner


class FewOfferings(FewNames):
    """Few offerings, each way to pay for one by itself."""

    thing = "offering"

    def name_of(self, k: Candidate) -> str:
        return f"{k.offering.id} {k.offering.billing}"


class FewGpuTypes(FewNames):
    """Few types of GPU; an API shows none, and counts for none."""

    thing = "GPU type"

    def name_of(self, k: Candidate) -> str:
        return k.gpu


MOST_DIFFERENT = "most_different"

WISHES: dict[str, type[FewNames]] = {
    "fewest_providers": FewProviders,
    "fewest_offerings": FewOfferings,
    "fewest_gpu_types": FewGpuTypes,
}
"""What each wish for simplicity counts."""


def near_optimal(
    optimizer: Optimizer, best: Plan, asked: Alternatives, query: Callable[[], Query]
) -> Iterator[SearchResult]:
    """Plans inside the band around the best one, the simplest first, each proven.

    query: asked anew for each plan: it excludes those that came before. Ends with an answer without
    a plan: infeasible where the band has no other.
    """
    assert asked.within is not None
    most_usd = (best.score_usd_per_month or 0.0) * (1 + asked.within)
    fewest = 1
    while True:
        found = _inside(optimizer.best(query()), most_usd)
        if found.plan is not None and asked.prefer == MOST_DIFFERENT:
            found = _inside(_most_different(optimizer, query(), most_usd), most_usd)
        elif found.plan is not None and asked.prefer is not None:
            counting = WISHES[asked.prefer]
            names = len(counting(0).names_in(found.known))
            for number in range(fewest, names):
                simpler = _inside(_held_to(optimizer, counting(number)).best(query()), most_usd)
                if simpler.status is not Status.INFEASIBLE:
                    found, fewest = simpler, number
                    break
            else:
                fewest = max(fewest, names)  # with fewer there is none, nor will there be later
        yield found
        if found.plan is None:
            return


def _most_different(optimizer: Optimizer, query: Query, most_usd: float) -> SearchResult:
    """The plan inside the band that spends least on offerings that found plans buy.

    Nothing is pruned: what another offering dominates may be what makes a plan a different one.
    """
    wide = replace(optimizer, settings=replace(optimizer.settings, pruning=False), _pruned=None)
    bought = {p.candidate.offering.id for plan in query.found for p in plan.purchases}
    stage = Stage("familiar", offerings=tuple(sorted(bought)))
    query = replace(query, held=(*query.held, (Stage("score"), most_usd)))
    try:
        model, run = wide.minimum(stage, query)
    except OutOfTime:
        return NOT_SOLVED
    if run.objective is None:
        return without_plan(model, run)
    answer = wide.best(replace(query, held=(*query.held, (stage, run.objective))))
    if answer.plan is None or run.status is EngineStatus.OPTIMAL:
        return answer
    unproven = replace(answer.plan, status=Status.FEASIBLE, lower_bound_usd_per_month=None)
    return replace(answer, status=Status.FEASIBLE, plan=unproven, bound=None)


def _held_to(optimizer: Optimizer, rule: FewNames) -> Optimizer:
    """An optimizer of the same problem under one more rule, within the same time limit."""
    instance = optimizer.instance
    problem = held_to(instance.problem, [rule])
    return Optimizer(
        replace(instance, problem=problem),
        optimizer.settings,
        optimizer.provenance,
        optimizer.session,
        optimizer.required,
    )


def _inside(answer: SearchResult, most_usd: float) -> SearchResult:
    """The answer, without its plan where that is outside the band."""
    if answer.plan is None or not exceeds(answer.score_usd_per_month, most_usd):
        return answer
    if answer.bound is not None and exceeds(answer.bound, most_usd):
        return replace(answer, status=Status.INFEASIBLE, plan=None)
    return NOT_SOLVED
