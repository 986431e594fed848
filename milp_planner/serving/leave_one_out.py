"""The constants of `roofline.py` refitted without one LLM, to see how they carry to a new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp
from typing import Any

from milp_planner.serving.calibration import shape_of
from milp_planner.serving.memory import is_mla, is_moe
from milp_planner.serving.roofline import SEQUENCE_OVERHEAD_S
from milp_planner.serving.samples import Sample

FITTED = (
    "reading weights",
    "reading the KV cache",
    "reading the KV cache, MLA",
    "kernels and latency, dense",
    "kernels and latency, MoE",
    "kernels and latency, MLA",
    "per sequence",
    "prefill, dense",
    "prefill, MoE",
)
"""What each fitted factor multiplies; all are 1 in the shipped constants."""

FIRST_STEP = 0.2  # of a factor's logarithm
LAST_STEP = 0.02
WORST_COUNTED = 0.6  # errors beyond e^0.6 count as that much: a broken row shall not steer
PULL = 0.002  # towards the shipped constants, where the data say little


def left_out_ratios(samples: Sequence[Sample]) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """For each LLM (tpot, throughput) measured ÷ estimated, by constants fitted on the others."""
    shapes = [shape_of(s.llm) for s in samples]
    for shape in sorted(set(shapes), key=str):
        mine = [s for s, other in zip(samples, shapes, strict=True) if other == shape]
        rest = [s for s, other in zip(samples, shapes, strict=True) if other != shape]
        if rest:
            factors = fit_factors(rest)
            tpot, rate = Parts(mine).log_ratios(factors)
            yield mine[0].llm.id, [(exp(t), exp(r)) for t, r in zip(tpot, rate, strict=True)]


def fit_factors(samples: Sequence[Sample]) -> list[float]:
    """One factor for each of `FITTED`, by coordinate descent on the mean absolute log error."""
    parts = Parts(samples)
    logs = [0.0] * len(FITTED)
    least = parts.loss(logs)
    step = FIRST_STEP
    while step > LAST_STEP:
        moved = False
        for i in range(len(logs)):
            for change in (step, -step):
                tried = [*logs[:i], logs[i] + change, *logs[i + 1 :]]
                loss = parts.loss(tried)
                if loss < least:
                    logs, least, moved = tried, loss, True
        if not moved:
            step /= 2
    return [exp(x) for x in logs]


class Parts:
    """What the times of many samples consist of, as arrays of seconds."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        import numpy as np

        def array(values: Sequence[float]) -> Any:
            return np.array(values, dtype=float)

        self.np = np
        estimates = [(s.estimate, s.concurrency) for s in samples]
        self.n = array([n for _, n in estimates])
        self.output = array([e.output_tokens for e, _ in estimates])
        self.weights = array([e.weights_s(n) for e, n in estimates])
        self.kv = array([n * e.kv_s for e, n in estimates])
        self.compute = array([n * e.compute_s for e, n in estimates])
        self.overhead = array([e.overhead_s for e, _ in estimates])
        self.volume = array([n * (e.per_sequence_s - SEQUENCE_OVERHEAD_S) for e, n in estimates])
        self.prefill = array([e.prefill_s for e, _ in estimates])
        self.measured_tpot = array([s.tpot_s for s in samples])
        self.measured_rate = array([s.output_tokens_per_second for s in samples])
        self.mla = np.array([is_mla(s.llm) for s in samples])
        self.moe = np.array([is_moe(s.llm) for s in samples])

    def log_ratios(self, factors: Sequence[float]) -> tuple[Any, Any]:
        """Logarithms of measured ÷ estimated tpot and throughput under the factors."""
        np, n = self.np, self.n
        weights, kv, kv_mla, dense, moe, mla, sequence, prefill_dense, prefill_moe = factors
        read = self.weights * weights + self.kv * np.where(self.mla, kv_mla, kv)
        kernels = self.overhead * np.where(self.mla, mla, np.where(self.moe, moe, dense))
        step = np.maximum(read, self.compute) + kernels + self.volume
        step = step + n * SEQUENCE_OVERHEAD_S * sequence
        prefill = self.prefill * np.where(self.moe, prefill_moe, prefill_dense)
        tpot = step + (n - 1) * prefill / self.output
        rate = n * self.output / (self.output * tpot + prefill)
        return np.log(self.measured_tpot / tpot), np.log(self.measured_rate / rate)

    def loss(self, logs: Sequence[float]) -> float:
        """Mean absolute log error of tpot and throughput, and the pull towards factors of 1."""
        tpot, rate = self.log_ratios([exp(x) for x in logs])
        np = self.np
        errors = np.minimum(abs(tpot), WORST_COUNTED) + np.minimum(abs(rate), WORST_COUNTED)
        return float(errors.mean()) + PULL * sum(x * x for x in logs)
