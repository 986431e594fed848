"""The operating point of one deployment: with a number in flight, or the most that keep a limit.

The latency of a whole request is ttft + (O − 1) · tpot(n), with O its output tokens. Where no row
tells the time to the first token, it is that of an idle replica, as the estimate advises it.
"""

from __future__ import annotations

from math import inf

from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.questions.deployments.records import Deployment
from milp_planner.serving.memory import fit
from milp_planner.serving.operating_point import OperatingPoint, Rejection
from milp_planner.serving.rates.throughput import ROUNDING, ServingModel
from milp_planner.serving.roofline import Roofline, largest_within, missing_for_estimate


def point_of(d: Deployment, model: ServingModel, quantile: float) -> OperatingPoint | Rejection:
    """With the concurrency asked for, which has to keep the limits; else with the best, or, under a
    limit of the whole request, with the most that keep it."""
    if d.concurrency is not None:
        return _kept(d, model, _point_at(d, model, quantile, d.concurrency))
    best = model.operating_point(
        *_replica(d), tpot_limit_s=d.tpot_limit_s, quantile=quantile, settings=d.settings
    )
    if d.latency_limit_s is None or isinstance(best, Rejection):
        return best
    held = fit(d.llm, d.gpu, d.precision, d.tensor_parallel, d.tokens, d.settings).sequences
    most = max(1, held, int(best.concurrency or 0))

    def share(n: float) -> float:
        """The part of the limits that n in flight take; beyond 1 one of them is broken."""
        point = _point_at(d, model, quantile, n)
        return inf if isinstance(point, Rejection) else _share_of_limits(d, model, point)

    n = largest_within(share, ROUNDING, most)
    return _kept(d, model, _point_at(d, model, quantile, max(1, n)))


def latency_of(d: Deployment, model: ServingModel, point: OperatingPoint) -> float | None:
    """Seconds of one whole request; None where the time per token is not known."""
    first = first_token_s(d, model, point)
    if first is None or point.tpot_s is None:
        return None
    return first + (d.output_tokens - 1) * point.tpot_s


def first_token_s(d: Deployment, model: ServingModel, point: OperatingPoint) -> float | None:
    """Seconds to the first token, where a time per token is known: the rows', else advice."""
    if point.ttft_s is not None or point.tpot_s is None:
        return point.ttft_s
    estimate = roofline_of(d, model)
    return None if estimate is None else estimate.ttft_advice_s


def roofline_of(d: Deployment, model: ServingModel) -> Roofline | None:
    """The bare estimate; None where the catalog does not know enough."""
    if missing_for_estimate(d.llm, d.gpu):
        return None
    return model.estimate(*_replica(d), d.settings)


def _replica(d: Deployment) -> tuple[Llm, Gpu, str, int, float, float]:
    return d.llm, d.gpu, d.precision, d.tensor_parallel, d.input_tokens, d.output_tokens


def _point_at(
    d: Deployment, model: ServingModel, quantile: float, n: float
) -> OperatingPoint | Rejection:
    return model.at(*_replica(d), n, quantile=quantile, settings=d.settings)


def _share_of_limits(d: Deployment, model: ServingModel, point: OperatingPoint) -> float:
    pairs = (
        (point.tpot_s, d.tpot_limit_s),
        (latency_of(d, model, point), d.latency_limit_s),
    )
    return max(
        (inf if took is None else took / limit for took, limit in pairs if limit is not None),
        default=0.0,
    )


def _kept(
    d: Deployment, model: ServingModel, point: OperatingPoint | Rejection
) -> OperatingPoint | Rejection:
    """The point, or which limit it breaks."""
    if isinstance(point, Rejection) or _share_of_limits(d, model, point) <= ROUNDING:
        return point
    n = f"{point.concurrency or 1:,.0f} in flight"
    whole, limit = latency_of(d, model, point), d.latency_limit_s
    if point.tpot_s is None or (limit is not None and whole is None):
        return Rejection("its latency is not known, so that no limit of it can be kept")
    if limit is not None and whole is not None and whole > limit * ROUNDING:
        return Rejection(f"a request takes {whole:.3g} s with {n}, above the wished {limit:g} s")
    wished = 1e3 * (d.tpot_limit_s or 0.0)
    took = f"{1e3 * point.tpot_s:.1f} ms per token with {n}"
    return Rejection(f"{took} are above the wished {wished:g} ms", point.tpot_s)
