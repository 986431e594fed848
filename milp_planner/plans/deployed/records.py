"""What the replicas of a workload run: the LLM's repository and the engine's settings."""

from __future__ import annotations

from dataclasses import dataclass

from milp_planner.inputs.problem.deployment import DeploymentSettings


@dataclass(frozen=True)
class DeployedLlm:
    """What the replicas of a workload run, as far as the catalog and the problem tell it."""

    hf_id: str
    """The repository of the weights, such as `Qwen/Qwen3-32B`; '' where the catalog has none."""

    native_precision: str
    """The format of the weights that are published there; '' where it is not known."""

    context_tokens: int | None
    """The longest input and output together that the LLM takes, in tokens; None: not known."""

    settings: DeploymentSettings | None
    """Of the engine; None where rates are taken at their word."""
