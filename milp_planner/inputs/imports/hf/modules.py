"""The tensors of an LLM as named modules, each with its group and its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from milp_planner.inputs.catalog.tensor_groups import (
    ATTENTION,
    DENSE_MLP,
    EMBEDDING,
    EXPERTS,
    NORMS,
    ROUTER,
    SHARED_EXPERTS,
    UNEMBEDDING,
    VISION,
)
from milp_planner.lazily import dataclass, replace

__all__ = [
    "ATTENTION",
    "DENSE_MLP",
    "EMBEDDING",
    "EXPERTS",
    "NORMS",
    "ROUTER",
    "SHARED_EXPERTS",
    "UNEMBEDDING",
    "VISION",
    "Module",
    "linear",
    "under",
]


@dataclass(frozen=True)
class Module:
    """One tensor, or equal ones of a layer taken together."""

    name: str
    """As in the checkpoint, without what precedes `layers`; expert 0 stands for all of a layer."""

    group: str
    parameters: int
    active_share: float = 1.0
    """Share of the parameters that works on one token of text."""

    is_linear: bool = True
    """Whether quantisers take it: a weight matrix, no norm, bias or convolution."""


def linear(name: str, group: str, inputs: int, outputs: int, bias: bool = False) -> Module:
    """A weight matrix; its bias is counted with it."""
    return Module(name, group, inputs * outputs + (outputs if bias else 0))


def under(prefix: str, modules: Iterable[Module]) -> Iterator[Module]:
    """The modules with their names below `prefix`."""
    return (replace(module, name=f"{prefix}.{module.name}") for module in modules)
