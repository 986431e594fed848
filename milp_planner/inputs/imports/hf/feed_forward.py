"""The feed-forward part of a layer: dense, or experts with their router and shared experts."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.inputs.imports.hf.config import Config
from milp_planner.inputs.imports.hf.modules import (
    DENSE_MLP,
    EXPERTS,
    ROUTER,
    SHARED_EXPERTS,
    Module,
    linear,
)
from milp_planner.lazily import dataclass

UNGATED = ("relu2", "relu", "gelu_new")
"""Activations of a feed-forward part with two matrices; the others multiply by a gate."""

UNGATED_TYPES = ("phi", "starcoder2", "falcon", "gpt_neox", "opt")


@dataclass(frozen=True)
class Experts:
    """What the router of a layer chooses from."""

    number: int
    per_token: int
    width: int
    shared_width: int
    latent: int = 0
    """Width that tokens are projected to before their experts; 0: the hidden size."""


def experts_of(config: Config) -> Experts | None:
    """The experts of the layers that have them; None for a dense LLM."""
    number = config.get("n_routed_experts", "num_experts", "num_local_experts", default=0)
    if not number:
        return None
    if config.model_type == "gemma4" and not config.flag("enable_moe_block"):
        return None
    width = config.count("moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size")
    if config.model_type == "llama4":
        width = config.count("intermediate_size")
    return Experts(
        number=config.count("n_routed_experts", "num_experts", "num_local_experts"),
        per_token=config.count("num_experts_per_tok", "top_k_experts", "experts_per_token"),
        width=width,
        shared_width=_shared_width(config, width),
        latent=config.count("moe_latent_size", default=0),
    )


def _shared_width(config: Config, width: int) -> int:
    """Inner width of all shared experts of a layer together."""
    if config.model_type == "llama4":
        return width
    shared = config.get("n_shared_experts", default=1)
    for name in ("moe_shared_expert_intermediate_size", "shared_intermediate_size"):
        if config.get(name) is not None:
            return config.count(name) * int(shared)
    for name in ("shared_expert_intermediate_size", "share_expert_dim"):
        if config.get(name) is not None:
            return config.count(name)
    return width * config.count("n_shared_experts", "num_shared_experts", default=0)


def is_gated(config: Config) -> bool:
    """Whether a gate multiplies the inner activations: three matrices instead of two."""
    act = config.get("mlp_hidden_act", "hidden_act", "hidden_activation", default="silu")
    return str(act) not in UNGATED and config.model_type not in UNGATED_TYPES


NUMBERED = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}
NUMBERED_TYPES = ("mixtral", "minimax_m2", "minimax_m3_vl", "deepseek_v4", "deepseek_ref")
"""Types that number the matrices of their experts."""


def mlp(
    name: str, group: str, hidden: int, width: int, *, gated: bool, bias: bool = False
) -> Iterator[Module]:
    """Gate, up and down projections."""
    if gated:
        yield linear(f"{name}.gate_proj", group, hidden, width, bias)
    yield linear(f"{name}.up_proj", group, hidden, width, bias)
    yield linear(f"{name}.down_proj", group, width, hidden, bias)


def dense(config: Config, width: int, name: str = "mlp") -> Iterator[Module]:
    """A feed-forward part without experts."""
    hidden, biased = config.count("hidden_size"), config.flag("mlp_bias")
    yield from mlp(name, DENSE_MLP, hidden, width, gated=is_gated(config), bias=biased)


def experts(config: Config, e: Experts, name: str) -> Iterator[Module]:
    """Router, routed experts and shared ones of one layer."""
    hidden, gated = config.count("hidden_size"), is_gated(config)
    inner, share = e.latent or hidden, e.per_token / e.number
    yield Module(f"{name}.{_ROUTERS.get(config.model_type, 'gate')}", ROUTER, e.number * hidden)
    biased = config.model_type == "gpt_oss"
    for part in mlp("", EXPERTS, inner, e.width, gated=gated, bias=biased):
        matrix = part.name.removeprefix(".")
        called = NUMBERED[matrix] if config.model_type in NUMBERED_TYPES else matrix
        yield Module(f"{name}.experts.0.{called}", EXPERTS, part.parameters * e.number, share)
    if e.latent:
        yield linear(f"{name}.fc1_latent_proj", SHARED_EXPERTS, hidden, e.latent)
        yield linear(f"{name}.fc2_latent_proj", SHARED_EXPERTS, e.latent, hidden)
    if e.shared_width:
        called = _SHARED.get(config.model_type, "shared_experts")
        shared = f"{name}.{called}"
        yield from mlp(shared, SHARED_EXPERTS, hidden, e.shared_width, gated=gated)
        if called == "shared_expert" and config.model_type != "llama4":
            yield Module(f"{name}.shared_expert_gate", ROUTER, hidden)


_ROUTERS = {"gpt_oss": "router", "llama4": "router", "gemma4": "router"}
_SHARED = {
    name: "shared_expert"
    for name in ("qwen2_moe", "qwen3_next", "qwen3_5_moe", "llama4", "qwen3_omni_moe")
}
"""What architectures call them; most say `gate` and `shared_experts`."""
