"""What mixes tokens in a layer: attention of several kinds, gated delta nets and Mamba.

Each function gives the modules of one layer, and `Cache` what the layer keeps per sequence.
Shapes are those of the architectures' published code; sources stand with each.
"""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.inputs.imports.hf.config import Config
from milp_planner.inputs.imports.hf.modules import ATTENTION, NORMS, Module, linear
from milp_planner.lazily import dataclass

BYTES = 2
"""Of a cached element in bf16."""

INDEX_SCALE_BYTES = 4
"""The indexer of sparse attention keeps its keys in fp8 with one fp32 scale each."""

STATE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

QKV_BIASED = frozenset({"qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl"})
"""Architectures with biases on queries, keys and values that their config does not state."""

QK_NORMED = ("qwen3", "qwen3_moe", "qwen3_next", "qwen3_vl", "qwen3_5", "gemma3", "gemma4")


@dataclass(frozen=True)
class Cache:
    """What one layer keeps of a sequence."""

    bytes_per_token: float = 0.0
    """At 2 bytes per element."""

    window_bytes_per_token: float = 0.0
    """The same for tokens inside the window only."""

    state_bytes: float = 0.0
    """What does not grow with the context."""


# --- Heads with keys and values -----------------------------------------------------------------


@dataclass(frozen=True)
class Heads:
    """Attention heads of one layer."""

    queries: int
    kv: int
    width: int
    value_width: int
    shares_kv: bool = False
    """Keys serve as values too: there is no value projection."""


def heads(config: Config, is_full: bool) -> Heads:
    """Heads of a layer; some architectures give windowed layers others than full ones."""
    queries = config.count("num_attention_heads")
    kv = config.count("num_key_value_heads", default=queries)
    width = config.get("head_dim", "attention_head_dim")
    width = width or config.count("hidden_size") // queries
    value = config.get("v_head_dim", default=width)
    if is_full and config.get("global_head_dim"):
        width = value = config.count("global_head_dim")
        kv = config.count("num_global_key_value_heads", default=kv)
        return Heads(queries, kv, width, value, config.flag("attention_k_eq_v"))
    if not is_full and config.get("swa_num_key_value_heads"):
        queries = config.count("swa_num_attention_heads", default=queries)
        kv = config.count("swa_num_key_value_heads")
        width = config.count("swa_head_dim", default=width)
        value = config.count("swa_v_head_dim", default=value)
    return Heads(queries, kv, width, value)


def attention(config: Config, is_full: bool, has_window: bool) -> tuple[list[Module], Cache]:
    """Query, key, value and output projections; keys and values are cached."""
    h = heads(config, is_full)
    cached = h.kv * (h.width + h.value_width) * BYTES
    cache = Cache(window_bytes_per_token=cached) if has_window else Cache(cached)
    return list(_attention_modules(config, h)), cache


def _attention_modules(config: Config, h: Heads) -> Iterator[Module]:
    hidden, kind = config.count("hidden_size"), config.model_type
    biased = config.flag("attention_bias") or kind in QKV_BIASED
    gate = 2 if config.flag("attn_output_gate") or kind == "qwen3_next" else 1
    yield linear("self_attn.q_proj", ATTENTION, hidden, gate * h.queries * h.width, biased)
    yield linear("self_attn.k_proj", ATTENTION, hidden, h.kv * h.width, biased)
    if not h.shares_kv:
        yield linear("self_attn.v_proj", ATTENTION, hidden, h.kv * h.value_width, biased)
    output_biased = biased and kind not in QKV_BIASED
    wide = h.queries * h.value_width
    yield linear("self_attn.o_proj", ATTENTION, wide, hidden, output_biased)
    if kind == "gpt_oss":
        yield Module("self_attn.sinks", ATTENTION, h.queries, is_linear=False)
    if config.get("qk_norm_type") == "per_layer":
        yield Module("self_attn.qk_norm", NORMS, (h.queries + h.kv) * h.width, is_linear=False)
    elif kind.startswith(QK_NORMED) or config.flag("use_qk_norm"):
        yield Module("self_attn.qk_norm", NORMS, 2 * h.width, is_linear=False)
    sparse = config.get("sparse_attention_config")
    if sparse:
        index = sparse.get("sparse_num_index_heads", 0) * sparse.get("sparse_index_dim", 0)
        yield linear("self_attn.index_q_proj", ATTENTION, hidden, index)
        width = sparse.get("sparse_index_dim", 0)
        yield linear("self_attn.index_k_proj", ATTENTION, hidden, width)


