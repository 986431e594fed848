"""How fast a replica serves, estimated from datasheet peaks and the LLM's architecture.

One decode step of n sequences on tp GPUs, in SI units (symbols used by every docstring here):

    I, O     input and output tokens of a request;  s = I + O/2, the mean context while decoding
    L, L_moe layers, and those of them with experts;  E experts of which k work on a token
    BW, F    memory bandwidth and compute peak of one GPU (dense datasheet figures)
    kv       bytes that one sequence of s tokens keeps on each GPU

    W(n)  = (body + experts · (1 − (1 − k/E)^n)) bytes + unembedding        weights read per step
    t_d   = max(W(n)/(tp·BW·η_w) + n·kv/(BW·η_kv), 2·P_active·n/(tp·F·η_c)) + overheads
    t_p   = prefill of one request;  tpot(n) = t_d(n) + (n − 1)·t_p/O
    X(n)  = n / (O·tpot(n) + t_p)                                            requests/s

The constants below are round figures chosen on public measurements, with the medians and quantiles
that `python -m milp_planner.study.accuracy` prints; to change one, run that command before and
after. Speculative decoding, disaggregated prefill, LoRA and prefix caching are not modelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.serving.memory import (
    BF16_BYTES,
    KV_PRECISION,
    WEIGHT_BYTES,
    head_dim,
    is_mla,
    is_moe,
    kv_bytes_per_gpu,
)

WEIGHT_READ_EFFICIENCY = 0.90  # η_w, share of the bandwidth peak that streaming weights attains
KV_READ_EFFICIENCY = 0.90  # η_kv, paged attention over MHA or GQA heads
KV_READ_EFFICIENCY_MLA = 0.75  # one compressed cache for all heads is read in smaller pieces
DECODE_COMPUTE_EFFICIENCY = 0.60  # η_c, share of the compute peak of large matrix products
PREFILL_COMPUTE_EFFICIENCY = 0.60
PREFILL_COMPUTE_EFFICIENCY_MOE = 0.30  # an expert sees few of the tokens: small, uneven products
# What AMD GPUs attain of their peaks, relative to what NVIDIA GPUs do of theirs. Offline MLPerf
# v4.1 to v6.0, llama-2-70b and mixtral-8x7b: from 0.64 (MI300X) to 0.90 (MI325X) of an H200.
AMD_COMPUTE_SHARE = 0.70
AMD_BANDWIDTH_SHARE = 0.85
LINK_EFFICIENCY = 0.50  # share of the link peak that an all-reduce attains

# Time that no datasheet shows: kernels too short to fill the GPU, per layer and step.
ATTENTION_OVERHEAD_S = 30e-6
ATTENTION_OVERHEAD_MLA_S = 60e-6  # twice the projections
FFN_OVERHEAD_S = 20e-6
MOE_OVERHEAD_S = 40e-6  # routing, gathering and two grouped products, in bf16
MOE_OVERHEAD_FP8_S = 50e-6  # activations are scaled to fp8 before each product: more kernels
MOE_OVERHEAD_FOUR_BIT_S = 20e-6  # 4-bit units: one kernel does all of it
MOE_OVERHEAD_WIDENED_S = 70e-6  # no units for the format: weights are unpacked to bf16 on the way
PREFILL_OVERHEAD_S = 50e-6  # per layer, once per request
SEQUENCE_OVERHEAD_S = 20e-6  # sampling and scheduling, per sequence and step

ALL_REDUCES_PER_LAYER = 2  # after attention and after the feed-forward part
FLOPS_PER_PARAMETER = 2  # one multiplication and one addition per token

GB = 1e9
TERA = 1e12


@dataclass(frozen=True)
class Link:
    """What joins the GPUs of a replica."""

    all_reduce_s: float
    """Latency of one small all-reduce, in seconds."""

    bytes_per_second: float
    """Peak of one GPU in one direction."""


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
    """Operations per second of the replica, tp · F."""

    def weights_s(self, n: float) -> float:
        """Time to read the weights of one step: W(n) / (tp · BW · η_w)   [s]."""
        if not self.expert_share:
            return self.body_s
        missed: float = (1 - self.expert_share) ** n
        return self.body_s + self.experts_s * (1 - missed)

    def decode_step_s(self, n: float) -> float:
        """One decode step of n sequences, t_d(n)   [s]."""
        memory = self.weights_s(n) + n * self.kv_s
        return max(memory, n * self.compute_s) + self.overhead_s + n * self.per_sequence_s

    def tpot_s(self, n: float) -> float:
        """Mean time per output token with n in flight   [s].

        Every other request is prefilled once while this one writes its O tokens:
        tpot(n) = t_d(n) + (n − 1)·t_p/O.
        """
        return self.decode_step_s(n) + (n - 1) * self.prefill_s / self.output_tokens

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

            N = λ·O·a / (1 − λ·(O·b + t_p))     with t_d(n) = a + b·n near n = 1 and 2

        Within 3 % of simulation up to 95 % load.
        """
        slope = self.decode_step_s(2) - self.decode_step_s(1)
        fixed = self.decode_step_s(1) - slope
        busy = requests_per_second * (self.output_tokens * slope + self.prefill_s)
        if busy >= 1:
            return float("inf")
        return requests_per_second * self.output_tokens * fixed / (1 - busy)

    def bottleneck(self, n: float) -> str:
        """What takes most of a token's time: weights, kv, compute or overhead."""
        memory = self.weights_s(n) + n * self.kv_s
        prefill = (n - 1) * self.prefill_s / self.output_tokens
        decode_is_compute = n * self.compute_s > memory
        parts = {
            "weights": 0.0 if decode_is_compute else self.weights_s(n),
            "kv": 0.0 if decode_is_compute else n * self.kv_s,
            "compute": prefill + (n * self.compute_s if decode_is_compute else 0.0),
            "overhead": self.overhead_s + n * self.per_sequence_s,
        }
        return max(parts, key=lambda part: parts[part])

    def mbu(self, n: float) -> float:
        """Model bandwidth utilization of a decode step: bytes read ÷ (time · peak)   [0–1]."""
        read = self.weights_s(n) * self.weight_efficiency + n * self.kv_s * self.kv_efficiency
        return read / self.decode_step_s(n)

    def mfu(self, n: float) -> float:
        """Model FLOPs utilization, prefill included: useful operations ÷ peak   [0–1]."""
        return self.requests_per_second(n) * self.flops_per_request / self.peak_flops

    def fastest_requests_per_second(self, n: float) -> float:
        """The physical bound on X(n): peaks reached, nothing lost, an 8-bit KV cache   [1/s].

        A measurement beyond it is an error, not a fast engine.
        """
        read = self.weights_s(n) * self.weight_efficiency
        read += n * self.kv_s * self.kv_efficiency / 2
        computed = n * self.flops_per_request / self.peak_flops
        return n / max(self.output_tokens * read, computed)

    @cached_property
    def ttft_advice_s(self) -> float:
        """Time to first token of an idle replica: its prefill and one step. Advice, never a gate:
        measured ttft departs from any closed form by 38–55 % in the median."""
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


