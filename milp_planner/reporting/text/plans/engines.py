"""Which engine the rates of a plan were measured in, and how far engines differ there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.candidates.records import Candidate, RatePoint
from milp_planner.plans.records import Purchase
from milp_planner.reporting.text.wording import count, escape, number
from milp_planner.serving.operating_point import EngineRate


def engine_lines(purchases: Sequence[Purchase]) -> Iterator[str]:
    """A line for each rate of a workload that stands on rows; nothing where all are estimated."""
    said = (
        _line(p.candidate, i, point)
        for p in purchases
        for i, point in enumerate(p.candidate.points)
        if point.engine
    )
    yield from dict.fromkeys(said)


def _line(k: Candidate, i: int, point: RatePoint) -> str:
    """`h100 fp8 tp 1 at 1500/300 tokens: rows of vllm; measured at 64 in flight: sglang 3.1, vllm
    2.4 req/s, 1.29 × apart`."""
    size = f" at {escape(k.classes[i].name)} tokens" if k.classes else ""
    replica = f"{escape(k.gpu)} {escape(k.precision)} tp {k.tensor_parallel}{size}"
    return f"{replica}: rows of {escape(point.engine)}{_spread(point)}"


def _spread(point: RatePoint) -> str:
    if not point.engines:
        return ""
    flight = f" at {count(point.engines[0].concurrency)} in flight"
    rates = ", ".join(f"{escape(one.engine)} {_range(one)}" for one in point.engines)
    least = min(one.least_requests_per_second for one in point.engines)
    most = max(one.most_requests_per_second for one in point.engines)
    return f"; measured{flight}: {rates} req/s, {most / least:.2f} × apart"


def _range(rate: EngineRate) -> str:
    low, high = number(rate.least_requests_per_second), number(rate.most_requests_per_second)
    return low if low == high else f"{low} to {high}"
