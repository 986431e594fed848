"""For a workload that nothing can serve: what each GPU type lacks, the nearest to serving first."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.builder import Rates, excluded_by
from milp_planner.candidates.own_terms import under_terms
from milp_planner.candidates.records import PlanningInput
from milp_planner.candidates.shapes import ReplicaShape
from milp_planner.inputs.catalog.records import Gpu, Offering
from milp_planner.plans.diagnosis import Misfit
from milp_planner.serving.operating_point import Rejection
from milp_planner.serving.rates.throughput import ServingModel


def fits_of(instance: PlanningInput, workload: str) -> tuple[Misfit, ...]:
    """Per GPU type that may be used, and replica size, why it cannot serve the workload.

    Of several precisions and request classes the nearest failure stands. Empty where rates are
    nominal: then the reasons of the offerings say it all.
    """
    found = _failures(instance, workload)
    return tuple(fit for _, fit in sorted(found, key=lambda pair: (pair[0], *_name(pair[1]))))


def is_too_big_for_a_unit(instance: PlanningInput, workload: str) -> bool:
    """Whether memory is what some unit that may be used lacks, more than speed."""
    return min((how[0] for how, _ in _failures(instance, workload)), default=2) == 1


def _failures(instance: PlanningInput, workload: str) -> list[tuple[Nearness, Misfit]]:
    if instance.problem.workload(workload).rates is not None:
        return []
    rates = Rates(
        instance.catalog,
        ServingModel(instance.catalog),
        instance.problem,
        instance.problem.workload(workload),
        instance.schedule.demands[workload],
    )
    if rates.raw:
        return []
    most: dict[str, int] = {}
    for listed in instance.catalog.offerings:
        offering = under_terms(instance.problem.prices, listed, instance.catalog.read_on)
        if isinstance(offering, Offering) and not excluded_by(instance.problem.limits, offering):
            most[offering.gpu] = max(most.get(offering.gpu, 0), offering.gpus_per_unit)
    return [best for gpu, gpus in most.items() for best in _nearest_on(rates, gpu, gpus)]


Nearness = tuple[int, float]
"""Too slow (0) is nearer than too big (1), that than what no engine starts (2); and the less too
slow or too big, the nearer."""


def _nearest_on(rates: Rates, gpu_id: str, gpus: int) -> Iterator[tuple[Nearness, Misfit]]:
    """Per replica size the failure that is nearest to serving, over precisions and classes."""
    gpu = rates.catalog.gpus[gpu_id]
    for shape in rates.shapes(gpus):
        size = shape.tensor_parallel
        found = [
            (_nearness(rejection), _fit(rates, gpu_id, size, precision, rejection))
            for precision in rates.precisions(gpu)
            for rejection in _rejections(rates, gpu, precision, shape)
        ]
        if found:
            yield min(found, key=lambda pair: (pair[0], *_name(pair[1])))


def _fit(rates: Rates, gpu: str, size: int, precision: str, rejection: Rejection) -> Misfit:
    workload = rates.workload.name
    return Misfit(workload, gpu, size, precision, rejection.reason, rejection.fastest_tpot_s)


def _nearness(rejection: Rejection) -> Nearness:
    memory = rejection.memory
    if rejection.times_missed is not None:
        return 0, rejection.times_missed
    if memory is None or memory.usable_gib <= 0:  # cannot be split so, whatever the memory
        return 2, 0.0
    return 1, memory.weights_gib / max(memory.usable_gib, 1e-9)


def _name(fit: Misfit) -> tuple[str, int, str]:
    return fit.gpu, fit.tensor_parallel, fit.precision


def _rejections(rates: Rates, gpu: Gpu, precision: str, shape: ReplicaShape) -> Iterator[Rejection]:
    found = rates.answers(gpu, precision, shape)
    yield from (answer for answer in found if isinstance(answer, Rejection))
