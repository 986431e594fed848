"""What the replicas of a workload run."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Workload
from milp_planner.plans.deployed.records import DeployedLlm
from milp_planner.plans.records import Purchase


def deployed_llm(catalog: Catalog, w: Workload, purchases: Sequence[Purchase]) -> DeployedLlm:
    """The repository of the LLM and, where the rates hold for an engine, its settings.

    Where several LLMs serve the workload none is named: no repository is right for all replicas.
    """
    names = {p.candidate.llm for p in purchases if p.candidate.llm} or set(w.llms)
    only = names.pop() if len(names) == 1 else None
    llm = None if only is None else catalog.llm(only)
    follows = any(p.candidate.deployment for p in purchases)
    return DeployedLlm(
        hf_id="" if llm is None else llm.hf_id,
        native_precision="" if llm is None or not llm.hf_id else llm.native_precision,
        context_tokens=None if llm is None else llm.context_tokens,
        settings=w.deployment if follows else None,
    )
