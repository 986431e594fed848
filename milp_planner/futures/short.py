"""What futures leave out that cannot serve everything: `when_short: fair` or `priority`.

One program after another over the same rows, each with its own proof: see `milp/futures/short.py`.
It is asked once it is proven that no commitments let every future be served, so that elsewhere the
answer is the one without `when_short`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.deadline import OutOfTime
from milp_planner.futures.blocks import FuturesAnswer, nothing_found
from milp_planner.futures.cases import Case
from milp_planner.futures.optimum import FuturesOptimizer
from milp_planner.inputs.problem.policies import when_short
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import replace
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.futures.joint import Asked
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.program.lexicographic import SCALE, Held, stages_of
from milp_planner.plans.reasons import Said
from milp_planner.plans.records import Status
from milp_planner.solving.stages import OF_A_STAGE, proof_throughout

LEAST_TOLD = 5e-6
"""Share left unserved below which it is a solver's noise."""

NOT_COMPARED = (
    "futures: not everything can be served, so other commitments are not set beside these: they "
    "would leave out something else; when_short: fail with a price on what is left unserved "
    "(policy.penalties.shortfall) compares them"
)


def served_whole(problem: Problem) -> Problem:
    """The same question when everything is to be served."""
    return _with_when_short(problem, "fail")


def short_anywhere(problem: Problem) -> Problem:
    """The same where the policy says what is left out, also in futures without the budget."""
    return _with_when_short(problem, when_short(problem))


def _with_when_short(problem: Problem, word: str) -> Problem:
    policy = problem.policy.model_copy(update={"when_short": word})
    budget = problem.limits.budget
    if budget is not None:
        budget = budget.model_copy(update={"when_short": "fail"})
    limits = problem.limits.model_copy(update={"budget": budget})
    return problem.model_copy(update={"policy": policy, "limits": limits})


def best_in_stages(
    problem: Problem, optimizer: FuturesOptimizer, measure: Measure
) -> FuturesAnswer:
    """The best commitments of those under which futures leave out the least.

    Where a stage comes to no plan, for want of time or because an engine finds none in what the one
    before it holds, the plans of that one stand, unproven.
    """
    held: Held = ()
    runs: list[CertifiedRun] = []
    before = nothing_found(Status.NO_PLAN)
    for stage in stages_of(problem):
        try:
            run, found = optimizer.minimum(measure, stage, held)
        except OutOfTime:
            return before
        if run.objective is None or not found.plans:
            return before if before.plans else found
        notes = (*found.proof.notes, OF_A_STAGE)
        before = replace(found, proof=replace(found.proof, notes=notes))
        held = (*held, (stage, run.objective / SCALE))
        runs.append(run)
    best = optimizer.best(measure, Asked(held=held))
    if not best.plans:
        return before
    best = optimizer.with_least_owed(best, measure, held)
    proof = proof_throughout(best.proof, runs)
    if all(run.status is EngineStatus.OPTIMAL for run in runs):
        return replace(best, proof=proof)
    return replace(best, proof=proof, status=Status.FEASIBLE, bound_usd=None)


def without_candidates(case: Case) -> Iterator[Said]:
    """The classes of requests that nothing can serve, a sentence each: of what there is none, no
    share is left out, as in a month that is known."""
    instance = case.instance
    for name, demand in instance.schedule.demands.items():
        mine = instance.candidates.of(name)
        if any(k.mode.per_token for k in mine):
            continue
        for q, of in enumerate(demand.classes):
            if not any(k.requests_per_second[q] for k in mine):
                what = f"requests of {of.name} tokens of {name!r}"
                yield Said(f"future {case.name!r}: nothing that is allowed can serve {what}")


def left_out(cases: Sequence[Case], answer: FuturesAnswer) -> Iterator[Said]:
    """What each future leaves out, a sentence each, and that nothing is compared."""
    for case, plan in zip(cases, answer.plans, strict=True):
        short = [w for w in plan.workloads if w.shortfall_share > LEAST_TOLD]
        if short:
            each = (f"{100 * w.shortfall_share:.3g} % of the peak of {w.name!r}" for w in short)
            yield Said(f"future {case.name!r}: {' and '.join(each)} is left unserved")
    yield Said(NOT_COMPARED)
