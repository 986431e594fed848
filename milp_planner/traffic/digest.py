"""What a trace says of a month: rates by the hour, and request classes.

**Hours.** A trace that covers every hour of the week, or else of the day, for half an hour or more
has a clock of 168 or 24 hours. Timestamps tell the hour themselves; seconds count from midnight (of
a Monday). A shorter trace has no clock: its hours are counted from its first arrival, the last one
takes what is left over (half an hour to one and a half), and they repeat to fill the month.

**Rates.** An hour's mean rate is its requests over the seconds covered. Its peak rate is the stated
percentile of its minute rates (nearest rank: a rate that occurred), never below the mean. Where
some hours are covered more often than others, means are scaled alike, so that the month's volume is
always the trace's volume times the month over the trace's duration.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from milp_planner.inputs.problem.traffic import CLOCKS, TimeUnit, Trace, TraceColumns
from milp_planner.traffic.classes import bin_sizes
from milp_planner.traffic.digested import MonthPart, SizeBin, TraceDigest
from milp_planner.traffic.sources.bucket_rates import doubts_of_buckets, rates_of, sums_of
from milp_planner.traffic.sources.buckets import BucketFile
from milp_planner.traffic.sources.opening import where_it_lies
from milp_planner.traffic.tally import SECONDS_PER_MINUTE, Counts, Tally
from milp_planner.traffic.trace import read_trace
from milp_planner.traffic.trace_doubts import doubts_of
from milp_planner.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MINUTES_PER_HOUR = 60
LEAST_COVERED_S = 1_800  # half an hour: less says little of an hour
LARGEST_SHARE = 0.999
"""Of the input that a cache may hold, at most: a request brings something of its own."""

RANK_TOLERANCE = 1e-9  # 0.07 x 100 is 7.000000000000001 in floats, and rank 7


def digest(path: Path, trace: Trace) -> TraceDigest:
    """What the trace in a file says; raises InputError with every fault of the file.

    A file is read once while it stays as it is: sweeps prepare the same problem many times.
    """
    stamp: tuple[int, int] | None = None
    opened = where_it_lies(path)
    try:
        status = opened.stat()
        stamp = status.st_mtime_ns, status.st_size
    except (OSError, ValueError):
        pass  # reading says what is wrong
    how = trace.columns, trace.unit, trace.model, trace.requests_per_second
    return _digest(path, opened, stamp, *how, trace.percentile, trace.classes)


@lru_cache(maxsize=32)
def _digest(
    path: Path,
    opened: Path,
    stamp: tuple[int, int] | None,
    columns: TraceColumns,
    unit: TimeUnit | None,
    model: str | None,
    rate: float | None,
    percentile: float,
    most_classes: int,
) -> TraceDigest:
    tally = Tally()
    found = read_trace(path, columns, unit, model, rate, into=tally)
    if isinstance(found, BucketFile):
        return _digest_of_buckets(str(path), found, percentile)
    if tally.began_earlier:  # a long file out of order, and too short a time for a clock
        tally = Tally(origin_s=tally.first_s)
        read_trace(path, columns, unit, model, rate, into=tally)
    clock, duration_s, hours = (
        _hours_of(tally, percentile)
        if found.stated_rate is None
        else _at_rate(tally.requests, found.stated_rate)
    )
    return TraceDigest(
        file=str(path),
        sha256=found.sha256,
        requests=tally.requests,
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        without_input=tally.without_input,
        without_output=tally.without_output,
        duration_s=duration_s,
        has_timestamps=found.has_timestamps,
        clock=clock,
        percentile=percentile,
        hours=hours,
        bins=bin_sizes(tally.sizes(), most_classes),
        gaps_scv=tally.gaps_scv(),
        form=found.form,
        unit=found.unit,
        cached_share=_share(found.cached_tokens, tally.input_tokens),
        doubts=tuple(doubts_of(found, tally, duration_s, model)),
    )


def _digest_of_buckets(file: str, found: BucketFile, percentile: float) -> TraceDigest:
    rates = rates_of(found.buckets, percentile)
    sums = sums_of(found.buckets)
    requests = max(1, round(sums.requests))
    inputs, outputs = (None if t is None else round(t) for t in (sums.inputs, sums.outputs))
    bins: tuple[SizeBin, ...] = ()
    if inputs is not None and outputs:
        mean = round(inputs / requests), round(outputs / requests)
        bins = (SizeBin(requests, inputs, outputs, shortest=mean, longest=mean),)
    return TraceDigest(
        file=file,
        sha256=found.sha256,
        requests=requests,
        input_tokens=inputs or 0,
        output_tokens=outputs or 0,
        without_input=0,
        without_output=0,
        duration_s=rates.duration_s,
        has_timestamps=True,
        clock=rates.clock,
        percentile=percentile,
        hours=tuple(MonthPart(*part) for part in rates.parts),
        bins=bins,
        form=f"buckets of {rates.width_s:,.0f} s",
        bucket_s=rates.width_s,
        cached_share=_share(sums.cached, inputs or 0),
        doubts=tuple(doubts_of_buckets(found.buckets, rates)),
    )


def _share(cached: float | None, of: int) -> float | None:
    return None if cached is None or not of else min(cached / of, LARGEST_SHARE)


# Hours


def hour_rates(
    arrival_s: NDArray[float64], percentile: float
) -> tuple[int, float, tuple[MonthPart, ...]]:
    """(clock, duration in seconds, rates of each hour) of arrivals in seconds."""
    tally = Tally()
    tally.add_arrivals(arrival_s)
    return _hours_of(tally, percentile)


def _hours_of(tally: Tally, percentile: float) -> tuple[int, float, tuple[MonthPart, ...]]:
    first, last = tally.first_s, tally.last_s
    duration_s = max(float(SECONDS_PER_MINUTE), last - first)
    for clock in sorted(CLOCKS, reverse=True):
        covered_s = _covered_s(first, last, clock)
        if min(covered_s) >= LEAST_COVERED_S:
            return clock, duration_s, _on_clock(tally.minutes, covered_s, duration_s, percentile)
    assert tally.elapsed is not None  # shorter than a day
    return 0, duration_s, _in_sequence(tally.elapsed, duration_s, percentile)


def _at_rate(requests: int, rate: float) -> tuple[int, float, tuple[MonthPart, ...]]:
    """The same of requests that come at one rate, however few there are."""
    return 0, requests / rate, (MonthPart(1.0, rate, rate),)


def _covered_s(first: float, last: float, clock: int) -> list[float]:
    """Seconds of the time from first to last in each hour of the clock."""
    hours = range(math.floor(first / SECONDS_PER_HOUR), math.floor(last / SECONDS_PER_HOUR) + 1)
    covered = [0.0] * clock
    for hour in hours:
        start, end = hour * SECONDS_PER_HOUR, (hour + 1) * SECONDS_PER_HOUR
        covered[hour % clock] += min(last, end) - max(first, start)
    return covered


def _on_clock(
    minutes: Counts, covered_s: list[float], duration_s: float, percentile: float
) -> tuple[MonthPart, ...]:
    import numpy as np

    clock = len(covered_s)
    first, requests = minutes.dense()
    hours = (first + np.arange(len(requests))) // MINUTES_PER_HOUR % clock
    by_hour = np.argsort(hours, kind="stable")
    ends = np.searchsorted(hours[by_hour], np.arange(1, clock))
    per_minute = np.split(requests[by_hour], ends)
    means = [int(one.sum()) / s for one, s in zip(per_minute, covered_s, strict=True)]
    scale = int(requests.sum()) / duration_s / (math.fsum(means) / clock)
    return tuple(
        _rates(1 / clock, one / SECONDS_PER_MINUTE, mean * scale, percentile)
        for one, mean in zip(per_minute, means, strict=True)
    )


def _in_sequence(elapsed: Counts, duration_s: float, percentile: float) -> tuple[MonthPart, ...]:
    """Hours from the first arrival; what is left over belongs to the last minute, the last hour."""
    import numpy as np

    minutes = _whole(duration_s / SECONDS_PER_MINUTE)
    requests = np.zeros(minutes, dtype=np.int64)
    np.add.at(requests, np.minimum(elapsed.keys, minutes - 1), elapsed.counts)
    seconds = np.full(minutes, float(SECONDS_PER_MINUTE))
    seconds[-1] = duration_s - SECONDS_PER_MINUTE * (minutes - 1)
    ends = MINUTES_PER_HOUR * np.arange(1, _whole(duration_s / SECONDS_PER_HOUR))
    return tuple(
        _rates(float(s.sum()) / duration_s, n / s, float(n.sum() / s.sum()), percentile)
        for n, s in zip(np.split(requests, ends), np.split(seconds, ends), strict=True)
    )


def _whole(value: float) -> int:
    """Rounded, halves up, at least 1."""
    return max(1, math.floor(value + 0.5))


def _rates(
    share: float, minute_rates: NDArray[float64], mean: float, percentile: float
) -> MonthPart:
    return MonthPart(share, max(nearest_rank(minute_rates, percentile), mean), mean)


def nearest_rank(values: NDArray[float64], percentile: float) -> float:
    """The smallest of the values that is not exceeded by at least that share of them."""
    import numpy as np

    rank = max(1, math.ceil(percentile * len(values) - RANK_TOLERANCE))
    return float(np.partition(values, rank - 1)[rank - 1])
