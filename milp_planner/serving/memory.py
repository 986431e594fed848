"""What fits in GPU memory: weights, KV cache, and how many sequences a replica can hold.

The bytes of the weights are those of `weights.py`; everything else follows from the catalog.
"""

from __future__ import annotations

from math import ceil, floor

from milp_planner.inputs.catalog.layer_parts import full_attention_layers
from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.lazily import dataclass
from milp_planner.serving.engines import reserve_gib, sequence_limit
from milp_planner.serving.lora import lora_bytes
from milp_planner.serving.tensor_parallel import cannot_split
from milp_planner.serving.weights import BF16_BYTES, weights_bytes
from milp_planner.units import BYTES_PER_GIB

RULE_OF_THUMB_FACTOR = 1 + 0.20 + 0.15 + 0.10  # KV cache, framework, safety

KV_PRECISION = "bf16"
"""Format that KV cache figures are given in unless stated."""

LINEAR_EXPANSION = 2  # inner width ÷ hidden size of a Mamba-2 or gated delta-net layer
LINEAR_STATE_COLUMNS = 128  # state columns per inner channel of such a layer


@dataclass(frozen=True)
class MemoryFit:
    """How one replica fills the memory of each of its GPUs."""

    fits: bool
    """Whether at least one sequence can be held beside the weights."""

    weights_gib: float
    """Weights on each GPU, in GiB."""

    reserve_gib: float
    """Kept back on each GPU for activations, graphs and buffers, in GiB."""

    usable_gib: float
    """Memory of each GPU that the engine may take, in GiB."""

    free_gib: float
    """Left on each GPU for the KV cache, in GiB; negative when the weights leave too little."""

    kv_gib_per_sequence: float
    """KV cache of one full sequence on each GPU, in GiB."""

    sequences: int
    """Most sequences held at once, n_max."""

    reason: str = ""
    """Why it does not fit, with both numbers; '' when it fits."""

    def needed_gib(self, sequences: float) -> float:
        """Memory of each GPU that the replica takes with `sequences` in flight, in GiB."""
        return self.weights_gib + sequences * self.kv_gib_per_sequence + self.reserve_gib

    @property
    def weights_fit(self) -> bool:
        """Whether the weights alone fit, with or without room for a sequence."""
        return 0 < self.weights_gib <= self.usable_gib


def fit(
    llm: Llm,
    gpu: Gpu,
    precision: str,
    tensor_parallel: int,
    tokens_per_sequence: float,
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
) -> MemoryFit:
    """Whether `llm` fits on `tensor_parallel` GPUs, and with how many sequences.

        vLLM, SGLang   free = share · M − W/tp − R        M memory of a GPU, W weights and adapters
        TensorRT-LLM   free = share · (M − W/tp − R)      R the reserve           [GiB per GPU]
        n_max = ⌊free / KV per GPU of (input + output) tokens⌋, at most the engine's own limit

    `tokens_per_sequence` is input + output. An LLM with a recommended memory fits one GPU iff the
    recommendation is at most that GPU's memory, and runs on one GPU only.
    """
    if llm.recommended_memory_gib is not None:
        return _fit_as_recommended(llm, gpu, tensor_parallel, settings)
    if llm.parameters_b is None:
        return _no_fit(f"{llm.id} has neither parameters nor a recommended memory")
    if gpu.memory_gib is None:
        return _no_fit(f"the memory of {gpu.id} is not known")
    unsplit = cannot_split(llm, precision, tensor_parallel, settings)
    if unsplit:
        return _no_fit(unsplit)
    return _fit_by_architecture(llm, gpu, precision, tensor_parallel, tokens_per_sequence, settings)


def room(
    llm: Llm,
    gpu: Gpu,
    precision: str,
    tensor_parallel: int,
    tokens: float,
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
) -> float:
    """Sequences of `tokens` that the free memory holds, without the engine's limit; at least 1."""
    memory = fit(llm, gpu, precision, tensor_parallel, tokens, settings)
    if memory.kv_gib_per_sequence <= 0:
        return float(max(1, memory.sequences))
    return max(1.0, memory.free_gib / memory.kv_gib_per_sequence)


def rule_of_thumb_gib(parameters: float, bytes_per_parameter: float) -> float:
    """Memory by the rule of a published write-up on capacity planning, in GiB.

    parameters × bytes × 1.45: 20 % for the KV cache, 15 % for the framework, 10 % for safety. For
    comparison only: plans count the KV cache of the architecture.
    """
    return parameters * bytes_per_parameter * RULE_OF_THUMB_FACTOR / BYTES_PER_GIB


