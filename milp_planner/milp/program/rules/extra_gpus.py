"""GPUs beyond the count of the scaling penalty, over the workload's whole fleet."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import PlanningInput
from milp_planner.milp.program.language.rows import LE, Row, count_terms
from milp_planner.milp.program.language.rule import Structural
from milp_planner.milp.program.language.variables import Fleet, add
from milp_planner.plans.records import Plan


class ExtraGpus(Structural):
    """GPUs beyond the count of the scaling penalty, over the workload's whole fleet.

        e_w ≥ Σ_k g_k n_kt - G      ∀ w, t      [GPUs]

    e_w is priced, so it is as small as the rows let it be.
    """

    def columns(self, fleet: Fleet) -> None:
        if fleet.problem.policy.active_penalties.scaling is None:
            return
        for w in fleet.problem.workloads:
            fleet.extra_gpus[w.name] = fleet.column(f"extra GPUs[{w.name}]", None, integer=False)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        scaling = fleet.problem.policy.active_penalties.scaling
        if scaling is None:
            return
        for w, extra in fleet.extra_gpus.items():
            weighted = [(k, float(k.gpus_per_unit)) for k in fleet.gpu_candidates(w)]
            for t in fleet.busy(w):
                terms = count_terms(fleet, weighted, t)
                add(terms, extra, -1.0)
                yield Row(f"{w} {t}", terms, LE, scaling.above_gpus)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        return iter(())  # it defines a cost; `verify` recomputes the cost
