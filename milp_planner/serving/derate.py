"""How far to trust a rate: quantiles of measured ÷ predicted throughput, by evidence.

An estimate misses for two reasons: each source of measurements runs everything a little faster or
slower than another, and runs of one source scatter. With μ the mean of the logarithm, τ the spread
between sources, σ that inside one and x what widens it for lack of relatives,

    planned = estimate · exp(μ + t_q · √((1 + 1/S)·τ² + σ² + Σ x²))

where t_q is the quantile of Student's t with S − 1 degrees of freedom, S the sources that τ is
known from: the prediction for a source that was not seen yet (Gelman et al., "Bayesian Data
Analysis", ch. 5, random effects). `python -m milp_planner.study.accuracy` prints how often it is
kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import atan, cos, exp, hypot, pi, sin, sqrt

from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.inputs.problem.deployment import Tier
from milp_planner.lazily import dataclass

DEFAULT_CONFIDENCE = 0.90
"""Plan on the rate that is reached or exceeded in 90 of 100 cases."""

DEFAULT_QUANTILE = 0.10
"""Of measured ÷ estimated: the other side of that confidence."""

QUANTILES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)

FARTHEST_QUANTILE = 0.01
"""Beyond 1 and 99 % nothing is known: sources are too few."""

MEASURED = "measured"
"""A row of this replica configuration, request size, engine and settings."""

INTERPOLATED = "interpolated"
"""The user's rows of this replica configuration at request sizes nearby."""

SAME_REPLICA = "calibrated on the same replica"
"""The user's rows of this LLM, GPU, precision and tensor parallel at other request sizes."""

OTHER_TENSOR_PARALLEL = "calibrated at another tensor parallel"
"""The user's rows of this LLM, GPU and precision on more or fewer GPUs."""

OTHER_GPU = "calibrated on another GPU"
"""The user's rows of this LLM in this precision on other GPUs."""

PUBLISHED = "published of another deployment"
"""A row of this replica and request size that others made with another engine or settings."""

ESTIMATED = "estimated"
"""No rows that say anything of this deployment."""

RAW = "raw"
"""A nominal rate that the user or a catalog states; taken at its word."""

SOURCES = 8
"""Recent sources of measurements, each a team with machines and settings of its own."""

BETWEEN_SOURCES = 0.08
"""τ of the logarithm; their means scatter by 0.05 to 0.07."""

CENTRE = -0.041
"""μ of the logarithm, the mean over those sources: measured ÷ estimated is 0.96."""

WITHIN_SOURCE: dict[tuple[Tier, bool], float] = {
    ("tuned", False): 0.09,
    ("tuned", True): 0.21,
    ("default", False): 0.18,
    ("default", True): 0.30,
    ("old", False): 0.41,
    ("old", True): 0.41,
}
"""σ of the logarithm by tier and for dense LLMs or mixtures of experts: half of the range from 16
to 84 % inside a source, root mean square over sources."""

REPEATED = 0.0437
"""Spread of a run repeated on the same deployment: p10 0.94, over 692 pairs of one source."""

INTERPOLATED_SPREAD = {False: 0.051, True: 0.107}
"""Spread between two sizes that the user measured: p10 0.93 for dense LLMs, 0.86 for mixtures."""

CALIBRATED_SPREAD = {SAME_REPLICA: 0.18, OTHER_TENSOR_PARALLEL: 0.14, OTHER_GPU: 0.15}
"""Root mean square of the logarithm after the best shrinkage, inside one source and engine."""

SHRINKAGE = {SAME_REPLICA: 0.6, OTHER_TENSOR_PARALLEL: 0.6, OTHER_GPU: 0.4}
"""How much of log(measured ÷ estimated) carries over inside one source and engine: 0.62, 0.62 and
0.39. Between sources it is 0.0 to 0.1, on 24 ordered pairs: taken as none."""

SMALL_LLM_B = 4.0
SMALL_GPU_GIB = 24.5
LONG_INPUT_TOKENS = 16_384


@dataclass(frozen=True)
class Widening:
    """Why the spread of an estimate is wider than those of the measured relatives."""

    reason: str
    spread: float
    """Added in quadrature to the spread of the logarithm."""


