"""The layers of an architecture: which mixer and which feed-forward part each has.

To add an architecture whose config uses the common names, add its `model_type` to `KNOWN`; one with
names or shapes of its own also needs a case in `mixer_kinds` or `expert_layers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from milp_planner.errors import did_you_mean, input_error
from milp_planner.inputs.imports.hf import mixers
from milp_planner.inputs.imports.hf.config import Config
from milp_planner.inputs.imports.hf.config_kinds import MOST_LAYERS
from milp_planner.inputs.imports.hf.feed_forward import Experts, dense, experts, experts_of
from milp_planner.inputs.imports.hf.modules import (
    ATTENTION,
    DENSE_MLP,
    EMBEDDING,
    NORMS,
    UNEMBEDDING,
    Module,
    linear,
    under,
)
from milp_planner.inputs.imports.hf.towers import towers
from milp_planner.lazily import dataclass

FULL, WINDOW, CHUNKED, LINEAR, MAMBA, NONE = "full", "window", "chunked", "linear", "mamba", "none"

KNOWN = frozenset(
    [
        "llama",
        "mistral",
        "ministral",
        "mistral3",
        "ministral3",
        "mixtral",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "qwen3_next",
        "qwen3_vl",
        "qwen3_vl_moe",
        "qwen3_5",
        "qwen3_5_moe",
        "gemma",
        "gemma2",
        "gemma3",
        "gemma3_text",
        "gemma4",
        "gemma4_text",
        "deepseek_v2",
        "deepseek_v3",
        "deepseek_v32",
        "deepseek_v4",
        "deepseek_ref",
        "kimi_k2",
        "kimi_k25",
        "glm4",
        "glm4_moe",
        "glm_moe_dsa",
        "minimax_m2",
        "minimax_m3_vl",
        "gpt_oss",
        "nemotron_h",
        "nemotron-nas",
        "llama4",
        "step3p5",
        "step3p7",
        "mimo",
        "mimo_v2_flash",
        "phi3",
        "granite",
        "olmo2",
        "olmo3",
        "smollm3",
        "exaone4",
        "seed_oss",
    ]
)

OF_EACH_LAYER = (
    *("compress_ratios", "indexer_types", "hybrid_override_pattern", "layers_block_type"),
    "block_configs",
)
"""Keys of lists with an entry for each layer."""

GEMMA_INTERVAL = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6}
LLAMA4_INTERVAL = 4  # every fourth layer attends to all, the library's default
TIED_UNLESS_SAID = ("gemma", "cohere")
NORMS_OF_A_LAYER = {"gemma2": 4, "gemma3": 4, "gemma3_text": 4, "gemma4": 4, "gemma4_text": 4}

LAYER_TYPES = {
    "full_attention": FULL,
    "attention": FULL,
    "sliding_attention": WINDOW,
    "chunked_attention": CHUNKED,
    "linear_attention": LINEAR,
    "mamba": MAMBA,
    "moe": NONE,
    "mlp": NONE,
    "M": MAMBA,
    "*": FULL,
    "E": NONE,
    "-": NONE,
}


@dataclass(frozen=True)
class Layer:
    """One layer: its modules, and what it keeps of a sequence."""

    mixer: str
    has_experts: bool
    modules: tuple[Module, ...]
    cache: mixers.Cache


@dataclass(frozen=True)
class Shapes:
    """Everything that the shapes say of an LLM."""

    layers: tuple[Layer, ...]
    outside: tuple[Module, ...]
    """Embedding, output layer, last norm and towers."""

    experts: Experts | None

    @property
    def modules(self) -> Iterator[Module]:
        """All of them, layers with their number."""
        yield from self.outside
        for index, layer in enumerate(self.layers):
            yield from under(f"layers.{index}", layer.modules)


def shapes_of(config: Config) -> Shapes:
    """The modules of the LLM; raises InputError for an architecture that is not known."""
    if config.model_type not in KNOWN:
        near = did_you_mean(config.model_type, KNOWN)
        text = f"architecture {config.model_type!r} is not known{near}"
        raise input_error(text, file=config.file, path="model_type", hint=_known())
    found = experts_of(config)
    kinds = mixer_kinds(config)
    _check_lengths(config, len(kinds))
    with_experts = expert_layers(config, len(kinds)) if found else set()
    layers = tuple(
        _layer(config, index, kind, found if index in with_experts else None)
        for index, kind in enumerate(kinds)
    )
    return Shapes(layers, tuple(_outside(config)), found)


def _check_lengths(config: Config, layers: int) -> None:
    """Raise InputError where a list of layers is shorter than there are layers."""
    if not 1 <= layers <= MOST_LAYERS:
        raise input_error(f"gives {layers:,} layers", file=config.file, path="layer_types")
    for name in OF_EACH_LAYER:
        listed = config.get(name)
        if listed and len(listed) < layers:
            text = f"has {len(listed):,} entries for {layers:,} layers"
            raise input_error(text, file=config.file, path=name)


def _known() -> str:
    return f"known are {', '.join(sorted(KNOWN))}; write the row by hand (catalogs/README.md)"


def is_tied(config: Config) -> bool:
    """Whether the output layer is the input embedding."""
    default = config.model_type.startswith(TIED_UNLESS_SAID)
    return config.flag("tie_word_embeddings", default=default)


def mixer_kinds(config: Config) -> list[str]:
    """The mixer of each layer."""
    kind = config.model_type
    stated = config.get("layer_types", "layers_block_type", "hybrid_override_pattern")
    if stated:
        return [_named(config, name) for name in stated]
    layers = config.count("num_hidden_layers")
    if config.get("block_configs"):
        blocks = config.listed("block_configs")
        return [NONE if block["attention"].get("no_op") else FULL for block in blocks]
    if config.get("hybrid_layer_pattern"):
        return [WINDOW if windowed else FULL for windowed in config.listed("hybrid_layer_pattern")]
    if interval := config.get("full_attention_interval"):
        return [FULL if (i + 1) % interval == 0 else LINEAR for i in range(layers)]
    if kind == "llama4":
        return [FULL if (i + 1) % LLAMA4_INTERVAL == 0 else CHUNKED for i in range(layers)]
    if kind in GEMMA_INTERVAL:
        interval = config.get("sliding_window_pattern", default=GEMMA_INTERVAL[kind])
        return [FULL if (i + 1) % interval == 0 else WINDOW for i in range(layers)]
    if kind == "gpt_oss":
        return [FULL if i % 2 else WINDOW for i in range(layers)]
    if kind in ("mistral", "mixtral", "phi3") and _window_binds(config):
        return [WINDOW] * layers
    return [FULL] * layers


def _named(config: Config, name: str) -> str:
    if name not in LAYER_TYPES:
        text = f"holds a layer of type {name!r}, which is not known"
        raise input_error(text, file=config.file, path="layer_types")
    return LAYER_TYPES[name]


def _window_binds(config: Config) -> bool:
    window = config.get("sliding_window")
    return bool(window) and int(window) < config.count("max_position_embeddings")


def window_tokens(config: Config, kinds: list[str]) -> int:
    """Tokens that windowed or chunked layers look back; 0 where there are none."""
    if CHUNKED in kinds:
        return config.count("attention_chunk_size", default=8192)
    if WINDOW in kinds or config.get("compress_ratios"):
        return config.count("sliding_window", "sliding_window_size")
    return 0


def expert_layers(config: Config, layers: int) -> set[int]:
    """The layers with experts."""
    numbers = range(layers)
    pattern = config.get("hybrid_override_pattern", "layers_block_type")
    if pattern:
        return {i for i, name in enumerate(pattern) if name in ("E", "moe")}
    if stated := config.get("mlp_layer_types"):
        return {i for i, name in enumerate(stated) if name == "sparse"}
    frequency = config.get("moe_layer_freq", default=1)
    if isinstance(frequency, list):
        return {i for i, has in enumerate(frequency[:layers]) if has}
    if step := config.get("interleave_moe_layer_step"):
        return {i for i in numbers if (i + 1) % step == 0}
    first = config.count("first_k_dense_replace", default=0)
    step = config.get("decoder_sparse_step", default=frequency)
    skipped = set(config.listed("mlp_only_layers"))
    return {i for i in numbers if i >= first and i not in skipped and (i + 1) % step == 0}


def _layer(config: Config, index: int, kind: str, found: Experts | None) -> Layer:
    mixed, cache = _mixer(config, index, kind)
    body = list(_feed_forward(config, index, kind, found))
    hidden = config.count("hidden_size")
    halves = bool(mixed) + bool(body)
    norms = NORMS_OF_A_LAYER.get(config.model_type, halves)
    norm = Module("layernorms", NORMS, norms * hidden, is_linear=False)
    return Layer(kind, found is not None, (*mixed, *body, norm), cache)


def _mixer(config: Config, index: int, kind: str) -> tuple[list[Module], mixers.Cache]:
    if ratios := config.get("compress_ratios"):
        mixed, cache = mixers.compressed_attention(config, ratios[index])
        return [*mixed, *_hyper_connections(config)], cache
    if kind == LINEAR:
        return mixers.delta_net(config)
    if kind == MAMBA:
        return mixers.mamba(config)
    if kind == NONE:
        return [], mixers.Cache()
    if config.get("kv_lora_rank"):
        types = config.get("indexer_types")
        return mixers.latent_attention(config, not types or types[index] == "full")
    if blocks := config.get("block_configs"):
        group = _stated(config, blocks[index]["attention"], "n_heads_in_group")
        kv = config.count("num_attention_heads") // group
        values = {**config.values, "num_key_value_heads": kv}
        config = Config(values, config.file, values)
    return mixers.attention(config, kind == FULL, kind in (WINDOW, CHUNKED))


def _hyper_connections(config: Config) -> Iterator[Module]:
    """Mixing of DeepSeek-V4's residual streams, before attention and feed-forward part."""
    streams = config.count("hc_mult", default=0)
    mixes = (2 + streams) * streams
    each = mixes * (streams * config.count("hidden_size") + 1) + 3
    if streams:
        yield Module("hyper_connections", ATTENTION, 2 * each, is_linear=False)


