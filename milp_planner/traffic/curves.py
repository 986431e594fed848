"""One workload's load over the month, before it shares blocks with others.

To add a kind of traffic, write the function that reads it and name it in `CURVES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate
from math import fsum
from pathlib import Path

from milp_planner.errors import input_error
from milp_planner.inputs.problem.records import Workload
from milp_planner.inputs.problem.traffic import (
    Batch,
    ConcurrentUsers,
    Profile,
    RequestsPerSecond,
    TokenVolume,
    Trace,
    WithoutPattern,
)
from milp_planner.lazily import dataclass, replace
from milp_planner.traffic.digested import MonthPart, TraceDigest
from milp_planner.traffic.schedule import RequestClass, Totals, volume
from milp_planner.units import SECONDS_PER_DAY, SECONDS_PER_HOUR


@dataclass(frozen=True)
class Curve:
    """One workload's load over the month, with or without a clock."""

    loads: tuple[MonthPart, ...]
    """On a clock its 24 or 168 hours in order; without one its parts, the highest peak first."""

    on_clock: bool
    classes: tuple[RequestClass, ...]
    per_second: Totals
    """What the input asks, averaged over the month; reckoned apart from the loads."""

    efficiency: float = 1.0
    batch_multiplier: float = 1.0
    """With `efficiency` the factors on raw throughputs; other throughputs contain both."""

    max_blocks: int | None = None
    """Most blocks it may be cut into; None where its parts are few and stay as they are."""

    sized: bool = True
    trace: TraceDigest | None = None
    unit: str = "requests/s"
    requests_per_unit: float = 1.0
    can_wait: bool = False
    """True of work that may be done in any hours with load, not as it comes."""

    @property
    def ends(self) -> tuple[float, ...]:
        """Where its parts end, as shares of the month; the last is 1."""
        *ends, _ = accumulate(load.share for load in self.loads)
        return (*ends, 1.0)

    @property
    def tokens_per_request(self) -> float:
        """Mean tokens of one request, input and output together."""
        return fsum(q.share * q.tokens for q in self.classes)


def make_curve(workload: Workload, folder: Path) -> Curve:
    """The curve of a workload; files are relative to `folder`.

    Raises InputError with all faults of a trace; paths are those within the workload.
    """
    traffic = workload.traffic
    curve = CURVES[traffic.kind](workload, folder)
    if isinstance(traffic, WithoutPattern):
        curve = replace(
            curve, efficiency=traffic.efficiency, batch_multiplier=traffic.batch_multiplier
        )
    if curve.sized or workload.rates is not None:
        return curve
    return replace(curve, unit="tokens/s")


REMOVE = "remove requests"


def request_classes(workload: Workload) -> tuple[RequestClass, ...]:
    """The workload's classes, shares normalised to sum to 1 exactly.

    Without sizes a request is one token, half of it input: enough for raw throughputs only.
    """
    if not workload.classes:
        name = "token" if workload.rates is None else "request"
        return (RequestClass(name, 0.5, 0.5, 1.0),)
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


def _requests_of(
    requests: float | None, tokens: float | None, classes: Iterable[RequestClass]
) -> float:
    """The requests that are stated, or those that so many tokens make."""
    if requests is not None:
        return requests
    assert tokens is not None, "one of the two is given"
    return tokens / _tokens_per_request(classes)


def _tokens_per_request(classes: Iterable[RequestClass]) -> float:
    return sum(q.share * q.tokens for q in classes)


def _tokens(workload: Workload, folder: Path) -> Curve:
    """peak = average ÷ active_ratio × burst_factor in the active hours (InferenceAtlas)."""
    traffic = workload.traffic
    assert isinstance(traffic, TokenVolume)
    pattern, classes = traffic.shape, request_classes(workload)
    tokens_per_request = _tokens_per_request(classes)
    average = traffic.tokens_of_a_day * traffic.growth / SECONDS_PER_DAY / tokens_per_request
    mean = average / pattern.active_ratio
    loads = [MonthPart(pattern.active_ratio, mean * pattern.burst_factor, mean)]
    if pattern.active_ratio < 1:
        loads.append(MonthPart(1 - pattern.active_ratio, 0.0, 0.0))
    return Curve(
        loads=tuple(loads),
        on_clock=False,
        classes=classes,
        per_second=volume(average, classes),
        efficiency=pattern.efficiency,
        batch_multiplier=pattern.batch_multiplier,
        sized=bool(workload.classes),
    )


def _requests_per_second(workload: Workload, folder: Path) -> Curve:
    traffic = workload.traffic
    assert isinstance(traffic, RequestsPerSecond)
    peak = traffic.requests_per_second * traffic.growth
    given = traffic.mean_requests_per_second
    mean = peak if given is None else given * traffic.growth
    classes = request_classes(workload)
    return Curve(
        loads=(MonthPart(1.0, peak, mean),),
        on_clock=False,
        classes=classes,
        per_second=volume(mean, classes),
        sized=bool(workload.classes),
    )


