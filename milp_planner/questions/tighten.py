"""tighten(): solve, replay, and solve for less utilization until the replay keeps every wish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log2

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.arguments import check_kind, check_number
from milp_planner.plans.records import Plan
from milp_planner.questions.solve import solve
from milp_planner.replaying.records import Replay, WishReplayed

LEAST_STEP, MOST_STEP = 0.985, 0.90
"""The utilization target is multiplied by a number between these in each round."""

MOST_ROUNDS = 12


@dataclass(frozen=True)
class Tightened:
    """The last plan, how it fared, and what was tried."""

    plan: Plan
    replay: Replay | None
    """None where the last problem had no plan."""

    targets: tuple[float, ...]
    """Utilization targets of the rounds, the problem's own first."""

    @property
    def keeps_all_wishes(self) -> bool:
        """Whether the last plan was replayed and kept every wish."""
        return self.replay is not None and self.replay.keeps_all_wishes


def tighten(
    problem: Problem,
    replayed: Callable[[Plan, Problem], Replay],
    catalog: Catalog | None = None,
    *,
    rounds: int = 6,
) -> Tightened:
    """The first plan that keeps its wishes, at lower and lower utilization targets.

    problem: what is asked. catalog: default: the problem's own. replayed: how a plan is replayed:
    `replay` with its wishes and seeds. rounds: plans that are solved at most. The more a wish was
    missed by, the lower the next target is, 1.5 to 10 % a round; it is that of all workloads.

    Returns a Tightened: the last plan, how it was replayed, and the targets tried.

    Raises InputError and ArgumentError as `solve` and `replay` do.

    >>> from milp_planner import load_problem, replay, tighten
    >>> problem = load_problem("problems/quickstart.yaml")
    >>> found = tighten(problem, lambda plan, asked: replay(plan, asked, requests=2000))
    >>> found.keeps_all_wishes
    True
    """
    check_kind(problem, Problem, "load_problem()")
    check_number("rounds", rounds, least=1, most=MOST_ROUNDS, whole=True)
    target = problem.policy.utilization.planned
    targets: list[float] = []
    while True:
        targets.append(target)
        asked = problem if len(targets) == 1 else _at(problem, target)
        plan = solve(asked, catalog, alternatives=0)
        found = replayed(plan, asked) if plan.status.has_plan else None
        if found is None or found.keeps_all_wishes or len(targets) == rounds:
            return Tightened(plan, found, tuple(targets))
        target *= min(_step(wish) for wish in found.wishes if not wish.kept)


def _at(problem: Problem, target: float) -> Problem:
    return problem.changed(
        {"policy.utilization": {"by": "target", "target": target, "ceiling": None}}
    )


def _step(wish: WishReplayed) -> float:
    """By how many doublings it was missed: of the misses allowed, or of the time wished."""
    if wish.wish.share is not None:
        times = wish.missed_share / max(1 - wish.wish.share, 1e-6)
    elif wish.reached_s is not None:
        times = wish.reached_s / wish.wish.wished_s
    else:
        return MOST_STEP
    return min(LEAST_STEP, max(MOST_STEP, 1 - 0.005 - 0.03 * log2(max(times, 1.0))))