# --- Compressed attention -----------------------------------------------------------------------


def latent_attention(config: Config, has_indexer: bool) -> tuple[list[Module], Cache]:
    """Multi-head latent attention (DeepSeek-V2, §2.1), with the indexer of sparse attention."""
    rank, rope = config.count("kv_lora_rank"), config.count("qk_rope_head_dim")
    index = config.count("index_head_dim", default=0) if has_indexer else 0
    indexed = index + INDEX_SCALE_BYTES if index else 0
    return list(_latent_modules(config, index)), Cache((rank + rope) * BYTES + indexed)


def _latent_modules(config: Config, index: int) -> Iterator[Module]:
    hidden, queries = config.count("hidden_size"), config.count("num_attention_heads")
    rank, rope = config.count("kv_lora_rank"), config.count("qk_rope_head_dim")
    nope, value = config.count("qk_nope_head_dim"), config.count("v_head_dim")
    query_rank = config.count("q_lora_rank", default=0)
    if query_rank:
        yield linear("self_attn.q_a_proj", ATTENTION, hidden, query_rank)
        yield Module("self_attn.q_a_layernorm", NORMS, query_rank, is_linear=False)
    wide = queries * (nope + rope)
    yield linear("self_attn.q_b_proj", ATTENTION, query_rank or hidden, wide)
    yield linear("self_attn.kv_a_proj_with_mqa", ATTENTION, hidden, rank + rope)
    yield Module("self_attn.kv_a_layernorm", NORMS, rank, is_linear=False)
    yield linear("self_attn.kv_b_proj", ATTENTION, rank, queries * (nope + value))
    yield linear("self_attn.o_proj", ATTENTION, queries * value, hidden)
    if index:
        index_heads = config.count("index_n_heads")
        yield linear("self_attn.indexer.wq_b", ATTENTION, query_rank, index_heads * index)
        yield linear("self_attn.indexer.wk", ATTENTION, hidden, index)
        yield linear("self_attn.indexer.weights_proj", ATTENTION, hidden, index_heads)
        yield Module("self_attn.indexer.k_norm", NORMS, 2 * index, is_linear=False)


OVERLAPPING_RATIO = 4
"""DeepSeek-V4 compresses 4 tokens to one with overlap and an indexer, 128 without either."""


def compressed_attention(config: Config, ratio: int) -> tuple[list[Module], Cache]:
    """DeepSeek-V4: a window, and beyond it one entry for `ratio` tokens (0: the window alone)."""
    width = config.count("head_dim")
    per_token = width * BYTES / ratio if ratio else 0.0
    if ratio == OVERLAPPING_RATIO:
        per_token += (config.count("index_head_dim") + INDEX_SCALE_BYTES) / ratio
    return list(_compressed_modules(config, ratio)), Cache(per_token, width * BYTES)


