"""What the replicas of a workload run."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.inputs.catalog.records import Catalog, Llm
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.inputs.problem.records import Workload
from milp_planner.plans.deployed.records import DeployedLlm
from milp_planner.plans.records import Purchase


def deployed_llm(catalog: Catalog, w: Workload, purchases: Sequence[Purchase]) -> DeployedLlm:
    """The repository of the LLM and, where the rates hold for an engine, its settings.

    Where several LLMs serve the workload each is told by its name: no repository is right for all
    replicas.
    """
    names = sorted({p.candidate.llm for p in purchases if p.candidate.llm} or set(w.llms))
    follows = any(p.candidate.deployment for p in purchases)
    settings = w.deployment if follows else None
    found = {name: _of_one(catalog.llm(name), settings) for name in names}
    if len(found) == 1:
        return found[names[0]]
    return DeployedLlm("", "", None, settings, found)


def _of_one(llm: Llm | None, settings: DeploymentSettings | None) -> DeployedLlm:
    """An LLM that the catalog does not know has no repository: its rates are the problem's."""
    if llm is None:
        return DeployedLlm("", "", None, settings)
    native = llm.native_precision if llm.hf_id else ""
    return DeployedLlm(llm.hf_id, native, llm.context_tokens, settings)
