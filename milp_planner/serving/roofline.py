"""How fast a replica serves, estimated from datasheet peaks and the LLM's architecture.

One decode step of n sequences on tp GPUs, in SI units (symbols used by every docstring here):

    I, O     input and output tokens of a request;  s = I + O/2, the mean context while decoding
    L, L_moe layers, and those of them with experts;  E experts of which k work on a token
    BW, F    memory bandwidth and compute peak of one GPU (dense datasheet figures)
    kv       bytes that one sequence of s tokens keeps on each GPU

    W(n)  = body + experts · (1 − (1 − k/E)^n)       bytes of weights read per step
    t_d   = max(W(n)/(tp·BW·η_w), 2·P_active·n/(tp·F·η_c)) + n·kv/(BW·η_kv) + overheads
    t_p   = prefill of one request;  tpot(n) = t_d(n) + (n − 1)·t_p/O
    X(n)  = n / (O·tpot(n) + t_p)                                            requests/s

The constants below are round figures chosen on public measurements, with the medians and quantiles
that `python -m milp_planner.study.accuracy` prints; to change one, run that command before and
after. They hold for tuned engines; `tiers.py` says what default settings cost. Disaggregated
prefill is not modelled; draft tokens gain what the user states, their own cost is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from milp_planner.inputs.catalog.layer_parts import (
    feed_forward_layers,
    full_attention_layers,
    layer_parts,
    mixing_layers,
)
from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.inputs.catalog.tensor_groups import is_moe
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.lazily import dataclass
from milp_planner.serving.gpu_formats import (
    compute_flops,
    moe_overhead_s,
    nvfp4_share,
    unpacked_share,
)
from milp_planner.serving.links import (
    Network,
    link_of,
    network_of,
)
from milp_planner.serving.memory import head_dim, is_mla, kv_bytes_per_gpu
from milp_planner.serving.tiers import TIERS, TierTimes
from milp_planner.serving.weights import BF16_BYTES, expert_bytes, step_bytes

WEIGHT_READ_EFFICIENCY = 0.90  # η_w, share of the bandwidth peak that streaming weights attains
KV_READ_EFFICIENCY = 0.90  # η_kv, paged attention over MHA or GQA heads
KV_READ_EFFICIENCY_MLA = 0.75  # one compressed cache for all heads is read in smaller pieces
DECODE_COMPUTE_EFFICIENCY = 0.60  # η_c, share of the compute peak of large matrix products
PREFILL_COMPUTE_EFFICIENCY = 0.60
# A grouped product of narrow experts fills few tiles of a GPU: 0.30 of the peak at a width of
# 2,048 per GPU, 0.17 at 768, 0.53 at 14,336. The optimum is flat from 1,500 to 3,000.
HALF_EFFICIENT_EXPERT_WIDTH = 2000.0
# What AMD GPUs attain of their peaks, relative to what NVIDIA GPUs do of theirs. Offline MLPerf
# v4.1 to v6.0, llama-2-70b and mixtral-8x7b: from 0.64 (MI300X) to 0.90 (MI325X) of an H200.
AMD_COMPUTE_SHARE = 0.70
AMD_BANDWIDTH_SHARE = 0.85

# Time that no datasheet shows: kernels too short to fill the GPU, per layer and step.
ATTENTION_OVERHEAD_S = 30e-6
ATTENTION_OVERHEAD_MLA_S = 60e-6  # twice the projections
FFN_OVERHEAD_S = 20e-6
PREFILL_OVERHEAD_S = 50e-6  # per layer of two parts, once per pass
PREFILL_PASS_TOKENS = 8192  # prompts of static batches and endless queues share a pass
SEQUENCE_OVERHEAD_S = 20e-6  # sampling and scheduling, per sequence and step

FLOPS_PER_PARAMETER = 2  # one multiplication and one addition per token

GB = 1e9


@dataclass(frozen=True)
class Roofline:
    """One replica serving requests of one size; every time follows from the number in flight."""

    tensor_parallel: int
    input_tokens: float
    output_tokens: float

    body_s: float
    """Reading the weights that every step needs, per step."""

    experts_s: float
    """Reading all experts once, per step."""

    expert_share: float
    """k/E, the share of experts that one token visits; 0 for a dense LLM."""

    kv_s: float
    """Reading the KV cache of one sequence, per step."""

    compute_s: float
    """Computing one token, per sequence and step."""

    overhead_s: float
    """Kernels and all-reduce latency, per step."""

    per_sequence_s: float
    """Scheduling, sampling and all-reduce volume, per sequence and step."""

    prefill_s: float
    """Prefill of one request, t_p."""

    weight_efficiency: float
    """Share of the bandwidth peak that weights are read with; of the KV cache likewise."""

    kv_efficiency: float
    flops_per_request: float
    """Useful operations of one request."""

    peak_flops: float
    """Operations per second of the replica, all its GPUs."""

    verified: int = 1
    """Tokens of each sequence that a step works on: 1, and the draft tokens."""

    tokens_per_step: float = 1.0
    """Tokens that a step yields per sequence: 1, more where the user states drafts accepted."""

    stages: int = 1
    """Pipeline stages S: each works on n/S of the sequences at a time, see `joined.py`."""

    def in_stage(self, n: float) -> float:
        """Sequences that a stage works on at once: n/S, and no fewer than 1 where there is one."""
        return max(n / self.stages, min(n, 1.0))

    def weights_s(self, n: float) -> float:
        """Time to read the weights of one step: W(n) / (tp · BW · η_w)   [s]."""
        if not self.expert_share:
            return self.body_s
        missed: float = (1 - self.expert_share) ** n
        return self.body_s + self.experts_s * (1 - missed)

    def decode_step_s(self, n: float) -> float:
        """One decode step of n sequences, t_d(n)   [s].

        A matrix product reads its weights while it computes; attention reads the KV cache in
        kernels of its own, and hides behind neither.
        """
        held = self.in_stage(n)
        tokens = held * self.verified
        products = max(self.weights_s(tokens), tokens * self.compute_s)
        return products + held * self.kv_s + self.overhead_s + n * self.per_sequence_s

    def tpot_s(self, n: float) -> float:
        """Mean time per output token with n in flight   [s].

        Every other request is prefilled once while this one writes its O tokens:
        tpot(n) = t_d(n) / g + (n − 1)·t_p/(S·O), with g the tokens that a step yields. A prefill
        holds up one stage of S at a time.
        """
        step = self.decode_step_s(n) / self.tokens_per_step
        return step + (n - 1) * self.prefill_s / self.stages / self.output_tokens

    def requests_per_second(self, n: float) -> float:
        """Requests that n in flight complete, X(n) = n / (O·tpot(n) + t_p)   [1/s].

        Little's law; the time of one request is its own prefill and O tokens.
        """
        return n / (self.output_tokens * self.tpot_s(n) + self.prefill_s)

    def output_tokens_per_second(self, n: float) -> float:
        """Generated tokens per second of the replica with n in flight."""
        return self.output_tokens * self.requests_per_second(n)

    def most_within(self, tpot_limit_s: float | None, most: int) -> int:
        """n*, the largest n up to `most` whose tpot is within the limit; 0 when none is."""
        if tpot_limit_s is None:
            return most
        return largest_within(self.tpot_s, tpot_limit_s, most)

    def concurrency(self, requests_per_second: float) -> float:
        """Mean requests in flight at arrival rate λ; infinite beyond the capacity.

            N = λ·O·a / (1 − λ·(O·b + t_p/S))     with t_d(n) = a + b·n near n = S and 2·S

        Within 3 % of simulation up to 95 % load.
        """
        least = self.decode_step_s(self.stages)
        slope = (self.decode_step_s(2 * self.stages) - least) / self.stages
        fixed = least - slope * self.stages
        prefill_s = self.prefill_s / self.stages
        busy = requests_per_second * (self.output_tokens * slope + prefill_s)
        if busy >= 1:
            return float("inf")
        return requests_per_second * self.output_tokens * fixed / (1 - busy)

    def bottleneck(self, n: float) -> str:
        """What takes most of a token's time: weights, kv, compute or overhead."""
        held = self.in_stage(n)
        tokens = held * self.verified
        weights, compute = self.weights_s(tokens), tokens * self.compute_s
        prefill = (n - 1) * self.prefill_s / self.stages / self.output_tokens
        prefill *= self.tokens_per_step
        decode_is_compute = compute > weights
        parts = {
            "weights": 0.0 if decode_is_compute else weights,
            "kv": held * self.kv_s,
            "compute": prefill + (compute if decode_is_compute else 0.0),
            "overhead": self.overhead_s + n * self.per_sequence_s,
        }
        return max(parts, key=lambda part: parts[part])

    def mbu(self, n: float) -> float:
        """Model bandwidth utilization of a decode step: bytes read ÷ (time · peak)   [0–1]."""
        held = self.in_stage(n)
        weights = self.weights_s(held * self.verified) * self.weight_efficiency
        return (weights + held * self.kv_s * self.kv_efficiency) / self.decode_step_s(n)

    def mfu(self, n: float) -> float:
        """Model FLOPs utilization, prefill included: useful operations ÷ peak   [0–1]."""
        return self.requests_per_second(n) * self.flops_per_request / self.peak_flops

    def fastest_requests_per_second(self, n: float) -> float:
        """The physical bound on X(n): peaks reached, nothing lost, an 8-bit KV cache   [1/s].

        A measurement beyond it is an error, not a fast engine.
        """
        held = self.in_stage(n)
        read = self.weights_s(held) * self.weight_efficiency
        read += held * self.kv_s * self.kv_efficiency / 2
        computed = n * self.flops_per_request / self.peak_flops
        return n / max(self.output_tokens * read, computed)

    @cached_property
    def ttft_advice_s(self) -> float:
        """Time to first token of an idle replica: its prefill and one step. Where none was measured
        a wish below it is refused; above it a wish is not proven kept: measured ttft departs from
        any closed form by 38–55 % in the median."""
        return self.prefill_s + self.decode_step_s(1)


