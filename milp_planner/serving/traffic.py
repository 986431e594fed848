"""Traffic becomes time blocks and request classes that all workloads of a problem share.

A block is a number of hours of the month with one load: a peak rate, which sizes the fleet, and a
mean rate, which prices tokens. To add a kind of traffic, add its curve to `CURVES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from milp_planner.inputs.problem import Problem, Workload
from milp_planner.inputs.traffic import Pattern, RequestsPerSecond, TokensPerDay
from milp_planner.units import SECONDS_PER_DAY, SECONDS_PER_HOUR


@dataclass(frozen=True)
class TimeBlock:
    """Hours of the month that share one load."""

    name: str
    hours: float


@dataclass(frozen=True)
class RequestClass:
    """Requests of one size inside a workload."""

    name: str
    input_tokens: float
    output_tokens: float
    share: float
    """Share of the workload's requests."""

    @property
    def tokens(self) -> float:
        """Input and output tokens of one request."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Demand:
    """What one workload asks in every block, in requests/s."""

    workload: str
    classes: tuple[RequestClass, ...]
    peak: tuple[float, ...]
    """Peak rate per block, requests/s; 0 where the workload is idle."""

    mean: tuple[float, ...]
    """Mean rate per block, requests/s."""

    efficiency: float = 1.0
    batch_multiplier: float = 1.0
    sized: bool = True
    """False when the problem states no request sizes; a 'request' then is one token."""

    @property
    def highest_peak(self) -> float:
        """The largest peak rate of any block, requests/s."""
        return max(self.peak)

    @property
    def busiest(self) -> int:
        """Index of the block with the largest peak; the first of equals."""
        return self.peak.index(self.highest_peak)

    @property
    def tokens_per_request(self) -> float:
        """Mean tokens of one request, input and output together."""
        return sum(q.share * q.tokens for q in self.classes)


@dataclass(frozen=True)
class Schedule:
    """The month of a problem: its blocks, and every workload's demand in them."""

    blocks: tuple[TimeBlock, ...]
    demands: dict[str, Demand]
    block_by_hour: tuple[int, ...] = ()
    """Block of each hour of the day (24) or week (168); empty when no clock is known."""

    def requests_per_month(self, workload: str, block: int) -> float:
        """Requests of a workload in a block over the month."""
        mean = self.demands[workload].mean[block]
        return mean * self.blocks[block].hours * SECONDS_PER_HOUR

    def tokens_per_month(self, workload: str) -> float:
        """Input and output tokens of a workload over the month."""
        requests = sum(self.requests_per_month(workload, t) for t in range(len(self.blocks)))
        return requests * self.demands[workload].tokens_per_request


@dataclass(frozen=True)
class Curve:
    """One workload's load without a clock: it is on for a share of the month."""

    active_ratio: float
    peak: float
    mean: float
    pattern: Pattern = Pattern()


def make_schedule(problem: Problem) -> Schedule:
    """The blocks and demands of `problem`.

    Active hours of several workloads are taken to coincide, the shorter inside the longer: that is
    the cautious reading for limits that workloads share.
    """
    curves = {w.name: CURVES[w.traffic.kind](w) for w in problem.workloads}
    ends = sorted({curve.active_ratio for curve in curves.values()} | {1.0})
    starts = [0.0, *ends[:-1]]
    blocks = tuple(
        TimeBlock(_block_name(i, starts[i], curves), (end - starts[i]) * hours_per_month(problem))
        for i, end in enumerate(ends)
    )
    demands = {
        w.name: Demand(
            workload=w.name,
            classes=request_classes(w),
            peak=tuple(curve.peak if start < curve.active_ratio else 0.0 for start in starts),
            mean=tuple(curve.mean if start < curve.active_ratio else 0.0 for start in starts),
            efficiency=curve.pattern.efficiency,
            batch_multiplier=curve.pattern.batch_multiplier,
            sized=bool(w.classes),
        )
        for w, curve in zip(problem.workloads, curves.values(), strict=True)
    }
    return Schedule(blocks, demands)


def hours_per_month(problem: Problem) -> float:
    """Hours of the problem's month."""
    return problem.policy.hours_per_month


def request_classes(workload: Workload) -> tuple[RequestClass, ...]:
    """The workload's classes, shares normalised to sum to 1 exactly.

    Without sizes a request is one token, half of it input: enough for raw throughputs only.
    """
    if not workload.classes:
        return (RequestClass("token", 0.5, 0.5, 1.0),)
    total = sum(1.0 if size.share is None else size.share for size in workload.classes)
    names = _unique([f"{s.input_tokens:g}/{s.output_tokens:g}" for s in workload.classes])
    return tuple(
        RequestClass(
            name=name,
            input_tokens=size.input_tokens,
            output_tokens=size.output_tokens,
            share=(1.0 if size.share is None else size.share) / total,
        )
        for name, size in zip(names, workload.classes, strict=True)
    )


def _unique(names: list[str]) -> list[str]:
    """`names` with `#2`, `#3`, ... behind repeats."""
    return [
        name if names[:i].count(name) == 0 else f"{name}#{names[:i].count(name) + 1}"
        for i, name in enumerate(names)
    ]


def _block_name(index: int, start: float, curves: dict[str, Curve]) -> str:
    busy = sum(start < curve.active_ratio for curve in curves.values())
    if not busy:
        return "idle"
    if busy == len(curves):
        return "active"
    return f"active-{index + 1}"


def _tokens_per_day_curve(workload: Workload) -> Curve:
    traffic = workload.traffic
    assert isinstance(traffic, TokensPerDay)
    pattern = traffic.shape
    tokens_per_request = sum(q.share * q.tokens for q in request_classes(workload))
    average = traffic.tokens_per_day * traffic.growth / SECONDS_PER_DAY / tokens_per_request
    mean = average / pattern.active_ratio
    return Curve(pattern.active_ratio, mean * pattern.burst_factor, mean, pattern)


def _requests_per_second_curve(workload: Workload) -> Curve:
    traffic = workload.traffic
    assert isinstance(traffic, RequestsPerSecond)
    peak = traffic.requests_per_second * traffic.growth
    mean = traffic.mean_requests_per_second
    return Curve(1.0, peak, peak if mean is None else mean * traffic.growth)


CURVES: dict[str, Callable[[Workload], Curve]] = {
    "tokens_per_day": _tokens_per_day_curve,
    "requests_per_second": _requests_per_second_curve,
}
