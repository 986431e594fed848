"""What the replicas of a workload run, and the files that a plan was written into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.lazily import dataclass, field


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

    of_each: Mapping[str, DeployedLlm] = field(default_factory=dict)
    """Where several LLMs serve the workload, each by its name; the fields above name none then."""

    def of(self, llm: str) -> DeployedLlm:
        """What the replicas of one LLM run."""
        return self.of_each.get(llm, self)


@dataclass(frozen=True)
class Exported:
    """The files that a plan was written into."""

    files: tuple[Path, ...]
    to_replace: Mapping[str, str]
    """Words in them that stand for what no catalog tells, each with what belongs there."""
