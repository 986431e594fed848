"""What measurements do to a plan: the same problem solved without and with them."""

from __future__ import annotations

from typing import Any

from milp_planner.errors import argument_error
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.plans.plain import clean
from milp_planner.plans.records import Plan
from milp_planner.plans.sheet.compared import PlanDiff, plan_diff
from milp_planner.questions.deployments.calibrate import Calibrated
from milp_planner.questions.solve import solve
from milp_planner.solving.checks.arguments import SolverChoice
from milp_planner.solving.re_solve import fleet_line


@dataclass(frozen=True)
class Replanned:
    """A plan before measurements were heard, and after."""

    before: Plan
    after: Plan

    @property
    def diff(self) -> PlanDiff:
        """What becomes of the bill, in USD per month, and what is bought otherwise."""
        return plan_diff(self.before, self.after)

    def to_dict(self) -> dict[str, Any]:
        """Both in short, ready for JSON."""
        diff = self.diff
        return clean(
            {
                "name": self.after.name,
                "before": _in_short(self.before),
                "after": _in_short(self.after),
                "increase_usd_per_month": diff.increase_usd_per_month,
                "increase_share": diff.increase_share,
            }
        )


def replanned(
    problem: Problem,
    found: Calibrated,
    *,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
) -> Replanned:
    """`problem` solved without the measurements of `found`, and with them.

    found: what `calibrate` gave; its catalogs stand for the one that the problem names.
    time_limit_s: seconds for each of both; gap: relative to the score; solver: which engines. These
    stand for the problem's own settings where they are given.

    Returns a Replanned of two plans without next-best ones, costs in USD per month.

    Raises InputError, ArgumentError and SolverError as `solve` does.

    >>> from pathlib import Path
    >>> from milp_planner import calibrate, load_problem, replanned
    >>> names = "tensor_parallel,input_tokens,output_tokens,concurrency,output_tokens_per_second"
    >>> _ = Path("mine.csv").write_text(f"{names}\\n1,1500,300,78,905\\n")
    >>> found = calibrate(["mine.csv"], llm="llama-3.3-70b", gpu="b200", precision="fp8")
    >>> moved = replanned(load_problem("problems/quickstart.yaml"), found)
    >>> moved.diff.increase_usd_per_month != 0
    True
    """
    if not isinstance(found, Calibrated):
        raise argument_error(
            f"expected what calibrate() gave, not {type(found).__name__}", path="found"
        )
    before, after = (
        solve(problem, known, time_limit_s=time_limit_s, gap=gap, alternatives=0, solver=solver)
        for known in (found.without, found.catalog)
    )
    return Replanned(before, after)


def _in_short(plan: Plan) -> dict[str, Any]:
    return {
        "status": plan.status.value,
        "cash_usd_per_month": plan.cash_usd_per_month,
        "gpus": plan.gpus,
        "fleet": fleet_line(plan) if plan.status.has_plan else "",
    }
