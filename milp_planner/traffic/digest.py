"""What a trace says of a month: rates by the hour, and request classes.

**Hours.** A trace that covers every hour of the week, or else of the day, for half an hour or more
has a clock of 168 or 24 hours. Timestamps tell the hour themselves; seconds count from midnight (of
a Monday). A shorter trace has no clock: its hours are counted from its first arrival, the last one
takes what is left over (half an hour to one and a half), and they repeat to fill the month.

**Rates.** An hour's mean rate is its requests over the seconds covered. Its peak rate is the stated
percentile of its minute rates (nearest rank: a rate that occurred), never below the mean. Where
some hours are covered more often than others, means are scaled alike, so that the month's volume is
always the trace's volume times the month over the trace's duration.

**Classes.** Two-dimensional binning: the plane of (input tokens, output tokens) is cut into
rectangles, each time the bin and the cut that take most off the squared distance of the sizes from
their bin's mean, in units of the trace's mean sizes. What a mean size loses is that distance: the
tokens are exact, products of lengths (the KV cache held over a decode) are not. A class has the
mean size of its requests, so that token totals stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from milp_planner.inputs.problem.traffic import CLOCKS, TimeUnit, Trace, TraceColumns
from milp_planner.traffic.sources.bucket_rates import doubts_of_buckets, rates_of, sums_of
from milp_planner.traffic.sources.buckets import BucketFile
from milp_planner.traffic.sources.opening import where_it_lies
from milp_planner.traffic.trace import MOST_TOKENS, Requests, read_trace
from milp_planner.traffic.trace_doubts import doubts_of
from milp_planner.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from numpy import bool_, float64, int64
    from numpy.typing import NDArray

SECONDS_PER_MINUTE = 60
MINUTES_PER_HOUR = 60
LEAST_COVERED_S = 1_800  # half an hour: less says little of an hour
LEAST_CLASS_SHARE = 0.005
"""Share of the requests that a class has at least: a handful of outliers makes no class."""

LEAST_OUTPUT_TOKENS = 1.0
"""Mean output of a class, at least, where the trace's own is no less: replicas do generate."""

LEAST_GAPS = 20
"""Gaps of a minute that tell how much they vary."""

MOST_SCV = 100.0

LARGEST_SHARE = 0.999
"""Of the input that a cache may hold, at most: a request brings something of its own."""

RANK_TOLERANCE = 1e-9  # 0.07 x 100 is 7.000000000000001 in floats, and rank 7


@dataclass(frozen=True)
class MonthPart:
    """Rates in a part of the month."""

    share: float
    """Share of the month."""

    peak: float
    """Peak rate, requests/s."""

    mean: float
    """Mean rate, requests/s."""


@dataclass(frozen=True)
class SizeBin:
    """The requests of one class."""

    requests: int
    input_tokens: int
    """Summed over the requests."""

    output_tokens: int
    shortest: tuple[int, int]
    """Least (input, output) tokens of a request in it."""

    longest: tuple[int, int]


