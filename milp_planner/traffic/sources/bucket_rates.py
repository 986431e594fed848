"""Rates by the hour out of buckets: a bucket's rate stands where a minute's stands of a trace."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import mode

from milp_planner.inputs.problem.traffic import CLOCKS
from milp_planner.lazily import dataclass
from milp_planner.traffic.sources.buckets import Bucket
from milp_planner.units import SECONDS_PER_HOUR

LEAST_COVERED_S = 1_800  # half an hour: less says little of an hour
RANK_TOLERANCE = 1e-9
MOST_RATE = 50_000.0
"""Requests/s of one trace above which a unit is doubted: no public service has told of more."""


@dataclass(frozen=True)
class BucketRates:
    """Rates by the hour, or by the bucket where those are longer."""

    clock: int
    """168 or 24 hours; 0 where hours cannot be told."""

    duration_s: float
    width_s: float
    """Of most buckets."""

    parts: tuple[tuple[float, float, float], ...]
    """(share of the month, peak, mean) in requests/s."""


@dataclass(frozen=True)
class BucketSums:
    """What all buckets add up to; tokens None where a file does not tell them."""

    requests: float
    inputs: float | None
    outputs: float | None
    cached: float | None


def sums_of(buckets: Sequence[Bucket]) -> BucketSums:
    """Requests and tokens of all buckets."""

    def total(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return math.fsum(known) if known else None

    return BucketSums(
        math.fsum(b.requests for b in buckets),
        total([b.input_tokens for b in buckets]),
        total([b.output_tokens for b in buckets]),
        total([b.cached_tokens for b in buckets]),
    )


def rates_of(buckets: Sequence[Bucket], percentile: float) -> BucketRates:
    """The hours of a week or a day where the buckets cover them, else hours in sequence.

    An hour's mean rate is its requests over the seconds covered, its peak the stated percentile
    (nearest rank) of its buckets' rates, never below the mean.
    """
    merged = _merged(buckets)
    width = mode(b.width_s for b in merged)
    covered = math.fsum(b.width_s for b in merged)
    if width <= SECONDS_PER_HOUR:
        for clock in sorted(CLOCKS, reverse=True):
            hours = _by_hour(merged, clock)
            if min(math.fsum(b.width_s for b in hour) for hour in hours) >= LEAST_COVERED_S:
                return BucketRates(clock, covered, width, _on_clock(hours, merged, percentile))
    first = merged[0].start_s
    length = max(width, float(SECONDS_PER_HOUR))
    groups: dict[int, list[Bucket]] = {}
    for bucket in merged:
        groups.setdefault(int((bucket.start_s - first) // length), []).append(bucket)
    parts = tuple(
        (math.fsum(b.width_s for b in group) / covered, *_peak_and_mean(group, percentile))
        for group in groups.values()
    )
    return BucketRates(0, covered, width, parts)


def _merged(buckets: Sequence[Bucket]) -> list[Bucket]:
    """One bucket for each time: projects and models of an export add up."""
    held: dict[float, Bucket] = {}
    for b in buckets:
        same = held.get(b.start_s)
        requests = b.requests + (same.requests if same else 0.0)
        held[b.start_s] = Bucket(b.start_s, b.width_s, requests, None, None)
    return [held[start] for start in sorted(held)]


def _by_hour(buckets: Sequence[Bucket], clock: int) -> list[list[Bucket]]:
    hours: list[list[Bucket]] = [[] for _ in range(clock)]
    for bucket in buckets:
        hours[int(bucket.start_s // SECONDS_PER_HOUR) % clock].append(bucket)
    return hours


def _on_clock(
    hours: Sequence[Sequence[Bucket]], buckets: Sequence[Bucket], percentile: float
) -> tuple[tuple[float, float, float], ...]:
    """Means are scaled alike, so that the month's volume is the buckets' over the time covered."""
    rates = [_peak_and_mean(hour, percentile) for hour in hours]
    requests = math.fsum(b.requests for b in buckets)
    volume = requests / math.fsum(b.width_s for b in buckets)
    average = math.fsum(mean for _, mean in rates) / len(hours)
    scale = volume / average if average else 1.0
    return tuple((1 / len(hours), max(peak, mean * scale), mean * scale) for peak, mean in rates)


def _peak_and_mean(buckets: Sequence[Bucket], percentile: float) -> tuple[float, float]:
    rates = sorted(b.requests / b.width_s for b in buckets)
    rank = max(1, math.ceil(percentile * len(rates) - RANK_TOLERANCE))
    mean = math.fsum(b.requests for b in buckets) / math.fsum(b.width_s for b in buckets)
    return max(rates[rank - 1], mean), mean


def doubts_of_buckets(buckets: Sequence[Bucket], rates: BucketRates) -> Iterator[str]:
    """What a reader should know before taking the buckets at their word."""
    mean = math.fsum(b.requests for b in buckets) / rates.duration_s
    if rates.width_s > SECONDS_PER_HOUR:
        hours = rates.width_s / SECONDS_PER_HOUR
        yield (
            f"a bucket has {hours:g} hours: peaks within it are not known, and the fleet is sized "
            "for its mean; set growth, or give buckets of a minute"
        )
    if mean > MOST_RATE:
        yield f"{mean:,.0f} requests/s is beyond reason: are the counts tokens, or already summed?"
    models = sorted({b.model for b in buckets if b.model})
    if len(models) > 1:
        yield f"counts {', '.join(models[:6])} together; model: picks one"