def _profile(workload: Workload, folder: Path) -> Curve:
    """mean of an hour = average × weight ÷ mean weight; its peak is burst_factor times that."""
    traffic = workload.traffic
    assert isinstance(traffic, Profile)
    classes = request_classes(workload)
    requests_per_day = _requests_of(traffic.requests_per_day, traffic.tokens_per_day, classes)
    average = requests_per_day * traffic.growth / SECONDS_PER_DAY
    top = max(traffic.weights)
    weights = [weight / top for weight in traffic.weights]
    mean_weight = fsum(weights) / len(weights)
    means = [average * (weight / mean_weight) for weight in weights]
    return Curve(
        loads=tuple(MonthPart(1 / len(means), mean * traffic.burst_factor, mean) for mean in means),
        on_clock=True,
        classes=classes,
        per_second=volume(average, classes),
        max_blocks=traffic.max_blocks,
        sized=bool(workload.classes),
    )


def _trace(workload: Workload, folder: Path) -> Curve:
    """The trace's hours and classes, `scale` × `growth` times as many requests."""
    from milp_planner.traffic.digest import digest  # with all readers of traces: few plans have one

    traffic = workload.traffic
    assert isinstance(traffic, Trace)
    read = digest(folder / traffic.file, traffic)
    if read.bins and workload.classes:
        raise input_error("a trace brings its own request classes", path="requests", hint=REMOVE)
    if not read.bins and not workload.classes:
        said = "required: the file counts requests and tells no tokens"
        raise input_error(
            said, path="requests", hint="write {input_tokens: ..., output_tokens: ...}"
        )
    classes = _trace_classes(read) if read.bins else request_classes(workload)
    times = traffic.scale * traffic.growth
    loads = [MonthPart(load.share, load.peak * times, load.mean * times) for load in read.hours]
    if not read.clock:
        loads.sort(key=lambda load: (-load.peak, -load.mean))
    recorded = volume(read.requests, classes)
    if read.bins:
        recorded = Totals(read.requests, read.input_tokens, read.output_tokens)
    return Curve(
        loads=tuple(loads),
        on_clock=bool(read.clock),
        classes=classes,
        per_second=recorded.times(times / read.duration_s),
        max_blocks=traffic.max_blocks,
        trace=read,
    )


def _trace_classes(read: TraceDigest) -> tuple[RequestClass, ...]:
    means = [(b.input_tokens / b.requests, b.output_tokens / b.requests) for b in read.bins]
    names = _unique([f"{inputs:.0f}/{outputs:.0f}" for inputs, outputs in means])
    return tuple(
        RequestClass(name, *mean, b.requests / read.requests)
        for name, mean, b in zip(names, means, read.bins, strict=True)
    )


def _concurrent_users(workload: Workload, folder: Path) -> Curve:
    """All users all month; a request that gets its tokens/s ends after O ÷ (tokens/s) seconds."""
    traffic = workload.traffic
    assert isinstance(traffic, ConcurrentUsers)
    users = traffic.users * traffic.growth
    classes = request_classes(workload)
    output_tokens = fsum(q.share * q.output_tokens for q in classes)
    requests_per_user = traffic.requests_per_user * traffic.tokens_per_s / output_tokens
    return Curve(
        loads=(MonthPart(1.0, users, users),),
        on_clock=False,
        classes=classes,
        per_second=volume(users * requests_per_user, classes),
        sized=bool(workload.classes),
        unit="users",
        requests_per_unit=requests_per_user,
    )


BLOCKS_OF_A_BATCH = 8
"""Hours with and without batches stay apart, also where several batches come."""


def _batch(workload: Workload, folder: Path) -> Curve:
    """Each batch spread evenly over the hours until its deadline; when, the program decides."""
    traffic = workload.traffic
    assert isinstance(traffic, Batch)
    classes = request_classes(workload)
    requests = _requests_of(traffic.requests, traffic.tokens, classes) * traffic.growth
    rate = requests / (traffic.deadline_hours * SECONDS_PER_HOUR)
    hours = 1 if traffic.waits_all_the_time else traffic.period_hours
    rates = [rate if hours == 1 or traffic.is_open(hour) else 0.0 for hour in range(hours)]
    return Curve(
        loads=tuple(MonthPart(1 / hours, one, one) for one in rates),
        on_clock=hours > 1,
        classes=classes,
        per_second=volume(requests / (traffic.period_hours * SECONDS_PER_HOUR), classes),
        max_blocks=None if hours == 1 else BLOCKS_OF_A_BATCH,
        sized=bool(workload.classes),
        can_wait=True,
    )


CURVES: dict[str, Callable[[Workload, Path], Curve]] = {
    "tokens_per_day": _tokens,
    "tokens_per_month": _tokens,
    "requests_per_second": _requests_per_second,
    "profile": _profile,
    "trace": _trace,
    "batch": _batch,
    "concurrent_users": _concurrent_users,
}
