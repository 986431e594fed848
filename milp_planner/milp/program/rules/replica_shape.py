"""In which formats and on how many GPUs a replica may be served.

Candidates of other shapes never enter the program, so that there are no rows here.
"""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.loosening import NameLimit
from milp_planner.milp.program.language.rule import Preselection
from milp_planner.plans.records import Plan
from milp_planner.serving.memory import precisions_of


class ReplicaShape(Preselection):
    """A replica has one of the weight formats and GPU counts that its workload names."""

    keys = frozenset(("workloads.precision", "workloads.tensor_parallel"))
    nearness = 1

    def loosened(self, instance: PlanningInput) -> Iterator[NameLimit]:
        for w in instance.problem.workloads:
            yield from _precisions(instance, w, f"workloads.{w.name}.precision")
            if w.tensor_parallel is not None:
                yield _tensor_parallel(w, f"workloads.{w.name}.tensor_parallel")


def _precisions(instance: PlanningInput, w: Workload, path: str) -> Iterator[NameLimit]:
    llm = instance.catalog.llm(w.llms[0]) if len(w.llms) == 1 else None
    if w.precision is None or llm is None:
        return
    now = w.precision
    offered = precisions_of(llm.native_precision)
    others = tuple(p for p in offered if p not in now)
    if others:
        yield NameLimit(
            path,
            ", ".join(now),
            {path: [*now, *others]},
            workload=w.name,
            uses=lambda plan: {p.candidate.precision for p in plan.purchases_of(w.name)} - {*now},
            ruled_out=others,
            allowing=lambda names: {path: [*now, *names]},
            text=lambda names: f"allow {', '.join(names)} for {w.name}",
        )


def _tensor_parallel(w: Workload, path: str) -> NameLimit:
    now = w.tensor_parallel
    assert now is not None

    def used(plan: Plan) -> set[str]:
        sizes = {p.candidate.tensor_parallel for p in plan.purchases_of(w.name)}
        return {str(size) for size in sizes - {0, *now}}

    return NameLimit(
        path,
        ", ".join(map(str, now)),
        {path: None},
        workload=w.name,
        uses=used,
        ruled_out=tuple(str(n) for n in (1, 2, 4, 8) if n not in now),
        allowing=lambda names: {path: [*now, *map(int, names)]},
        text=lambda names: f"allow {', '.join(names)} GPUs per replica for {w.name}",
    )