OTHER_VENDOR = Widening("GPUs of this vendor are measured in old engines only", 0.20)
OVER_PCIE = Widening("tensor parallel over PCIe depends on the host", 0.20)
SMALL_LLM = Widening("LLMs below 4B have few measured relatives", 0.25)
SMALL_GPU = Widening("GPUs of at most 24 GiB have few measured relatives", 0.25)
JOINED_UNITS = Widening("joined units depend on their network and have no measured relative", 0.25)
LONG_INPUT = Widening("prompts beyond 16,384 tokens have few measured relatives", 0.15)


@dataclass(frozen=True)
class Trust:
    """What decides how far an estimate is trusted, besides the evidence."""

    moe: bool = False
    tier: Tier = "default"
    widenings: tuple[Widening, ...] = ()

    @property
    def spread(self) -> float:
        """Of the logarithm of measured ÷ estimated, for a source not seen yet."""
        between = sqrt(1 + 1 / SOURCES) * BETWEEN_SOURCES
        extras = (widening.spread for widening in self.widenings)
        return hypot(between, WITHIN_SOURCE[self.tier, self.moe], *extras)


def trust_in(
    llm: Llm,
    gpu: Gpu,
    tensor_parallel: int,
    input_tokens: float,
    *,
    moe: bool,
    tier: Tier,
    units_joined: int = 1,
) -> Trust:
    """How far the estimate of a replica is trusted, with every reason that widens its spread."""
    joined = (JOINED_UNITS,) if units_joined > 1 else ()
    return Trust(moe, tier, (*_widenings(llm, gpu, tensor_parallel, input_tokens), *joined))


def _widenings(llm: Llm, gpu: Gpu, tensor_parallel: int, input_tokens: float) -> Iterator[Widening]:
    if gpu.vendor != "nvidia":
        yield OTHER_VENDOR
    if tensor_parallel > 1 and gpu.is_on_pcie:
        yield OVER_PCIE
    if (llm.parameters_b or SMALL_LLM_B) < SMALL_LLM_B:
        yield SMALL_LLM
    if (gpu.memory_gib or SMALL_GPU_GIB) < SMALL_GPU_GIB:
        yield SMALL_GPU
    if input_tokens > LONG_INPUT_TOKENS:
        yield LONG_INPUT


def planning_quantile(confidence: float) -> float:
    """The quantile of measured ÷ estimated to plan on, from a confidence between 0 and 1.

    A confidence of 0.90 (`p90`) plans on the value exceeded in 90 % of cases: the 10th percentile.
    """
    return round(1.0 - confidence, 12)  # 0.90 gives 0.1, not 0.09999999999999998


def derate(evidence: str, trust: Trust, quantile: float) -> float:
    """Factor on a rate so that the stated share of cases falls below it.

    Quantiles beyond 1 and 99 % count as those. Raises KeyError for an unknown kind of evidence.
    """
    if evidence == RAW:
        return 1.0
    centre, spread = _distribution(evidence, trust)
    kept = min(max(quantile, FARTHEST_QUANTILE), 1 - FARTHEST_QUANTILE)
    return exp(centre + student_t_quantile(kept) * spread)


def error_band(evidence: str, trust: Trust) -> tuple[float, float]:
    """Measured ÷ predicted at its 5th and 95th percentile: 9 in 10 cases lie between."""
    return derate(evidence, trust, QUANTILES[0]), derate(evidence, trust, QUANTILES[-1])


def _distribution(evidence: str, trust: Trust) -> tuple[float, float]:
    """Centre and spread of the logarithm of measured ÷ predicted."""
    if evidence == MEASURED:
        return 0.0, REPEATED
    if evidence == INTERPOLATED:
        return 0.0, INTERPOLATED_SPREAD[trust.moe]
    if evidence in (ESTIMATED, PUBLISHED):
        return CENTRE, trust.spread
    known = CALIBRATED_SPREAD[evidence]
    return CENTRE * (1 - SHRINKAGE[evidence]), min(known, trust.spread)


@lru_cache(maxsize=256)
def student_t_quantile(share: float) -> float:
    """The value that Student's t with 7 degrees of freedom stays below with that probability."""
    low, high = -1e3, 1e3
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_t_below(middle) < share else (low, middle)
    return (low + high) / 2


def _student_t_below(t: float) -> float:
    """The distribution function for 7 degrees of freedom (Abramowitz and Stegun, 26.7.3)."""
    angle = atan(t / sqrt(SOURCES - 1))
    c = cos(angle)
    series = c + 2 / 3 * c**3 + 8 / 15 * c**5
    return 0.5 + (angle + sin(angle) * series) / pi
