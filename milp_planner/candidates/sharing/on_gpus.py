"""What stands on a GPU that LLMs share, checked against facts, without the program's rows."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.candidates.sharing.shared_units import SharedUnits
from milp_planner.inputs.problem.records import Workload
from milp_planner.serving.memory import fit
from milp_planner.serving.shared_gpu import GpuSet

SLACK = 1e-9


def gpu_faults(instance: PlanningInput, shared: SharedUnits) -> Iterator[str]:
    """Parts of a GPU that come to more than all of it, and LLMs that do not fit in theirs."""
    gpu_set = shared.candidate.gpu_set
    if gpu_set is None:
        return
    where = f"{shared.candidate.offering.id} ({gpu_set.label})"
    yield from _too_much(instance, gpu_set, where)
    units = [one for of_units in shared.contents_by_block for one in of_units]
    for k in dict.fromkeys(k for one in units for k, _ in one):
        yield from _does_not_fit(instance, k, gpu_set, where)
    for one in units:
        names = [k.workload for k, count in one for _ in range(count)]
        if len(set(names)) < len(names):
            yield f"{where}: an LLM stands twice on one GPU"


def _too_much(instance: PlanningInput, gpu_set: GpuSet, where: str) -> Iterator[str]:
    time = sum(member.time_percent for member in gpu_set.members)
    if time > 100:
        yield f"{where}: {time} % of the time of a GPU is promised"
    loaded = (instance.problem.workload(one.workload) for one in gpu_set.members)
    most = 100 * min(w.deployment.memory_share for w in loaded)
    memory = sum(member.memory_percent for member in gpu_set.members)
    if memory > most + SLACK:
        yield f"{where}: {memory} % of the memory of a GPU is promised, more than {most:g} %"


def _does_not_fit(
    instance: PlanningInput, k: Candidate, gpu_set: GpuSet, where: str
) -> Iterator[str]:
    total = instance.catalog.gpus[k.gpu].memory_gib
    needed = _needed_gib(instance, k, gpu_set)
    if total is None or needed is None:
        yield f"{where}: what memory {k.workload} takes is not known"
        return
    part = gpu_set.memory_share(k.workload) * total
    if needed > part + SLACK * total:
        yield f"{where}: {k.workload} takes {needed:.2f} GiB, its part is {part:.2f} GiB"


def _needed_gib(instance: PlanningInput, k: Candidate, gpu_set: GpuSet) -> float | None:
    """Weights, reserve, and the cache of what is in flight at the planned rate, in GiB."""
    w = instance.problem.workload(k.workload)
    if w.rates is not None:
        return _stated_gib(instance, k, w)
    llm, gpu = instance.catalog.llm(w.llms[0]), instance.catalog.gpus[k.gpu]
    if llm is None or k.sources == ("raw",):
        return None if llm is None else llm.recommended_memory_gib
    part = {"memory_share": gpu_set.memory_share(k.workload)}
    settings = w.deployment.model_copy(update=part)
    held = []
    for q, point in zip(k.classes, k.points, strict=True):
        memory = fit(llm, gpu, k.precision, 1, q.tokens, settings)
        if point.concurrency is None or not memory.weights_gib:
            return None
        held.append(memory.needed_gib(point.concurrency))
    return max(held, default=None)


def _stated_gib(instance: PlanningInput, k: Candidate, w: Workload) -> float | None:
    for rate in w.rates or ():
        named = instance.catalog.gpus_named(rate.gpu)[0]
        if (named, rate.gpus_per_replica) == (k.gpu, 1):
            return rate.memory_gib_per_gpu
    return None
