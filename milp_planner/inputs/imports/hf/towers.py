"""Vision towers: a transformer over patches, and what projects its output to the LLM's width."""

from __future__ import annotations

from milp_planner.inputs.imports.hf.config import Config
from milp_planner.inputs.imports.hf.modules import VISION, Module

GATED = ("gemma4", "pixtral", "qwen2_5_vl")
"""Types whose feed-forward part has a gate."""


def towers(config: Config) -> list[Module]:
    """One module for each tower that the config describes."""
    hidden = config.count("hidden_size")
    return [Module("visual", VISION, parameters(tower, hidden), 0.0) for tower in config.towers]


def parameters(tower: Config, text_hidden: int) -> int:
    """Parameters of one tower with its projector, biases included."""
    v = Config(tower.values, tower.file, tower.values)
    hidden = v.count("hidden_size", "vt_hidden_size")
    layers = v.count("depth", "num_hidden_layers", "vt_num_hidden_layers")
    inner = v.count("intermediate_size", "vt_intermediate_size", default=4 * hidden)
    matrices = 3 if str(v.get("model_type", default="")).startswith(GATED) else 2
    block = 4 * (hidden + 1) * hidden + matrices * hidden * inner + inner + 5 * hidden
    return layers * block + _patches(v, hidden) + _projector(v, hidden, text_hidden)


def _patches(v: Config, hidden: int) -> int:
    channels = v.count("in_channels", "num_channels", "in_chans", default=3)
    frames = v.count("temporal_patch_size", default=1)
    patch = channels * frames * v.count("patch_size", default=16) ** 2
    positions = v.get("num_position_embeddings", "position_embedding_size", default=0)
    if v.get("init_pos_emb_height"):
        positions = v.count("init_pos_emb_height") * v.count("init_pos_emb_width")
    return (patch + 1 + int(positions)) * hidden


def _projector(v: Config, hidden: int, text_hidden: int) -> int:
    """Patches merged by 2 × 2 and projected; Qwen3-VL has one merger more per chosen layer."""
    merge = v.get("spatial_merge_size", default=1)
    kernel = v.get("merge_kernel_size")
    merge = kernel[0] if isinstance(kernel, list) else merge
    wide = hidden * int(merge) ** 2
    outputs = v.count("out_hidden_size", "text_hidden_size", "projection_dim", default=text_hidden)
    one = (wide + 1) * wide + (wide + 1) * outputs + 2 * wide
    return one * (1 + len(v.listed("deepstack_visual_indexes")))
