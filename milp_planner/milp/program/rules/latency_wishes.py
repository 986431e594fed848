"""How long a request may wait for its first token, and a token for the next.

Candidates whose replicas are slower never enter the program, so that there are no rows here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.loosening import SteppedLimit, Values
from milp_planner.milp.program.language.rule import Preselection
from milp_planner.plans.records import Plan


class LatencyWishes(Preselection):
    """Replicas keep the workload's times per token and to the first token."""

    keys = frozenset(("workloads.latency.ttft", "workloads.latency.tpot"))
    nearness = 3

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        for w in instance.problem.workloads:
            for key, wish_s in (("ttft", w.latency.ttft_s), ("tpot", w.latency.tpot_s)):
                if wish_s is not None:
                    yield _slower(w, f"workloads.{w.name}.latency.{key}", key, wish_s)


def _slower(w: Workload, path: str, key: str, wish_s: float) -> SteppedLimit:
    step_ms = time_step_ms(wish_s)
    first = math.floor(wish_s * 1000 / step_ms + 1e-9) + 1

    def looser(plan: Plan) -> Values:
        mine = next(p for p in plan.workloads if p.name == w.name)
        needed_s = mine.tpot_s if key == "tpot" else mine.ttft_s
        last = 0 if needed_s is None else math.ceil(needed_s * 1000 / step_ms - 1e-9)
        return range(first, last + 1)

    def shown(steps: int) -> str:
        return _time(steps * step_ms)

    return SteppedLimit(
        path,
        _time(wish_s * 1000),
        {path: None},
        workload=w.name,
        looser=looser,
        tighter=range(math.ceil(wish_s * 1000 / step_ms - 1e-9) - 1, 0, -1),
        patch=lambda steps: {path: f"{steps * step_ms:.10g}ms"},
        text=lambda steps: f"accept a {key} of {shown(steps)} for {w.name}",
        shown=shown,
    )


def _time(ms: float) -> str:
    return f"{ms:.4g} ms" if ms < 1000 else f"{ms / 1000:.4g} s"


def time_step_ms(seconds: float) -> float:
    """The step in which a time is searched, in ms: 0.1 below 10 ms, 1 below a second, else 10."""
    return 0.1 if seconds < 0.01 else 1.0 if seconds < 1 else 10.0
