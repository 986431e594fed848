"""What the same GPU and LLM lose to an engine's default settings, and to old engines.

A vendor's tuned recipe and TensorRT-LLM, which is compiled, are the `tuned` tier that the kernel
times of `roofline.py` hold for. Default settings of vLLM and SGLang run more and shorter kernels
(partial CUDA graphs, norms and quantisation not fused) and spend time of the host on every
sequence (scheduler, sampler, detokeniser, server). Fitted on what third parties measured with
default settings (ML.ENERGY, Cloudrift, heyram74); over resampled LLMs 1.58 to 2.05 and 28 to 41 µs.
"""

from __future__ import annotations

from milp_planner.inputs.problem.deployment import Tier
from milp_planner.lazily import dataclass


@dataclass(frozen=True)
class TierTimes:
    """How a tier's times differ from those of tuned engines."""

    kernels: float
    """Factor on the times of attention, feed-forward, expert kernels and prefill launches."""

    per_sequence_s: float
    """Host time added per sequence and step, in seconds."""

    all_reduce: float = 1.0
    """Factor on the latency of a small all-reduce."""

    amd_compute: float = 1.0
    """Factor on what AMD GPUs attain of their compute peak."""


TIERS: dict[Tier, TierTimes] = {
    "tuned": TierTimes(1.0, 0.0),
    "default": TierTimes(1.75, 30e-6),
    # vLLM of 2023-24 (Argonne, Splitwise); MI300X in 2024 reached 0.12 of the compute assumed now
    "old": TierTimes(1.9, 45e-6, all_reduce=3.2, amd_compute=0.12),
}