def unable(gpu: Gpu, precision: str) -> str:
    """Why no engine serves weights in `precision` on `gpu`; '' where one does.

    NVIDIA GPUs multiply bf16 from compute capability 8.0 on, and unpack fp8 weights to 16 bits from
    7.5 on, 4-bit floats from 8.0 on (vLLM, "Quantization", supported hardware). fp16 and int4 run
    everywhere; nvfp4 is NVIDIA's, AMD's 4-bit units take mxfp4.
    """
    if precision == "nvfp4" and gpu.vendor == "amd":
        return f"no engine serves nvfp4 on {gpu.id}; mxfp4 is its 4-bit format"
    least = LEAST_CAPABILITY.get(precision, 0.0)
    if gpu.compute_capability is None or gpu.compute_capability >= least:
        return ""
    generation = f"compute capability {gpu.compute_capability:.1f}, {least:.1f} has it"
    if precision == "bf16":
        return f"{gpu.id} has no bf16 ({generation}); fp16 runs there"
    return f"no engine serves {precision} on {gpu.id} ({generation})"


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
    kv_precision: str = KV_PRECISION,
) -> Roofline:
    """The estimate for one replica and request size.

    Raises ValueError, with what is missing, where the catalog does not know enough.
    """
    missing = missing_for_estimate(llm, gpu)
    if missing:
        raise ValueError(missing)
    tp = tensor_parallel
    bandwidth = (gpu.memory_bandwidth_gb_per_s or 0.0) * GB
    flops = compute_flops(gpu, precision) * tp
    context = input_tokens + output_tokens / 2
    share = AMD_BANDWIDTH_SHARE if gpu.vendor == "amd" else 1.0
    weight_efficiency = WEIGHT_READ_EFFICIENCY * share
    kv_efficiency = (KV_READ_EFFICIENCY_MLA if is_mla(llm) else KV_READ_EFFICIENCY) * share
    read = tp * bandwidth * weight_efficiency
    active = active_parameters(llm)
    reduce_s = _all_reduce_s_per_token(llm, gpu, tp)
    return Roofline(
        tensor_parallel=tp,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        body_s=body_bytes(llm, precision) / read,
        experts_s=expert_parameters(llm) * WEIGHT_BYTES[precision] / read,
        expert_share=llm.experts_per_token / llm.experts if is_moe(llm) else 0.0,
        kv_s=kv_bytes_per_gpu(llm, context, tp, kv_precision) / (bandwidth * kv_efficiency),
        compute_s=FLOPS_PER_PARAMETER
        * active
        / (flops * DECODE_COMPUTE_EFFICIENCY * compute_share(gpu)),
        overhead_s=_overhead_s(llm, gpu, precision, tp),
        per_sequence_s=SEQUENCE_OVERHEAD_S + reduce_s,
        prefill_s=_prefill_s(llm, gpu, precision, tp, input_tokens),
        weight_efficiency=weight_efficiency,
        kv_efficiency=kv_efficiency,
        flops_per_request=FLOPS_PER_PARAMETER * active * (input_tokens + output_tokens)
        + attention_flops(llm, input_tokens),
        peak_flops=flops,
    )


