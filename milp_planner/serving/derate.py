"""How far to trust a rate: quantiles of measured ÷ predicted throughput, by evidence.

The figures are those that `python -m milp_planner.study.accuracy` prints over public
measurements; after a change to the estimate, run it and copy its last table here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

DEFAULT_CONFIDENCE = 0.90
"""Plan on the rate that is reached or exceeded in 90 of 100 cases."""

DEFAULT_QUANTILE = 0.10
"""Of measured ÷ estimated: the other side of that confidence."""

QUANTILES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)

MEASURED = "measured"
"""A row of this replica configuration and request size."""

INTERPOLATED = "interpolated"
"""Rows of this replica configuration at request sizes nearby."""

SAME_REPLICA = "calibrated on the same replica"
"""Rows of this LLM, GPU, precision and tensor parallel at other request sizes."""

OTHER_TENSOR_PARALLEL = "calibrated at another tensor parallel"
"""Rows of this LLM, GPU and precision on more or fewer GPUs."""

ESTIMATED = "estimated"
"""No rows of this LLM, GPU and precision."""

RAW = "raw"
"""A nominal rate that the user or a catalog states; taken at its word."""


def planning_quantile(confidence: float) -> float:
    """The quantile of measured ÷ estimated to plan on, from a confidence between 0 and 1.

    A confidence of 0.90 (`p90`) plans on the value exceeded in 90 % of cases: the 10th percentile.
    """
    return round(1.0 - confidence, 12)  # 0.90 gives 0.1, not 0.09999999999999998


def derate(evidence: str, moe: bool, quantile: float) -> float:
    """Factor on a rate so that the stated share of cases falls below it.

    Linear between the tabulated quantiles, constant outside 5 to 95 %. Raises KeyError for an
    unknown kind of evidence.
    """
    return _interpolate(QUANTILES, DERATES[evidence, moe], quantile)


def error_band(evidence: str, moe: bool) -> tuple[float, float]:
    """Measured ÷ predicted at its 5th and 95th percentile: 9 in 10 cases lie between."""
    return DERATES[evidence, moe][0], DERATES[evidence, moe][-1]


def _interpolate(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    after = bisect_left(xs, x)
    share = (x - xs[after - 1]) / (xs[after] - xs[after - 1])
    return ys[after - 1] + share * (ys[after] - ys[after - 1])


DENSE, MOE = False, True

DERATES: dict[tuple[str, bool], tuple[float, ...]] = {
    #                      p5    p10   p25   p50   p75   p90   p95
    # No dense replica was measured twice: 5 % of spread at p10, as within one engine version.
    (MEASURED, DENSE): (0.90, 0.95, 0.98, 1.00, 1.02, 1.05, 1.08),
    (MEASURED, MOE): (0.80, 0.87, 0.97, 1.00, 1.04, 1.15, 1.24),
    # Few sizes lie between two others: the spread of a repeat is added in quadrature.
    (INTERPOLATED, DENSE): (0.85, 0.93, 0.97, 1.00, 1.03, 1.07, 1.11),
    (INTERPOLATED, MOE): (0.73, 0.86, 0.96, 1.00, 1.05, 1.16, 1.25),
    (SAME_REPLICA, DENSE): (0.83, 0.87, 0.92, 0.99, 1.06, 1.13, 1.19),
    (SAME_REPLICA, MOE): (0.75, 0.83, 0.93, 1.03, 1.12, 1.24, 1.33),
    (OTHER_TENSOR_PARALLEL, DENSE): (0.82, 0.85, 0.93, 0.99, 1.06, 1.14, 1.20),
    (OTHER_TENSOR_PARALLEL, MOE): (0.64, 0.72, 0.88, 1.02, 1.13, 1.24, 1.30),
    # Each LLM estimated by constants fitted on the others: what is planned was seldom measured.
    (ESTIMATED, DENSE): (0.82, 0.86, 0.92, 0.98, 1.09, 1.21, 1.26),
    (ESTIMATED, MOE): (0.62, 0.71, 0.83, 0.97, 1.09, 1.18, 1.26),
    (RAW, DENSE): (1.0,) * len(QUANTILES),
    (RAW, MOE): (1.0,) * len(QUANTILES),
}
"""Measured ÷ predicted throughput at each of `QUANTILES`, by kind of evidence and LLM."""