def kv_bytes_per_token(llm: Llm, kv_precision: str = KV_PRECISION) -> float:
    """KV cache of the full-attention layers, bytes per token, over all layers and GPUs.

        MHA, GQA:  2 · layers · kv_heads · head_dim · b
        MLA:       layers · (kv_lora_rank + qk_rope_head_dim) · b     (DeepSeek-V2, §2.1)

    The catalog's own figure goes first: it knows layers that share or compress their cache.
    """
    scale = KV_BYTES[kv_precision] / BF16_BYTES
    if llm.kv_bytes_per_token_bf16:
        return llm.kv_bytes_per_token_bf16 * scale
    return full_attention_layers(llm) * _kv_bytes_per_layer(llm) * scale


def kv_bytes_windowed_per_token(llm: Llm, kv_precision: str = KV_PRECISION) -> float:
    """KV cache of the windowed layers, bytes per token inside the window, over all GPUs."""
    scale = KV_BYTES[kv_precision] / BF16_BYTES
    if llm.kv_bytes_windowed_per_token_bf16:
        return llm.kv_bytes_windowed_per_token_bf16 * scale
    return llm.windowed_layers * _kv_bytes_per_layer(llm) * scale


def kv_bytes(llm: Llm, tokens: float, kv_precision: str = KV_PRECISION) -> float:
    """Bytes that one sequence of `tokens` holds, over all layers and GPUs.

    full · tokens + windowed · min(tokens, window) + state of the linear layers
    """
    window = min(tokens, llm.window_tokens) if llm.window_tokens else tokens
    return (
        kv_bytes_per_token(llm, kv_precision) * tokens
        + kv_bytes_windowed_per_token(llm, kv_precision) * window
        + linear_state_bytes(llm)
    )


def kv_bytes_per_gpu(
    llm: Llm, tokens: float, tensor_parallel: int, kv_precision: str = KV_PRECISION
) -> float:
    """Bytes that one sequence of `tokens` holds on each GPU.

    KV heads are split over at most `kv_heads` GPUs and repeated beyond that; the compressed cache
    of MLA is repeated on every GPU.
    """
    state = linear_state_bytes(llm)
    attention = kv_bytes(llm, tokens, kv_precision) - state
    return attention / kv_shards(llm, tensor_parallel) + state / tensor_parallel


def stage_share(llm: Llm, settings: DeploymentSettings) -> float:
    """Share of the layers that the largest pipeline stage holds: ⌈L/S⌉ / L."""
    if settings.stages == 1 or not llm.layers:
        return 1 / settings.stages
    return ceil(llm.layers / settings.stages) / llm.layers


def kv_shards(llm: Llm, tensor_parallel: int) -> int:
    """GPUs over which the KV cache of one sequence is split."""
    return 1 if is_mla(llm) else min(tensor_parallel, llm.kv_heads or 1)


def linear_state_bytes(llm: Llm) -> float:
    """State of the linear-attention and state-space layers of one sequence, in bytes.

    It does not grow with the context. The catalog's own figure goes first; without it, layers · 2 ·
    hidden · 128 · 2 bytes, the published shape of Mamba-2 (expansion 2, 128 state columns).
    """
    if llm.linear_state_bytes:
        return llm.linear_state_bytes
    columns = LINEAR_EXPANSION * LINEAR_STATE_COLUMNS
    return llm.linear_layers * (llm.hidden_size or 0) * columns * BF16_BYTES


def is_mla(llm: Llm) -> bool:
    """Whether attention keeps one compressed cache for all heads."""
    return llm.attention.upper().startswith("MLA")


def _kv_bytes_per_layer(llm: Llm) -> float:
    """Bytes per token and layer at 2 bytes per element."""
    if is_mla(llm):
        return (llm.kv_lora_rank + llm.qk_rope_head_dim) * BF16_BYTES
    return 2 * (llm.kv_heads or 0) * head_dim(llm) * BF16_BYTES


def head_dim(llm: Llm) -> int:
    if llm.head_dim:
        return llm.head_dim
    return (llm.hidden_size or 0) // (llm.attention_heads or 1)


