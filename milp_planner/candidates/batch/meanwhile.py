"""What the units of other workloads can do of batch work, in the time that their own load leaves.

A replica does another workload's batches where it serves the same LLM in the same deployment: then
nothing is loaded anew. Its rate for them is that at which the wishes of the workload that it is for
are kept: a full batch of long answers would slow those down that somebody waits for.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace

from milp_planner.candidates.builder import Rates
from milp_planner.candidates.records import Candidate, CandidateList, Meanwhile
from milp_planner.deadline import checked
from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.inputs.problem.deployment import AnyLlm
from milp_planner.inputs.problem.policies import is_batch
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.traffic.month import Schedule
from milp_planner.traffic.schedule import Demand


def with_meanwhile(
    problem: Problem,
    schedule: Schedule,
    candidates: CandidateList,
    catalog: Catalog,
    *,
    judged_too: bool = False,
) -> CandidateList:
    """The candidates, each with what a unit of it does of the batches of others.

    judged_too: units whose waits are judged, which do none, are taken to do some as well.
    """
    pairs = [*_pairs(problem, catalog, judged_too)]
    if not pairs:
        return candidates
    model = ServingModel(catalog)
    found: dict[Candidate, list[Meanwhile]] = {}
    for host, batch in pairs:
        asked = batch.model_copy(update={"latency": host.latency})
        rates = Rates(catalog, model, problem, asked, schedule.demands[batch.name])
        by_offering: dict[Hashable, Mapping[Hashable, Meanwhile]] = {}
        for k in checked((*candidates.candidates, *candidates.parts)):
            if k.workload == host.name and not k.mode.per_token:
                if k.offering.key not in by_offering:
                    by_offering[k.offering.key] = _done_on(
                        rates, k.offering, schedule.demands[batch.name]
                    )
                mine = by_offering[k.offering.key].get(_replica(k))
                if mine is not None and any(mine.requests_per_second):
                    found.setdefault(k, []).append(mine)

    def told(k: Candidate) -> Candidate:
        return replace(k, meanwhile=tuple(found[k])) if k in found else k

    listed, parts = map(told, candidates.candidates), map(told, candidates.parts)
    return replace(candidates, candidates=tuple(listed), parts=tuple(parts))


def _pairs(
    problem: Problem, catalog: Catalog, judged_too: bool
) -> Iterator[tuple[Workload, Workload]]:
    """(workload, batch) where the first one's replicas serve the LLM of the other."""
    for batch in (w for w in problem.workloads if is_batch(w)):
        for host in problem.workloads:
            waits = is_batch(host) or (host.latency.judges_queues and not judged_too)
            if not waits and _served(host, catalog) == _served(batch, catalog):
                yield host, batch


def _served(w: Workload, catalog: Catalog) -> Hashable:
    """What a replica of the workload serves; of several LLMs it is not known which one."""
    if isinstance(w.llm, AnyLlm):
        return w.name
    llm = catalog.llm(w.llms[0])
    return w.llms[0] if llm is None else llm.id, w.deployment, w.rates is None


def _done_on(
    rates: Rates, offering: Offering | TokenPrice, batch: Demand
) -> Mapping[Hashable, Meanwhile]:
    """What a unit of the offering does of a batch, by replica, or a replica that stands on one."""
    found = rates.candidates(offering)
    if isinstance(found, str):
        return {}
    parts = rates.parts(offering) if isinstance(offering, Offering) else ()
    return {
        _replica(k): Meanwhile(batch.workload, k.requests_per_second, _longest_token_s(k, batch))
        for k in (*found, *parts)
    }


def _longest_token_s(k: Candidate, batch: Demand) -> float:
    return max(
        (
            math.inf
            if point.concurrency is None or not q.output_tokens
            else point.concurrency / point.requests_per_second / q.output_tokens
            for q, point in zip(batch.classes, k.points, strict=True)
            if point.requests_per_second > 0
        ),
        default=math.inf,
    )


def _replica(k: Candidate) -> Hashable:
    """What makes two replicas on a unit the same."""
    shape = k.precision, k.tensor_parallel, k.pipeline_parallel, k.units_joined
    return *shape, k.part_of_unit
