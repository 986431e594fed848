"""tighten(): solve, replay, and solve for less utilization until the replay keeps every wish."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import log2

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.arguments import check_kind, check_number
from milp_planner.lazily import dataclass
from milp_planner.plans.records import Plan
from milp_planner.questions.solve import solve
from milp_planner.replaying.records import Replay, WishReplayed
from milp_planner.solving.checks.arguments import SolverChoice

LEAST_STEP, MOST_STEP = 0.985, 0.90
"""What a workload runs at is multiplied by a number between these for the next target."""

ROUNDS, MOST_ROUNDS = 6, 12


@dataclass(frozen=True)
class TightenedRound:
    """One target, the plan at it, and how that fared."""

    target: float
    """Utilization target of all workloads."""

    problem: Problem
    """As it was asked at that target."""

    plan: Plan
    replay: Replay | None
    """None where the problem had no plan."""

    @property
    def keeps_all_wishes(self) -> bool:
        """Whether the plan was replayed and kept every wish."""
        return self.replay is not None and self.replay.keeps_all_wishes


@dataclass(frozen=True)
class Tightened:
    """What was tried, and how the last plan fared."""

    rounds: tuple[TightenedRound, ...]
    """The problem's own target first; at least one."""

    @property
    def plan(self) -> Plan:
        """Of the last round."""
        return self.rounds[-1].plan

    @property
    def replay(self) -> Replay | None:
        """Of the last round; None where that had no plan."""
        return self.rounds[-1].replay

    @property
    def targets(self) -> tuple[float, ...]:
        """Utilization targets of the rounds."""
        return tuple(each.target for each in self.rounds)

    @property
    def keeps_all_wishes(self) -> bool:
        """Whether the last plan was replayed and kept every wish."""
        return self.rounds[-1].keeps_all_wishes

    @property
    def best(self) -> TightenedRound:
        """The last round with a plan, which came nearest; the first one where none has any."""
        with_plan = (each for each in reversed(self.rounds) if each.replay is not None)
        return next(with_plan, self.rounds[0])


def tighten(
    problem: Problem,
    replayed: Callable[[Plan, Problem], Replay],
    catalog: Catalog | None = None,
    *,
    rounds: int = ROUNDS,
    time_limit_s: float | None = None,
    gap: float | None = None,
    solver: SolverChoice | None = None,
) -> Tightened:
    """The first plan that keeps its wishes, at lower and lower utilization targets.

    problem: what is asked. catalog: default: the problem's own. replayed: how a plan is replayed:
    `replay` with its wishes and seeds. rounds: plans that are solved at most. The next target lies
    1.5 to 10 % below what the workload that missed a wish runs at, the more it was missed by; it is
    that of all workloads.
    time_limit_s: no round is begun later, and its plan is solved in what is left; each replay has a
    limit of its own; default: each plan may take the problem's own. gap, solver: as in `solve`.

    Returns a Tightened: the rounds, each with its target, plan and replay, the last one first to
    keep every wish, or the last that was tried.

    Raises InputError and ArgumentError as `solve` and `replay` do.

    >>> from milp_planner import load_problem, replay, tighten
    >>> problem = load_problem("problems/quickstart.yaml")
    >>> found = tighten(problem, lambda plan, asked: replay(plan, asked, requests=2000))
    >>> found.keeps_all_wishes
    True
    """
    check_kind(problem, Problem, "load_problem()")
    check_number("rounds", rounds, least=1, most=MOST_ROUNDS, whole=True)
    if time_limit_s is not None:
        check_number("time_limit_s", time_limit_s, above=0)
    ends_s = None if time_limit_s is None else time.monotonic() + time_limit_s
    target = problem.policy.utilization.planned
    tried: list[TightenedRound] = []
    while True:
        asked = _at(problem, target) if tried else problem
        left_s = None if ends_s is None else max(LEAST_S, ends_s - time.monotonic())
        plan = solve(asked, catalog, time_limit_s=left_s, gap=gap, solver=solver, alternatives=0)
        found = replayed(plan, asked) if plan.status.has_plan else None
        tried.append(TightenedRound(target, asked, plan, found))
        is_late = ends_s is not None and time.monotonic() >= ends_s
        if found is None or found.keeps_all_wishes or len(tried) == rounds or is_late:
            return Tightened(tuple(tried))
        target = min(_next(target, plan, wish) for wish in found.wishes if not wish.kept)


LEAST_S = 0.01
"""A solve needs some time to say that it had none."""


def _at(problem: Problem, target: float) -> Problem:
    return problem.changed(
        {"policy.utilization": {"by": "target", "target": target, "ceiling": None}}
    )


def _next(target: float, plan: Plan, wish: WishReplayed) -> float:
    """Below what the workload runs at: at any target above that its fleet stays the same."""
    runs_at = [w.utilization for w in plan.workloads if w.name == wish.workload]
    known = [u for u in runs_at if u is not None and u > 0]
    return min(target, *known) * _step(wish) if known else target * _step(wish)


def _step(wish: WishReplayed) -> float:
    """By how many doublings it was missed: of the misses allowed, or of the time wished."""
    if wish.wish.share is not None:
        times = wish.missed_share / max(1 - wish.wish.share, 1e-6)
    elif wish.reached_s is not None:
        times = wish.reached_s / wish.wish.wished_s
    else:
        return MOST_STEP
    return min(LEAST_STEP, max(MOST_STEP, 1 - 0.005 - 0.03 * log2(max(times, 1.0))))