def largest_within(tpot_s: Callable[[float], float], limit_s: float, most: int) -> int:
    """The largest n in 1…most with tpot_s(n) ≤ limit_s, for a non-decreasing tpot; 0 when none."""
    if most < 1 or tpot_s(1) > limit_s:
        return 0
    if tpot_s(most) <= limit_s:
        return most
    within, beyond = 1, most
    while beyond - within > 1:
        middle = (within + beyond) // 2
        if tpot_s(middle) <= limit_s:
            within = middle
        else:
            beyond = middle
    return within


def missing_for_estimate(llm: Llm, gpu: Gpu) -> str:
    """What the catalog lacks to estimate `llm` on `gpu`; '' when nothing."""
    lacks = [
        f"{name} of {record.id}"
        for record, names in ((llm, NEEDED_OF_LLM), (gpu, NEEDED_OF_GPU))
        for name in names
        if getattr(record, name) is None
    ]
    return f"not in the catalog: {', '.join(lacks)}" if lacks else ""


def roofline(
    llm: Llm,
    gpu: Gpu,
    precision: str,
    tensor_parallel: int,
    input_tokens: float,
    output_tokens: float,
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
    *,
    shared_prefill: bool = False,
    tier: TierTimes | None = None,
) -> Roofline:
    """The estimate for one replica and request size.

    `shared_prefill` is for static batches and endless queues, whose prompts share a prefill pass;
    `tier` takes the place of the times of the deployment's own. Raises ValueError, with what is
    missing, where the catalog does not know enough.
    """
    missing = missing_for_estimate(llm, gpu)
    if missing:
        raise ValueError(missing)
    tp, tier = tensor_parallel, tier or TIERS[settings.tier]
    bandwidth = (gpu.memory_bandwidth_gb_per_s or 0.0) * GB
    flops = compute_flops(gpu, precision) * tp
    context = input_tokens + output_tokens / 2
    cached = settings.prefix_cache_share * input_tokens
    share = AMD_BANDWIDTH_SHARE if gpu.vendor == "amd" else 1.0
    weight_efficiency = WEIGHT_READ_EFFICIENCY * share
    kv_efficiency = (KV_READ_EFFICIENCY_MLA if is_mla(llm) else KV_READ_EFFICIENCY) * share
    read = tp * bandwidth * weight_efficiency
    active = active_parameters(llm)
    attained = DECODE_COMPUTE_EFFICIENCY * compute_share(gpu, tier)
    attained *= unpacked_share(gpu, precision) * nvfp4_share(gpu, precision)
    kv = kv_bytes_per_gpu(llm, context, tp, settings.kv_format(precision))
    drafts = settings.speculative
    verified = 1 + drafts.draft if drafts else 1
    network = network_of(gpu, tp, settings)
    sent_s = _all_reduce_s_per_token(llm, gpu, tp, network) + network.hops_s(llm)
    return Roofline(
        tensor_parallel=tp,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        body_s=step_bytes(llm, precision) / read,
        experts_s=expert_bytes(llm, precision) / read,
        expert_share=llm.experts_per_token / llm.experts if is_moe(llm) else 0.0,
        kv_s=kv / (bandwidth * kv_efficiency),
        compute_s=FLOPS_PER_PARAMETER * active / (flops * attained),
        overhead_s=_overhead_s(llm, gpu, precision, tp, tier) + network.latency_s(llm),
        per_sequence_s=SEQUENCE_OVERHEAD_S
        + tier.per_sequence_s
        + verified * sent_s / settings.stages,
        prefill_s=_prefill_s(llm, gpu, precision, tp, input_tokens, settings, tier, shared_prefill),
        weight_efficiency=weight_efficiency,
        kv_efficiency=kv_efficiency,
        flops_per_request=FLOPS_PER_PARAMETER * active * (input_tokens - cached + output_tokens)
        + attention_flops(llm, input_tokens)
        - attention_flops(llm, cached),
        peak_flops=flops * settings.stages,
        stages=settings.stages,
        verified=verified,
        tokens_per_step=drafts.tokens_per_step if drafts else 1.0,
    )