def compute_flops(gpu: Gpu, precision: str) -> float:
    """Compute peak of one GPU for weights in `precision`, operations per second.

    A GPU computes in the weights' format only where it has units for it; else weights are widened
    to bf16 first. mxfp4 and int4 checkpoints keep wide activations: mxfp4 computes at the fp8 rate
    where the GPU has fp4 units, int4 always at the bf16 rate.
    """
    bf16 = gpu.bf16_tflops or 0.0
    rate = {
        "fp8": gpu.fp8_tflops,
        "nvfp4": gpu.fp4_tflops,
        "mxfp4": gpu.fp8_tflops if gpu.fp4_tflops else None,
    }.get(precision)
    return (rate or bf16) * TERA


def compute_share(gpu: Gpu) -> float:
    """What a GPU attains of its compute peak, relative to what NVIDIA GPUs do of theirs."""
    return AMD_COMPUTE_SHARE if gpu.vendor == "amd" else 1.0


def active_parameters(llm: Llm) -> float:
    """Parameters that work on one token."""
    return (llm.active_parameters_b or llm.parameters_b or 0.0) * GB


def expert_parameters(llm: Llm) -> float:
    """Parameters of all routed experts: L_moe · E · 3 · hidden · moe_ffn (gate, up and down)."""
    if not is_moe(llm):
        return 0.0
    return float(llm.moe_layers * llm.experts * 3 * (llm.hidden_size or 0) * llm.moe_ffn_size)


def body_bytes(llm: Llm, precision: str) -> float:
    """Bytes of the weights that every step reads: all but the experts and the input embedding.

    The unembedding stays in bf16 under every format. mxfp4 and int4 checkpoints of MoE LLMs
    quantise the experts alone (gpt-oss, Kimi-K2.5); the rest stays in bf16.
    """
    table = llm.vocabulary * (llm.hidden_size or 0)
    tables = table if llm.tied_embeddings else 2 * table
    rest = max(0.0, (llm.parameters_b or 0.0) * GB - expert_parameters(llm) - tables)
    kept_wide = is_moe(llm) and precision in EXPERTS_ONLY
    return rest * (BF16_BYTES if kept_wide else WEIGHT_BYTES[precision]) + table * BF16_BYTES


def attention_flops(llm: Llm, tokens: float) -> float:
    """Operations of causal attention over a prompt: 2 · heads · (d_qk + d_v) · Σ pairs.

    A full layer sees I²/2 pairs; a windowed layer I·w − w²/2 once the prompt exceeds its window w.
    """
    if is_mla(llm):
        width = llm.qk_nope_head_dim + llm.qk_rope_head_dim + llm.v_head_dim
    else:
        width = 2 * head_dim(llm)
    window = min(tokens, llm.window_tokens or tokens)
    full = (llm.layers or 0) - llm.windowed_layers - llm.linear_layers
    pairs = full * tokens**2 / 2 + llm.windowed_layers * (tokens * window - window**2 / 2)
    return 2 * (llm.attention_heads or 0) * width * pairs


def link_of(gpu: Gpu) -> Link:
    """The link between the GPUs of one unit; an unknown name is taken for PCIe."""
    if gpu.interconnect != "nvlink":
        return LINKS.get(gpu.interconnect, LINKS["pcie"])
    if gpu.fp4_tflops:
        return NVLINK_5
    return NVLINK_4 if gpu.fp8_tflops else NVLINK_3


