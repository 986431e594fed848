"""Why a changed problem has no plan, in one line."""

from __future__ import annotations

import math
import time
from collections import Counter

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.patching import patched
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.families import limits_of
from milp_planner.milp.program.language.loosening import merged_patch
from milp_planner.solving.re_solve import Resolver, stranded

MOST_TRIED = 6
"""Limits that are left out, one at a time, to see which one stands in the way."""


def why_none(resolver: Resolver, problem: Problem, patience_s: float = math.inf) -> str:
    """The workload that nothing can serve, else the written limit that it does not go with.

    patience_s: seconds after which no further limit is left out.
    """
    ends_s = time.monotonic() + patience_s
    instance = resolver.given_for(problem)
    for name in stranded(instance):
        return f"nothing that is let through can serve {name}{_commonest(instance, name)}"
    said = {limit.path for limit in limits_of(resolver.instance) if not limit.by_default}
    written = [limit for limit in limits_of(instance) if limit.path in said]
    free = merged_patch(*(limit.free for limit in written))
    if not written or resolver.answer(patched(problem, free)).plan is None:
        return "no fleet can do it, whatever the other limits say"
    for limit in written[:MOST_TRIED]:
        if time.monotonic() > ends_s:
            break
        if resolver.answer(patched(problem, limit.free)).plan is not None:
            return f"not together with {limit.path}: {limit.said}"
    return "not together with the other limits"


def _commonest(instance: PlanningInput, workload: str) -> str:
    """What turned most of the rest down, beside the limits themselves."""
    reasons = Counter(
        row.reason for row in instance.candidates.turned_down if row.workload == workload
    )
    return "".join(f": {reason}" for reason, _ in reasons.most_common(1))