def _feed_forward(config: Config, index: int, kind: str, found: Experts | None) -> Iterator[Module]:
    name = EXPERT_NAMES.get(config.model_type, "mlp")
    if found:
        yield from experts(config, found, name)
        if config.model_type.startswith("gemma4"):  # both work in every layer
            yield from dense(config, config.count("intermediate_size"))
        return
    pattern = config.get("hybrid_override_pattern", "layers_block_type")
    if pattern and pattern[index] not in ("-", "mlp"):
        return
    yield from dense(config, _dense_width(config, index), "mixer" if pattern else "mlp")


def _dense_width(config: Config, index: int) -> int:
    if blocks := config.get("block_configs"):
        wider = _stated(config, blocks[index]["ffn"], "ffn_mult")
        return _rounded(2 * wider * config.count("hidden_size") / 3)
    if config.model_type == "llama4":
        return config.count("intermediate_size_mlp")
    return config.count("dense_intermediate_size", "intermediate_size")


def _stated(config: Config, block: Mapping[str, Any], name: str) -> Any:
    if block.get(name) is None:
        raise input_error(f"{name} is missing", file=config.file, path="block_configs")
    return block[name]


def _rounded(width: float, multiple: int = 256) -> int:
    """DeciLM rounds the width of a feed-forward part up to a multiple of 256."""
    return -(-int(width) // multiple) * multiple


def dense_width(config: Config, layers: tuple[Layer, ...]) -> int:
    """Inner width of layers without experts, the widest where they differ; 0 without any."""
    modules = (module for layer in layers for module in layer.modules)
    down = (m.parameters for m in modules if m.group == DENSE_MLP and m.name.endswith("down_proj"))
    return max(down, default=0) // config.count("hidden_size")


def _outside(config: Config) -> Iterator[Module]:
    hidden, words = config.count("hidden_size"), config.count("vocab_size")
    yield Module("embed_tokens", EMBEDDING, words * hidden, is_linear=False)
    if not is_tied(config):
        yield linear("lm_head", UNEMBEDDING, hidden, words)
    yield Module("norm", NORMS, hidden, is_linear=False)
    yield from towers(config)


EXPERT_NAMES = {
    "mixtral": "block_sparse_moe",
    "minimax_m2": "block_sparse_moe",
    "minimax_m3_vl": "block_sparse_moe",
    "deepseek_v4": "ffn",
    "deepseek_ref": "ffn",
    "nemotron_h": "mixer",
    "llama4": "feed_forward",
    "gemma4": "moe",
}
"""What architectures call the part with experts; most say `mlp`."""
