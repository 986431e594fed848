"""`solve --replay`: the problem is tightened until a replay of its plan keeps every wish."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from milp_planner.cli.parts import streams
from milp_planner.cli.parts.bars import counted_and_read
from milp_planner.lazily import dataclass

if TYPE_CHECKING:
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.plans.records import Plan
    from milp_planner.questions.tighten import Tightened
    from milp_planner.replaying.records import Replay
    from milp_planner.solving.checks.arguments import SolverChoice

ROUNDS_SHARE = 0.75
"""Of the time limit; the rest is for next-best plans of the last round."""

LEAST_REPLAY_S = 0.5
REQUESTS = 100_000


@dataclass
class ReplayedSolve:
    """What was tried before a plan is printed, and how that plan fares."""

    found: Tightened
    catalog: Catalog
    ends_s: float
    _of_printed: Replay | None = None

    @property
    def problem(self) -> Problem:
        """The last that was tried and had a plan."""
        return self.found.best.problem

    def tell(self, *, on_stdout: bool) -> None:
        """Say what was done: below a report for people, else beside the document."""
        from milp_planner.reporting.text.questions.tightened import tightened_text

        text = tightened_text(self.found)
        if on_stdout:
            streams.answer("\n" + text)
        else:
            streams.tell(text.rstrip())

    def told(self, plan: Plan) -> Plan:
        """The plan to print, with what its replay made of wishes that nothing else judges."""
        from milp_planner.questions.in_replay import told_by_replay

        replay = self._replay_of(plan)
        return plan if replay is None else told_by_replay(plan, replay)

    def failures(self, plan: Plan) -> tuple[str, ...]:
        """The wishes that the plan printed misses, in words."""
        from milp_planner.reporting.text.questions.tightened import missed_texts

        replay = self._replay_of(plan)
        return () if replay is None else tuple(missed_texts(replay))

    def _replay_of(self, plan: Plan) -> Replay | None:
        """Of the plan that is printed; None where there is none to replay."""
        if not plan.status.has_plan or self.found.best.replay is None:
            return None
        if self._of_printed is None:
            same = _fleet(plan) == _fleet(self.found.best.plan)
            self._of_printed = self.found.best.replay if same else self._again(plan)
        return self._of_printed

    def _again(self, plan: Plan) -> Replay:
        """A time limit may end a second solve with another fleet, which is replayed as well."""
        from milp_planner.reporting.text.questions.replay import wish_text

        found = _replayed(plan, self.problem, self.catalog, self.ends_s)
        streams.tell("Time ended with another plan than those replayed; the one printed:")
        for wish in found.wishes:
            streams.tell(f"  {wish_text(wish)}")
        return found


def until_kept(
    problem: Problem,
    catalog: Catalog,
    *,
    began_s: float,
    time_limit_s: float | None,
    gap: float | None,
    solver: SolverChoice | None,
    quiet: bool,
) -> ReplayedSolve:
    """Solve, replay, tighten, within a share of the time limit."""
    from milp_planner.questions.tighten import tighten

    limit_s = problem.solver.time_limit_s if time_limit_s is None else time_limit_s
    ends_s = began_s + ROUNDS_SHARE * limit_s
    with counted_and_read(f"replaying {problem.name}", REQUESTS, quiet=quiet) as done:
        found = tighten(
            problem,
            lambda plan, asked: _replayed(plan, asked, catalog, ends_s, done),
            catalog,
            time_limit_s=max(LEAST_REPLAY_S, ends_s - time.monotonic()),
            gap=gap,
            solver=solver,
        )
    return ReplayedSolve(found, catalog, began_s + limit_s)


def _replayed(
    plan: Plan,
    problem: Problem,
    catalog: Catalog,
    ends_s: float,
    done: Callable[[int], None] | None = None,
) -> Replay:
    from milp_planner.questions.replay import replay

    left_s = max(LEAST_REPLAY_S, ends_s - time.monotonic())
    return replay(*(plan, problem, catalog), requests=REQUESTS, time_limit_s=left_s, progress=done)


def _fleet(plan: Plan) -> list[tuple[str, tuple[int, ...]]]:
    return sorted((p.candidate.id, tuple(p.units_by_block)) for p in plan.purchases)
