"""Percentiles, means and misses with 95 % intervals: over runs of several seeds, or over batches.

The values of one run are no independent draws: whoever waits has neighbours who wait. So a run is
cut into batches in the order of arrival, and the batches' own figures tell the interval by
Student's t; with several seeds each run is one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING

from milp_planner.replaying.records import ReplayFigure

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

BATCHES = 20

T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093),
)
"""The 97.5 % quantile of Student's t with 1, 2, … 19 degrees of freedom: any table of it."""

Runs = Sequence["NDArray[float64]"]
"""One array of values for every seed, in the order of arrival."""


def percentile_of(runs: Runs, share: float) -> ReplayFigure:
    """The value that `share` of all values do not exceed; infinite values are none."""
    return _figure(runs, lambda values: _quantile(values, share))


def mean_of(runs: Runs, weights: Runs | None = None) -> ReplayFigure:
    """The mean, weighted where weights are given; of infinite values there is none."""
    import numpy as np

    if weights is None:
        return _figure(runs, lambda values: float(values.mean()))
    pairs = [np.stack([v, w], axis=1) for v, w in zip(runs, weights, strict=True)]
    return _figure(pairs, lambda pair: float(np.average(pair[:, 0], weights=pair[:, 1])))


def missed_share(runs: Runs, wished_s: float) -> tuple[float, float]:
    """The share of values above a wish, and half of its 95 % interval."""
    found = _figure(runs, lambda values: float((values > wished_s * (1 + 1e-9)).mean()))
    return found.value_s or 0.0, found.half_width_s or 0.0


def _figure(runs: Runs, of: Callable[[NDArray[float64]], float]) -> ReplayFigure:
    import numpy as np

    some = [run for run in runs if len(run)]
    if not some:
        return ReplayFigure(None, None)
    value = of(np.concatenate(some))
    parts = some if len(some) > 1 else np.array_split(some[0], BATCHES)
    each = [of(part) for part in parts if len(part)]
    known = value if isfinite(value) else None
    if len(each) < 2 or not all(map(isfinite, each)):
        return ReplayFigure(known, None)
    half = T_95[len(each) - 2] * float(np.std(each, ddof=1)) / sqrt(len(each))
    return ReplayFigure(known, half)


def _quantile(values: NDArray[float64], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    import numpy as np

    rank = max(0, int(np.ceil(share * len(values) - 1e-9)) - 1)
    return float(np.partition(values, rank)[rank]) if len(values) else inf
