"""Curves of several workloads become blocks that all of them share.

**Placing.** Workloads with a clock meet hour by hour; a day is repeated over the week where another
one knows the week. Workloads without a clock (patterns, short traces) have their highest load in
the hours in which those with one ask the most tokens/s, and all of them together, the shorter
inside the longer: the cautious reading for limits that workloads share. An hour in which a
pattern's active time ends is split there. The stretches so found, `Span`s, have one load each.

**Merging.** As long as only patterns are asked for, every span is a block. With a profile or a
trace, spans merge into at most as many blocks as the largest `max_blocks` says. A block's peak is
the highest of its spans for every workload apart, so that no peak is ever lowered, and its mean is
the mean over its hours, so that the volume stays. Merged is what over-provides least,

    Σ_w Σ_s h_s (peak of s's block - peak of s)_w ÷ (highest peak)_w        [h per month]

With one workload that is solved exactly: some best solution cuts the spans, sorted by peak, into
runs, and dynamic programming finds the best runs. With several, the best runs in the order of the
summed load are held against greedy merging of the pair that adds least; the better one is taken.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from milp_planner.lazily import dataclass
from milp_planner.traffic.curves import Curve
from milp_planner.traffic.digested import MonthPart

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

    Matrix = NDArray[float64]

SLIVER = 1e-12  # of a month: ends that floats tell apart, but nobody means
EQUAL_DIGITS = 9  # of a workload's highest peak: loads that differ by less are equal
MOST_RUN_SPANS = 1_000
MOST_GREEDY_SPANS = 500


@dataclass(frozen=True)
class Span:
    """A stretch of the month in which no load changes."""

    share: float
    """Of the month."""

    hour: int
    """Hour of the clock; 0 without one."""

    loads: tuple[MonthPart, ...]
    """By workload."""

    @property
    def peaks(self) -> tuple[float, ...]:
        """Peak rates by workload, requests/s."""
        return tuple(load.peak for load in self.loads)


def clock_hours(curves: Sequence[Curve]) -> int:
    """24 or 168 where any curve has a clock, else 0."""
    return max((len(curve.loads) for curve in curves if curve.on_clock), default=0)


def make_spans(curves: Sequence[Curve]) -> list[Span]:
    """The stretches of the month with one load each, the busiest hours first."""
    clock = clock_hours(curves)
    hours = _busiest_first(curves, clock)
    parts = [None if curve.on_clock else curve.ends for curve in curves]
    ends = _distinct([end for part in parts for end in part or ()] + _clock_ends(clock))
    spans = []
    for start, end in zip([0.0, *ends], ends, strict=False):
        middle = (start + end) / 2
        hour = hours[min(int(middle * len(hours)), len(hours) - 1)]
        loads = tuple(
            curve.loads[hour % len(curve.loads) if part is None else bisect_right(part, middle)]
            for curve, part in zip(curves, parts, strict=True)
        )
        spans.append(Span(end - start, hour, loads))
    return spans


def group_spans(spans: Sequence[Span], most: int | None) -> list[list[int]]:
    """Indices of the spans of each block; `most` None keeps every span apart."""
    if most is None:
        return [[i] for i in range(len(spans))]
    of_spans = [span.peaks for span in spans]
    highest = [max(*column, sys.float_info.min) for column in zip(*of_spans, strict=True)]
    relative = [tuple(p / h for p, h in zip(row, highest, strict=True)) for row in of_spans]
    equal = _equal_rows(relative)
    if len(equal) <= most:  # NumPy takes longer to import than all else here
        return equal
    import numpy as np

    peaks = np.array(relative)
    shares = np.array([span.share for span in spans])
    peaks = np.array([peaks[group].max(axis=0) for group in equal])
    shares = np.array([shares[group].sum() for group in equal])
    merged = _merged(peaks, shares, most)
    return [sorted(i for group in groups for i in equal[group]) for groups in merged]


def _clock_ends(clock: int) -> list[float]:
    return [hour / clock for hour in range(1, clock + 1)]


def _busiest_first(curves: Sequence[Curve], clock: int) -> list[int]:
    """Hours of the clock by the tokens/s that curves with a clock ask at their peaks."""
    weighted = [(c, c.tokens_per_request) for c in curves if c.on_clock]

    def tokens_per_second(hour: int) -> float:
        return sum(c.loads[hour % len(c.loads)].peak * tokens for c, tokens in weighted)

    return sorted(range(max(1, clock)), key=lambda hour: (-tokens_per_second(hour), hour))


def _distinct(ends: list[float]) -> list[float]:
    """Sorted, without those within a sliver of the one before; the last is 1."""
    kept: list[float] = []
    for end in sorted(ends):
        if not kept or end - kept[-1] > SLIVER:
            kept.append(end)
    kept[-1] = 1.0
    return kept


# Merging; rows are spans, columns workloads, peaks relative to each workload's highest


def _equal_rows(peaks: Sequence[tuple[float, ...]]) -> list[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, row in enumerate(peaks):
        groups.setdefault(tuple(round(peak * 10**EQUAL_DIGITS) for peak in row), []).append(i)
    return list(groups.values())


def _merged(peaks: Matrix, shares: Matrix, most: int) -> list[list[int]]:
    if len(peaks) <= most:
        return [[i] for i in range(len(peaks))]
    solutions = [_best_runs(peaks, shares, most)]
    if peaks.shape[1] > 1 and len(peaks) <= MOST_GREEDY_SPANS:
        solutions.append(_greedy(peaks, shares, most))
    return min(solutions, key=lambda groups: over_provided(peaks, shares, groups))


def over_provided(peaks: Matrix, shares: Matrix, groups: Sequence[Sequence[int]]) -> float:
    """What is minimised, as a share of the month, summed over workloads."""
    return math.fsum(
        float(((peaks[group].max(axis=0) - peaks[group]).sum(axis=1) * shares[group]).sum())
        for group in map(list, groups)
    )


def _best_runs(peaks: Matrix, shares: Matrix, most: int) -> list[list[int]]:
    """The `most` runs of the spans, sorted by summed load, that over-provide least."""
    import numpy as np

    order = np.argsort(-peaks.sum(axis=1), kind="stable")
    bundles = np.array_split(order, min(len(order), MOST_RUN_SPANS))
    run_cost = _run_costs(peaks, shares, bundles)
    count = len(bundles)
    best = run_cost[0].copy()  # of the first j + 1 bundles, as one run
    starts = []
    for _ in range(1, min(most, count)):
        # by the last run's start i: the runs before it, and the last one from i to j
        costs = np.concatenate([[0.0], best[:-1]])[:, None] + run_cost
        start = costs.argmin(axis=0)
        starts.append(start)
        best = costs[start, np.arange(count)]
    groups: list[list[int]] = []
    end = count
    for start in [*reversed(starts), np.zeros(count, dtype=int)]:
        if end > 0:
            begin = int(start[end - 1])
            groups.insert(0, [int(i) for bundle in bundles[begin:end] for i in bundle])
            end = begin
    return groups


def _run_costs(peaks: Matrix, shares: Matrix, bundles: Sequence[NDArray[intp]]) -> Matrix:
    """What the run of bundles i to j provides; infinite where j < i.

    That is what it over-provides and what is asked, and the latter is the same for all cuts.
    """
    import numpy as np

    highest = np.array([peaks[bundle].max(axis=0) for bundle in bundles])
    hours = np.array([shares[bundle].sum() for bundle in bundles])
    costs = np.full((len(bundles), len(bundles)), np.inf)
    for i in range(len(bundles)):
        needed = np.maximum.accumulate(highest[i:], axis=0).sum(axis=1)
        costs[i, i:] = needed * hours[i:].cumsum()
    return costs


def _greedy(peaks: Matrix, shares: Matrix, most: int) -> list[list[int]]:
    """Merges the pair of groups that adds least, until `most` are left."""
    import numpy as np

    groups = [[i] for i in range(len(peaks))]
    peaks, shares = peaks.copy(), shares.copy()
    added = np.array([_added(peaks, shares, i) for i in range(len(groups))])
    alive = len(groups)
    while alive > most:
        i, j = sorted(int(x) for x in np.unravel_index(added.argmin(), added.shape))
        groups[i] += groups[j]
        groups[j] = []
        peaks[i] = np.maximum(peaks[i], peaks[j])
        shares[i] += shares[j]
        dead = np.array([not group for group in groups])
        added[i] = np.where(dead, np.inf, _added(peaks, shares, i))
        added[:, i] = added[i]
        added[j] = added[:, j] = np.inf
        alive -= 1
    return [group for group in groups if group]


def _added(peaks: Matrix, shares: Matrix, i: int) -> Matrix:
    """What merging group `i` with each other one over-provides in addition."""
    import numpy as np

    highest = np.maximum(peaks, peaks[i])
    added = (highest - peaks).sum(axis=1) * shares + (highest - peaks[i]).sum(axis=1) * shares[i]
    added[i] = np.inf
    return np.asarray(added)