def compute_share(gpu: Gpu, tier: TierTimes) -> float:
    """What a GPU attains of its compute peak, relative to what NVIDIA GPUs do of theirs."""
    return AMD_COMPUTE_SHARE * tier.amd_compute if gpu.vendor == "amd" else 1.0


def prefill_efficiency(llm: Llm, tensor_parallel: int, settings: DeploymentSettings) -> float:
    """Share of the compute peak that prefill attains: 0.60, of experts 0.60 · w/(w + 2000).

    w is the width of an expert on one GPU: split by tensor parallel, unless spread whole.
    """
    if not is_moe(llm):
        return PREFILL_COMPUTE_EFFICIENCY
    width = llm.moe_ffn_size / (1 if settings.expert_parallel else tensor_parallel)
    return PREFILL_COMPUTE_EFFICIENCY * width / (width + HALF_EFFICIENT_EXPERT_WIDTH)


def active_parameters(llm: Llm) -> float:
    """Parameters that work on one token."""
    return (llm.active_parameters_b or llm.parameters_b or 0.0) * GB


def attention_flops(llm: Llm, tokens: float) -> float:
    """Operations of causal attention over a prompt: 2 · heads · (d_qk + d_v) · Σ pairs.

    A full layer sees I²/2 pairs; a windowed layer I·w − w²/2 once the prompt exceeds its window w.
    """
    if is_mla(llm):
        width = llm.qk_nope_head_dim + llm.qk_rope_head_dim + llm.v_head_dim
    else:
        width = 2 * head_dim(llm)
    window = min(tokens, llm.window_tokens or tokens)
    pairs = full_attention_layers(llm) * tokens**2 / 2
    pairs += llm.windowed_layers * (tokens * window - window**2 / 2)
    return 2 * (llm.attention_heads or 0) * width * pairs


