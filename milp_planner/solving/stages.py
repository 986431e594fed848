"""One program after another, each holding what those before it reached; see
`milp/program/lexicographic.py`.

With `objective: gpus` the fewest GPUs come first, and of those fleets the cheapest. Next-best plans
follow in the same order: each is the one with the fewest GPUs, then the cheapest, of those left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from milp_planner.deadline import OutOfTime
from milp_planner.inputs.problem.policies import is_gpus_first
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.program.lexicographic import GPUS
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.proof import provers_of_all
from milp_planner.plans.records import Plan, Proof, Status
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import NOT_SOLVED, Query, SearchResult, proof_of, without_plan
from milp_planner.solving.verify import violations

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
