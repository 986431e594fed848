"""What an engine does with a GPU's memory and batch unless told otherwise: limits and reserves.

To add an engine, add it to `DeploymentSettings.engine` and to the tables here and in `tiers.py`.
"""

from __future__ import annotations

from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.inputs.catalog.tensor_groups import is_moe
from milp_planner.inputs.problem.deployment import FIRST_V1_RELEASE, DeploymentSettings
from milp_planner.units import BYTES_PER_GIB

LARGE_GPU_GIB = 70.0
"""vLLM takes larger defaults from 70 GiB on, A100 excepted (EngineArgs, default batch sizes)."""

PREFILL_TOKENS = 8192
"""Tokens of the largest prefill batch; of chunked prefill in SGLang and TensorRT-LLM too."""

PREFILL_TOKENS_SMALL_GPU = 2048

ACTIVATION_BYTES = 2.0

# vLLM: fitted to the memory that seven start-up logs left for the KV cache, each within 4 %. On an
# H100 at a share of 0.90: gpt-oss-120b 3.33 GiB, gpt-oss-20b 50.28, Llama-3.3-70B-FP8 tp 2 32.00,
# Llama-3.1-8B 51.38, Qwen3-32B 4.45 and tp 2 34.49; Llama-3.1-8B on an RTX 3090 3.81.
CONTEXT_GIB = 1.7  # CUDA context, graphs and communication buffers
HIDDEN_ACTIVATIONS = 14.0  # of the hidden width, held per token of the prefill batch
FFN_ACTIVATIONS = 7.0  # of the feed-forward width
GRAPH_SHARE = 0.05  # of what the weights leave: graphs and workspaces grow with the batch held

# TensorRT-LLM plans its buffers when it is compiled: about six activations of the hidden width,
# three of the feed-forward part, and the 32-bit logits of 256 sequences.
CONTEXT_GIB_COMPILED = 0.8
HIDDEN_ACTIVATIONS_COMPILED = 6.0
FFN_ACTIVATIONS_COMPILED = 3.0
LOGIT_ROWS = 256
LOGIT_BYTES = 4.0

UNKNOWN_WIDTHS_GIB = 1.5  # where the catalog lacks the widths of the LLM: nearly as good
UNKNOWN_WIDTHS_SHARE = 0.02

MOST_SEQUENCES = {"vllm": 1024, "sglang": 2048, "tensorrt-llm": 2048}
"""Limit of the batch in releases of today."""

MOST_SEQUENCES_SMALL = 256
"""vLLM before its V1 engine, and on small GPUs."""


def sequence_limit(gpu: Gpu, settings: DeploymentSettings) -> int:
    """Most requests in flight in a replica: as set, else the engine's own limit."""
    if settings.max_sequences is not None:
        return settings.max_sequences
    small = settings.engine == "vllm" and not _has_large_defaults(gpu)
    if small or settings.is_before(FIRST_V1_RELEASE):
        return MOST_SEQUENCES_SMALL
    return MOST_SEQUENCES[settings.engine]


def prefill_batch_tokens(gpu: Gpu, settings: DeploymentSettings) -> int:
    """Tokens of the largest prefill batch by the engine's defaults."""
    small = settings.engine == "vllm" and not _has_large_defaults(gpu)
    return PREFILL_TOKENS_SMALL_GPU if small else PREFILL_TOKENS


def reserve_gib(
    llm: Llm,
    gpu: Gpu,
    tensor_parallel: int,
    settings: DeploymentSettings,
    left_gib: float,
) -> float:
    """Kept back on each GPU beside weights and KV cache, in GiB.

        vLLM, SGLang   1.7 GiB + tokens · 2 bytes · (14·h + 7·f/tp) + 5 % of what weights leave
        TensorRT-LLM   0.8 GiB + tokens · 2 bytes · (6·h + 3·f/tp) + 256 · V · 4 bytes

    with h the hidden size, f the width of the feed-forward part that works on a token, V the
    vocabulary and `left_gib` the engine's memory less the weights. SGLang is held to the figures of
    vLLM: no start-up log of it is at hand.
    """
    if llm.hidden_size is None:
        return UNKNOWN_WIDTHS_GIB + UNKNOWN_WIDTHS_SHARE * (gpu.memory_gib or 0.0)
    hidden, ffn = llm.hidden_size, _active_ffn(llm) / tensor_parallel
    tokens = prefill_batch_tokens(gpu, settings)
    if settings.engine == "tensorrt-llm":
        widths = HIDDEN_ACTIVATIONS_COMPILED * hidden + FFN_ACTIVATIONS_COMPILED * ffn
        logits = LOGIT_ROWS * LOGIT_BYTES * llm.vocabulary
        return CONTEXT_GIB_COMPILED + (tokens * ACTIVATION_BYTES * widths + logits) / BYTES_PER_GIB
    widths = HIDDEN_ACTIVATIONS * hidden + FFN_ACTIVATIONS * ffn
    activations = tokens * ACTIVATION_BYTES * widths / BYTES_PER_GIB
    return CONTEXT_GIB + activations + GRAPH_SHARE * max(0.0, left_gib)


def _has_large_defaults(gpu: Gpu) -> bool:
    return (gpu.memory_gib or 0.0) >= LARGE_GPU_GIB and "a100" not in gpu.id


def _active_ffn(llm: Llm) -> float:
    """Feed-forward width that works on one token: dense, or that of the chosen experts."""
    experts = llm.experts_per_token * llm.moe_ffn_size if is_moe(llm) else 0
    return float(experts or llm.ffn_size)