@dataclass(frozen=True)
class TraceDigest:
    """All that planning needs of a trace, and what to tell of it."""

    file: str
    sha256: str
    requests: int
    input_tokens: int
    output_tokens: int
    without_input: int
    """Requests of no input tokens; they count as any other."""

    without_output: int
    duration_s: float
    """From the first arrival to the last, at least a minute."""

    has_timestamps: bool
    clock: int
    """168 or 24 hours; 0 where the trace is too short to have a clock."""

    percentile: float
    hours: tuple[MonthPart, ...]
    """Rates of each hour: of the clock from its first, else of the trace."""

    bins: tuple[SizeBin, ...]
    gaps_scv: float = 1.0
    """Squared coefficient of variation of the gaps between requests within a minute, at least 1."""

    form: str = "CSV of requests"
    """What the file was read as."""

    bucket_s: float | None = None
    """Seconds of a bucket, where the file counts requests by the time."""

    unit: TimeUnit | None = None
    """Of arrivals that are numbers; None where they are timestamps."""

    cached_share: float | None = None
    """Share of the input tokens found in a prefix cache; None where the file does not tell."""

    doubts: tuple[str, ...] = ()
    """What may have been read otherwise than it is meant, with both readings."""


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
    requests = read_trace(path, columns, unit, model, rate)
    if isinstance(requests, BucketFile):
        return _digest_of_buckets(str(path), requests, percentile)
    clock, duration_s, hours = hour_rates(requests.arrival_s, percentile)
    return TraceDigest(
        file=str(path),
        sha256=requests.sha256,
        requests=len(requests.arrival_s),
        input_tokens=int(requests.input_tokens.sum()),
        output_tokens=int(requests.output_tokens.sum()),
        without_input=int((requests.input_tokens == 0).sum()),
        without_output=int((requests.output_tokens == 0).sum()),
        duration_s=duration_s,
        has_timestamps=requests.has_timestamps,
        clock=clock,
        percentile=percentile,
        hours=hours,
        bins=bin_sizes(requests, most_classes),
        gaps_scv=gaps_scv(requests.arrival_s),
        form=requests.form,
        unit=requests.unit,
        cached_share=_share(requests.cached_tokens, int(requests.input_tokens.sum())),
        doubts=tuple(doubts_of(requests, duration_s, model)),
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


# Gaps


def gaps_scv(arrival_s: NDArray[float64]) -> float:
    """Squared coefficient of variation of the gaps within minutes, weighed by their requests.

    From minute to minute rates differ, which the peak rate already counts. Minutes of few requests
    tell nothing; where all are, and where gaps vary less than Poisson's, it is 1.
    """
    import numpy as np

    ordered = np.sort(arrival_s)
    minutes = np.floor(ordered / SECONDS_PER_MINUTE).astype(np.int64)
    starts = np.flatnonzero(np.diff(minutes, prepend=minutes[0] - 1))
    counted = total = 0.0
    for mine in np.split(ordered, starts[1:]):
        gaps = np.diff(mine)
        if len(gaps) >= LEAST_GAPS and gaps.mean() > 0:
            counted += len(gaps)
            total += len(gaps) * float(gaps.var() / gaps.mean() ** 2)
    return min(MOST_SCV, max(1.0, total / counted)) if counted else 1.0


# Hours


def hour_rates(
    arrival_s: NDArray[float64], percentile: float
) -> tuple[int, float, tuple[MonthPart, ...]]:
    """(clock, duration in seconds, rates of each hour) of arrivals in seconds."""
    first, last = float(arrival_s.min()), float(arrival_s.max())
    duration_s = max(float(SECONDS_PER_MINUTE), last - first)
    for clock in sorted(CLOCKS, reverse=True):
        covered_s = _covered_s(first, last, clock)
        if min(covered_s) >= LEAST_COVERED_S:
            return clock, duration_s, _on_clock(arrival_s, covered_s, duration_s, percentile)
    return 0, duration_s, _in_sequence(arrival_s - first, duration_s, percentile)


def _covered_s(first: float, last: float, clock: int) -> list[float]:
    """Seconds of the time from first to last in each hour of the clock."""
    hours = range(math.floor(first / SECONDS_PER_HOUR), math.floor(last / SECONDS_PER_HOUR) + 1)
    covered = [0.0] * clock
    for hour in hours:
        start, end = hour * SECONDS_PER_HOUR, (hour + 1) * SECONDS_PER_HOUR
        covered[hour % clock] += min(last, end) - max(first, start)
    return covered


def _on_clock(
    arrival_s: NDArray[float64], covered_s: list[float], duration_s: float, percentile: float
) -> tuple[MonthPart, ...]:
    import numpy as np

    clock = len(covered_s)
    minutes = np.floor(arrival_s / SECONDS_PER_MINUTE).astype(np.int64)
    first = int(minutes.min())
    requests = np.bincount(minutes - first)
    hours = (first + np.arange(len(requests))) // MINUTES_PER_HOUR % clock
    by_hour = np.argsort(hours, kind="stable")
    ends = np.searchsorted(hours[by_hour], np.arange(1, clock))
    per_minute = np.split(requests[by_hour], ends)
    means = [int(one.sum()) / s for one, s in zip(per_minute, covered_s, strict=True)]
    scale = len(arrival_s) / duration_s / (math.fsum(means) / clock)
    return tuple(
        _rates(1 / clock, one / SECONDS_PER_MINUTE, mean * scale, percentile)
        for one, mean in zip(per_minute, means, strict=True)
    )


def _in_sequence(
    elapsed_s: NDArray[float64], duration_s: float, percentile: float
) -> tuple[MonthPart, ...]:
    """Hours from the first arrival; what is left over belongs to the last minute, the last hour."""
    import numpy as np

    minutes = _whole(duration_s / SECONDS_PER_MINUTE)
    minute = np.minimum(elapsed_s // SECONDS_PER_MINUTE, minutes - 1).astype(np.int64)
    requests = np.bincount(minute, minlength=minutes)
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


# Classes


def bin_sizes(requests: Requests, most: int) -> tuple[SizeBin, ...]:
    """At most `most` bins that hold every request, by mean input, then mean output."""
    import numpy as np

    base = MOST_TOKENS + 1  # input and output as one whole number: far faster to sort
    pairs, counts = np.unique(
        requests.input_tokens * base + requests.output_tokens, return_counts=True
    )
    sizes = np.stack(np.divmod(pairs, base), axis=1)
    cutter = _Cutter(sizes, counts)
    parts = [np.arange(len(sizes))]
    cuts = [cutter.best_cut(parts[0])]
    while len(parts) < most:
        widest = max(range(len(parts)), key=lambda i: cuts[i].gain)
        halves = cuts[widest].halves
        if not halves:
            break
        parts[widest : widest + 1] = halves
        cuts[widest : widest + 1] = [cutter.best_cut(half) for half in halves]
    bins = [_bin(sizes[part], counts[part]) for part in parts]
    return tuple(sorted(bins, key=lambda b: (b.input_tokens / b.requests, b.shortest)))


def _bin(sizes: NDArray[int64], counts: NDArray[int64]) -> SizeBin:
    input_tokens, output_tokens = (int(total) for total in counts @ sizes)
    low, high = sizes.min(axis=0), sizes.max(axis=0)
    return SizeBin(
        requests=int(counts.sum()),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        shortest=(int(low[0]), int(low[1])),
        longest=(int(high[0]), int(high[1])),
    )


@dataclass(frozen=True)
class _Cut:
    """The best way to cut a bin in two; no halves where none is allowed."""

    gain: float = 0.0
    halves: tuple[NDArray[int64], ...] = ()


class _Cutter:
    """Finds the cut of a bin that takes most off the squared distances from its mean."""

    def __init__(self, sizes: NDArray[int64], counts: NDArray[int64]) -> None:
        mean = counts @ sizes / counts.sum()
        self.counts = counts
        self.sizes = sizes
        self.scaled = sizes / [max(float(mean[0]), 1.0), max(float(mean[1]), 1.0)]
        self.least_requests = LEAST_CLASS_SHARE * float(counts.sum())
        self.least_output = min(LEAST_OUTPUT_TOKENS, float(mean[1]))

    def best_cut(self, part: NDArray[int64]) -> _Cut:
        """The better of the best cuts by input and by output."""
        cuts = (self._best_cut_by(axis, part) for axis in (0, 1))
        return max(cuts, key=lambda cut: cut.gain)

    def _best_cut_by(self, axis: int, part: NDArray[int64]) -> _Cut:
        """For halves of n and m requests, the gain is n m ÷ (n + m) × (distance of means)²."""
        import numpy as np

        part = part[np.argsort(self.sizes[part, axis], kind="stable")]
        counts = self.counts[part]
        below = np.cumsum(counts)[:-1]
        above = counts.sum() - below
        left = np.cumsum(counts[:, None] * self.scaled[part], axis=0)
        distance = left[:-1] / below[:, None] - (left[-1] - left[:-1]) / above[:, None]
        gains = below * above / counts.sum() * (distance**2).sum(axis=1)
        gains[~self._allowed(axis, part, below, above)] = 0.0
        if not gains.any():
            return _Cut()
        best = int(gains.argmax())
        return _Cut(float(gains[best]), (part[: best + 1], part[best + 1 :]))

    def _allowed(
        self, axis: int, part: NDArray[int64], below: NDArray[int64], above: NDArray[int64]
    ) -> NDArray[bool_]:
        """Which cuts fall between two lengths and leave enough on either side."""
        import numpy as np

        lengths = self.sizes[part, axis]
        output = np.cumsum(self.counts[part] * self.sizes[part, 1])
        enough = np.minimum(below, above) >= self.least_requests
        enough &= output[:-1] >= self.least_output * below
        enough &= output[-1] - output[:-1] >= self.least_output * above
        return np.asarray(enough & (lengths[1:] > lengths[:-1]))
