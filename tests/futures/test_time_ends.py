"""What is known of commitments where time ends before the program over all futures has a proof."""

from __future__ import annotations

import threading

import pytest

from milp_planner import Status, solve
from milp_planner.cli.parts import exit_codes
from milp_planner.deadline import OutOfTime
from milp_planner.futures import answer, start
from milp_planner.futures.blocks import FuturesAnswer
from milp_planner.futures.compare import Comparison
from milp_planner.futures.optimum import FuturesOptimizer
from milp_planner.plans.records import Proof
from milp_planner.reporting.text.plans.table import plan_text
from tests.futures.test_commit_or_rent import ON_DEMAND, RESERVED, commit_or_rent, l40s

pytest_plugins = ["tests.support.toy_cli"]

EXPECTED = 720 * (5 * RESERVED + ON_DEMAND * (0.4 * 14 + 0.2 * 51))
"""Five are bound; base needs 19 units, hit 56."""

PERFECT = 720 * RESERVED * (0.4 * 5 + 0.4 * 19 + 0.2 * 56)
"""Each future known: all that it needs is bound. Nothing costs less on average."""


def never(*_: object, **__: object) -> None:
    raise OutOfTime


def held(plan):
    assert plan.status is Status.FEASIBLE
    assert plan.futures.expected_usd_per_month == pytest.approx(EXPECTED, abs=0.01)
    assert plan.futures.bound_usd_per_month == pytest.approx(PERFECT, abs=0.01)
    assert [one.units for one in plan.futures.committed] == [5]


def test_no_time_to_list_what_all_futures_need_leaves_what_their_own_plans_are_made_of(monkeypatch):
    # the plans alone reserve 5, 19 and 56: the same offering on demand is looked at beside
    monkeypatch.setattr(answer, "kept_in_futures", never)
    plan = solve(commit_or_rent(), l40s())
    held(plan)
    assert plan_text(plan).startswith("Best commitments found: $25,391 per month on average")
    assert "gap 31 %" in plan_text(plan)  # 1 - 17,558 / 25,391
    assert plan.futures.cases == ()


def test_a_joint_program_without_a_plan_leaves_the_small_one(monkeypatch):
    solved = FuturesOptimizer.best
    asked = []

    def stopped(self, *given, **how):
        asked.append(how)
        if len(asked) == 1:
            nothing = Proof(certified=False, certified_by=())
            return FuturesAnswer(Status.NO_PLAN, nothing, bound_usd=1.0)
        return solved(self, *given, **how)

    monkeypatch.setattr(FuturesOptimizer, "best", stopped)
    held(solve(commit_or_rent(), l40s(), diagnose=False))
    assert asked[0]["session"].ends_s < asked[1]["session"].ends_s  # some time was left for it


def test_perfect_information_bounds_the_worst_future_as_well():
    plan = solve(commit_or_rent(risk={"measure": "worst", "of": "cost"}), l40s(), diagnose=False)
    # the worst alone is the hit with 56 bound: $47,272, and so is the plan for the worst
    assert plan.futures.minimised_usd_per_month == pytest.approx(720 * RESERVED * 56, abs=0.01)
    assert start.JOINT_SHARE < 1


def test_nothing_beside_the_plan_is_solved_once_time_is_up(monkeypatch):
    solved = FuturesOptimizer.best
    asked = []

    def last(self, *given, **how):
        asked.append(how)
        found = solved(self, *given, **how)
        self.session.cancel.set()  # from here on nothing more may be solved
        return found

    monkeypatch.setattr(FuturesOptimizer, "best", last)
    stop = threading.Event()
    plan = solve(commit_or_rent(), l40s(), cancel=stop)
    assert len(asked) == 1
    assert plan.status is Status.OPTIMAL
    assert plan.futures.outcomes[0].idle_usd_per_month is None


def test_a_ctrl_c_beside_the_plan_leaves_its_sheet(run, folder, monkeypatch):
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    futures = "futures: [{name: base, probability: 0.6}, {name: hit, probability: 0.4, traffic: 2}]"
    text = (folder / "toy.yaml").read_text()
    (folder / "two.yaml").write_text(f"{text}\n{futures}\n")
    monkeypatch.setattr(Comparison, "told", stopped)
    code, out, err = run("solve", "two.yaml", "--no-choices")
    assert (code, "interrupted" in err) == (exit_codes.INTERRUPTED, True)
    assert "on average over 2 futures" in out.splitlines()[0]
