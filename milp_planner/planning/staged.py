"""The optimum of a large problem in stages: quotas only where they bind, workloads apart.

Exact: a quota that the staged optimum keeps could not have changed it, and workloads that share no
limit in force have no say in each other's fleets. Small problems go straight to the solvers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from milp_planner.milp.limits import user_quotas
from milp_planner.milp.model import build_model
from milp_planner.milp.prune import prune
from milp_planner.milp.relaxation import (
    broken_quotas,
    independent_groups,
    only_workloads,
    quotas_broken_by_values,
    relaxed_values,
    with_quotas,
)
from milp_planner.milp.variables import may_fall_short
from milp_planner.planning.assemble import NOTHING, assemble
from milp_planner.planning.choice import FleetChoice
from milp_planner.planning.plan import EngineReport, Plan, Proof, Status
from milp_planner.planning.search import Answer, Search
from milp_planner.planning.shortage import may_be_short
from milp_planner.planning.verify import violations
from milp_planner.serving.candidates import Candidate, PlanningInput

LARGE = 20_000
"""Columns before pruning above which stages pay: smaller problems take tenths of a second."""

MOST_ROUNDS = 40


def first_answer(search: Search) -> Answer:
    """The best plan of a problem; what `search.next()` gives, found in stages where it is large."""
    small = _columns(search.given) <= LARGE
    # What a short budget serves depends on what the quotas let it serve: there none can wait.
    if small or not search.settings.pruning or may_be_short(search.given.problem):
        return search.next()
    names = _binding_quotas(search)
    for _ in range(MOST_ROUNDS):
        stage = with_quotas(search.given, names)
        answer = _solve_stage(search, stage)
        if answer.plan is None:
            return answer
        broken = broken_quotas(search.given.problem, answer.plan)
        if not broken and not violations(search.given, answer.plan):
            search.found.append(answer.plan)
            return answer
        if not broken or search.is_stopped:
            break
        names |= broken
    return search.next()


def _columns(given: PlanningInput) -> int:
    """Candidates times blocks with load, before pruning."""
    busy = {
        name: sum(peak > 0 for peak in demand.peak)
        for name, demand in given.schedule.demands.items()
    }
    return sum(busy[k.workload] for k in given.candidates.candidates)


def _binding_quotas(search: Search) -> set[str]:
    """Quotas that the linear relaxation runs into, found by adding them as they break."""
    problem = search.given.problem
    names: set[str] = set()
    if not any(user_quotas(problem)):
        return names
    for _ in range(MOST_ROUNDS):
        stage = with_quotas(search.given, names)
        kept = tuple(prune(stage, stage.candidates.candidates).kept)
        model = build_model(stage, kept)
        values = relaxed_values(model, search.seconds_left, search.settings.cancel)
        broken = set() if values is None else quotas_broken_by_values(problem, model, values)
        if not broken - names or search.is_stopped:
            return names | broken
        names |= broken
    return names


def _solve_stage(search: Search, stage: PlanningInput) -> Answer:
    """The stage's optimum, group by group where no limit in force links the workloads."""
    kept = prune(stage, stage.candidates.candidates).kept
    groups = independent_groups(stage.problem, kept)
    answers = []
    for group in groups:
        part = only_workloads(stage, group, kept)
        # Programs this large leave ties as the solvers found them.
        settings = replace(search.settings, time_limit_s=search.seconds_left, break_ties=False)
        answer = Search(part, settings, search.provenance, search.asked).next()
        answers.append(answer)
        if answer.plan is None:
            return answer
    return answers[0] if len(answers) == 1 else _joined(search, stage, answers)


def _joined(search: Search, stage: PlanningInput, answers: Sequence[Answer]) -> Answer:
    plans = [answer.plan for answer in answers if answer.plan is not None]
    plan = assemble(stage, _choice_of(stage, plans), search.provenance)
    proven = all(answer.status is Status.OPTIMAL for answer in answers)
    status = Status.OPTIMAL if proven else Status.FEASIBLE
    bounds = [answer.bound for answer in answers]
    known = [bound for bound in bounds if bound is not None]
    bound = sum(known) if len(known) == len(bounds) else None
    proof = _joined_proof([answer.proof for answer in answers])
    if proven:
        bound = plan.score_usd_per_month
    plan = replace(plan, status=status, proof=proof, bound=bound)
    return Answer(status, plan, proof, bound)


def _choice_of(given: PlanningInput, plans: Sequence[Plan]) -> FleetChoice:
    """The fleets of several plans as one."""
    units: dict[Candidate, tuple[int, ...]] = {}
    shares: dict[tuple[Candidate, int, int], float] = {}
    for plan in plans:
        for p in plan.purchases:
            if not p.candidate.mode.per_token:
                units[p.candidate] = p.units_by_block
        for route in plan.routes:
            classes = given.schedule.demands[route.candidate.workload].classes
            if route.candidate.mode.per_token or len(classes) > 1:
                q, t = classes.index(route.request_class), plan.blocks.index(route.block)
                shares[route.candidate, q, t] = route.share
    return FleetChoice(units, shares, dict(_shortfalls_of(given, plans)))


def _shortfalls_of(
    given: PlanningInput, plans: Sequence[Plan]
) -> Iterator[tuple[tuple[str, int, int], float]]:
    """What no route serves, where the user allows that."""
    if not may_fall_short(given.problem):
        return
    served: dict[tuple[str, str, str], float] = {}
    for route in (route for plan in plans for route in plan.routes):
        key = route.candidate.workload, route.request_class.name, route.block.name
        served[key] = served.get(key, 0.0) + route.share
    for name, demand in given.schedule.demands.items():
        for t, block in enumerate(given.schedule.blocks):
            for q, request_class in enumerate(demand.classes):
                share = 1 - served.get((name, request_class.name, block.name), 0.0)
                if demand.peak[t] > 0 and share > NOTHING:
                    yield (name, q, t), share


def _joined_proof(proofs: Sequence[Proof]) -> Proof:
    """One proof for all parts: sums of what each engine said, certified where all parts are."""
    names = {engine.name for proof in proofs for engine in proof.engines}
    certified_by = set.intersection(*(set(proof.certified_by) for proof in proofs))
    return Proof(
        certified=all(proof.certified for proof in proofs),
        certified_by=tuple(name for name in proofs[0].certified_by if name in certified_by),
        engines=tuple(_joined_engine(name, proofs) for name in sorted(names)),
        notes=tuple(dict.fromkeys(note for proof in proofs for note in proof.notes)),
        seconds=sum(proof.seconds for proof in proofs),
        rows=sum(proof.rows for proof in proofs),
        columns=sum(proof.columns for proof in proofs),
    )


def _joined_engine(name: str, proofs: Sequence[Proof]) -> EngineReport:
    said = [engine for proof in proofs for engine in proof.engines if engine.name == name]
    statuses = sorted({engine.status for engine in said})
    objectives = [engine.objective for engine in said if engine.objective is not None]
    bounds = [engine.bound for engine in said if engine.bound is not None]
    complete = len(said) == len(proofs)
    return EngineReport(
        name=name,
        version=said[0].version,
        status=statuses[0] if len(statuses) == 1 else ", ".join(statuses),
        objective=sum(objectives) if complete and len(objectives) == len(said) else None,
        bound=sum(bounds) if complete and len(bounds) == len(said) else None,
        seconds=sum(engine.seconds for engine in said),
    )