def _overhead_s(llm: Llm, gpu: Gpu, precision: str, tp: int) -> float:
    """Time per step that neither bytes nor operations explain   [s].

    a·L + f·(L − L_moe) + m·L_moe + (tp > 1)·2·L·t_ar, with a, f and m the overheads of attention,
    of a dense feed-forward part and of one with experts, and t_ar that of a small all-reduce.
    """
    layers = llm.layers or 0
    moe = llm.moe_layers if is_moe(llm) else 0
    attention = ATTENTION_OVERHEAD_MLA_S if is_mla(llm) else ATTENTION_OVERHEAD_S
    kernels = attention * layers + FFN_OVERHEAD_S * (layers - moe)
    kernels += moe_overhead_s(gpu, precision) * moe
    if tp == 1:
        return kernels
    return kernels + ALL_REDUCES_PER_LAYER * layers * link_of(gpu).all_reduce_s


def moe_overhead_s(gpu: Gpu, precision: str) -> float:
    """Time of the kernels of one layer with experts, by how the GPU multiplies the format   [s]."""
    if precision in ("bf16", "fp16"):
        return MOE_OVERHEAD_S
    if precision == "fp8" and gpu.fp8_tflops:
        return MOE_OVERHEAD_FP8_S
    if precision in ("nvfp4", "mxfp4") and gpu.fp4_tflops:
        return MOE_OVERHEAD_FOUR_BIT_S
    return MOE_OVERHEAD_WIDENED_S


def _all_reduce_s_per_token(llm: Llm, gpu: Gpu, tp: int) -> float:
    """Volume of all all-reduces of one token: 2·L·d·2 bytes, sent 2·(tp − 1)/tp times   [s]."""
    volume = ALL_REDUCES_PER_LAYER * (llm.layers or 0) * (llm.hidden_size or 0) * BF16_BYTES
    sent = volume * 2 * (tp - 1) / tp  # ring all-reduce: reduce-scatter, then all-gather
    return sent / (link_of(gpu).bytes_per_second * LINK_EFFICIENCY)


def _prefill_s(llm: Llm, gpu: Gpu, precision: str, tp: int, tokens: float) -> float:
    """Prefill of one prompt of I tokens, t_p   [s].

    2·P_active·I/(tp·F·η_p) + attention/(tp·F_bf16·η_c) + all-reduce volume + 50 µs · L
    """
    efficiency = PREFILL_COMPUTE_EFFICIENCY_MOE if is_moe(llm) else PREFILL_COMPUTE_EFFICIENCY
    share = compute_share(gpu)
    linear = FLOPS_PER_PARAMETER * active_parameters(llm) * tokens
    linear_s = linear / (tp * compute_flops(gpu, precision) * efficiency * share)
    bf16 = tp * compute_flops(gpu, "bf16") * PREFILL_COMPUTE_EFFICIENCY * share
    attention_s = attention_flops(llm, tokens) / bf16
    reduce_s = tokens * _all_reduce_s_per_token(llm, gpu, tp)
    return linear_s + attention_s + reduce_s + PREFILL_OVERHEAD_S * (llm.layers or 0)


LEAST_CAPABILITY = {"bf16": 8.0, "fp8": 7.5, "nvfp4": 8.0, "mxfp4": 8.0}
"""Compute capability from which NVIDIA GPUs serve a format; any serves the others."""

EXPERTS_ONLY = frozenset({"mxfp4", "int4"})
"""Formats in which MoE checkpoints quantise the experts alone."""

NEEDED_OF_LLM = ("parameters_b", "layers", "hidden_size", "attention_heads")
NEEDED_OF_GPU = ("memory_gib", "memory_bandwidth_gb_per_s", "bf16_tflops")

NVLINK_3 = Link(all_reduce_s=8e-6, bytes_per_second=300e9)  # A100
NVLINK_4 = Link(all_reduce_s=8e-6, bytes_per_second=450e9)  # H100, H200
NVLINK_5 = Link(all_reduce_s=8e-6, bytes_per_second=900e9)  # B200, B300

LINKS = {
    "pcie": Link(all_reduce_s=40e-6, bytes_per_second=32e9),  # PCIe 4.0 x16
    "infinity_fabric": Link(all_reduce_s=12e-6, bytes_per_second=448e9),  # MI300X mesh, 7 peers
    "roce": Link(all_reduce_s=20e-6, bytes_per_second=300e9),  # Gaudi 2
    "neuronlink": Link(all_reduce_s=20e-6, bytes_per_second=100e9),  # assumed: none published
    "ici": Link(all_reduce_s=20e-6, bytes_per_second=100e9),  # assumed: none published
}
"""Link by the name that a GPU gives its interconnect."""
