"""Which parts the layers of an LLM have: a mixer of tokens, a feed-forward part, or both.

A usual layer has both. Layers of Nemotron-H and its relatives have one part each, attention, a
state-space mixer, or a feed-forward part (NVIDIA, "Nemotron-H", 2025); in others a search has
taken attention out of some layers and left their feed-forward part ("Puzzle", NVIDIA, 2024).
"""

from __future__ import annotations

from milp_planner.inputs.catalog.records import Llm


def full_attention_layers(llm: Llm) -> int:
    """Layers whose attention sees all tokens: as stated, else what other mixers leave."""
    if llm.full_attention_layers:
        return llm.full_attention_layers
    return (llm.layers or 0) - llm.windowed_layers - llm.linear_layers


def mixing_layers(llm: Llm) -> int:
    """Layers with attention, linear attention or a state-space mixer."""
    return full_attention_layers(llm) + llm.windowed_layers + llm.linear_layers


def feed_forward_layers(llm: Llm) -> int:
    """Layers with a feed-forward part, dense or of experts: those without a mixer where state-space
    layers stand by themselves, else all."""
    layers, mixing = llm.layers or 0, mixing_layers(llm)
    return layers - mixing if llm.linear_layers and mixing < layers else layers


def layer_parts(llm: Llm) -> int:
    """Mixers and feed-forward parts of all layers: twice the layers where each has both."""
    return mixing_layers(llm) + feed_forward_layers(llm)
