"""Who does what where a plan chooses: LLMs of several, batches by idle units, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.candidates.batch.runs import BatchRun
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.grouping import by_workload
from milp_planner.inputs.problem.deployment import AnyLlm
from milp_planner.milp.program.llms.quality import mean_quality, served_by_llm
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.reasons import BatchesDone, LlmsChosen
from milp_planner.plans.records import Route

NOTHING = 1e-7
"""Multiples of the load smaller than this are noise of a solver."""


def batch_runs(instance: PlanningInput, solution: FleetSolution) -> tuple[BatchRun, ...]:
    """Batch work that units of other workloads do, block by block."""
    demands, blocks = instance.schedule.demands, instance.schedule.blocks
    done = [(key, share) for key, share in solution.meanwhile.items() if share > NOTHING]
    return tuple(
        BatchRun(
            workload=batch,
            candidate=k,
            request_class=demands[batch].classes[q],
            block=blocks[t],
            requests_per_second=share * demands[batch].classes[q].share * demands[batch].peak[t],
        )
        for (k, batch, q, t), share in sorted(
            done, key=lambda item: (item[0][1], item[0][0].id, *item[0][2:])
        )
    )


def work_done(
    instance: PlanningInput, routes: Sequence[Route], runs: Sequence[BatchRun]
) -> Iterator[BatchesDone | LlmsChosen]:
    """Who does the work of each workload for which the plan chooses more than units."""
    yield from _batches_done(instance, routes, runs)
    routed = by_workload(routes)
    for w in instance.problem.workloads:
        if isinstance(w.llm, AnyLlm):
            mine = routed.get(w.name, [])
            served: dict[str, float] = {}
            for llm, requests in served_by_llm(instance, mine):
                served[llm] = served.get(llm, 0.0) + requests
            total = sum(served.values()) or 1.0
            shares = tuple((llm, requests / total) for llm, requests in sorted(served.items()))
            quality = mean_quality(instance, mine, w)
            yield LlmsChosen(w.name, shares, quality, w.llm.at_least, _source(w.llm))


def _source(llm: AnyLlm) -> str:
    """Where figures of quality come from that the problem does not state itself."""
    named = llm.quality_from
    return "" if named is None else f"column {named.quality_column} of {named.file}"


def _batches_done(
    instance: PlanningInput, routes: Sequence[Route], runs: Sequence[BatchRun]
) -> Iterator[BatchesDone]:
    """By whom the batches of each workload are done."""
    routed = by_workload(routes)
    for name, demand in instance.schedule.demands.items():
        if not demand.can_wait:
            continue
        asked = instance.schedule.blocks, demand.peak
        all_of_it = sum(block.hours * rate for block, rate in zip(*asked, strict=True))
        own = dict.fromkeys((False, True), 0.0)
        for route in routed.get(name, ()):
            part = route.requests_per_second * route.block.hours / all_of_it
            own[route.candidate.mode.per_token] += part
        idle: dict[str, float] = {}
        for run in (run for run in runs if run.workload == name):
            part = run.requests_per_second * run.block.hours / all_of_it
            idle[run.candidate.workload] = idle.get(run.candidate.workload, 0.0) + part
        yield BatchesDone(name, tuple(idle.items()), own[False], own[True])


def hours_on(
    solution: FleetSolution, k: Candidate, units: Sequence[int], hours: tuple[float, ...]
) -> tuple[float, ...]:
    """Hours paid for a unit in each block: of elastic units of a batch those that they are on."""
    return tuple(
        block * (solution.running.get((k, t), float(on)) / on if on else 1.0)
        for t, (block, on) in enumerate(zip(hours, units, strict=True))
    )


def with_batches(
    instance: PlanningInput,
    runs: Sequence[BatchRun],
    k: Candidate,
    busy: tuple[float, ...],
    hours: Sequence[float],
    on: Sequence[float],
) -> tuple[float, ...]:
    """Units' worth of work in each block while units are on, batches of others included."""
    if not runs and tuple(hours) == tuple(on):
        return busy
    work = [b * h / m for b, h, m in zip(busy, hours, on, strict=True)]
    rates = {one.workload: one.requests_per_second for one in k.meanwhile}
    for run in runs:
        if run.candidate is k:
            q = instance.schedule.demands[run.workload].classes.index(run.request_class)
            at = instance.schedule.blocks.index(run.block)
            work[at] += run.requests_per_second / rates[run.workload][q]
    return tuple(work)
