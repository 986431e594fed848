"""Where the estimate was not checked against measurements, and what in it is assumed."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from milp_planner.inputs.catalog.records import Gpu
from milp_planner.serving import derate as evidence_of
from milp_planner.serving.links import BETWEEN_UNITS_S, between_units_gb_per_s
from milp_planner.serving.operating_point import Question

MOST_IN_FLIGHT = 512
MOST_TENSOR_PARALLEL = 8
LONGEST_CONTEXT_TOKENS = 32_768


def outside_checked_range(
    q: Question, gpu: Gpu, n: float, measured_gpus: Collection[str]
) -> Iterator[str]:
    """Warnings about an estimate with n requests in flight.

    measured_gpus: those with rows that hold the requests in flight constant.
    """
    if n > MOST_IN_FLIGHT:
        yield f"{n:,.0f} requests in flight are outside the checked range, 1 to 512"
    if q.tensor_parallel > MOST_TENSOR_PARALLEL:
        yield f"tensor parallel {q.tensor_parallel} is outside the checked range, at most 8"
    if q.tokens > LONGEST_CONTEXT_TOKENS:
        yield f"{q.tokens:,.0f} tokens a request are outside the checked range, at most 32,768"
    if gpu.id not in measured_gpus:
        yield f"{gpu.id} has no measured relative: the estimate was not checked on it"
    for widening in q.trust.widenings:
        yield f"the estimate is trusted less on {gpu.id}: {widening.reason}"
    if q.settings.units_joined > 1 and q.settings.gb_per_s_between_units is None:
        assumed = between_units_gb_per_s(gpu, q.tensor_parallel, q.settings)
        yield (
            f"{assumed:g} GB/s per GPU between joined units of {gpu.id} are assumed; "
            "deployment.gb_per_s_between_units states them"
        )
    if q.settings.units_joined > 1:
        yield (
            f"{1e6 * BETWEEN_UNITS_S:.0f} µs a message between joined units and "
            f"{evidence_of.JOINED_UNITS.spread:g} of spread are assumed: none was measured"
        )
    if q.precision == "fp32":
        yield "fp32 is not checked: products at the TF32 rate, unless the GPU's row says else"
    if q.settings.speculative is not None:
        yield "draft tokens gain what is stated; what drafting them costs is not modelled"
