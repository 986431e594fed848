"""How far to trust a rate: quantiles of measured ÷ estimated throughput, by kind of evidence.

The figures are those that `python -m milp_planner.serving.accuracy` prints over public
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

SAME_GPU_AND_TP = "calibrated on the same GPU and tensor parallel"
SAME_GPU = "calibrated on the same GPU"
SAME_LLM = "calibrated on the same LLM"
ESTIMATED_DENSE = "estimated, dense"
ESTIMATED_MOE = "estimated, mixture of experts"
RAW = "raw"
"""A nominal rate that the user or a catalog states; taken at its word."""


def planning_quantile(confidence: float) -> float:
    """The quantile of measured ÷ estimated to plan on, from a confidence between 0 and 1.

    A confidence of 0.90 (`p90`) plans on the value exceeded in 90 % of cases: the 10th percentile.
    """
    return round(1.0 - confidence, 12)  # 0.90 gives 0.1, not 0.09999999999999998


def derate(evidence: str, quantile: float) -> float:
    """Factor on a rate so that the stated share of cases falls below it.

    Linear between the tabulated quantiles, constant outside 5–95 %. Raises KeyError for an
    unknown kind of evidence.
    """
    return _interpolate(QUANTILES, DERATES[evidence], quantile)


def error_band(evidence: str) -> tuple[float, float]:
    """Measured ÷ estimated at its 5th and 95th percentile: 9 in 10 cases lie between."""
    return DERATES[evidence][0], DERATES[evidence][-1]


def _interpolate(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    after = bisect_left(xs, x)
    share = (x - xs[after - 1]) / (xs[after] - xs[after - 1])
    return ys[after - 1] + share * (ys[after] - ys[after - 1])


DERATES: dict[str, tuple[float, ...]] = {
    #                  p5    p10   p25   p50   p75   p90   p95
    MEASURED: (0.92, 0.95, 0.98, 1.00, 1.02, 1.05, 1.08),
    INTERPOLATED: (0.80, 0.85, 0.93, 1.00, 1.06, 1.14, 1.22),
    SAME_REPLICA: (0.78, 0.83, 0.91, 1.00, 1.07, 1.17, 1.25),
    SAME_GPU_AND_TP: (0.72, 0.81, 0.90, 1.00, 1.11, 1.28, 1.42),
    SAME_GPU: (0.69, 0.77, 0.89, 0.99, 1.13, 1.33, 1.50),
    SAME_LLM: (0.69, 0.77, 0.89, 0.99, 1.13, 1.33, 1.50),
    ESTIMATED_DENSE: (0.72, 0.83, 0.92, 1.00, 1.10, 1.25, 1.35),
    ESTIMATED_MOE: (0.62, 0.70, 0.85, 0.99, 1.15, 1.38, 1.55),
    RAW: (1.0,) * len(QUANTILES),
}
"""Measured ÷ estimated throughput at each of `QUANTILES`, by kind of evidence."""