def _fit_by_architecture(
    llm: Llm,
    gpu: Gpu,
    precision: str,
    tensor_parallel: int,
    tokens_per_sequence: float,
    settings: DeploymentSettings,
) -> MemoryFit:
    held = weights_bytes(llm, precision) + lora_bytes(llm, settings.lora)
    stage = stage_share(llm, settings)
    weights = held * stage / tensor_parallel / BYTES_PER_GIB
    memory_gib = gpu.memory_gib or 0.0
    share = settings.memory_share
    left = share * memory_gib - weights
    reserve = reserve_gib(llm, gpu, tensor_parallel, settings, left)
    usable = share * memory_gib
    if settings.engine == "tensorrt-llm":  # its share is of what is left, not of the GPU
        usable = min(memory_gib, usable + (1 - share) * (weights + reserve))
    free = usable - weights - reserve
    kv_precision = settings.kv_format(precision)
    per_sequence = kv_bytes_per_gpu(llm, tokens_per_sequence, tensor_parallel, kv_precision)
    kv_gib = per_sequence * stage / BYTES_PER_GIB
    sequences = _sequences(free, kv_gib, sequence_limit(gpu, settings))
    return MemoryFit(
        fits=sequences >= 1,
        weights_gib=weights,
        reserve_gib=reserve,
        usable_gib=usable,
        free_gib=free,
        kv_gib_per_sequence=kv_gib,
        sequences=sequences,
        reason=_why_not(
            *(weights, usable, free, kv_gib, tensor_parallel * settings.stages),
            tokens_per_sequence,
        ),
    )


def _sequences(free_gib: float, kv_gib_per_sequence: float, limit: int) -> int:
    if free_gib <= 0:
        return 0
    if kv_gib_per_sequence <= 0:
        return limit
    return min(limit, floor(free_gib / kv_gib_per_sequence))


def _why_not(
    weights: float, usable: float, free: float, kv: float, gpus: int, tokens: float
) -> str:
    """The first reason that the replica does not fit, with both numbers; '' when it fits."""
    share = " per GPU" if gpus > 1 else ""
    if weights > usable:
        all_of_them = f"{gpus} × " if gpus > 1 else ""
        return f"weights {weights * gpus:.1f} GiB do not fit in {all_of_them}{usable:.1f} GiB"
    if free <= 0:
        reserve = usable - weights - free
        return (
            f"weights {weights:.1f} GiB{share}, with {reserve:.1f} GiB for activations and graphs, "
            f"leave nothing of {usable:.1f} GiB for the KV cache"
        )
    left = f"weights {weights:.1f} GiB{share} leave {free:.1f} GiB for the KV cache"
    if kv > free:
        return f"{left}; one sequence of {tokens:,.0f} tokens needs {kv:.1f} GiB"
    return ""


def _fit_as_recommended(
    llm: Llm, gpu: Gpu, tensor_parallel: int, settings: DeploymentSettings
) -> MemoryFit:
    needed = llm.recommended_memory_gib or 0.0
    if tensor_parallel > 1:
        return _no_fit(
            f"{llm.id} gives a recommended memory for one GPU, nothing for {tensor_parallel} GPUs"
        )
    if gpu.memory_gib is None:
        return _no_fit(f"the memory of {gpu.id} is not known")
    fits = needed <= gpu.memory_gib
    return MemoryFit(
        fits=fits,
        weights_gib=needed,
        reserve_gib=0.0,
        usable_gib=gpu.memory_gib,
        free_gib=gpu.memory_gib - needed,
        kv_gib_per_sequence=0.0,
        sequences=sequence_limit(gpu, settings) if fits else 0,
        reason=""
        if fits
        else f"recommended memory {needed:.1f} GiB does not fit in {gpu.memory_gib:.1f} GiB",
    )


def _no_fit(reason: str) -> MemoryFit:
    return MemoryFit(
        fits=False,
        weights_gib=0.0,
        reserve_gib=0.0,
        usable_gib=0.0,
        free_gib=0.0,
        kv_gib_per_sequence=0.0,
        sequences=0,
        reason=reason,
    )


def precisions_of(native: str) -> tuple[str, ...]:
    """Weight formats an LLM can be served in: its own and those below it in bits."""
    return {
        "bf16": ("bf16", "fp16", "fp8", "int8", "nvfp4", "mxfp4", "int4"),
        "fp16": ("bf16", "fp16", "fp8", "int8", "nvfp4", "mxfp4", "int4"),
        "fp8": ("bf16", "fp8", "nvfp4", "mxfp4", "int4"),
    }.get(native, ("bf16", native))


KV_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0}
"""Bytes per cached element by KV cache format."""
