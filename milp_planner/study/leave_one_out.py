"""The constants of `serving/roofline.py` refitted without one LLM or GPU, to see how they carry to
another.

The kernels of expert layers start from the same time under every format, whatever ships: a format
that only the left-out LLM was measured in is then predicted without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import exp, log
from typing import Any

from milp_planner.serving.memory import is_mla, is_moe
from milp_planner.serving.roofline import (
    MOE_OVERHEAD_FOUR_BIT_S,
    MOE_OVERHEAD_FP8_S,
    MOE_OVERHEAD_S,
    MOE_OVERHEAD_WIDENED_S,
    SEQUENCE_OVERHEAD_S,
    moe_overhead_s,
)
from milp_planner.study.samples import Sample

EXPERT_KERNELS = (
    MOE_OVERHEAD_S,
    MOE_OVERHEAD_FP8_S,
    MOE_OVERHEAD_FOUR_BIT_S,
    MOE_OVERHEAD_WIDENED_S,
)

FITTED: dict[str, float] = {
    "reading weights": 1.0,
    "reading the KV cache": 1.0,
    "reading the KV cache, MLA": 1.0,
    "kernels and latency, dense": 1.0,
    "kernels and latency, MoE": 1.0,
    "kernels and latency, MLA": 1.0,
    "per sequence": 1.0,
    "prefill, dense": 1.0,
    "prefill, MoE": 1.0,
    **{f"experts of {1e6 * own:.0f} µs": MOE_OVERHEAD_S / own for own in EXPERT_KERNELS},
}
"""What each fitted factor multiplies, and where its fit starts; 1 is the shipped constant."""

FIRST_STEP = 0.2  # of a factor's logarithm
LAST_STEP = 0.02
WORST_COUNTED = 0.6  # errors beyond e^0.6 count as that much: a broken row shall not steer
PULL = 0.002  # towards the start, where the data say little

STARTS = [log(start) for start in FITTED.values()]


def left_out_ratios(
    samples: Sequence[Sample], of: Callable[[Sample], object]
) -> Iterator[tuple[Sample, list[tuple[float, float]]]]:
    """Each group's first sample, and (tpot, throughput) measured ÷ estimated of all of them, by
    constants fitted on the other groups."""
    names = [of(s) for s in samples]
    for name in sorted(set(names), key=str):
        mine = [s for s, other in zip(samples, names, strict=True) if other == name]
        rest = [s for s, other in zip(samples, names, strict=True) if other != name]
        if rest:
            factors = fit_factors(rest)
            tpot, rate = Parts(mine).log_ratios(factors)
            yield mine[0], [(exp(t), exp(r)) for t, r in zip(tpot, rate, strict=True)]


def fit_factors(samples: Sequence[Sample]) -> list[float]:
    """One factor for each of `FITTED`, by coordinate descent on the mean absolute log error."""
    parts = Parts(samples)
    logs = list(STARTS)
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
        each = array([moe_overhead_s(s.gpu, s.precision) for s in samples])
        self.experts = each * array([s.llm.moe_layers if is_moe(s.llm) else 0 for s in samples])
        self.kernel = np.array([EXPERT_KERNELS.index(own) for own in each])
        self.overhead = array([e.overhead_s for e, _ in estimates]) - self.experts
        self.volume = array([n * (e.per_sequence_s - SEQUENCE_OVERHEAD_S) for e, n in estimates])
        self.prefill = array([e.prefill_s for e, _ in estimates])
        self.measured_tpot = array([s.tpot_s for s in samples])
        self.measured_rate = array([s.output_tokens_per_second for s in samples])
        self.mla = np.array([is_mla(s.llm) for s in samples])
        self.moe = np.array([is_moe(s.llm) for s in samples])

    def log_ratios(self, factors: Sequence[float]) -> tuple[Any, Any]:
        """Logarithms of measured ÷ estimated tpot and throughput under the factors."""
        np, n = self.np, self.n
        weights, kv, kv_mla, dense, moe, mla, sequence, prefill_dense, prefill_moe = factors[:9]
        experts = np.array(factors[9:])[self.kernel]
        read = self.weights * weights + self.kv * np.where(self.mla, kv_mla, kv)
        kernels = self.overhead * np.where(self.mla, mla, np.where(self.moe, moe, dense))
        kernels = kernels + self.experts * experts
        step = np.maximum(read, self.compute) + kernels + self.volume
        step = step + n * SEQUENCE_OVERHEAD_S * sequence
        prefill = self.prefill * np.where(self.moe, prefill_moe, prefill_dense)
        tpot = step + (n - 1) * prefill / self.output
        rate = n * self.output / (self.output * tpot + prefill)
        return np.log(self.measured_tpot / tpot), np.log(self.measured_rate / rate)

    def loss(self, logs: Sequence[float]) -> float:
        """Mean absolute log error of tpot and throughput, and the pull towards the start."""
        tpot, rate = self.log_ratios([exp(x) for x in logs])
        np = self.np
        errors = np.minimum(abs(tpot), WORST_COUNTED) + np.minimum(abs(rate), WORST_COUNTED)
        away = sum((x - start) ** 2 for x, start in zip(logs, STARTS, strict=True))
        return float(errors.mean()) + PULL * away