def _compressed_modules(config: Config, ratio: int) -> Iterator[Module]:
    hidden, queries = config.count("hidden_size"), config.count("num_attention_heads")
    width, query_rank = config.count("head_dim"), config.count("q_lora_rank")
    groups, output_rank = config.count("o_groups"), config.count("o_lora_rank")
    yield linear("attn.wq_a", ATTENTION, hidden, query_rank)
    yield linear("attn.wq_b", ATTENTION, query_rank, queries * width)
    yield linear("attn.wkv", ATTENTION, hidden, width)
    yield linear("attn.wo_a", ATTENTION, queries * width // groups, groups * output_rank)
    yield linear("attn.wo_b", ATTENTION, groups * output_rank, hidden)
    yield Module("attn.norms", NORMS, query_rank + width + queries, is_linear=False)
    if ratio:
        yield from _compressor("attn.compressor", hidden, width, ratio)
    if ratio == OVERLAPPING_RATIO:
        index, index_heads = config.count("index_head_dim"), config.count("index_n_heads")
        yield linear("attn.indexer.wq_b", ATTENTION, query_rank, index_heads * index)
        yield linear("attn.indexer.weights_proj", ATTENTION, hidden, index_heads)
        yield from _compressor("attn.indexer.compressor", hidden, index, ratio)


def _compressor(name: str, hidden: int, width: int, ratio: int) -> Iterator[Module]:
    wide = width * (2 if ratio == OVERLAPPING_RATIO else 1)
    yield Module(f"{name}.wkv", ATTENTION, hidden * wide, is_linear=False)
    yield Module(f"{name}.wgate", ATTENTION, hidden * wide, is_linear=False)
    yield Module(f"{name}.ape", ATTENTION, ratio * wide, is_linear=False)


# --- Layers with a state ------------------------------------------------------------------------


def delta_net(config: Config) -> tuple[list[Module], Cache]:
    """Gated delta net of Qwen3-Next and Qwen3.5: a state of key × value per value head."""
    key_heads, value_heads = (
        config.count("linear_num_key_heads"),
        config.count("linear_num_value_heads"),
    )
    key, value = config.count("linear_key_head_dim"), config.count("linear_value_head_dim")
    kernel, hidden = config.count("linear_conv_kernel_dim"), config.count("hidden_size")
    channels = 2 * key_heads * key + value_heads * value
    modules = [
        linear("linear_attn.in_proj_qkv", ATTENTION, hidden, channels),
        linear("linear_attn.in_proj_z", ATTENTION, hidden, value_heads * value),
        linear("linear_attn.in_proj_b", ATTENTION, hidden, value_heads),
        linear("linear_attn.in_proj_a", ATTENTION, hidden, value_heads),
        Module("linear_attn.conv1d", ATTENTION, channels * kernel, is_linear=False),
        Module("linear_attn.gates", ATTENTION, 2 * value_heads, is_linear=False),
        Module("linear_attn.norm", NORMS, value, is_linear=False),
        linear("linear_attn.out_proj", ATTENTION, value_heads * value, hidden),
    ]
    kept = STATE_BYTES.get(str(config.get("mamba_ssm_dtype")), BYTES)
    state = value_heads * key * value * kept + channels * (kernel - 1) * BYTES
    return modules, Cache(state_bytes=state)


def mamba(config: Config) -> tuple[list[Module], Cache]:
    """Mamba-2 of Nemotron-H: a state of head width × state columns per head."""
    heads_, width = config.count("mamba_num_heads"), config.count("mamba_head_dim")
    groups, columns = config.count("n_groups"), config.count("ssm_state_size")
    kernel, hidden = config.count("conv_kernel"), config.count("hidden_size")
    inner = heads_ * width
    channels = inner + 2 * groups * columns
    modules = [
        linear("mixer.in_proj", ATTENTION, hidden, inner + channels + heads_),
        Module("mixer.conv1d", ATTENTION, channels * (kernel + 1), is_linear=False),
        Module("mixer.gates", ATTENTION, 3 * heads_, is_linear=False),
        Module("mixer.norm", NORMS, inner, is_linear=False),
        linear("mixer.out_proj", ATTENTION, inner, hidden),
    ]
    kept = STATE_BYTES.get(str(config.get("mamba_ssm_cache_dtype")), BYTES)
    state = inner * columns * kept + channels * (kernel - 1) * BYTES
    return modules, Cache(state_bytes=state)