def _overhead_s(llm: Llm, gpu: Gpu, precision: str, tp: int, tier: TierTimes) -> float:
    """Time per step that neither bytes nor operations explain   [s].

    κ·(a·L_mix + f·(L_ff − L_moe) + m·L_moe) + (tp > 1)·(L_mix + L_ff)·t_ar, with a, f and m the
    overheads of attention, of a dense feed-forward part and of one with experts, κ the tier's
    factor and t_ar that of a small all-reduce. In most LLMs every layer mixes tokens and has a
    feed-forward part, L_mix = L_ff = L.
    """
    moe = llm.moe_layers if is_moe(llm) else 0
    attention = ATTENTION_OVERHEAD_MLA_S if is_mla(llm) else ATTENTION_OVERHEAD_S
    kernels = attention * mixing_layers(llm) + FFN_OVERHEAD_S * (feed_forward_layers(llm) - moe)
    kernels += moe_overhead_s(gpu, precision) * moe
    kernels *= tier.kernels
    if tp == 1:
        return kernels
    latency = link_of(gpu).all_reduce_s * tier.all_reduce
    return kernels + layer_parts(llm) * latency


def _all_reduce_s_per_token(llm: Llm, gpu: Gpu, tp: int, network: Network) -> float:
    """Volume of all all-reduces of one token: 2·L·d·2 bytes, sent 2·(g − 1)/g times   [s].

    One after each mixer and each feed-forward part, 2·L where a layer has both; g the GPUs of a
    stage that are in one unit, tp of them unless units are joined; what is then sent between units
    comes on top.
    """
    inside = tp // network.units
    volume = layer_parts(llm) * (llm.hidden_size or 0) * BF16_BYTES
    sent = volume * 2 * (inside - 1) / inside  # ring all-reduce: reduce-scatter, then all-gather
    within = sent / link_of(gpu).attained_bytes_per_second
    return within + network.all_reduce_s(volume / inside)


def _prefill_s(
    llm: Llm,
    gpu: Gpu,
    precision: str,
    tp: int,
    tokens: float,
    settings: DeploymentSettings,
    tier: TierTimes,
    shared: bool,
) -> float:
    """Prefill of one prompt of I tokens of which c are found in the prefix cache, t_p   [s].

        2·P_active·(I − c)/(tp·F·η_p) + (attention(I) − attention(c))/(tp·F_bf16·η_c)
        + all-reduce volume of I − c tokens + κ · 50 µs · L

    Where prompts share a pass, one of 8,192 tokens, the launches are shared by as many.
    """
    cached = settings.prefix_cache_share * tokens
    share = compute_share(gpu, tier)
    efficiency = prefill_efficiency(llm, tp, settings) * share * nvfp4_share(gpu, precision)
    linear = FLOPS_PER_PARAMETER * active_parameters(llm) * (tokens - cached)
    linear_s = linear / (tp * compute_flops(gpu, precision) * efficiency)
    bf16 = tp * compute_flops(gpu, "bf16") * PREFILL_COMPUTE_EFFICIENCY * share
    attention_s = (attention_flops(llm, tokens) - attention_flops(llm, cached)) / bf16
    network = network_of(gpu, tp, settings)
    sent_s = _all_reduce_s_per_token(llm, gpu, tp, network) + network.hops_s(llm)
    reduce_s = (tokens - cached) * sent_s
    passes = min(1.0, (tokens - cached) / PREFILL_PASS_TOKENS) if shared else 1.0
    launches = PREFILL_OVERHEAD_S * tier.kernels * layer_parts(llm) / 2 * passes
    return linear_s + attention_s + reduce_s + launches


NEEDED_OF_LLM = ("parameters_b", "layers", "hidden_size", "attention_heads")
NEEDED_OF_GPU = ("memory_gib", "memory_bandwidth_gb_per_s", "bf16_tflops")
